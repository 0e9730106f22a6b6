//! What comes of the values. What the defaults give stands in deploy/kubernetes; here is how each way to install it differs.

use std::io::Write;
use std::process::{Command, Stdio};

use mudgateway_chart::{objects, root, template};
use serde_json::Value;

use crate::{WAYS, with};

/// Leaves out what says nothing about the values: the definitions, dashboards and alerts, and the version.
fn readable(rendered: &str) -> String {
    let version = format!("{:?}", env!("CARGO_PKG_VERSION"));
    let left_out = ["/templates/crds/", "/templates/monitoring/dashboards.yaml"];
    let mut text: String = rendered
        .split("---\n")
        .filter(|part| !left_out.iter().any(|folder| part.contains(folder)))
        .map(|part| {
            if part.contains("kind: PrometheusRule") {
                part.split("  groups:").next().unwrap_or(part)
            } else {
                part
            }
        })
        .collect::<Vec<_>>()
        .join("---\n");
    for quoted in [version.as_str(), version.trim_matches('"')] {
        text = text.replace(quoted, "VERSION");
    }
    text
}

/// The difference of two texts, as `diff` writes it.
fn diff(before: &str, after: &str) -> String {
    let folder = std::env::temp_dir().join(format!(
        "mudgateway-chart-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::write(&folder, before).unwrap();
    let mut child = Command::new("diff")
        .args(["--unified=1", "--label", "default", "--label", "with these values"])
        .arg(&folder)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("diff on the PATH");
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(after.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    std::fs::remove_file(&folder).unwrap();
    // Where a part stands says nothing, and changes with every line before it.
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| if line.starts_with("@@") { "@@" } else { line }).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_way_to_install_it_differs_from_the_defaults_in_what_it_says() {
    let default = readable(&template(&[]).unwrap());
    for (name, file) in WAYS {
        insta::assert_snapshot!(name, diff(&default, &readable(&with(file))));
    }
}

/// The pod templates among some objects, with the kind each is of.
fn pods(objects: &[Value]) -> impl Iterator<Item = (&str, &Value)> {
    objects.iter().filter_map(|object| match object["kind"].as_str()? {
        "Pod" => Some(("Pod", &object["spec"])),
        kind @ ("Deployment" | "StatefulSet") => Some((kind, &object["spec"]["template"]["spec"])),
        _ => None,
    })
}

#[test]
fn every_pod_pulls_from_the_private_registry_and_fits_the_restricted_level() {
    let objects = objects(&with("tests/chart/values/every-option.yaml")).unwrap();
    assert_eq!(
        pods(&objects).map(|(kind, _)| kind).collect::<Vec<_>>(),
        ["Deployment", "StatefulSet", "Pod"]
    );
    for (kind, pod) in pods(&objects) {
        assert_eq!(pod["imagePullSecrets"][0]["name"], "registry", "{kind}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{kind}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{kind}");
        for container in pod["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{kind}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{kind}");
            assert_eq!(context["capabilities"]["drop"][0], "ALL", "{kind}");
            assert!(container["image"].as_str().unwrap().starts_with("registry.example/"), "{kind}");
        }
    }
}

#[test]
fn every_object_has_the_common_labels() {
    for object in objects(&with("tests/chart/values/every-option.yaml")).unwrap() {
        assert_eq!(
            object["metadata"]["labels"]["team"], "games",
            "{} {}",
            object["kind"], object["metadata"]["name"]
        );
    }
}

#[test]
fn every_way_is_in_a_file_that_is_there() {
    for (_, file) in WAYS {
        assert!(root().join(file).is_file(), "{file}");
    }
}
