//! Channels of one's own, and what the router and other muds tell besides tells and channels.

use i3_router::{Event, Mark, RunningRouter};
use intermud3::Packet;
use intermud3::packet::Body;
use mudclient::Client;
use serde_json::{Value, json};

use super::support::{Gateway, WITHIN, is, router, until};

/// A gateway that is registered, with a client, once it knows the channels.
async fn start(mud: &str, router: &RunningRouter, environment: &[(&str, &str)]) -> (Gateway, Client) {
    let gateway = Gateway::start(mud, router, environment).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.client().await;
    until_listed(&client, "imud_gossip", true).await;
    (gateway, client)
}

/// Waits until a channel is in the list, or is not.
async fn until_listed(client: &Client, channel: &str, listed: bool) {
    until(client, "channel_list", json!({}), |list| {
        list["channels"].as_array().unwrap().iter().any(|one| one["name"] == channel) == listed
    })
    .await;
}

/// Code, message and data of the error a call ends with.
async fn refused(client: &Client, method: &str, params: Value) -> (i64, String, Value) {
    let error = client.call(method, params).await.unwrap_err();
    let error = error.rpc().unwrap();
    (error.code, error.message.clone(), error.data.clone().unwrap_or_default())
}

/// What the router got as an answer to its question about a message, after a mark.
async fn filter_reply(router: &RunningRouter, mark: Mark) -> String {
    let is_reply =
        |event: &Event| event.packet().is_some_and(|packet| matches!(packet.body, Body::ChanFilterReply(_)));
    let event = router.wait_for(mark, is_reply, WITHIN).await.expect("a reply comes");
    let Some(Packet { body: Body::ChanFilterReply(reply), .. }) = event.packet() else { unreachable!() };
    let packet = reply.message().unwrap().encode().unwrap();
    String::from_utf8(packet.to_vec()).unwrap()
}

#[tokio::test]
async fn a_channel_is_made_administered_and_ended() {
    let router = router().await;
    let (_dawn, ann) = start("Dawn", &router, &[]).await;
    let (_dusk, bob) = start("Dusk", &router, &[]).await;
    let made = ann.call("channel_create", json!({"channel": "dawn_talk", "wait": true})).await.unwrap();
    assert_eq!(made, json!({"status": "success", "channel": "dawn_talk", "type": 0}));
    until_listed(&bob, "dawn_talk", true).await;
    let made = ann.call("channel_create", json!({"channel": "second", "type": 2})).await.unwrap();
    assert_eq!(made["status"], "requested");
    until_listed(&ann, "second", true).await;

    let params = json!({"channel": "dawn_talk", "add": ["Spam"], "wait": true});
    let banned = ann.call("channel_admin", params).await.unwrap();
    assert_eq!(banned, json!({"status": "success", "channel": "dawn_talk"}));
    let channels = router.channels().await;
    let talk = channels.iter().find(|channel| channel.name == "dawn_talk").unwrap();
    assert_eq!((talk.owner.as_str(), &talk.banned[..]), ("Dawn", &["Spam".to_owned()][..]));

    let ended = ann.call("channel_remove", json!({"channel": "dawn_talk", "timeout": 9})).await.unwrap();
    assert_eq!(ended, json!({"status": "success", "channel": "dawn_talk"}));
    assert!(router.channels().await.iter().all(|channel| channel.name != "dawn_talk"));
    let list = ann.call("channel_list", json!({"filter": {"owner": "Dawn"}})).await.unwrap();
    assert_eq!((&list["count"], &list["channels"][0]["name"]), (&json!(1), &json!("second")));
}

#[tokio::test]
async fn what_cannot_be_done_to_a_channel_is_said() {
    let router = router().await;
    let (_dawn, ann) = start("Dawn", &router, &[]).await;
    let gossip = json!({"channel": "imud_gossip", "wait": true});
    let (code, message, data) = refused(&ann, "channel_create", gossip.clone()).await;
    assert_eq!((code, &data["owner"]), (-32004, &json!("*test")), "{message}");
    let (code, message, data) = refused(&ann, "channel_remove", gossip).await;
    assert_eq!((code, &data["error_code"]), (-32004, &json!("not-allowed")));
    assert_eq!(message, "the channel imud_gossip belongs to *test, and only its owner may do this");
    let params = json!({"channel": "imud_gossip", "add": ["Spam"]});
    assert_eq!(refused(&ann, "channel_admin", params).await.0, -32004);
    for (method, params, field) in [
        ("channel_create", json!({"channel": "x".repeat(81)}), "channel"),
        ("channel_create", json!({"channel": "c", "type": "secret"}), "type"),
        ("channel_create", json!({"channel": "c", "type": 3}), "type"),
        ("channel_admin", json!({"channel": "c"}), "add"),
    ] {
        let (code, message, data) = refused(&ann, method, params).await;
        assert_eq!((code, &data["field"]), (-32602, &json!(field)), "{message}");
    }

    // A list that is behind the truth: now the router itself refuses.
    let list = r#"({"chanlist-reply",5,"*test",0,"Dawn",0,9,(["ghost":({"Dawn",0,}),]),})"#;
    assert!(router.send_packet("Dawn", list).await);
    until_listed(&ann, "ghost", true).await;
    let (code, message, data) =
        refused(&ann, "channel_remove", json!({"channel": "ghost", "wait": true})).await;
    assert_eq!(
        (code, &data),
        (-32004, &json!({"error_code": "unk-channel", "from_mud": "*test"})),
        "{message}"
    );
    // The strict router's family does not know this question.
    let (code, _, data) = refused(&ann, "channel_admins", json!({"channel": "ghost", "wait": true})).await;
    assert_eq!((code, &data["error_code"]), (-32004, &json!("not-imp")));
}

const LIST: &str = r#"({"chanlist-reply",5,"*test",0,"Dawn",0,9,(["ours":({"Dawn",2,}),]),})"#;

const SAID: &str = r#"({"channel-m",5,"Dusk","bob",0,0,"ours","Bob","damn",})"#;

#[tokio::test]
async fn a_client_filters_what_is_said_and_what_it_leaves_passes() {
    let router = router().await;
    let (_dawn, ann) = start("Dawn", &router, &[]).await;
    assert!(router.send_packet("Dawn", LIST).await);
    until_listed(&ann, "ours", true).await;
    let request = format!(r#"({{"chan-filter-req",5,"*test",0,"Dawn",0,"ours",{SAID},}})"#);
    for (decision, expected) in [
        (Some(json!({"message": "d**n"})), SAID.replace("damn", "d**n")),
        (Some(json!({})), SAID.to_owned()),
        (None, SAID.to_owned()),
    ] {
        let mark = router.mark();
        assert!(router.send_packet("Dawn", request.clone()).await);
        let event = ann.wait_event(is("channel_filter_requested"), WITHIN).await.unwrap();
        assert_eq!(
            (&event["params"]["channel"], &event["params"]["message"]),
            (&json!("ours"), &json!("damn"))
        );
        if let Some(mut params) = decision {
            params["request_id"] = event["params"]["request_id"].clone();
            ann.call("channel_filter", params).await.unwrap();
        }
        assert_eq!(filter_reply(&router, mark).await, expected);
    }
    let late = json!({"request_id": "8e7d3b52-6f0a-4a7e-9d52-0b1f6f5f3c11"});
    assert_eq!(refused(&ann, "channel_filter", late).await.0, -32004);
}

#[tokio::test]
async fn bells_ring_and_users_are_known() {
    let router = router().await;
    let (_dawn, ann) = start("Dawn", &router, &[]).await;
    let (_dusk, bob) = start("Dusk", &router, &[("ANNOUNCE_USERS", "true")]).await;
    let up = json!({"filter": {"status": "up"}});
    until(&ann, "mudlist", up, |list| {
        list["muds"].as_array().unwrap().iter().any(|mud| mud["name"] == "Dusk")
    })
    .await;
    let bell = json!({"target_mud": "Dusk", "target_user": "Bob", "from_user": "Ann"});
    assert_eq!(ann.call("beep", bell).await.unwrap()["status"], "sent");
    let event = bob.wait_event(is("beep_received"), WITHIN).await.unwrap();
    assert_eq!((&event["params"]["visname"], &event["params"]["to_user"]), (&json!("Ann"), &json!("bob")));

    // Dawn tells nobody of its users, so Dusk has to ask.
    let users = |name: &str, gender: &str| json!({"users": [{"name": name, "gender": gender}]});
    ann.call("presence_sync", users("Ann", "female")).await.unwrap();
    let who = json!({"target_mud": "Dawn", "target_user": "ANN", "wait": true});
    let asked = bob.call("user_info", who.clone()).await.unwrap();
    assert_eq!(
        asked,
        json!({"status": "success", "mud_name": "Dawn", "user_name": "ANN", "cached": false, "username": "ann",
            "visname": "Ann", "gender": "female"})
    );
    let event = bob.wait_event(is("user_info_reply"), WITHIN).await.unwrap();
    assert_eq!((&event["params"]["from_mud"], &event["params"]["visname"]), (&json!("Dawn"), &json!("Ann")));
    assert_eq!(bob.call("user_info", who).await.unwrap()["cached"], true);
    let unknown = json!({"target_mud": "Dawn", "target_user": "zoe", "wait": true});
    assert_eq!(refused(&bob, "user_info", unknown).await.2["error_code"], "unk-user");

    // Dusk does tell.
    bob.call("presence_sync", users("Bob", "male")).await.unwrap();
    let who = json!({"target_mud": "Dusk", "target_user": "bob"});
    let told = until(&ann, "user_info", who, |known| known["cached"] == true).await;
    assert_eq!((&told["visname"], &told["gender"]), (&json!("Bob"), &json!("male")));
    let bad = json!({"users": [{"name": "Bob", "gender": "goblin"}]});
    assert_eq!(refused(&bob, "presence_sync", bad).await.0, -32602);
}

#[tokio::test]
async fn what_the_router_says_of_itself_and_of_muds_is_heard() {
    let router = router().await;
    let (dawn, ann) = start("Dawn", &router, &[]).await;
    assert!(router.send_packet("Dawn", r#"({"shutdown",5,"*test",0,"Dawn",0,60,})"#).await);
    let event = ann.wait_event(is("maintenance_scheduled"), WITHIN).await.unwrap();
    assert_eq!(
        (&event["params"]["from_mud"], &event["params"]["restart_delay"]),
        (&json!("*test"), &json!(60))
    );

    let takeover = r#"({"error",5,"*test",0,"Dawn",0,"bad-mojo","Another mud is trying to be you.",0,})"#;
    assert!(router.send_packet("Dawn", takeover).await);
    let event = ann.wait_event(is("error_occurred"), WITHIN).await.unwrap();
    assert!(event["params"]["message"].as_str().unwrap().contains("stop it"), "{event}");
    assert_eq!(dawn.logged("the router complains").await["code"], "bad-mojo");

    let good = r#"({-1,"127.0.0.1",4000,0,0,"L","B","D","LP","open","a@b.c",([]),([]),})"#;
    let list = format!(r#"({{"mudlist",5,"*test",0,0,0,7,(["Bad":({{-1,}}),"Good":{good},]),}})"#);
    assert!(router.send_packet("Dawn", list).await);
    until(&ann, "mudlist", json!({}), |list| {
        let names: Vec<_> = list["muds"].as_array().unwrap().iter().map(|mud| mud["name"].clone()).collect();
        names.contains(&json!("Good")) && !names.contains(&json!("Bad"))
    })
    .await;
    let metrics = dawn.get("metrics", "/metrics").await.1;
    for line in ["i3_errors_total{code=\"bad-mojo\"} 1", "i3_mudlist_entries_unreadable_total 1"] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn who_asks_without_end_is_not_answered_without_end() {
    let router = router().await;
    let (dawn, ann) = start("Dawn", &router, &[]).await;
    for _ in 0..40 {
        assert!(router.send_packet("Dawn", r#"({"frobnicate",5,"Nobody","eve","Dawn",0,})"#).await);
    }
    let dropped = async {
        loop {
            let metrics = dawn.get("metrics", "/metrics").await.1;
            let line =
                metrics.lines().find_map(|line| line.strip_prefix("i3_requests_dropped_total ")).unwrap();
            if line.parse::<u64>().unwrap() >= 30 {
                return;
            }
        }
    };
    tokio::time::timeout(WITHIN, dropped).await.expect("most are dropped");
    // What our users say goes before what is left to answer.
    let tell = json!({"target_mud": "Dawn", "target_user": "ann", "message": "hi", "from_user": "ann"});
    ann.call("tell", tell).await.unwrap();
    ann.wait_event(is("tell_received"), WITHIN).await.unwrap();
}
