//! The chart, as helm renders it and a real API server takes it.

use crate::harness::{Space, run, run_ok};

/// Renders the chart with these values and has the API server check every object.
fn check(space: &Space, values: &[&str]) {
    // The definition is there already, and these tests share it.
    let mut args = vec!["template", "trial", "charts/mudgateway", "--set", "crds.enabled=false"];
    args.extend(["--namespace", &space.name]);
    for value in values {
        args.extend(["--set", value]);
    }
    let rendered = run_ok("helm", &args, b"").stdout;
    let apply = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename", "-"];
    let checked = run_ok("kubectl", &apply, &rendered);
    let warnings = String::from_utf8_lossy(&checked.stderr);
    assert!(warnings.is_empty(), "with {values:?}: {warnings}");
}

#[tokio::test]
async fn every_way_to_install_it_is_accepted_in_a_restricted_namespace() {
    let space = Space::new().await;
    let label = ["label", "namespace", &space.name, "pod-security.kubernetes.io/warn=restricted"];
    run_ok("kubectl", &label, b"");
    let here = format!("watchNamespaces={{{}}}", space.name);
    check(&space, &[]);
    check(&space, &["nats.storage.persistent=false", "crds.keep=false"]);
    check(&space, &["nats.enabled=false", "nats.url=nats://mine:4222", "nats.gatewayUrl=nats://theirs:4222"]);
    check(
        &space,
        &[
            &here,
            "nats.storage.className=fast",
            "operator.podLabels.team=games",
            "imagePullSecrets[0].name=pull",
        ],
    );
}

#[test]
fn it_passes_lint() {
    run_ok("helm", &["lint", "--strict", "charts/mudgateway"], b"");
}

#[test]
fn unknown_and_missing_values_are_refused() {
    for (value, message) in [
        ("nats.bogus=1", "additional properties 'bogus' not allowed"),
        ("nats.enabled=false", "nats.url is required when nats.enabled is false"),
        ("operator.concurrency=0", "minimum: got 0, want 1"),
    ] {
        let output = run("helm", &["template", "mudgateway", "charts/mudgateway", "--set", value], b"");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(message), "{value}: {error}");
    }
}
