//! What is wrong about the mud.

use serde_json::{Value, json};

use super::{Row, long, row};

const PRINTABLE: &str = "write printable characters on one line";
const WORD: &str = "begin with a lower case letter, then use lower case letters, digits";

/// Each with its correct twin, in a MudGateway.
pub(super) fn rows() -> Vec<Row> {
    let name =
        |wrong: &str, words| row("/mud/name", json!(wrong), json!("Spaced Out"), "spec.mud.name", words);
    let services = |wrong: Value, field, words| {
        row("/mud/services", wrong, json!([{"name": "http", "port": 8080}]), field, words)
    };
    let data = |wrong: Value, field, words| {
        row("/mud/otherData", wrong, json!([{"name": "url", "value": "https://mud.example"}]), field, words)
    };
    vec![
        name("", "should be at least 1 chars long"),
        row("/mud/name", long(65), long(64), "spec.mud.name", "Too long: may not be more than 64"),
        name("Bad\u{7}Name", "use no control characters"),
        name(" Spaced", "no space at either end"),
        name("*router", "no leading '*', which marks routers"),
        row("/mud/adminEmail", json!("a\nb"), json!("a@b.example"), "spec.mud.adminEmail", PRINTABLE),
        row("/mud/adminEmail", long(255), long(254), "spec.mud.adminEmail", "may not be more than 254"),
        row("/mud/mudlib", json!(""), json!("Luminari"), "spec.mud.mudlib", "at least 1 chars long"),
        row("/mud/baseMudlib", json!("a\tb"), json!("a b"), "spec.mud.baseMudlib", PRINTABLE),
        row("/mud/driver", long(65), long(64), "spec.mud.driver", "may not be more than 64"),
        row("/mud/type", json!("\u{1}"), json!("Diku"), "spec.mud.type", PRINTABLE),
        row("/mud/openStatus", json!(""), json!("open"), "spec.mud.openStatus", "at least 1 chars long"),
        services(
            json!([{"name": "tell", "port": 1}]),
            "spec.mud.services[0].name",
            "leave this one out, and switch mail, file and news on in spec.oob",
        ),
        services(json!([{"name": "HTTP", "port": 1}]), "spec.mud.services[0].name", WORD),
        services(
            json!([{"name": "http", "port": 0}]),
            "spec.mud.services[0].port",
            "greater than or equal to 1",
        ),
        services(
            json!([{"name": "http", "port": 1}, {"name": "http", "port": 2}]),
            "spec.mud.services",
            "duplicate entries for key [name=\"http\"]",
        ),
        services(json!([{"name": "http"}]), "spec.mud.services[0].port", "Required value"),
        data(json!([{"name": "URL", "value": "x"}]), "spec.mud.otherData[0].name", WORD),
        data(json!([{"name": "url", "value": "a\nb"}]), "spec.mud.otherData[0].value", PRINTABLE),
        row("/mud/nmae", json!("x"), Value::Null, "spec.mud.nmae", "field not declared in schema"),
    ]
}
