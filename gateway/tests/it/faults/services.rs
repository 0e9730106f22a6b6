//! Fault 20: what is advertised is what is answered.

use i3_router::{Event, Mark, RunningRouter};
use intermud3::Packet;
use intermud3::packet::Body;
use serde_json::json;

use super::{BUSY, dawn, raw, send, strict};
use crate::raw_mud::RawMud;
use crate::support::{Gateway, WITHIN, hear, is};

/// What the registration advertises.
async fn advertised(router: &RunningRouter) -> Vec<String> {
    let text = raw(router, Mark::START, "startup-req-3").await;
    let Body::StartupReq3(startup) = Packet::decode(text.as_bytes()).unwrap().body else { panic!("{text}") };
    let mut names: Vec<_> =
        startup.services.iter().map(|(name, _)| name.as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn fault_20_what_is_advertised_is_what_is_answered() {
    let (router, _dawn, client) = dawn().await;
    let expected = ["auth", "beep", "channel", "emoteto", "finger", "locate", "tell", "ucache", "who"];
    assert_eq!(advertised(&router).await, expected);
    let status = client.call("status", json!({})).await.unwrap();
    for service in expected {
        assert!(status["services"].as_array().unwrap().contains(&json!(service)), "{status}");
    }
    client.call("presence_sync", json!({"users": [{"name": "Ann"}]})).await.unwrap();

    let heard = [
        (r#"({"tell",5,"Dusk","bob","Dawn","ann","Bob","hi",})"#, "tell_received"),
        (r#"({"emoteto",5,"Dusk","bob","Dawn","ann","Bob","$N waves.",})"#, "emoteto_received"),
        (r#"({"beep",5,"Dusk","bob","Dawn","ann","Bob",})"#, "beep_received"),
    ];
    for (packet, event) in heard {
        send(&router, packet).await;
        let event = client.wait_event(is(event), WITHIN).await.unwrap();
        assert_eq!(
            (&event["params"]["from_mud"], &event["params"]["to_user"]),
            (&json!("Dusk"), &json!("ann"))
        );
    }
    send(&router, r#"({"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","hi",})"#).await;
    hear(&client, &["hi"]).await;
    let mark = router.mark();
    let answered = [
        (r#"({"who-req",5,"Dusk","bob","Dawn",0,})"#, "who-reply"),
        (r#"({"finger-req",5,"Dusk","bob","Dawn",0,"ann",})"#, "finger-reply"),
        (r#"({"locate-req",5,"Dusk","bob",0,0,"ann",})"#, "locate-reply"),
        (r#"({"auth-mud-req",5,"Dusk",0,"Dawn",0,})"#, "auth-mud-reply"),
    ];
    for (packet, answer) in answered {
        send(&router, packet).await;
        raw(&router, mark, &format!(r#"({{"{answer}",5,"Dawn",0,"Dusk","#)).await;
    }
    send(&router, r#"({"ucache-update",5,"Dusk",0,0,0,"bob","Bob",0,})"#).await;
    let known = async |client: &mudclient::Client| {
        let who = json!({"target_mud": "Dusk", "target_user": "bob"});
        client.call("user_info", who).await.unwrap()["visname"] == json!("Bob")
    };
    while !known(&client).await {
        tokio::task::yield_now().await;
    }
}

/// Letters, news and files are advertised only where they are served, and each is answered then.
#[tokio::test]
async fn fault_20_mail_news_and_files_are_advertised_where_they_are_served() {
    let router = i3_router::Router::start(i3_router::Config::default()).await.unwrap();
    let open = [
        BUSY[0],
        ("OOB_ENABLED", "true"),
        ("OOB_HOST", "127.0.0.1"),
        ("OOB_PORT", "0"),
        ("ENABLE_OOB_MAIL", "1"),
        ("ENABLE_OOB_NEWS", "1"),
        ("ENABLE_OOB_FILE", "1"),
    ];
    let gateway = Gateway::start("Dawn", &router, &open).await;
    gateway.logged("SessionEstablished").await;
    let services = advertised(&router).await;
    for service in ["mail", "news", "file", "oob"] {
        assert!(services.contains(&service.to_owned()), "{services:?}");
    }
    let mut dusk = RawMud::start(&router, "Dusk", 0, "").await;
    let mut raw = dusk.begin("Dawn", gateway.address("other muds").await).await;
    let client = gateway.client().await;
    let asked = [
        (
            r#"({"mail",7,"bob",(["Dawn":({"ann",}),]),([]),({}),1795418241,"Hello","Hi",})"#,
            ("mail_received", "mail_ack", json!({"failed": []})),
            r#"({"mail-ack",([7:({}),]),})"#,
        ),
        (
            r#"({"news-grplist-req",})"#,
            (
                "news_groups_requested",
                "news_reply",
                json!({"groups": [{"group": "code", "first_id": 1, "last_id": 2}]}),
            ),
            r#"({({"code",1,2,}),})"#,
        ),
        (
            r#"({"file-list-req","Dusk","bob","",})"#,
            (
                "file_list_requested",
                "file_reply",
                json!({"outcome": "ok", "files": [{"name": "a", "size": 1, "time": 2}]}),
            ),
            r#"({"file-list-reply","bob",({({"a",1,2,}),}),})"#,
        ),
    ];
    for (request, (event, method, mut params), answer) in asked {
        let serve = async {
            let event = client.wait_event(is(event), WITHIN).await.unwrap();
            params["request_id"] = event["params"]["request_id"].clone();
            client.call(method, params).await.unwrap();
        };
        let (said, ()) = tokio::join!(raw.ask(request), serve);
        assert_eq!(said, answer);
    }

    let closed = strict().await;
    let gateway = Gateway::start("Dawn", &closed, &[BUSY[0], ("ENABLE_OOB_MAIL", "1")]).await;
    gateway.logged("SessionEstablished").await;
    let services = advertised(&closed).await;
    assert!(
        !services.contains(&"mail".to_owned()),
        "nobody is waited for, so that no letter can come: {services:?}"
    );
    let in_band = |event: &Event| event.packet().is_some_and(|packet| packet.kind() == "error");
    let mark = closed.mark();
    send(&closed, r#"({"mail",5,"Dusk","bob","Dawn","ann","x",})"#).await;
    let event = closed.wait_for(mark, in_band, WITHIN).await;
    assert!(event.is_some_and(|event| event.packet().unwrap().to_string().contains("unk-type")));
}
