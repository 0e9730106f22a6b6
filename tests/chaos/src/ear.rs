//! A client of the broken mud, as a mud should have one: it finds out when its gateway is no use any more, goes to
//! one that is, and resumes where it can.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use mudclient::{CallError, Client};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use crate::mouth::Channels;
use crate::process::{connect, open};
use crate::tally::{Kind, Source, Tally};
use crate::{Error, KEY, far, hosted, mouth};

/// How often it asks whether its gateway is on the network.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// How long it looks for a gateway that is on the network before it takes any.
const LOOK: Duration = Duration::from_millis(300);

/// Between two attempts.
const RETRY: Duration = Duration::from_millis(50);

/// The gateways there are, by the address for clients.
#[derive(Clone, Default)]
pub struct Doors(Arc<Mutex<Vec<SocketAddr>>>, Arc<watch::Sender<Option<SocketAddr>>>);

impl Doors {
    /// Adds one, if it is not there yet.
    pub fn add(&self, door: SocketAddr) {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !doors.contains(&door) {
            doors.push(door);
        }
    }

    /// Takes one away.
    pub fn remove(&self, door: SocketAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| *one != door);
    }

    /// Sends the client to one; none: it goes where it likes.
    pub fn want(&self, door: Option<SocketAddr>) {
        self.1.send_replace(door);
    }

    fn wanted(&self) -> Option<SocketAddr> {
        *self.1.borrow()
    }

    /// Ends when another one is wanted.
    async fn unwanted(&self, door: SocketAddr) {
        // The sender lives as long as we do.
        let _ = self.1.subscribe().wait_for(|wanted| wanted.is_some_and(|wanted| wanted != door)).await;
    }

    fn all(&self) -> Vec<SocketAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The client.
pub struct Ear {
    doors: Doors,
    tally: Arc<Tally>,
    channels: Channels,
    at: watch::Sender<Option<SocketAddr>>,
}

/// What it needs to go on where it was.
struct Memory {
    /// Where it was last.
    door: SocketAddr,
    session: Value,
    epoch: Value,
    seq: Value,
}

impl Ear {
    /// A client that will listen, and where it is then.
    pub fn new(
        doors: Doors,
        tally: Arc<Tally>,
        channels: Channels,
    ) -> (Self, watch::Receiver<Option<SocketAddr>>) {
        let (at, seen) = watch::channel(None);
        (Self { doors, tally, channels, at }, seen)
    }

    /// Listens for ever.
    pub async fn listen(self) {
        let mut memory = None;
        loop {
            if let Some((door, _)) = self.choose(memory.as_ref().map(|memory: &Memory| memory.door)).await
                && let Ok(client) = self.enter(door, &mut memory).await
            {
                self.at.send_replace(Some(door));
                tokio::select! {
                    () = self.hear(&client, &mut memory) => {}
                    () = self.talk(&client) => {}
                    () = self.doubt(door, &client) => {}
                    () = self.doors.unwanted(door) => {}
                }
                self.at.send_replace(None);
            } else {
                sleep(RETRY).await;
            }
        }
    }

    /// A gateway that is on the network, or else one that answers, rather the one it had; and which of both.
    async fn choose(&self, had: Option<SocketAddr>) -> Option<(SocketAddr, bool)> {
        if let Some(wanted) = self.doors.wanted() {
            return Some((wanted, true));
        }
        let mut asking: FuturesUnordered<_> =
            self.doors.all().into_iter().map(|door| async move { (door, ask(door).await) }).collect();
        let end = tokio::time::Instant::now() + LOOK;
        let mut fallback = None;
        loop {
            tokio::select! {
                answer = asking.next() => match answer {
                    Some((door, Ok(true))) => return Some((door, true)),
                    Some((door, Ok(false))) if fallback.is_none() || had == Some(door) => {
                        fallback = Some((door, false));
                    }
                    Some(_) => {}
                    None => return fallback,
                },
                () = sleep_until(end), if fallback.is_some() => return fallback,
            }
        }
    }

    /// Goes there, on from where it was, on whatever process that was.
    async fn enter(&self, door: SocketAddr, memory: &mut Option<Memory>) -> Result<Client, Error> {
        let client = connect(door).await?;
        let mut params = json!({"api_key": KEY});
        if let Some(Memory { session, epoch, seq, .. }) = memory {
            params["resume"] = json!({"session_id": session, "epoch": epoch, "seq": seq});
        }
        let welcome = client.call("authenticate", params.clone()).await?;
        let recovered = welcome["recovered"] == true;
        let position = &welcome["position"];
        // Before it is remembered: a session that was cut off in between would be resumed without its channel for ever.
        if !recovered {
            if params.get("resume").is_some() {
                eprintln!("the client could not go on from {} at {door}: {welcome}", params["resume"]);
            }
            mouth::join(&client, self.channels).await?;
        }
        *memory = Some(Memory {
            door,
            session: welcome["session_id"].clone(),
            epoch: position["epoch"].clone(),
            seq: position["seq"].clone(),
        });
        Ok(client)
    }

    /// Takes down what is heard until the connection ends.
    async fn hear(&self, client: &Client, memory: &mut Option<Memory>) {
        while let Ok(event) = client.next_event(Duration::from_secs(3600)).await {
            let params = &event["params"];
            if let Some(memory) = memory {
                (memory.epoch, memory.seq) = (params["epoch"].clone(), params["seq"].clone());
            }
            if let Some((source, number)) = heard(&event) {
                self.tally.hear(Instant::now(), source, number);
            }
        }
    }

    /// Talks until its gateway does not answer: one that says no is there, and may take it later.
    async fn talk(&self, client: &Client) {
        while let CallError::Rpc { .. } = mouth::talk(client, &self.tally, Kind::Own, self.channels).await {}
    }

    /// Ends when the gateway does not answer, or is not on the network while another one is.
    async fn doubt(&self, door: SocketAddr, client: &Client) {
        loop {
            sleep(ASK_EVERY).await;
            match client.call("status", json!({})).await {
                Err(_) => return,
                Ok(status) if status["connected"] == true => {}
                Ok(_) => {
                    if self
                        .choose(Some(door))
                        .await
                        .is_some_and(|(other, connected)| connected && other != door)
                    {
                        return;
                    }
                }
            }
        }
    }
}

/// Whether a gateway is on the network.
async fn ask(door: SocketAddr) -> Result<bool, Error> {
    let status = open(door).await?.call("status", json!({})).await?;
    Ok(status["connected"] == true)
}

/// Which message an event is.
fn heard(event: &Value) -> Option<(Source, u64)> {
    if let Some(hosted) = mouth::heard(event, hosted::NAME, Kind::Hosted) {
        return Some(hosted);
    }
    let params = &event["params"];
    let mud = params["from_mud"].as_str()?;
    let source = match event["method"].as_str()? {
        "channel_message" => far::source(mud, Kind::Remote)?,
        "tell_received" => far::source(mud, Kind::Tell)?,
        _ => return None,
    };
    Some((source, mouth::number(params)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CHANNEL;

    #[test]
    fn events_are_told_apart_by_kind_and_mud() {
        let event = |method: &str, mud: &str, message: &str| {
            let params = json!({"from_mud": mud, "channel": CHANNEL, "message": message});
            heard(&json!({"method": method, "params": params}))
        };
        let hosted = Source { kind: Kind::Hosted, index: 0 };
        assert_eq!(event("channel_message", "Dusk", "#7"), Some((hosted, 7)));
        let far = Source { kind: Kind::Remote, index: 2 };
        assert_eq!(event("channel_message", "Far2", "#12"), Some((far, 12)));
        assert_eq!(event("tell_received", "Far3", "#0"), Some((Source { kind: Kind::Tell, index: 3 }, 0)));
        for (method, mud, message) in [
            ("channel_message", "Far2", "hi"),
            ("channel_emote", "Far2", "#1"),
            ("tell_received", "Else", "#1"),
        ] {
            assert_eq!(event(method, mud, message), None);
        }
    }
}
