//! What is rendered fits the schemas of Kubernetes and of the Prometheus operator, without an unknown field.

use std::process::{Command, Stdio};

use mudgateway_chart::{run, template};

use crate::{WAYS, with};

/// Has kubeconform look at objects; returns its exit code as success, and what it says.
fn kubeconform(yaml: &str) -> (bool, String) {
    let schemas = std::env::var("SCHEMAS").expect("tests/chart/run sets SCHEMAS");
    let location = format!("{schemas}/{{{{.Group}}}}-{{{{.ResourceKind}}}}-{{{{.ResourceAPIVersion}}}}.json");
    let mut child = Command::new("kubeconform")
        .args(["-strict", "-summary", "-schema-location", &location, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kubeconform on the PATH");
    let mut input = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || std::io::Write::write_all(&mut input, yaml.as_bytes()));
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    })
}

#[test]
fn all_objects_fit_the_schemas() {
    let default = ("default", template(&[]).unwrap());
    for (name, rendered) in std::iter::once(default).chain(WAYS.map(|(name, file)| (name, with(file)))) {
        let (fits, said) = kubeconform(&rendered);
        assert!(fits, "{name}: {said}");
        assert!(said.contains("Skipped: 0") && !said.contains("Summary: 0 resources"), "{name}: {said}");
    }
}

#[test]
fn what_does_not_fit_is_seen() {
    let rendered = with("charts/mudgateway/values-ha.yaml");
    for (right, wrong, complaint) in [
        ("enableServiceLinks: false", "enableServiceLink: false", "enableServiceLink"),
        (
            "terminationGracePeriodSeconds: 75",
            "terminationGracePeriodSeconds: long",
            "terminationGracePeriodSeconds",
        ),
        ("podMetricsEndpoints:", "podMetricsEndpoint:", "podMetricsEndpoint"),
    ] {
        assert!(rendered.contains(right), "nothing says {right}");
        let (fits, said) = kubeconform(&rendered.replacen(right, wrong, 1));
        assert!(!fits && said.contains(complaint), "{wrong}: {said}");
    }
}

#[test]
fn it_passes_lint() {
    for (_, file) in WAYS {
        run("helm", &["lint", "--strict", "charts/mudgateway", "--values", file]).unwrap();
    }
    run("helm", &["lint", "--strict", "charts/mudgateway"]).unwrap();
}
