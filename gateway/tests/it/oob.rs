//! Mail, files and news from mud to mud: two gateways on one router, and muds that say exactly what a test wants.

use std::net::SocketAddr;

use i3_router::RunningRouter;
use mudclient::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::raw_mud::{Raw, RawMud};
use super::support::{Gateway, OFFERING, WITHIN, is, router, until};

/// A gateway that offers everything, at a port the system chose.
async fn offering(mud: &str, router: &RunningRouter) -> Gateway {
    let gateway = Gateway::start(mud, router, OFFERING).await;
    gateway.logged("SessionEstablished").await;
    gateway
}

pub async fn oob_address(gateway: &Gateway) -> SocketAddr {
    gateway.address("other muds").await
}

/// Waits until a gateway knows a mud as being there; returns what it knows.
async fn knows(client: &Client, mud: &str) -> Value {
    let entry = |list: &Value| {
        let muds = list["muds"].as_array().unwrap();
        muds.iter().find(|entry| entry["name"] == mud && entry["status"] == "up").cloned()
    };
    entry(&until(client, "mudlist", json!({}), |list| entry(list).is_some()).await).unwrap()
}

/// Dawn with ann's client, and Dusk with bob's; Dawn knows Dusk.
async fn two(router: &RunningRouter) -> (Gateway, Client, Gateway, Client) {
    let (dawn, dusk) = (offering("Dawn", router).await, offering("Dusk", router).await);
    let (ann, bob) = (dawn.client().await, dusk.client().await);
    knows(&ann, "Dusk").await;
    (dawn, ann, dusk, bob)
}

async fn call(client: &Client, method: &str, params: Value) -> Value {
    client.call(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
}

/// Waits for another mud's request, answers it, and returns what was asked.
pub async fn serve(client: &Client, event: &str, method: &str, mut answer: Value) -> Value {
    let event = client.wait_event(is(event), WITHIN).await.unwrap_or_else(|error| panic!("{event}: {error}"));
    answer["request_id"] = event["params"]["request_id"].clone();
    assert_eq!(call(client, method, answer).await["status"], "success");
    event["params"].clone()
}

fn letter(users: &[&str]) -> Value {
    json!({"to": {"Dusk": users}, "cc": {"Dusk": ["eve"]}, "bcc": {"Dusk": ["fay"]}, "subject": "Hello", "from_user": "ann",
        "message": "How are \"you\"?\nAnn", "timeout": 20})
}

#[tokio::test]
async fn a_letter_is_delivered_to_whom_the_other_muds_client_says() {
    let router = router().await;
    let (dawn, ann, _dusk, bob) = two(&router).await;
    let (sent, received) = tokio::join!(
        call(&ann, "mail_send", letter(&["bob"])),
        serve(&bob, "mail_received", "mail_ack", json!({"failed": []}))
    );
    assert_eq!(sent["status"], "success", "{sent}");
    assert_eq!(sent["results"][0]["delivered"], json!(["bob", "eve", "fay"]));
    assert_eq!(received["to_users"], json!(["bob", "eve", "fay"]));
    assert_eq!((&received["from_mud"], &received["from_user"]), (&json!("Dawn"), &json!("ann")));
    assert_eq!((&received["to"], &received["cc"]), (&json!({"Dusk": ["bob"]}), &json!({"Dusk": ["eve"]})));
    assert_eq!(received["message"], "How are \"you\"?\nAnn");
    assert!(received["send_time"].as_i64().unwrap() > 1_700_000_000 && received.get("bcc").is_none());

    // The second letter, of which some is lost, on a key of its own; the results come as an event as well.
    let mut without_waiting = letter(&["bob", "zoe"]);
    without_waiting.as_object_mut().unwrap().remove("timeout");
    let requested = call(&ann, "mail_send", without_waiting).await;
    assert_eq!((&requested["status"], requested.get("results")), (&json!("requested"), None));
    serve(&bob, "mail_received", "mail_ack", json!({"failed": ["ZOE"]})).await;
    let mine = |event: &Value| is("mail_result")(event) && event["params"]["mail_id"] == requested["mail_id"];
    let result = ann.wait_event(mine, WITHIN).await.unwrap();
    assert_eq!(result["params"]["failed"], json!(["zoe"]));
    assert_eq!(result["params"]["delivered"], json!(["bob", "eve", "fay"]));

    let late = json!({"request_id": received["request_id"]});
    let refused = bob.call("mail_ack", late).await.unwrap_err();
    assert!(refused.to_string().contains("no request with this request_id waits"), "{refused}");
    let (_, metrics) = dawn.get("metrics", "/metrics").await;
    assert!(metrics.contains(r#"i3_oob_conversations_total{direction="out",outcome="done"} "#), "{metrics}");
}

#[tokio::test]
async fn nobody_has_a_letter_that_no_client_took() {
    let router = router().await;
    let (dawn, _dusk) = (offering("Dawn", &router).await, offering("Dusk", &router).await);
    let ann = dawn.client().await;
    knows(&ann, "Dusk").await;
    let expected = json!(["bob", "eve", "fay"]);
    let sent = call(&ann, "mail_send", letter(&["bob"])).await;
    assert_eq!((&sent["status"], &sent["results"][0]["failed"]), (&json!("failed"), &expected), "{sent}");
    assert_eq!(sent["results"][0]["delivered"], json!([]));
}

#[tokio::test]
async fn files_are_listed_got_and_put_inside_the_open_folder() {
    let router = router().await;
    let (_dawn, ann, _dusk, bob) = two(&router).await;
    let files = json!([{"name": "inn.txt", "size": 7, "time": 1_795_418_241}, {"name": "old", "size": -2, "time": 0}]);
    let (listed, asked) = tokio::join!(
        call(
            &ann,
            "file_list",
            json!({"target_mud": "Dusk", "directory": "/maps/", "from_user": "ann", "timeout": 20})
        ),
        serve(&bob, "file_list_requested", "file_reply", json!({"outcome": "ok", "files": files}))
    );
    assert_eq!((&listed["status"], &listed["files"]), (&json!("success"), &files), "{listed}");
    assert_eq!((&asked["directory"], &asked["from_user"]), (&json!("maps"), &json!("ann")));

    let get = |path: &str| json!({"target_mud": "Dusk", "path": path, "timeout": 20});
    let (got, asked) = tokio::join!(
        call(&ann, "file_get", get("maps/../../../etc/./passwd")),
        serve(
            &bob,
            "file_get_requested",
            "file_reply",
            json!({"outcome": "ok", "contents": "The \\ inn\n%^RED%^"})
        )
    );
    assert_eq!((&got["outcome"], &got["contents"]), (&json!("ok"), &json!("The \\ inn\n%^RED%^")));
    assert_eq!(asked["path"], "etc/passwd", "there is no way out of the folder");
    let (got, _) = tokio::join!(
        call(&ann, "file_get", get("secret")),
        serve(&bob, "file_get_requested", "file_reply", json!({"outcome": "cannot_read"}))
    );
    assert_eq!((&got["status"], &got["outcome"]), (&json!("failed"), &json!("cannot_read")));

    let put = json!({"target_mud": "Dusk", "path": "new.txt", "contents": "New", "timeout": 20});
    let (put, asked) = tokio::join!(
        call(&ann, "file_put", put),
        serve(&bob, "file_put_requested", "file_reply", json!({"outcome": "cannot_write"}))
    );
    assert_eq!((&put["status"], &put["outcome"]), (&json!("failed"), &json!("cannot_write")));
    assert_eq!((&asked["path"], &asked["contents"]), (&json!("new.txt"), &json!("New")));

    // What is no path does not reach the client.
    for path in ["..\\secret", "/", "a\u{1}b"] {
        assert_eq!(call(&ann, "file_get", get(path)).await["outcome"], "bad_path", "{path:?}");
    }
    let listed = ann.call("file_list", json!({"target_mud": "Dusk", "directory": "\\", "timeout": 20})).await;
    assert!(listed.unwrap_err().to_string().contains("(bad-directory)"));
}

#[tokio::test]
async fn news_are_listed_read_and_published() {
    let router = router().await;
    let (_dawn, ann, _dusk, bob) = two(&router).await;
    let groups = json!([{"group": "code", "first_id": 1, "last_id": 12}]);
    let (listed, asked) = tokio::join!(
        call(&ann, "news_groups", json!({"target_mud": "Dusk", "timeout": 20})),
        serve(&bob, "news_groups_requested", "news_reply", json!({"groups": groups}))
    );
    assert_eq!((&listed["groups"], &asked["from_mud"]), (&groups, &json!("Dawn")));
    let article = json!({"posting_time": 1_795_418_241, "thread": "t", "subject": "s", "poster": "bob", "contents": "x"});
    let read = json!({"target_mud": "Dusk", "group": "code", "id": 12, "from_user": "ann", "timeout": 20});
    let (got, asked) = tokio::join!(
        call(&ann, "news_read", read.clone()),
        serve(&bob, "news_read_requested", "news_reply", json!({"article": article}))
    );
    assert_eq!(got["article"], article);
    assert_eq!(
        (&asked["group"], &asked["id"], &asked["from_user"]),
        (&json!("code"), &json!(12), &json!("ann"))
    );
    let post =
        json!({"target_mud": "Dusk", "group": "code", "subject": "s", "contents": "x", "from_user": "ann"});
    let requested = call(&ann, "news_post", post).await;
    assert_eq!(requested["status"], "requested");
    let asked = serve(&bob, "news_post_requested", "news_reply", json!({"id": 13})).await;
    assert_eq!((&asked["poster"], &asked["thread"]), (&json!("ann"), &json!("")));
    let mine =
        |event: &Value| is("news_result")(event) && event["params"]["request_id"] == requested["request_id"];
    assert_eq!(ann.wait_event(mine, WITHIN).await.unwrap()["params"]["id"], 13);
    let (refused, _) = tokio::join!(
        ann.call("news_read", read),
        serve(&bob, "news_read_requested", "news_reply", json!({"error": "no such article"}))
    );
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("Dusk answered: no such article (not-allowed)"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_at_once() {
    let router = router().await;
    let offers_nothing = Gateway::start("Plain", &router, &[]).await;
    offers_nothing.logged("SessionEstablished").await;
    let careful = Gateway::start("Careful", &router, &[("OOB_ALLOW_PRIVATE", "false")]).await;
    careful.logged("SessionEstablished").await;
    let (dawn, dan) = (offering("Dawn", &router).await, careful.client().await);
    let ann = dawn.client().await;
    let entry = knows(&ann, "Plain").await;
    assert_eq!((&entry["services"]["auth"], &entry["services"]["mail"]), (&json!(1), &Value::Null));
    let get = |mud: &str| json!({"target_mud": mud, "path": "a"});
    for (mud, expected) in [
        ("Dawn", "Dawn is this MUD itself"),
        ("Nowhere", "Nowhere is not known"),
        ("Plain", "Plain does not offer the service file"),
    ] {
        let refused = ann.call("file_get", get(mud)).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
    let entry = knows(&dan, "Dawn").await;
    assert_eq!((&entry["services"]["mail"], &entry["services"]["file"]), (&json!(1), &json!(1)));
    assert_eq!(entry["services"]["oob"], entry["tcp_port"]);
    let refused = dan.call("file_get", get("Dawn")).await.unwrap_err().to_string();
    assert!(refused.contains("its address 127.0.0.1 is not a public one"), "{refused}");
    for params in [json!({"to": {}, "message": "x"}), json!({"to": {"Dusk": []}, "message": "x"})] {
        let refused = ann.call("mail_send", params).await.unwrap_err();
        assert_eq!(refused.rpc().unwrap().code, -32602);
    }
    // A letter to several muds goes to all or to none.
    let params = json!({"to": {"Plain": ["x"], "Nowhere": ["y"]}, "message": "x"});
    assert!(ann.call("mail_send", params).await.unwrap_err().to_string().contains("Nowhere is not known"));
    let params = json!({"request_id": "7", "outcome": "ok"});
    assert_eq!(ann.call("file_reply", params).await.unwrap_err().rpc().unwrap().code, -32602);
}

const MAIL: &str = r#"({"mail",7,"bob",(["Dawn":({"ann","zoe",}),]),([]),({}),1795418241,"Hello","Hi",})"#;

#[tokio::test]
async fn a_hostile_mud_harms_only_itself() {
    let router = router().await;
    let dawn = offering("Dawn", &router).await;
    let address = oob_address(&dawn).await;
    let mut evil = RawMud::start(&router, "Evil", 0, "").await;

    // A silent one first: it is left after ten seconds, while the others are served.
    let mut silent = Raw::connect(address).await;
    let mut raw = Raw::connect(address).await;
    let error = raw.ask(MAIL).await;
    assert_eq!(error, r#"({"error",5,"Dawn",0,0,0,"bad-proto","packet came at wrong time",({"mail",}),})"#);
    assert!(raw.ask(r#"({"frobnicate",})"#).await.contains("unk-type"));
    assert!(raw.ask("({").await.contains("bad-pkt"));
    raw.send(r#"({"oob-begin","Evil",1,1,})"#).await;
    raw.ends().await;

    let key = evil.key("Dawn").await;
    for begin in [
        format!(r#"({{"oob-begin","Evil",1,{},}})"#, key - 1),
        format!(r#"({{"oob-begin","Other",1,{key},}})"#),
        format!(r#"({{"oob-begin","Dawn",1,{key},}})"#),
        r#"({"oob-begin","Evil",0,0,})"#.to_owned(),
    ] {
        let mut raw = Raw::connect(address).await;
        raw.send(&begin).await;
        raw.ends().await;
    }
    let begin = format!(r#"({{"oob-begin","Evil",1,{key},}})"#);
    let mut raw = Raw::connect(address).await;
    assert_eq!(raw.ask(&begin).await, r#"({"oob-begin","Dawn",0,0,})"#);
    let mut again = Raw::connect(address).await;
    again.send(&begin).await;
    again.ends().await;

    // A frame too long ends the conversation; so does a stream of nonsense.
    raw.send(&format!(r#"({{"file-put",1,"Evil","x","a","{}",}})"#, "x".repeat(300 * 1024))).await;
    raw.ends().await;
    let mut raw = evil.begin("Dawn", address).await;
    for _ in 0..10 {
        raw.send(r#"({"mail-ack",([]),})"#).await;
    }
    while let Some(error) = raw.next().await {
        assert!(error.contains("bad-proto"), "{error}");
    }
    silent.ends().await;
    let mut raw = evil.begin("Dawn", address).await;
    assert_eq!(raw.ask(MAIL).await, r#"({"mail-ack",([7:({"ann","zoe",}),]),})"#, "served as ever");
    let log = dawn.whole_log();
    assert!(!log.contains(&key.to_string()), "a key is a secret");
    let (_, metrics) = dawn.get("metrics", "/metrics").await;
    for outcome in ["refused", "protocol", "timed_out"] {
        let line = format!(r#"i3_oob_conversations_total{{direction="in",outcome="{outcome}"}} "#);
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
    }
}

#[tokio::test]
async fn a_mud_that_comes_and_goes_with_large_files_costs_no_client_its_connection() {
    let router = router().await;
    let dawn = offering("Dawn", &router).await;
    let (ann, address) = (dawn.client().await, oob_address(&dawn).await);
    let (mut evil, mut good) =
        (RawMud::start(&router, "Evil", 0, "").await, RawMud::start(&router, "Good", 0, "").await);
    let large = "x".repeat(200 * 1024);
    let put = format!(r#"({{"file-put",1,"Evil","x","a","{large}",}})"#);
    let mut raw = evil.begin("Dawn", address).await;
    raw.send(&put).await;
    let event = ann.wait_event(is("file_put_requested"), WITHIN).await.unwrap();
    assert!(event["params"]["contents"] == large, "it comes whole");
    drop(raw);
    for _ in 0..3 {
        let mut raw = evil.begin("Dawn", address).await;
        assert_eq!(raw.ask(&put).await, r#"({"file-put-ack",1,0,})"#, "its share waits already");
    }
    let mut raw = good.begin("Dawn", address).await;
    let (ack, _) = tokio::join!(raw.ask(MAIL), serve(&ann, "mail_received", "mail_ack", json!({})));
    assert_eq!(ack, r#"({"mail-ack",([7:({}),]),})"#, "others have their share");
    let late = json!({"request_id": event["params"]["request_id"], "outcome": "ok"});
    assert!(ann.call("file_reply", late).await.unwrap_err().to_string().contains("the other mud left"));
}

#[tokio::test]
async fn a_mud_without_keys_is_announced_to_and_has_its_turn() {
    let router = router().await;
    let dawn = offering("Dawn", &router).await;
    let ann = dawn.client().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut old = RawMud::start(&router, "Old", port, r#""mail":1,"#).await;
    knows(&ann, "Old").await;
    let params = json!({"to": {"Old": ["bob"]}, "message": "Hi", "from_user": "ann", "timeout": 20});
    let their_side = async {
        old.expect("oob-req").await;
        let (stream, _) = timeout(WITHIN, listener.accept()).await.unwrap().unwrap();
        let mut raw = Raw::new(stream);
        assert_eq!(raw.next().await.unwrap(), r#"({"oob-begin","Dawn",0,0,})"#);
        // Dead Souls says this in place of an oob-begin.
        let mail = raw.ask(r#"({"oob-reply","Welcome to the OOB service on Old",})"#).await;
        assert!(mail.starts_with(r#"({"mail",1,"ann",(["Old":({"bob",}),]),([]),({}),"#), "{mail}");
        let end = raw.ask(r#"({"mail-ack",([1:({}),]),})"#).await;
        assert_eq!(end, r#"({"oob-end","Dawn",})"#);
        // The turn is theirs.
        let ack = raw.ask(MAIL).await;
        assert_eq!(ack, r#"({"mail-ack",([7:({"zoe",}),]),})"#);
        raw.send(r#"({"oob-end","Old",})"#).await;
        raw.ends().await;
    };
    let acknowledge = serve(&ann, "mail_received", "mail_ack", json!({"failed": ["zoe"]}));
    let (sent, received, ()) = tokio::join!(call(&ann, "mail_send", params), acknowledge, their_side);
    assert_eq!((&sent["status"], &sent["results"][0]["delivered"]), (&json!("success"), &json!(["bob"])));
    assert_eq!(received["from_mud"], "Old");
}

#[tokio::test]
async fn a_mud_without_keys_comes_announced_and_from_its_address() {
    let router = router().await;
    let dawn = offering("Dawn", &router).await;
    let (ann, address) = (dawn.client().await, oob_address(&dawn).await);
    let mut old = RawMud::start(&router, "Old", 0, "").await;
    knows(&ann, "Old").await;
    let begin = r#"({"oob-begin","Old",0,0,})"#;
    let mut unannounced = Raw::connect(address).await;
    unannounced.send(begin).await;
    unannounced.ends().await;

    old.send("oob-req", "Dawn").await;
    // The router keeps the order, so that an answered probe tells that the announcement is there as well.
    old.key("Dawn").await;
    let mut raw = Raw::connect(address).await;
    assert_eq!(raw.ask(begin).await, r#"({"oob-begin","Dawn",0,0,})"#);
    let (ack, _) = tokio::join!(raw.ask(MAIL), serve(&ann, "mail_received", "mail_ack", json!({})));
    assert_eq!(ack, r#"({"mail-ack",([7:({}),]),})"#);
    assert_eq!(raw.ask(r#"({"oob-end","Old",})"#).await, r#"({"oob-end","Dawn",})"#);
    let mut again = Raw::connect(address).await;
    again.send(begin).await;
    again.ends().await;
}

#[tokio::test]
async fn who_does_not_answer_or_is_not_there_is_told_of() {
    let router = router().await;
    let dawn = offering("Dawn", &router).await;
    let ann = dawn.client().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let _gone = RawMud::start(&router, "Gone", closed, r#""mail":1,"#).await;
    let _deaf = RawMud::start(&router, "Deaf", closed, r#""mail":1,"auth":1,"#).await;
    knows(&ann, "Gone").await;
    knows(&ann, "Deaf").await;
    let params = json!({"to": {"Gone": ["bob"], "Deaf": ["cid"]}, "message": "Hi", "timeout": 25});
    let sent = call(&ann, "mail_send", params).await;
    assert_eq!(sent["status"], "failed");
    let error = |index: usize| sent["results"][index]["error"].as_str().unwrap().to_owned();
    assert_eq!(error(0), "Deaf did not answer auth-mud-req");
    assert!(error(1).starts_with("cannot connect to Gone: "), "{sent}");
    assert_eq!(sent["results"][1]["failed"], json!(["bob"]));
}

#[tokio::test]
async fn the_end_of_the_gateway_ends_conversations() {
    let router = router().await;
    let dawn = offering("Dawn", &router).await;
    let ann = dawn.client().await;
    let mut old = RawMud::start(&router, "Old", 0, "").await;
    let mut raw = old.begin("Dawn", oob_address(&dawn).await).await;
    raw.send(MAIL).await;
    ann.wait_event(is("mail_received"), WITHIN).await.unwrap();
    dawn.terminate().await;
    raw.ends().await;
    let (status, _) = dawn.ended().await;
    assert!(status.success());
}
