//! What a line of input asks for.

use serde_json::{Map, Value, json};

/// A line of input.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    /// A JSON-RPC request, perhaps still without an id.
    Request(Value),
    /// An empty line.
    Nothing,
    /// No more requests.
    Quit,
}

/// Reads a line: a request as an object, a short command, or a method and its parameters.
pub(crate) fn parse(line: &str, user: Option<&str>) -> Result<Command, String> {
    let line = line.trim();
    if line.is_empty() {
        return Ok(Command::Nothing);
    }
    if line.starts_with('{') {
        return serde_json::from_str(line).map(Command::Request).map_err(|error| format!("{line}: {error}"));
    }
    let (word, rest) = split(line);
    if rest.starts_with('{') || rest.starts_with('[') {
        let params = serde_json::from_str(rest).map_err(|error| format!("{line}: {error}"))?;
        return Ok(request(word, params));
    }
    short(word, rest, user).ok_or_else(|| format!("{line}: not understood; see --help"))
}

fn short(word: &str, rest: &str, user: Option<&str>) -> Option<Command> {
    let command = match (word, rest) {
        ("quit", "") => Command::Quit,
        ("join" | "leave", channel) => {
            request(&format!("channel_{word}"), json!({ "channel": non_empty(channel)? }))
        }
        ("say", rest) => {
            let (channel, text) = split(rest);
            spoken("channel_send", json!({ "channel": channel, "message": non_empty(text)? }), user)
        }
        ("tell", rest) => {
            let (to, text) = split(rest);
            // A mud's name may have an @ in it, a user's may not.
            let (target_user, target_mud) = to.split_once('@')?;
            let params = json!({
                "target_mud": non_empty(target_mud)?,
                "target_user": non_empty(target_user)?,
                "message": non_empty(text)?,
            });
            spoken("tell", params, user)
        }
        ("list", "") => request("channel_list", json!({})),
        ("muds", "") => request("mudlist", json!({})),
        (method, "") => request(method, json!({})),
        _ => return None,
    };
    Some(command)
}

fn request(method: &str, params: Value) -> Command {
    Command::Request(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
}

fn spoken(method: &str, mut params: Value, user: Option<&str>) -> Command {
    if let (Some(user), Some(params)) = (user, params.as_object_mut()) {
        params.extend(Map::from_iter([("from_user".to_owned(), user.into())]));
    }
    request(method, params)
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method_and_params(line: &str) -> (String, Value) {
        match parse(line, None) {
            Ok(Command::Request(mut request)) => {
                assert_eq!(request["jsonrpc"], "2.0");
                (request["method"].as_str().unwrap().to_owned(), request["params"].take())
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn short_commands_are_requests() {
        for (line, method, params) in [
            ("join imud_gossip", "channel_join", json!({"channel": "imud_gossip"})),
            ("leave imud_gossip", "channel_leave", json!({"channel": "imud_gossip"})),
            ("  say chat  hello  you ", "channel_send", json!({"channel": "chat", "message": "hello  you"})),
            (
                "tell ann@Mud@B hi there",
                "tell",
                json!({"target_user": "ann", "target_mud": "Mud@B", "message": "hi there"}),
            ),
            ("list", "channel_list", json!({})),
            ("muds", "mudlist", json!({})),
            ("status", "status", json!({})),
            ("ping", "ping", json!({})),
            (r#"who {"target_mud": "MudB"}"#, "who", json!({"target_mud": "MudB"})),
            (r#"tell {"target_mud": "M"}"#, "tell", json!({"target_mud": "M"})),
            ("odd [1,2]", "odd", json!([1, 2])),
        ] {
            assert_eq!(method_and_params(line), (method.to_owned(), params), "{line}");
        }
    }

    #[test]
    fn objects_are_taken_as_they_are() {
        let object = r#"{"method":"ping","id":"x","more":[]}"#;
        assert_eq!(parse(object, Some("bob")), Ok(Command::Request(serde_json::from_str(object).unwrap())));
    }

    #[test]
    fn a_user_speaks_in_its_own_name() {
        let Ok(Command::Request(request)) = parse("say chat hi", Some("bob")) else { panic!() };
        assert_eq!(request["params"]["from_user"], "bob");
        let Ok(Command::Request(request)) = parse("join chat", Some("bob")) else { panic!() };
        assert_eq!(request["params"].get("from_user"), None);
    }

    #[test]
    fn the_rest_is_an_error_or_nothing() {
        for line in
            ["join", "say chat", "tell ann hi", "tell ann@ hi", "tell @MudB hi", "ping now", "{", "who {"]
        {
            assert!(parse(line, None).unwrap_err().starts_with(line.trim()), "{line}");
        }
        assert_eq!(parse(" \t", None), Ok(Command::Nothing));
        assert_eq!(parse("quit", None), Ok(Command::Quit));
    }
}
