//! The definition on a real API server.

use kube::api::{Api, ListParams};
use mudgateway_crds::MudGateway;
use serde_json::{Value, json};

use crate::harness::{Space, run_ok};

/// Additions to the spec that the API server must refuse, and what it must say: the field, and what to do or what it
/// should be.
fn wrong_specs() -> Vec<(Value, &'static str)> {
    let router = |name: &str| json!({"name": name, "host": "h", "port": 1});
    let routers = |router: Value| json!({"routers": [router]});
    let mud = |field: &str, value: Value| json!({"mud": {field: value}});
    let api = |field: &str, value: Value| json!({"api": {field: value}});
    let key = |more: Value| {
        let mut key = json!({"secretRef": {"name": "a"}});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"api": {"keys": [key]}})
    };
    let edge = |more: Value| {
        let mut exposed = json!({"parentRef": {"name": "edge"}});
        exposed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"expose": {"gateway": exposed}})
    };
    let both = |mut a: Value, b: Value| {
        a.as_object_mut().unwrap().extend(b.as_object().unwrap().clone());
        a
    };
    let plain_key = json!({"secretRef": {"name": "a"}});
    let long = |length: usize| "x".repeat(length);
    let tls = json!({"api": {"tls": {"secretName": "cert"}}});
    vec![
        (mud("name", json!("")), "spec.mud.name in body should be at least 1 chars long"),
        (mud("name", json!(long(65))), "spec.mud.name: Too long: may not be more than 64"),
        (mud("name", json!("Bad\u{7}Name")), "mud.name must be printable"),
        (mud("name", json!(" Spaced")), "mud.name must be printable"),
        (mud("name", json!("*router")), "mud.name must be printable"),
        (mud("adminEmail", json!("a\nb")), "spec.mud.adminEmail in body should match"),
        (mud("adminEmail", json!(long(255))), "spec.mud.adminEmail: Too long"),
        (mud("mudlib", json!("")), "spec.mud.mudlib in body should be at least 1 chars long"),
        (mud("driver", json!(long(65))), "spec.mud.driver: Too long"),
        (mud("type", json!("\u{1}")), "spec.mud.type in body should match"),
        (mud("openStatus", json!("")), "spec.mud.openStatus in body should be at least 1"),
        (
            mud("services", json!([{"name": "tell", "port": 1}])),
            "the gateway announces its own services itself",
        ),
        (
            mud("services", json!([{"name": "HTTP", "port": 1}])),
            "spec.mud.services[0].name in body should match",
        ),
        (
            mud("services", json!([{"name": "http", "port": 0}])),
            "spec.mud.services[0].port in body should be greater",
        ),
        (
            mud("services", json!([{"name": "http", "port": 1}, {"name": "http", "port": 2}])),
            "duplicate entries for key [name=\"http\"]",
        ),
        (
            mud("otherData", json!([{"name": "url", "value": "a\nb"}])),
            "spec.mud.otherData[0].value in body should match",
        ),
        (mud("nmae", json!("x")), "field not declared in schema"),
        (json!({"routers": []}), "routers"),
        (routers(router("i4")), "a router's name begins with '*'"),
        (routers(router("* i4")), "a router's name begins with '*'"),
        (json!({"routers": [router("*i4"), router("*i4")]}), "routers must have different names"),
        (
            routers(json!({"name": "*i4", "host": "a b", "port": 1})),
            "spec.routers[0].host in body should match",
        ),
        (
            routers(json!({"name": "*i4", "host": "h", "port": 70000})),
            "spec.routers[0].port in body should be less",
        ),
        (routers(json!({"name": "*i4", "port": 1})), "spec.routers[0].host: Required value"),
        (json!({"networkRef": {"name": "i4"}}), "give either spec.networkRef"),
        (json!({"networkRef": {"name": "I4"}}), "spec.networkRef.name in body should match"),
        (json!({"channels": [{"name": "a"}, {"name": "a"}]}), "duplicate entries for key [name=\"a\"]"),
        (json!({"channels": [{"name": "a\nb"}]}), "a channel's name must be printable"),
        (
            json!({"channels": [{"name": "a", "scope": "world"}]}),
            "spec.channels[0].scope: Unsupported value: \"world\"",
        ),
        (json!({"replicas": -1}), "spec.replicas in body should be greater than or equal to 0"),
        (json!({"replicas": 4}), "spec.replicas in body should be less than or equal to 3"),
        (
            json!({"api": {"websocket": {"enabled": false}, "tcp": {"enabled": false}}}),
            "without WebSocket and TCP no mud can connect",
        ),
        (api("tls", json!({})), "spec.api.tls.secretName: Required value"),
        (api("tls", json!({"secretName": "UPPER"})), "spec.api.tls.secretName in body should match"),
        (api("limits", json!({"connections": 0})), "spec.api.limits.connections in body should be greater"),
        (
            api("limits", json!({"messageBytes": 10})),
            "spec.api.limits.messageBytes in body should be greater",
        ),
        (api("limits", json!({"queueBytes": 1})), "spec.api.limits.queueBytes in body should be greater"),
        (
            api("limits", json!({"requestsPerMinute": 0})),
            "spec.api.limits.requestsPerMinute in body should be greater",
        ),
        (
            api("limits", json!({"methods": [{"name": "Tell", "requestsPerMinute": 1}]})),
            "spec.api.limits.methods[0].name in body should match",
        ),
        (
            api("limits", json!({"methods": [{"name": "tell", "requestsPerMinute": 0}]})),
            "spec.api.limits.methods[0].requestsPerMinute in body should be greater",
        ),
        (json!({"api": {"keys": [plain_key, plain_key]}}), "api.keys must differ"),
        (
            key(json!({"permissions": ["everything"]})),
            "Unsupported value: \"everything\": supported values: \"tell\"",
        ),
        (key(json!({"permissions": ["tell", "tell"]})), "duplicate entries for key"),
        (
            key(json!({"requestsPerMinute": 0})),
            "spec.api.keys[0].requestsPerMinute in body should be greater",
        ),
        (key(json!({"expires": "next year"})), "spec.api.keys[0].expires in body must be of type date-time"),
        (
            json!({"api": {"keys": [{"secretRef": {"name": ""}}]}}),
            "spec.api.keys[0].secretRef.name in body should be",
        ),
        (
            json!({"api": {"keys": [{"secretRef": {"name": "a", "key": "a/b"}}]}}),
            "spec.api.keys[0].secretRef.key in body should match",
        ),
        (json!({"oob": {}}), "oob offers nothing: set oob.mail, oob.news or oob.file to true"),
        (
            json!({"oob": {"mail": true, "port": 80}}),
            "spec.oob.port in body should be greater than or equal to 1024",
        ),
        (
            json!({"oob": {"mail": true, "advertisedAddress": "mud.example"}}),
            "spec.oob.advertisedAddress in body should match",
        ),
        (json!({"image": "a b"}), "spec.image in body should match"),
        (json!({"imagePullPolicy": "Often"}), "spec.imagePullPolicy: Unsupported value: \"Often\""),
        (
            json!({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}),
            "duplicate entries for key [name=\"a\"]",
        ),
        (
            json!({"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "64Mi"}}}),
            "resources.requests.memory is more than resources.limits.memory",
        ),
        (
            json!({"resources": {"limits": {"memory": "a lot"}}}),
            "spec.resources.limits.memory in body should match",
        ),
        (
            json!({"resources": {"requests": {"cpu": "fast"}}}),
            "spec.resources.requests.cpu in body should match",
        ),
        (
            json!({"scheduling": {"nodeSelector": {"pool": "a b"}}}),
            "spec.scheduling.nodeSelector.pool in body should match",
        ),
        (
            json!({"scheduling": {"priorityClassName": "A"}}),
            "spec.scheduling.priorityClassName in body should match",
        ),
        (
            json!({"podMetadata": {"labels": {"app.kubernetes.io/name": "x"}}}),
            "labels under app.kubernetes.io/ and intermud.dev/ are the operator's",
        ),
        (
            json!({"podMetadata": {"annotations": {"intermud.dev/x": "x"}}}),
            "annotations under intermud.dev/ are the operator's",
        ),
        (json!({"deletionPolicy": "Keep"}), "spec.deletionPolicy: Unsupported value: \"Keep\""),
        (json!({"paused": "yes"}), "spec.paused: expected boolean"),
        (
            json!({"expose": {"ingress": {"host": "a.example"}, "service": {"type": "LoadBalancer"}}}),
            "expose takes one of service, gateway and ingress: remove the others",
        ),
        (
            json!({"expose": {"service": {"type": "ClusterIP"}}}),
            "spec.expose.service.type: Unsupported value",
        ),
        (
            json!({"expose": {"service": {"type": "NodePort"}}}),
            "expose.service.host is required for a NodePort",
        ),
        (
            json!({"expose": {"service": {"type": "NodePort", "host": "h", "loadBalancerClass": "x"}}}),
            "expose.service.loadBalancerClass is for type LoadBalancer only",
        ),
        (json!({"expose": {"ingress": {}}}), "spec.expose.ingress.host: Required value"),
        (
            json!({"expose": {"ingress": {"host": "A.example"}}}),
            "spec.expose.ingress.host in body should match",
        ),
        (json!({"expose": {"gateway": {}}}), "spec.expose.gateway.parentRef: Required value"),
        (edge(json!({"path": "ws"})), "spec.expose.gateway.path in body should match"),
        (edge(json!({"hostname": "*.example"})), "spec.expose.gateway.hostname in body should match"),
        (
            edge(json!({"tcpSection": "a", "tlsSection": "b"})),
            "expose.gateway takes tcpSection or tlsSection, not both",
        ),
        (edge(json!({"tlsSection": "b"})), "set spec.api.tls and expose.gateway.hostname"),
        (
            both(edge(json!({"tcpSection": "a"})), json!({"api": {"tcp": {"enabled": false}}})),
            "expose.gateway leads to the TCP API, which is off",
        ),
        (both(edge(json!({})), tls.clone()), "a Gateway ends TLS for the WebSocket itself"),
        (
            both(json!({"expose": {"ingress": {"host": "a.example"}}}), tls),
            "an Ingress ends TLS itself: remove spec.api.tls",
        ),
        (
            json!({"expose": {"ingress": {"host": "a.example"}}, "api": {"websocket": {"enabled": false}}}),
            "an Ingress is for WebSocket only",
        ),
    ]
}

#[tokio::test]
async fn wrong_specs_are_refused_with_the_field_and_the_way_out() {
    let space = Space::new().await;
    let wrong = wrong_specs();
    assert!(wrong.len() >= 60, "{}", wrong.len());
    let mut failures = Vec::new();
    for (more, message) in wrong {
        match space.try_create("mud", "Mud", more.clone()).await {
            Ok(_) => failures.push(format!("{more} was accepted")),
            Err(error) if error.to_string().contains(message) => {}
            Err(error) => failures.push(format!("{more} was refused with {error}, which lacks {message:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn wrong_names_are_refused_with_the_way_out() {
    let space = Space::new().await;
    for (name, message) in [
        ("1mud", "metadata.name becomes the name of a Service"),
        ("my.mud", "metadata.name becomes the name of a Service"),
        ("a-name-of-more-than-fifty-two-characters-is-one-too-long", "at most 52 characters"),
    ] {
        let error = space.try_create(name, "Mud", json!({})).await.expect_err("accepted");
        assert!(error.to_string().contains(message), "{name} was refused with {error}");
    }
}

#[tokio::test]
async fn the_name_of_a_mud_stays() {
    let space = Space::new().await;
    space.create("mud", "Mud", json!({})).await;
    let error = space.try_create("mud", "Other", json!({})).await.expect_err("renamed");
    assert!(error.to_string().contains("mud.name is immutable"), "{error}");
}

#[tokio::test]
async fn muds_are_found_by_name() {
    let space = Space::new().await;
    space.create("a", "First", json!({})).await;
    space.create("b", "Second", json!({})).await;
    let api: Api<MudGateway> = space.api();
    let found = api.list(&ListParams::default().fields("spec.mud.name=Second")).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].spec.mud.name, "Second");
}

#[tokio::test]
async fn pods_are_scaled_as_those_of_a_deployment() {
    let space = Space::new().await;
    space.create("mud", "Mud", json!({})).await;
    let scale = ["scale", "--namespace", &space.name, "mudgateway/mud", "--replicas=3"];
    run_ok("kubectl", &scale, b"");
    let api: Api<MudGateway> = space.api();
    assert_eq!(api.get("mud").await.unwrap().spec.replicas, 3);
}

#[tokio::test]
async fn quotas_count_muds() {
    let space = Space::new().await;
    let quota = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"ResourceQuota\", \"metadata\": {{\"name\": \"muds\", \"namespace\": \"{}\"}}, \
         \"spec\": {{\"hard\": {{\"count/mudgateways.intermud.dev\": \"0\"}}}}, \
         \"status\": {{\"hard\": {{\"count/mudgateways.intermud.dev\": \"0\"}}, \"used\": {{\"count/mudgateways.intermud.dev\": \"0\"}}}}}}",
        space.name
    );
    run_ok("kubectl", &["apply", "--filename", "-"], quota.as_bytes());
    // What the controller that does not run here would do.
    let status = ["apply", "--server-side", "--subresource=status", "--field-manager=it", "--filename", "-"];
    run_ok("kubectl", &status, quota.as_bytes());
    let error = space.try_create("mud", "Mud", json!({})).await.expect_err("accepted");
    assert!(error.to_string().contains("exceeded quota"), "{error}");
}

#[tokio::test]
async fn every_field_is_explained() {
    let space = Space::new().await;
    drop(space);
    let explained = run_ok("kubectl", &["explain", "mudgateway.spec.api"], b"").stdout;
    let explained = String::from_utf8_lossy(&explained);
    for text in ["JSON-RPC over WebSocket", "keys", "What clients may do to the gateway", "tls"] {
        assert!(explained.contains(text), "no {text:?} in {explained}");
    }
}

#[tokio::test]
async fn the_examples_are_good() {
    let space = Space::new().await;
    let folder = crate::harness::root().join("deploy/examples");
    let mut examples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        examples += 1;
        let path = path.to_str().unwrap();
        let args = [
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "--namespace",
            &space.name,
            "--filename",
            path,
        ];
        run_ok("kubectl", &args, b"");
    }
    assert!(examples >= 2);
}
