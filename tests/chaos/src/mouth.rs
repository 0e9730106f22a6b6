//! What a hosted mud says: a numbered message on each channel, all the time.

use std::time::Duration;

use mudclient::{CallError, Client};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::tally::{Kind, Source, Taken, Tally};
use crate::{CHANNEL, PROVIDER_CHANNEL};

/// A gateway sends eight packets a second to the router: a little less, so that nothing waits there for long.
pub const EVERY: Duration = Duration::from_millis(143);

/// Channels, by the index of the source.
pub type Channels = &'static [&'static str];

/// All there are.
pub const CHANNELS: Channels = &[CHANNEL, PROVIDER_CHANNEL];

/// Where in both that of the network is.
pub const NETWORK_INDEX: u8 = 0;

/// Those of the network.
pub const NETWORK: Channels = &[CHANNEL];

/// Goes on the channels.
///
/// # Errors
/// When the gateway says no, or nothing.
pub async fn join(client: &Client, channels: Channels) -> Result<(), CallError> {
    for channel in channels {
        client.call("channel_join", json!({"channel": channel})).await?;
    }
    Ok(())
}

/// Talks until the gateway does not take it.
pub async fn talk(client: &Client, tally: &Tally, kind: Kind, channels: Channels) -> CallError {
    let mut due = interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        for (channel, index) in channels.iter().zip(0..) {
            let source = Source { kind, index };
            let number = tally.try_to_say(source);
            let params = json!({"channel": channel, "message": format!("#{number}"), "from_user": "cid"});
            match client.call("channel_send", params).await {
                Ok(answer) => {
                    let is_kept = answer["status"] == "queued";
                    tally.said(source, number, if is_kept { Taken::Kept } else { Taken::Sent });
                }
                Err(error) => return error,
            }
        }
    }
}

/// Which message of a mud that talks so an event is.
pub fn heard(event: &Value, mud: &str, kind: Kind) -> Option<(Source, u64)> {
    let params = &event["params"];
    let of_the_mud = event["method"] == "channel_message" && params["from_mud"] == mud;
    let channel = CHANNELS.iter().zip(0..).find(|(channel, _)| params["channel"] == **channel);
    let (_, index) = channel.filter(|_| of_the_mud)?;
    Some((Source { kind, index }, number(params)?))
}

/// The number of a message that an event tells of.
pub fn number(params: &Value) -> Option<u64> {
    number_in(params["message"].as_str()?)
}

/// The number in a message.
pub fn number_in(message: &str) -> Option<u64> {
    message.strip_prefix('#')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_by_its_mud_and_its_channel() {
        let event = |method: &str, mud: &str, channel: &str| {
            let params = json!({"from_mud": mud, "channel": channel, "message": "#7"});
            heard(&json!({"method": method, "params": params}), "Dusk", Kind::Hosted)
        };
        let source = |index| Source { kind: Kind::Hosted, index };
        assert_eq!(event("channel_message", "Dusk", CHANNEL), Some((source(0), 7)));
        assert_eq!(event("channel_message", "Dusk", PROVIDER_CHANNEL), Some((source(1), 7)));
        assert_eq!(event("channel_message", "Dawn", CHANNEL), None);
        assert_eq!(event("channel_emote", "Dusk", CHANNEL), None);
        assert_eq!(event("channel_message", "Dusk", "else"), None);
    }
}
