//! What is wrong about the API.

use serde_json::{Value, json};

use super::{OBJECT_NAME, Row, row};
use crate::harness::merge;

/// Each with its correct twin, in a MudGateway.
pub(super) fn rows() -> Vec<Row> {
    let limit = |wrong: Value, right: Value, field, words| row("/api/limits", wrong, right, field, words);
    let method = |wrong: Value, field, words| {
        let right = json!([{"name": "channel_send", "requestsPerMinute": 10}]);
        row("/api/limits/methods", json!([wrong]), right, field, words)
    };
    let key = |more: Value, field, words| {
        let mut wrong = json!({"secretRef": {"name": "a"}});
        merge(&mut wrong, more);
        let right =
            json!([{"secretRef": {"name": "a"}, "permissions": ["tell"], "expires": "2027-01-01T00:00:00Z"}]);
        row("/api/keys", json!([wrong]), right, field, words)
    };
    let plain_key = json!({"secretRef": {"name": "a"}});
    let tls = |wrong: Value, words| {
        row("/api/tls", wrong, json!({"secretName": "mud.example"}), "spec.api.tls.secretName", words)
    };
    vec![
        row(
            "/api",
            json!({"websocket": {"enabled": false}, "tcp": {"enabled": false}}),
            json!({"websocket": {"enabled": false}}),
            "spec.api",
            "set api.websocket.enabled or api.tcp.enabled to true",
        ),
        tls(json!({}), "Required value"),
        tls(json!({"secretName": "UPPER"}), OBJECT_NAME),
        limit(
            json!({"connections": 0}),
            json!({"connections": 1}),
            "spec.api.limits.connections",
            "should be greater than or equal to 1",
        ),
        limit(
            json!({"messageBytes": 10}),
            json!({"messageBytes": 1024}),
            "spec.api.limits.messageBytes",
            "should be greater than or equal to 1024",
        ),
        limit(
            json!({"queueBytes": 1}),
            json!({"queueBytes": 65536}),
            "spec.api.limits.queueBytes",
            "should be greater than or equal to 65536",
        ),
        limit(
            json!({"requestsPerMinute": 0}),
            json!({"requestsPerMinute": 1}),
            "spec.api.limits.requestsPerMinute",
            "should be greater than or equal to 1",
        ),
        method(
            json!({"name": "Tell", "requestsPerMinute": 1}),
            "spec.api.limits.methods[0].name",
            "write the name of the method as clients call it, in lower case, such as tell",
        ),
        method(
            json!({"name": "tell", "requestsPerMinute": 0}),
            "spec.api.limits.methods[0].requestsPerMinute",
            "should be greater than or equal to 1",
        ),
        row(
            "/api/keys",
            json!([plain_key, plain_key]),
            json!([plain_key, {"secretRef": {"name": "a", "key": "second"}}]),
            "spec.api.keys",
            "api.keys must differ: remove the repeated one",
        ),
        key(
            json!({"permissions": ["everything"]}),
            "spec.api.keys[0].permissions[0]",
            "Unsupported value: \"everything\": supported values: \"tell\"",
        ),
        key(
            json!({"permissions": ["tell", "tell"]}),
            "spec.api.keys[0].permissions",
            "duplicate entries for key",
        ),
        key(
            json!({"requestsPerMinute": 0}),
            "spec.api.keys[0].requestsPerMinute",
            "should be greater than or equal to 1",
        ),
        key(json!({"expires": "next year"}), "spec.api.keys[0].expires", "must be of type date-time"),
        key(json!({"secretRef": {"name": ""}}), "spec.api.keys[0].secretRef.name", "at least 1 chars long"),
        key(
            json!({"secretRef": {"key": "a/b"}}),
            "spec.api.keys[0].secretRef.key",
            "write the name of the Secret's entry: letters, digits",
        ),
        key(
            json!({"secretRef": {"name": "b", "namespace": "c"}}),
            "namespace",
            "field not declared in schema",
        ),
    ]
}
