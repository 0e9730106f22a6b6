//! The bus: channel events and directed packets between gateways over NATS, and what is kept there.

mod batch;
mod clock;
mod connect;
mod direct;
mod echo;
mod event;
mod files;
pub(crate) mod genuine;
pub(crate) mod kv;
mod links;
pub mod lock;
mod mailbox;
mod permits;
mod publisher;
mod relay;
pub mod report;
pub mod retire;
mod state;
mod writes;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_nats::Message;
use async_nats::jetstream;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::OrderedConfig;
use futures::StreamExt;
use mudgateway_crds::bus::{CHANNEL_STREAM, channel_filter};
use mudgateway_identity::Login;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use connect::Nats;
pub use direct::{Audience, Direct, Handed};
pub use echo::{EchoFilter, Path, Remembered};
pub use event::{ChannelEvent, ChannelKind, ChannelMessage, EmoteTarget, Scope};
pub use files::FileError;
pub use links::Wanted;
pub use mailbox::Refusal;
pub use permits::{Permits, Turn};
pub(crate) use publisher::Waiting;
pub use publisher::{NotTaken, Publisher};
pub use relay::{Relay, Relayed};
pub use state::{Part, StateError, StateStore};
pub use writes::{Store, WriteTrouble, Writes};

use crate::allowance::Allowance;
use crate::metrics::Metrics;
use crate::supervise::Supervisor;
use clock::Clock;
use lock::{Duty, Holding};

/// Channel talk older than this is not worth telling any more: neither published nor delivered.
const EVENT_TTL: Duration = Duration::from_secs(60);

/// Between two attempts to follow the stream.
const FOLLOW_AGAIN: Duration = Duration::from_millis(250);

/// How long one request to NATS may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How many channel events of one mud are delivered in a second. A publisher keeps well below.
const EACH_SECOND: u32 = 200;

/// A clock that differs from that of NATS by more is told of.
const SKEW: f64 = 5.0;

/// How often NATS' clock is read again: no two run alike.
const READ_CLOCK: Duration = Duration::from_secs(3600);

/// How far back a stream is read again: its servers' clocks may differ by less.
const OVERLAP: Duration = Duration::from_secs(5);

/// How far the stream was read. By time, for a stream that was made anew counts from one again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPlace {
    /// Its number there, which counts from one again in a stream that was made anew.
    pub sequence: u64,
    /// When it was published.
    pub published: SystemTime,
    /// Which of the events of that message, from 0 on.
    #[serde(default, skip_serializing_if = "is_first")]
    pub part: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_first(part: &u32) -> bool {
    *part == 0
}

impl StreamPlace {
    /// From where to read on.
    fn start(self) -> DeliverPolicy {
        let since = self.published.checked_sub(OVERLAP).unwrap_or(self.published);
        DeliverPolicy::ByStartTime { start_time: since.into() }
    }

    /// Goes on to an event; false when it was read before.
    fn advance(&mut self, to: Self) -> bool {
        let follows = (to.sequence, to.part) > (self.sequence, self.part);
        let is_new = follows || to.published > self.published;
        if is_new {
            *self = to;
        }
        is_new
    }
}

/// The connection to NATS, which looks after itself: it is there at once and reconnects for ever.
#[derive(Clone)]
pub struct Bus {
    context: jetstream::Context,
    network: String,
    connected: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
    login: Login,
    writes: Writes,
}

/// Why the bus cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The client cannot even try.
    #[error("NATS cannot be used: {0}")]
    Connect(#[from] async_nats::ConnectError),
}

impl Bus {
    /// JetStream, for state and reports.
    pub fn context(&self) -> &jetstream::Context {
        &self.context
    }

    /// How the bus takes what is written there.
    pub fn writes(&self) -> &Writes {
        &self.writes
    }

    /// The network's name.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Whether the connection is there, to be watched.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// Starts listening: every channel event of the network goes to `handler` with its place in the stream, in
    /// order. Of several processes of a mud only the one that certainly holds the session listens, from the place on
    /// that any of them has come to.
    pub(crate) fn start_subscriber(
        &self,
        holding: Holding,
        supervisor: &Supervisor,
        shutdown: CancellationToken,
        place: impl Fn() -> Option<StreamPlace> + Send + Sync + 'static,
        handler: impl Fn(StreamPlace, ChannelEvent) + Send + Sync + 'static,
    ) {
        let bus = self.clone();
        supervisor.spawn("bus subscriber", async move {
            let mut position = None;
            let mut connected = bus.connected();
            loop {
                let mut now = holding.clone();
                if !now.now().may_keep() {
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = now.wait_for(Duty::may_keep) => position = None,
                    }
                }
                position = place().or(position);
                let result = tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = now.wait_for(|duty| !duty.may_keep()) => continue,
                    // The library would notice a lost consumer too, but only after half a minute.
                    () = reconnected(&mut connected) => continue,
                    () = tokio::time::sleep(READ_CLOCK) => continue,
                    result = bus.follow(&mut position, &holding, &handler) => result,
                };
                if let Err(error) = result {
                    tracing::warn!(%error, "cannot follow the bus; trying again");
                }
                tokio::time::sleep(FOLLOW_AGAIN).await;
            }
        });
    }

    /// Follows the stream from `position` on, or from now on, until an error.
    async fn follow(
        &self,
        position: &mut Option<StreamPlace>,
        holding: &Holding,
        handler: &(impl Fn(StreamPlace, ChannelEvent) + Send),
    ) -> Result<(), async_nats::Error> {
        let config = OrderedConfig {
            // With a name the filter stands in the subject of the request.
            name: Some(uuid::Uuid::new_v4().simple().to_string()),
            deliver_subject: self.context.client().new_inbox(),
            filter_subject: channel_filter(&self.network),
            deliver_policy: position.map_or(DeliverPolicy::New, StreamPlace::start),
            ..OrderedConfig::default()
        };
        let stream = self.context.get_stream_no_info(CHANNEL_STREAM).await?;
        let consumer = stream.create_consumer(config).await?;
        let created = consumer.cached_info().created.into();
        let clock = self.clock(created);
        let begin = StreamPlace { sequence: 0, published: created, part: 0 };
        let position = position.get_or_insert(begin);
        let mut messages = consumer.messages().await?;
        let mut allowance = Allowance::new(EACH_SECOND);
        while let Some(message) = messages.next().await {
            let message = message?;
            let info = message.info()?;
            let (sequence, published) = (info.stream_sequence, info.published.into());
            // A process that was paused must not tell what its successor has told.
            if !holding.is_certain() && !holding.clone().certain().await {
                return Ok(());
            }
            self.metrics.bus.pending.set(i64::try_from(info.pending).unwrap_or(i64::MAX));
            let age = clock.age(Instant::now(), published);
            for (part, event) in (0..).zip(self.read(&message)) {
                let here = StreamPlace { sequence, published, part };
                if position.advance(here) && self.admits(&event, age, &mut allowance) {
                    handler(here, event);
                }
            }
        }
        Ok(())
    }

    /// The events of a message, in order; none when it cannot be read.
    fn read(&self, message: &Message) -> Vec<ChannelEvent> {
        event::read(&self.network, message).unwrap_or_else(|| {
            self.metrics.bus.unreadable();
            tracing::warn!(subject = %message.subject, "ignored a channel event that cannot be read or is forged");
            Vec::new()
        })
    }

    /// The clock of NATS, which has just shown this. Ours is compared with it.
    fn clock(&self, shows: SystemTime) -> Clock {
        let now = Instant::now();
        let clock = Clock::new(now, shows);
        let ahead = clock.skew(now, SystemTime::now());
        self.metrics.bus.skew.set(ahead);
        if ahead.abs() > SKEW {
            tracing::warn!(
                seconds_ahead = ahead,
                "the clock of this machine differs from that of NATS: let NTP set both"
            );
        }
        clock
    }

    /// Whether an event is to be heard that was stored so long ago.
    fn admits(&self, event: &ChannelEvent, age: Duration, allowance: &mut Allowance) -> bool {
        let age = age + Duration::from_millis(event.waited);
        if age > EVENT_TTL {
            self.metrics.bus.too_old();
            return false;
        }
        // By when it was said: after an outage much comes at once.
        let said = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        if !allowance.admit(said, &event.message.mud) {
            self.metrics.bus.too_many();
            tracing::debug!(mud = event.message.mud, "ignored a channel event: its mud says too much");
            return false;
        }
        self.metrics.bus.handled(age);
        true
    }
}

/// Waits until the connection was lost and is there again.
async fn reconnected(connected: &mut watch::Receiver<bool>) {
    // The sender lives as long as the connection, and that as long as we do.
    let _ = connected.wait_for(|connected| !connected).await;
    let _ = connected.wait_for(|connected| *connected).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_not_read_again_though_the_stream_is_read_from_further_back() {
        let second = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let of = |sequence, time, part| StreamPlace { sequence, published: second(time), part };
        let at = |sequence, time| of(sequence, time, 0);
        let mut position = at(7, 100);
        assert_eq!(position.start(), DeliverPolicy::ByStartTime { start_time: second(95).into() });
        for (to, is_new) in [
            (at(6, 99), false),
            (at(7, 100), false),
            (at(8, 100), true),
            (of(8, 100, 1), true),
            (at(8, 100), false),
            (of(8, 100, 1), false),
            (of(8, 100, 2), true),
            // The next server's clock is behind.
            (at(9, 98), true),
            // A stream that was made anew.
            (at(1, 101), true),
            (at(1, 101), false),
            (at(2, 101), true),
        ] {
            assert_eq!(position.advance(to), is_new, "{to:?}");
        }
    }
}
