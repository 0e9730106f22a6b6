//! The overlays of deploy/kubernetes are, object for object, what the chart renders with the values they stand for.

use std::collections::BTreeMap;

use mudgateway_chart::{objects, run, template};
use serde_json::Value;

/// Objects by kind and name, without what only Helm or only kustomize writes.
fn by_name(yaml: &str) -> BTreeMap<String, Value> {
    let only_helm = ["helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"];
    let mut found = BTreeMap::new();
    for mut object in objects(yaml).unwrap() {
        if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
            labels.retain(|name, _| !only_helm.contains(&name.as_str()));
        }
        if let Some(annotations) = object.pointer_mut("/spec/template/metadata/annotations") {
            // By it a change of the chart's values restarts NATS.
            annotations.as_object_mut().unwrap().remove("checksum/config");
        }
        found.insert(format!("{}/{}", object["kind"], object["metadata"]["name"]), object);
    }
    found
}

fn same(overlay: &str, values: &[&str]) {
    let mut built =
        by_name(&run("kubectl", &["kustomize", &format!("deploy/kubernetes/{overlay}")]).unwrap());
    let namespace = built.remove("\"Namespace\"/\"mudgateway-system\"").expect("a namespace");
    assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
    let all = built.len();
    // That these are right is for `scripts/manifests --check`; kustomize writes their numbers otherwise.
    built.retain(|name, _| !name.contains("CustomResourceDefinition"));
    assert_eq!(all - built.len(), 2, "definitions in {overlay}");
    let without = ["--no-hooks", "--set", "crds.enabled=false"];
    let rendered = by_name(&template(&[&without, values].concat()).unwrap());
    assert_eq!(built.keys().collect::<Vec<_>>(), rendered.keys().collect::<Vec<_>>(), "{overlay}");
    for (name, object) in built {
        assert_eq!(object, rendered[&name], "{overlay}: {name}");
    }
}

#[test]
fn the_base_is_the_chart_with_its_defaults() {
    same("base", &[]);
}

#[test]
fn each_overlay_is_the_chart_with_its_values() {
    same("overlays/single-node", &["--set", "operator.replicas=1,nats.storage.persistent=false"]);
    let no_monitoring = "metrics.serviceMonitor.enabled=false,metrics.podMonitor.enabled=false,\
                         metrics.prometheusRule.enabled=false,metrics.dashboards.enabled=false";
    same("overlays/ha", &["--values", "charts/mudgateway/values-ha.yaml", "--set", no_monitoring]);
}
