//! What is wrong about the network, what is on it and the way there.

use serde_json::{Value, json};

use super::{OBJECT_NAME, Row, router, row};

const HOST: &str = "write a host name or an IP address alone, such as router.example";

/// Each with its correct twin, in a MudGateway.
pub(super) fn rows() -> Vec<Row> {
    let routers =
        |wrong: Value, field, words| row("/routers", json!([wrong]), json!([router("*i4")]), field, words);
    let channels =
        |wrong: Value, field, words| row("/channels", wrong, json!([{"name": "imud_gossip"}]), field, words);
    let proxy = |wrong: Value, field, words| {
        row(
            "/egress/proxy",
            wrong,
            json!({"host": "proxy.example", "secretRef": {"name": "login"}}),
            field,
            words,
        )
    };
    let no_routers = || json!({"routers": null});
    let star = "a router's name begins with '*' and has no spaces, such as *i4";
    vec![
        row("/routers", json!([]), json!([router("*i4")]), "spec.routers", "should have at least 1 items"),
        row(
            "/routers",
            Value::Null,
            json!([router("*i4")]),
            "spec.networkRef",
            "give either spec.networkRef",
        ),
        routers(router("i4"), "spec.routers[0].name", star),
        routers(router("* i4"), "spec.routers[0].name", "write it as its operator does"),
        row(
            "/routers",
            json!([router("*i4"), router("*i4")]),
            json!([router("*i4"), router("*dalet")]),
            "spec.routers",
            "routers must have different names: remove the repeated one",
        ),
        routers(json!({"name": "*i4", "host": "a b", "port": 1}), "spec.routers[0].host", HOST),
        routers(json!({"name": "*i4", "host": "http://h", "port": 1}), "spec.routers[0].host", "no scheme"),
        routers(
            json!({"name": "*i4", "host": "h", "port": 70000}),
            "spec.routers[0].port",
            "should be less than or equal to 65535",
        ),
        routers(json!({"name": "*i4", "port": 1}), "spec.routers[0].host", "Required value"),
        row("/networkRef", json!({"name": "i4"}), Value::Null, "spec.networkRef", "and not both"),
        row("/networkRef", json!({"name": "I4"}), json!({"name": "i4"}), "spec.networkRef.name", OBJECT_NAME)
            .beside(no_routers()),
        row("/networkRef", json!({}), json!({"name": "i4"}), "spec.networkRef.name", "Required value")
            .beside(no_routers()),
        channels(
            json!([{"name": "a"}, {"name": "a"}]),
            "spec.channels",
            "duplicate entries for key [name=\"a\"]",
        ),
        channels(
            json!([{"name": "a\nb"}]),
            "spec.channels[0].name",
            "must be printable, with no space at either end",
        ),
        channels(
            json!([{"name": "a", "scope": "world"}]),
            "spec.channels[0].scope",
            "supported values: \"network\", \"provider\"",
        ),
        channels(
            json!([{"name": "a", "listen": "no", "subscribe": true}]),
            "spec.channels[name=\"a\"].listen",
            "expected boolean",
        ),
        proxy(json!({"port": 1080}), "spec.egress.proxy.host", "Required value"),
        proxy(json!({"host": "socks5://h"}), "spec.egress.proxy.host", HOST),
        proxy(json!({"host": "h", "port": 0}), "spec.egress.proxy.port", "greater than or equal to 1"),
        proxy(
            json!({"host": "h", "secretRef": {"name": "My_Secret"}}),
            "spec.egress.proxy.secretRef.name",
            OBJECT_NAME,
        ),
        row(
            "/policies",
            json!({"ignore": ["SpamMUD"]}),
            json!({"ignore": ["*@SpamMUD"]}),
            "spec.policies.ignore",
            "such as *@SpamMUD or troll@*: write both parts",
        ),
        row(
            "/policies",
            json!({"ban": ["*@SpamMUD"]}),
            json!({"ban": ["SpamMUD", "The Émigré's MUD (2)"]}),
            "spec.policies.ban",
            "a mud by its exact name, such as SpamMUD: patterns with * and users with @ are for ignore",
        ),
        row(
            "/policies",
            json!({"ban": ["A", "A"]}),
            json!({"ban": ["A", "B"]}),
            "spec.policies.ban",
            "duplicate entries for key",
        ),
        row(
            "/policies",
            json!({"packetsPerSecond": 10}),
            json!({"packetsPerSecond": 9}),
            "spec.policies.packetsPerSecond",
            "should be less than or equal to 9",
        ),
        row(
            "/policies",
            json!({"maxMessageLength": 20000}),
            json!({"maxMessageLength": 16384}),
            "spec.policies.maxMessageLength",
            "should be less than or equal to 16384",
        ),
    ]
}

/// The same in an IntermudNetwork.
pub(super) fn of_networks() -> Vec<Row> {
    let routers = |wrong: Value, field, words| row("/routers", wrong, json!([router("*i4")]), field, words);
    let limit = |name: &'static str, wrong: i32, right: i32, field, words| {
        row("/limits", json!({name: wrong}), json!({name: right}), field, words)
    };
    vec![
        routers(json!([]), "spec.routers", "should have at least 1 items"),
        routers(json!([router("i4")]), "spec.routers[0].name", "a router's name begins with '*'"),
        routers(json!([router("*i4"), router("*i4")]), "spec.routers", "remove the repeated one"),
        row(
            "/bans",
            json!(["SpamMUD"]),
            json!(["*@SpamMUD"]),
            "spec.bans",
            "such as *@SpamMUD or troll@*: write both parts",
        ),
        row(
            "/policies",
            json!({"ban": ["troll@SpamMUD"]}),
            json!({"ban": ["SpamMUD"]}),
            "spec.policies.ban",
            "users with @ are for ignore",
        ),
        row("/bans", json!(["a@b", "a@b"]), json!(["a@b", "c@b"]), "spec.bans", "duplicate entries for key"),
        limit("packetsPerSecond", 20, 9, "spec.limits.packetsPerSecond", "should be less than or equal to 9"),
        limit(
            "connectIntervalMilliseconds",
            500,
            1000,
            "spec.limits.connectIntervalMilliseconds",
            "should be greater than or equal to 1000",
        ),
        limit("mudsPerAddress", 0, 1, "spec.limits.mudsPerAddress", "should be greater than or equal to 1"),
        row(
            "/egress/addressOf",
            json!("Moon"),
            json!("Cluster"),
            "spec.egress.addressOf",
            "supported values: \"Node\", \"Cluster\"",
        ),
        row(
            "/egress/proxy",
            json!({"port": 1080}),
            json!({"host": "proxy.example"}),
            "spec.egress.proxy.host",
            "Required value",
        ),
        row(
            "/networkRef",
            json!({"name": "x"}),
            Value::Null,
            "spec.networkRef",
            "field not declared in schema",
        ),
    ]
}
