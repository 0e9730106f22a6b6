//! Another hosted mud, with a gateway that nobody breaks. It talks all the time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mudclient::Client;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::CHANNEL;
use crate::tally::{Kind, Source, Tally};

/// The mud.
pub const NAME: &str = "Dusk";

/// What it says.
pub const SOURCE: Source = Source { kind: Kind::Hosted, index: 0 };

/// A gateway sends eight packets a second to the router: a little less, so that nothing waits there for long.
const EVERY: Duration = Duration::from_millis(143);

/// Is on the channel, so that its gateway relays it, and talks as long as its gateway is there.
pub async fn talk(client: Client, tally: Arc<Tally>) {
    // A mud relays only channels that it is on itself.
    while let Err(error) = client.call("channel_join", json!({"channel": CHANNEL})).await {
        eprintln!("{NAME} cannot join the channel: {error}");
        sleep(EVERY).await;
    }
    let mut due = interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let number = tally.say(Instant::now(), SOURCE);
        let params = json!({"channel": CHANNEL, "message": format!("#{number}"), "from_user": "cid"});
        if let Err(error) = client.call("channel_send", params).await {
            eprintln!("{NAME} cannot speak: {error}");
        }
    }
}
