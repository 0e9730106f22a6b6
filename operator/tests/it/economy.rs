//! How little the operator asks of the API server.

use std::io::Write;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, Patch, PostParams};
use mudgateway_crds::status::ConditionType;
use serde::Serialize;
use serde_json::{Value, json};

use crate::harness::{NO_NATS, Namespaced, Operator, Space, eventually};

const RECONCILED: &str = "i3op_reconcile_total{outcome=\"Applied\"}";

/// The requests of a creation: none of the objects is written twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_creation_writes_each_object_once() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    touch(&space, &operator, "luminari-gateway").await;
    // The finalizer, four objects, the API key, and the status.
    assert_eq!(operator.writes().await, 7.0, "{}", operator.get("/metrics").await);
    // Whether each of these is there, the status, once whether there are the three Secrets, and then the one that is.
    let reads = operator.requests(&["get"]).await;
    assert!(reads <= 8.0 + operator.metric(RECONCILED).await, "{reads} reads");

    let available = json!({"status": {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "availableReplicas": 1}});
    let deployments: Api<Deployment> = space.api();
    deployments
        .patch_status("luminari-gateway", &Default::default(), &Patch::Merge(available))
        .await
        .unwrap();
    space.wait_for("luminari", ConditionType::Programmed, "True", "MinimumReplicasAvailable").await;
    touch(&space, &operator, "luminari-gateway").await;
    assert_eq!(operator.writes().await, 8.0, "{}", operator.get("/metrics").await);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_operator_writes_nothing() {
    let space = Space::new().await;
    for name in ["login", "cert"] {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": name},
            "stringData": {"tls.crt": "x", "tls.key": "x", "ca.crt": "x", "token": "x"},
        }))
        .unwrap();
        space.api().create(&PostParams::default(), &secret).await.unwrap();
    }
    let muds = muds();
    let mut login = tempfile::NamedTempFile::new().unwrap();
    login.write_all(b"ann:hunter2").unwrap();
    let login = format!("--gateway-nats-credentials-file={}", login.path().display());
    let operator = Operator::start_with(&space, NO_NATS, &[&login]).await;
    for (name, spec) in &muds {
        space.create(name, name, spec.clone()).await;
    }
    for (name, _) in &muds {
        space.wait_for(name, ConditionType::Accepted, "True", "Accepted").await;
    }
    operator.stop().await;

    let operator = Operator::start_with(&space, NO_NATS, &[&login]).await;
    let all = f64::from(u32::try_from(muds.len()).unwrap());
    eventually("all are looked at", async || (operator.metric(RECONCILED).await >= all).then_some(())).await;
    assert_eq!(operator.writes().await, 0.0, "{}", operator.get("/metrics").await);

    // And it does see, of each kind of object, when somebody has changed it.
    put_back::<ConfigMap>(&space, "rich-gateway", json!({"data": {"config.yaml": null}})).await;
    put_back::<NetworkPolicy>(&space, "rich-gateway", json!({"spec": {"policyTypes": ["Ingress"]}})).await;
    put_back::<PodDisruptionBudget>(&space, "rich-gateway", json!({"spec": {"maxUnavailable": 2}})).await;
    put_back::<Ingress>(&space, "entry-gateway", json!({"spec": {"rules": [{"host": "other.example"}]}}))
        .await;
    put_back::<Service>(&space, "rich", json!({"metadata": {"annotations": {"lb.example/class": "x"}}}))
        .await;
    let containers = json!([{"name": "gateway", "image": "other:1"}]);
    let pod = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    put_back::<Deployment>(&space, "rich-gateway", pod).await;
    put_back::<Secret>(&space, "plain-api-key", json!({"metadata": {"labels": null}})).await;
    put_back::<Secret>(&space, "plain-gateway-nats", json!({"data": {"nats.creds": null}})).await;
    // A write is counted when its answer is back, which may be later than the object shows it.
    eventually("all writes", async || (operator.writes().await >= 8.0).then_some(())).await;
    touch(&space, &operator, "plain-gateway").await;
    assert_eq!(operator.writes().await, 8.0, "each once, and nothing besides");
    operator.stop().await;
}

/// MudGateways that have every kind of object in many forms.
fn muds() -> Vec<(&'static str, Value)> {
    let key = |name: &str| json!({"secretRef": {"name": name, "key": "token"}, "permissions": ["channel"]});
    vec![
        ("plain", json!({})),
        ("none", json!({"replicas": 0})),
        (
            "rich",
            json!({
                "replicas": 3,
                "channels": [{"name": "imud_gossip"}, {"name": "staff", "scope": "provider"}],
                "api": {"keys": [key("login"), key("cert")], "tls": {"secretName": "cert"}},
                "oob": {"mail": true, "port": 5500},
                "expose": {"service": {
                    "type": "LoadBalancer", "loadBalancerClass": "lb.example/nat",
                    "annotations": {"lb.example/class": "small"},
                }},
                "imagePullSecrets": [{"name": "login"}],
                "resources": {"requests": {"cpu": "0.1", "memory": "512Mi"}, "limits": {"memory": "1024Mi"}},
                "scheduling": {
                    "nodeSelector": {"disk": "fast"},
                    "tolerations": [{"key": "games", "operator": "Exists", "effect": "NoSchedule"}],
                    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
                        "weight": 1,
                        "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}},
                    }]}},
                },
                "podMetadata": {"labels": {"team": "games"}, "annotations": {"note.example/x": "y"}},
            }),
        ),
        ("ports", json!({"expose": {"service": {"type": "NodePort", "host": "nodes.example"}}})),
        (
            "entry",
            json!({"replicas": 2, "expose": {"ingress": {"host": "mud.example", "tlsSecretName": "cert"}}}),
        ),
    ]
}

/// Changes an object as somebody else would, and waits until it is as it was.
async fn put_back<K: Namespaced>(space: &Space, name: &str, change: Value) {
    let before = shape(&space.api::<K>().get(name).await.unwrap());
    let changed: K = space.change(name, change).await;
    assert_ne!(shape(&changed), before, "{} {name}", K::kind(&()));
    space.wait(name, "as it was", |now: &K| shape(now) == before).await;
}

/// An object without what the API server and its controllers say of it.
fn shape<K: Serialize>(object: &K) -> Value {
    let mut object = serde_json::to_value(object).unwrap();
    object.as_object_mut().unwrap().remove("status");
    object["metadata"] = json!({
        "labels": object["metadata"]["labels"],
        "annotations": object["metadata"]["annotations"],
        "ownerReferences": object["metadata"]["ownerReferences"],
    });
    object
}

/// Has the MudGateway of a ConfigMap looked at again, and waits until that is done.
async fn touch(space: &Space, operator: &Operator, map: &str) {
    let before = operator.metric(RECONCILED).await;
    let touch = json!({"metadata": {"annotations": {"touched": before.to_string()}}});
    space.change::<ConfigMap>(map, touch).await;
    eventually("a reconciliation", async || (operator.metric(RECONCILED).await > before).then_some(())).await;
}
