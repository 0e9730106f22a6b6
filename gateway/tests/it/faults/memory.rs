//! Faults 16 to 18: what is remembered, and under which name.

use serde_json::json;

use super::{dawn, raw, send};
use crate::support::{CHANNEL, Gateway, hear, say};

#[tokio::test]
async fn fault_16_a_user_who_is_not_there_is_unknown() {
    let (router, _dawn, client) = dawn().await;
    client.call("presence_sync", json!({"users": [{"name": "Ann"}]})).await.unwrap();
    let mark = router.mark();
    send(&router, r#"({"finger-req",5,"Dusk","bob","Dawn",0,"zoe",})"#).await;
    raw(&router, mark, r#"({"error",5,"Dawn",0,"Dusk","bob","unk-user""#).await;
}

#[tokio::test]
async fn fault_17_talk_is_remembered_and_the_password_outlives_a_crash() {
    let (router, gateway, client) = dawn().await;
    say(&client, &["remember me"]).await;
    hear(&client, &["remember me"]).await;
    let history = client.call("channel_history", json!({"channel": CHANNEL})).await.unwrap();
    assert_eq!(history["messages"][0]["message"], "remember me");
    let state = gateway.killed().await;
    let password = std::fs::read_to_string(state.path().join("router-password")).unwrap();
    let mark = router.mark();
    let _dawn = Gateway::start_in(state, "Dawn", &router, &[]).await;
    raw(&router, mark, &format!(r#"({{"startup-req-3",5,"Dawn",0,"*test",0,{},"#, password.trim())).await;
}

#[tokio::test]
async fn fault_18_channel_names_keep_their_case() {
    let (router, _dawn, client) = dawn().await;
    send(&router, r#"({"channel-m",5,"Dusk","bob",0,0,"Imud_Gossip","Bob","another channel",})"#).await;
    send(&router, r#"({"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","this channel",})"#).await;
    hear(&client, &["this channel"]).await;
}
