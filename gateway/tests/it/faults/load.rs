//! Fault 19: order and bounds under load.

use super::{dawn, send};
use crate::support::hear;

#[tokio::test]
async fn fault_19_messages_stay_in_order() {
    let (router, _dawn, client) = dawn().await;
    let texts: Vec<String> = (0..300).map(|index| format!("message {index}")).collect();
    for text in &texts {
        send(&router, &format!(r#"({{"channel-m",5,"Dusk","bob",0,0,"imud_gossip","Bob","{text}",}})"#))
            .await;
    }
    hear(&client, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
}
