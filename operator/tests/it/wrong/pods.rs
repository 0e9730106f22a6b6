//! What is wrong about the pods, and what other muds fetch from them.

use serde_json::{Value, json};

use super::{OBJECT_NAME, Row, row};

const OWN_PORT: &str = "the gateway itself listens at 8080, 8081 and 9090: choose another port, such as 4003";
const LABEL: &str = "write each label's value with letters, digits";

/// Each with its correct twin, in a MudGateway.
pub(super) fn rows() -> Vec<Row> {
    let oob = |wrong: Value, field, words| {
        row(
            "/oob",
            wrong,
            json!({"mail": true, "port": 4003, "advertisedAddress": "192.0.2.7"}),
            field,
            words,
        )
    };
    let scheduling = |wrong: Value, field, words| {
        let right = json!({"nodeSelector": {"pool": "games"}, "priorityClassName": "high"});
        row("/scheduling", wrong, right, field, words)
    };
    let metadata = |wrong: Value, field, words| {
        let right = json!({"labels": {"team": "games"}, "annotations": {"team": "games"}});
        row("/podMetadata", wrong, right, field, words)
    };
    let resources = |wrong: Value, field, words| {
        let right = json!({"requests": {"cpu": "0.5", "memory": "64Mi"}, "limits": {"memory": "64Mi"}});
        row("/resources", wrong, right, field, words)
    };
    vec![
        oob(json!({}), "spec.oob", "set oob.mail, oob.news or oob.file to true, or remove oob"),
        oob(json!({"mail": true, "port": 80}), "spec.oob.port", "should be greater than or equal to 1024"),
        oob(json!({"mail": true, "port": 8080}), "spec.oob.port", OWN_PORT),
        oob(json!({"mail": true, "port": 8081}), "spec.oob.port", OWN_PORT),
        oob(json!({"mail": true, "port": 9090}), "spec.oob.port", OWN_PORT),
        oob(
            json!({"mail": true, "advertisedAddress": "mud.example"}),
            "spec.oob.advertisedAddress",
            "write an IP address, such as 192.0.2.7",
        ),
        row("/replicas", json!(-1), json!(0), "spec.replicas", "should be greater than or equal to 0"),
        row("/replicas", json!(4), json!(3), "spec.replicas", "should be less than or equal to 3"),
        row(
            "/image",
            json!("a b"),
            json!("gateway:1"),
            "spec.image",
            "write an image without spaces, such as",
        ),
        row(
            "/imagePullPolicy",
            json!("Often"),
            json!("Always"),
            "spec.imagePullPolicy",
            "supported values: \"Always\"",
        ),
        row(
            "/imagePullSecrets",
            json!([{"name": "a"}, {"name": "a"}]),
            json!([{"name": "a"}, {"name": "b"}]),
            "spec.imagePullSecrets",
            "duplicate entries for key [name=\"a\"]",
        ),
        row(
            "/imagePullSecrets",
            json!([{"name": "A"}]),
            json!([{"name": "a"}]),
            "spec.imagePullSecrets[0].name",
            OBJECT_NAME,
        ),
        resources(
            json!({"requests": {"memory": "1Gi"}, "limits": {"memory": "64Mi"}}),
            "spec.resources",
            "raise the limit, or lower the request",
        ),
        resources(
            json!({"limits": {"memory": "a lot"}}),
            "spec.resources.limits.memory",
            "write a whole number with a unit of Ki, Mi or Gi, such as 64Mi",
        ),
        resources(
            json!({"requests": {"cpu": "fast"}}),
            "spec.resources.requests.cpu",
            "write thousandths of a CPU, such as 10m",
        ),
        scheduling(json!({"nodeSelector": {"pool": "a b"}}), "spec.scheduling.nodeSelector", LABEL),
        scheduling(json!({"priorityClassName": "A"}), "spec.scheduling.priorityClassName", OBJECT_NAME),
        metadata(
            json!({"labels": {"app.kubernetes.io/name": "x"}}),
            "spec.podMetadata.labels",
            "are the operator's: choose another prefix",
        ),
        metadata(json!({"labels": {"team": "-games"}}), "spec.podMetadata.labels", LABEL),
        metadata(
            json!({"annotations": {"intermud.dev/x": "x"}}),
            "spec.podMetadata.annotations",
            "are the operator's: choose another prefix",
        ),
        row(
            "/deletionPolicy",
            json!("Keep"),
            json!("Retain"),
            "spec.deletionPolicy",
            "supported values: \"Retain\", \"Delete\"",
        ),
        row("/paused", json!("yes"), json!(true), "spec.paused", "expected boolean"),
    ]
}
