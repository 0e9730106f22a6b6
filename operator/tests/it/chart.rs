//! The chart, as helm renders it and a real API server takes it. What needs no API server is in tests/chart.

use crate::harness::{Space, run_ok};

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
    // What a controller makes in every namespace; here there is none. The pod of `helm test` runs as it.
    run_ok("kubectl", &["create", "serviceaccount", "default", "--namespace", &space.name], b"");
    let here = format!("watchNamespaces={{{}}}", space.name);
    check(&space, &[]);
    check(&space, &["nats.storage.persistent=false", "crds.keep=false"]);
    check(
        &space,
        &[
            "commonLabels.team=games",
            "metrics.dashboards.enabled=true",
            "operator.networkPolicy.enabled=true",
            "operator.serviceAccount.annotations.of=games",
            "operator.extraEnv[0].name=RUST_BACKTRACE",
            "operator.extraEnv[0].value=x1",
        ],
    );
    check(&space, &["nats.enabled=false", "nats.url=nats://mine:4222", "nats.gatewayUrl=nats://theirs:4222"]);
    check(
        &space,
        &["nats.replicas=3", "nats.tls.serverSecret=nats-tls", "nats.tls.gatewayClientSecret=gateways"],
    );
    check(&space, &[&here, "nats.auth.enabled=false"]);
    check(
        &space,
        &[
            "nats.enabled=false",
            "nats.url=tls://mine:4222",
            "nats.auth.credentialsSecret.name=login",
            "nats.auth.signingKeySecret.name=login",
            "nats.tls.caSecret.name=ca",
            "nats.tls.clientSecret=client",
            "nats.streamReplicas=3",
        ],
    );
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
