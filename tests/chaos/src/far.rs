//! A mud elsewhere on the router, which no gateway serves. It talks all the time, and hears the one that is broken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use intermud3::{Body, MudModeCodec, Packet};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::codec::Framed;

use crate::tally::{Kind, Source, Tally};
use crate::{CHANNEL, MUD, mouth};

/// Its name on the link.
const NAME: &str = "Afar";

/// Names it speaks under: the router hears ten packets a second under each, and passes on those of a name that is
/// not connected elsewhere.
const NAMES: u8 = 3;

/// Channel messages come so often: 21 a second, 7 under each name.
const EVERY: Duration = Duration::from_nanos(1_000_000_000 / 21);

/// Every so manieth time a tell goes out as well: 5 a second.
const TELL_EVERY: u64 = 4;

/// The router takes one connection a second.
const RETRY: Duration = Duration::from_millis(1100);

/// The source a mud's name stands for.
pub fn source(mud: &str, kind: Kind) -> Option<Source> {
    let index = mud.strip_prefix("Far")?.parse().ok()?;
    Some(Source { kind, index })
}

/// Talks and hears for ever, and comes back when the router was away.
pub async fn live(router: SocketAddr, router_name: String, tally: Arc<Tally>) {
    let mut tick = 0;
    loop {
        // Why a session ended does not matter: there is one mud more to come back.
        let _ = session(router, &router_name, &tally, &mut tick).await;
        sleep(RETRY).await;
    }
}

async fn session(
    router: SocketAddr,
    router_name: &str,
    tally: &Tally,
    tick: &mut u64,
) -> std::io::Result<()> {
    let stream = TcpStream::connect(router).await?;
    stream.set_nodelay(true)?;
    let mut frames = Framed::new(stream, MudModeCodec::new());
    let wrong = |error| std::io::Error::other(format!("{error}"));
    frames.send(startup(router_name).into()).await.map_err(wrong)?;
    let Ok(Some(Ok(_))) = timeout(RETRY * 2, frames.next()).await else { return Ok(()) };
    frames.send(listen(router_name).into()).await.map_err(wrong)?;
    let mut due = interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            frame = frames.next() => match frame {
                Some(Ok(frame)) => {
                    if let Some(number) = heard(&frame) {
                        tally.hear(Instant::now(), Source::OWN_AFAR, number);
                    }
                }
                _ => return Ok(()),
            },
            _ = due.tick() => {
                *tick += 1;
                let index = (*tick % u64::from(NAMES)) as u8;
                frames.send(channel(tally, index).into()).await.map_err(wrong)?;
                if tick.is_multiple_of(TELL_EVERY) {
                    frames.send(tell(tally).into()).await.map_err(wrong)?;
                }
            }
        }
    }
}

fn startup(router_name: &str) -> String {
    let info = r#""Lib","Base","Drv","LP","open","a@b.c",(["tell":1,"channel":1,]),([]),"#;
    format!(r#"({{"startup-req-3",5,"{NAME}",0,"{router_name}",0,0,0,0,4000,0,0,{info}}})"#)
}

fn listen(router_name: &str) -> String {
    format!(r#"({{"channel-listen",5,"{NAME}",0,"{router_name}",0,"{CHANNEL}",1,}})"#)
}

/// The number of what the mud that is broken says.
fn heard(frame: &[u8]) -> Option<u64> {
    let Packet { header, body: Body::ChannelMessage(said), .. } = Packet::decode(frame).ok()? else {
        return None;
    };
    let of_the_mud = header.origin_mud == MUD && said.channel == CHANNEL;
    mouth::number_in(&said.message).filter(|_| of_the_mud)
}

fn channel(tally: &Tally, index: u8) -> String {
    let number = tally.say(Source { kind: Kind::Remote, index });
    format!(r##"({{"channel-m",5,"Far{index}","bob",0,0,"{CHANNEL}","Bob","#{number}",}})"##)
}

fn tell(tally: &Tally) -> String {
    let number = tally.say(Source { kind: Kind::Tell, index: NAMES });
    format!(r##"({{"tell",5,"Far{NAMES}","bob","{MUD}","ann","Bob","#{number}",}})"##)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broken_mud_says_is_told_from_all_else() {
        let said = |mud: &str, channel: &str| {
            heard(format!(r##"({{"channel-m",5,"{mud}","cid",0,0,"{channel}","Cid","#7",}})"##).as_bytes())
        };
        assert_eq!(said(MUD, CHANNEL), Some(7));
        assert_eq!((said("Dusk", CHANNEL), said(MUD, "else"), heard(b"({1,})")), (None, None, None));
    }
}
