//! Two muds on one router: what users of one can do to, and ask about, those of the other.

use std::time::Duration;

use i3_router::RunningRouter;
use mudclient::Client;
use serde_json::{Value, json};

use super::support::{CHANNEL, Gateway, WITHIN, is, router};

/// Dawn with ann's client, and Dusk with bob's, who has told who is there.
async fn two(router: &RunningRouter) -> (Gateway, Client, Gateway, Client) {
    let dawn = Gateway::start("Dawn", router, &[]).await;
    dawn.logged("SessionEstablished").await;
    let dusk = Gateway::start("Dusk", router, &[]).await;
    dusk.logged("SessionEstablished").await;
    let (ann, bob) = (dawn.listener().await, dusk.listener().await);
    let users =
        json!({"users": [{"name": "Bob", "title": "the Bold", "level": 9, "idle": 60, "location": "Inn"}]});
    bob.call("presence_sync", users).await.unwrap();
    (dawn, ann, dusk, bob)
}

/// Calls again until the mud is known: the router tells of it a moment after it came.
async fn ask(client: &Client, method: &str, params: Value) -> Value {
    client.call(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
}

#[tokio::test]
async fn emotes_reach_the_channel_and_the_user() {
    let router = router().await;
    let (_dawn, ann, _dusk, bob) = two(&router).await;
    // The published clients name the text `message`.
    for (field, expected) in [("emote", "$N waves."), ("message", "$N bows.")] {
        let params = json!({"channel": CHANNEL, field: expected, "from_user": "ann"});
        assert_eq!(ask(&ann, "channel_emote", params).await["status"], "sent");
        let event = bob.wait_event(is("channel_emote"), WITHIN).await.unwrap();
        assert_eq!(
            (&event["params"]["message"], &event["params"]["type"]),
            (&json!(expected), &json!("emote"))
        );
        assert_eq!(event["params"]["visname"], "ann");
    }
    let params = json!({"channel": CHANNEL, "emote": "waves without a name", "from_user": "ann"});
    ask(&ann, "channel_emote", params).await;
    let event = bob.wait_event(is("channel_emote"), WITHIN).await.unwrap();
    assert_eq!(event["params"]["message"], "$N waves without a name");

    let params =
        json!({"target_mud": "Dusk", "target_user": "Bob", "message": "$N nods to you.", "from_user": "ann"});
    let sent = ask(&ann, "emoteto", params).await;
    assert!(sent["message_id"].as_str().unwrap().starts_with("emoteto_Dusk_"));
    let event = bob.wait_event(is("emoteto_received"), WITHIN).await.unwrap();
    assert_eq!(
        (&event["params"]["message"], &event["params"]["to_user"]),
        (&json!("$N nods to you."), &json!("bob"))
    );
    let missing = ann.call("channel_emote", json!({"channel": CHANNEL})).await.unwrap_err();
    assert!(missing.to_string().contains("Missing required parameters: emote"), "{missing}");
}

#[tokio::test]
async fn clients_hear_the_channels_they_are_subscribed_to_without_joining_them() {
    let router = router().await;
    for (mud, listen) in [("Dawn", true), ("Dusk", false)] {
        let entry = format!("{{name: {CHANNEL}, listen: {listen}, subscribe: true}}");
        let file = format!("channels: {{default_channels: [{entry}]}}");
        let gateway = Gateway::start_with_file(mud, &router, &file, &[]).await;
        gateway.logged("SessionEstablished").await;
        let client = gateway.client().await;
        let on = ask(&client, "channel_list", json!({})).await;
        assert_eq!(on["subscribed_channels"], json!([CHANNEL]));
        let said = json!({"channel": CHANNEL, "message": "by the router", "from_user": "ann"});
        ask(&client, "channel_send", said).await;
        let event = client.wait_event(is("channel_message"), WITHIN).await.unwrap();
        assert_eq!(event["params"]["message"], "by the router");
    }
}

#[tokio::test]
async fn an_emote_can_have_a_target() {
    let router = router().await;
    let (_dawn, ann, _dusk, bob) = two(&router).await;
    let params = json!({
        "channel": CHANNEL, "emote": "$N pokes $O.", "from_user": "ann", "visname": "Ann", "target_mud": "Dusk",
        "target_user": "Bob", "message_target": "$N pokes you.",
    });
    assert_eq!(ask(&ann, "channel_emote", params).await["status"], "sent");
    // The router sends it to the speaker's mud too.
    for client in [&ann, &bob] {
        let event = client.wait_event(is("channel_emote"), WITHIN).await.unwrap();
        let params = &event["params"];
        assert_eq!((&params["message"], &params["visname"]), (&json!("$N pokes $O."), &json!("Ann")));
        assert_eq!((&params["target_mud"], &params["target_user"]), (&json!("Dusk"), &json!("bob")));
        assert_eq!(
            (&params["target_visname"], &params["message_target"]),
            (&json!("Bob"), &json!("$N pokes you."))
        );
    }
    let history = ask(&bob, "channel_history", json!({"channel": CHANNEL})).await;
    assert_eq!(history["messages"][0]["target_user"], "bob");
    let params = json!({"channel": CHANNEL, "emote": "$N pokes $O.", "target_user": "bob"});
    let refused = ann.call("channel_emote", params).await.unwrap_err();
    assert_eq!(refused.rpc().unwrap().data.as_ref().unwrap()["field"], "target_mud");
}

#[tokio::test]
async fn questions_are_answered_by_events_and_to_who_waits_by_results() {
    let router = router().await;
    let (_dawn, ann, _dusk, _bob) = two(&router).await;
    let requested = ask(&ann, "who", json!({"target_mud": "Dusk", "from_user": "ann"})).await;
    assert_eq!(requested, json!({"status": "requested", "mud_name": "Dusk"}));
    let event = ann.wait_event(is("who_reply"), WITHIN).await.unwrap();
    assert_eq!((&event["params"]["from_mud"], &event["params"]["to_user"]), (&json!("Dusk"), &json!("ann")));
    let user =
        json!({"name": "Bob", "idle": 60, "idle_time": 60, "level": null, "extra": "Level 9 the Bold"});
    assert_eq!(event["params"]["users"], json!([user]));

    let who = ask(&ann, "who", json!({"target_mud": "Dusk", "wait": true})).await;
    assert_eq!((&who["status"], &who["users"]), (&json!("success"), &json!([user])));
    let finger =
        ask(&ann, "finger", json!({"target_mud": "Dusk", "target_user": "BOB", "timeout": 10})).await;
    assert_eq!(finger["user_info"]["title"], "the Bold");
    assert_eq!((&finger["user_info"]["level"], &finger["user_info"]["idle_time"]), (&json!("9"), &json!(60)));
    let params = json!({"channel": CHANNEL, "target_mud": "Dusk", "wait": true});
    let channel = ask(&ann, "channel_who", params).await;
    assert_eq!(channel["users"], json!(["Bob"]));
    assert_eq!(channel["members"], json!([{"mud": "Dusk", "users": ["Bob"]}]));
    let locate = ask(&ann, "locate", json!({"target_user": "bob", "timeout": 1})).await;
    assert_eq!(locate["locations"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&locate["locations"][0]["mud"], &locate["locations"][0]["idle"]),
        (&json!("Dusk"), &json!(60))
    );
    let nowhere = ask(&ann, "locate", json!({"target_user": "nobody", "timeout": 0.5})).await;
    assert_eq!(nowhere["locations"], json!([]));
}

#[tokio::test]
async fn a_question_that_fails_says_so_to_who_waits() {
    let router = router().await;
    let (_dawn, ann, _dusk, _bob) = two(&router).await;
    let params = json!({"target_mud": "Dusk", "target_user": "zoe", "wait": true, "from_user": "ann"});
    let unknown = ann.call("finger", params).await.unwrap_err();
    assert_eq!(unknown.rpc().unwrap().data, Some(json!({"error_code": "unk-user", "from_mud": "Dusk"})));
    let params = json!({"target_mud": "Nowhere", "wait": true, "from_user": "ann"});
    let nowhere = ann.call("who", params).await.unwrap_err();
    assert_eq!(nowhere.rpc().unwrap().data.as_ref().unwrap()["error_code"], "unk-dst");
    // The router knows its own name and answers for itself.
    let params = json!({"channel": "empty", "target_mud": "Dusk", "wait": true});
    assert_eq!(ask(&ann, "channel_who", params).await["users"], json!([]));
    let own = ask(&ann, "channel_who", json!({"channel": CHANNEL})).await;
    assert_eq!((&own["status"], &own["users"]), (&json!("success"), &json!([])));
}

#[tokio::test]
async fn a_mud_that_left_is_told_and_nothing_is_said_to_be_sent_to_it() {
    let router = router().await;
    let (_dawn, ann, dusk, _bob) = two(&router).await;
    // Dawn knows Dusk when it can be asked.
    ask(&ann, "who", json!({"target_mud": "Dusk", "wait": true})).await;
    dusk.terminate().await;
    let event = ann.wait_event(is("mud_offline"), Duration::from_secs(20)).await.unwrap();
    assert_eq!(event["params"]["mud_name"], "Dusk");
    let params = json!({"target_mud": "Dusk", "target_user": "bob", "message": "hi"});
    let refused = ann.call("tell", params).await.unwrap_err();
    assert!(refused.to_string().contains("Dusk is not connected now; nothing was sent"), "{refused}");
    let who = ask(&ann, "who", json!({"target_mud": "Dusk"})).await;
    assert_eq!(who["status"], "unavailable");
}

#[tokio::test]
async fn colours_are_shown_as_a_session_asks() {
    let router = router().await;
    let (_dawn, ann, dusk, raw) = two(&router).await;
    let (plain, ansi) = (dusk.listener().await, dusk.listener().await);
    ask(&plain, "session_options", json!({"colour": "plain"})).await;
    ask(&ansi, "session_options", json!({"colour": "ansi"})).await;
    super::support::say(&ann, &["%^RED%^fire%^RESET%^"]).await;
    super::support::hear(&raw, &["%^RED%^fire%^RESET%^"]).await;
    super::support::hear(&plain, &["fire"]).await;
    let event = ansi.wait_event(is("channel_message"), WITHIN).await.unwrap();
    assert!(event["params"]["message"].as_str().unwrap().starts_with("\u{1b}["), "{event}");
}
