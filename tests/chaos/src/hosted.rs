//! Another hosted mud, with a gateway that nobody breaks. It talks all the time, and hears the one that is broken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mudclient::Client;
use tokio::time::sleep;

use crate::mouth::Channels;
use crate::tally::{Kind, Tally};
use crate::{MUD, mouth};

/// The mud.
pub const NAME: &str = "Dusk";

/// Is on the channels, so that its gateway relays them, and talks and hears as long as its gateway is there.
pub async fn live(client: Client, tally: Arc<Tally>, channels: Channels) {
    // A mud relays only channels that it is on itself.
    while let Err(error) = mouth::join(&client, channels).await {
        eprintln!("{NAME} cannot join the channels: {error}");
        sleep(mouth::EVERY).await;
    }
    let talk = async {
        loop {
            let error = mouth::talk(&client, &tally, Kind::Hosted, channels).await;
            eprintln!("{NAME} cannot speak: {error}");
        }
    };
    tokio::join!(talk, hear(&client, &tally));
}

async fn hear(client: &Client, tally: &Tally) {
    while let Ok(event) = client.next_event(Duration::from_secs(3600)).await {
        if let Some((source, number)) = mouth::heard(&event, MUD, Kind::Own) {
            tally.hear(Instant::now(), source, number);
        }
    }
}
