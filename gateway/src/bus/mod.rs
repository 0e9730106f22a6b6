//! The bus: channel events and directed packets between gateways over NATS, and what is kept there.

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
use async_nats::jetstream::message::PublishMessage;
use futures::StreamExt;
use mudgateway_crds::bus::{CHANNEL_STREAM, channel_filter, channel_subject};
use mudgateway_identity::Login;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use direct::{Audience, Direct, Handed};
pub use echo::{EchoFilter, Path, Remembered};
pub use event::{ChannelEvent, ChannelKind, ChannelMessage, EmoteTarget, Scope};
pub use files::FileError;
pub use links::Wanted;
pub use mailbox::Refusal;
pub use permits::{Permits, Turn};
pub use relay::{Relay, Relayed};
pub use state::{Part, StateError, StateStore};
pub use writes::{Store, WriteTrouble, Writes};

use crate::allowance::Allowance;
use crate::metrics::Metrics;
use crate::supervise::Supervisor;
use lock::{Duty, Holding};

/// How many events may wait to be published.
const QUEUE: usize = 1024;

/// Channel talk older than this is not worth telling any more: neither published nor delivered.
const EVENT_TTL: Duration = Duration::from_secs(60);

/// Between two attempts to follow the stream.
const FOLLOW_AGAIN: Duration = Duration::from_millis(250);

/// How long one request to NATS may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How many channel events of one mud are delivered in a second. A publisher keeps well below.
const EACH_SECOND: u32 = 200;

/// The pause between two channel events of ours.
const PACE: Duration = Duration::from_millis(10);

/// How far back a stream is read again: its servers' clocks may differ by less.
const OVERLAP: Duration = Duration::from_secs(5);

/// How far the stream was read. By time, for a stream that was made anew counts from one again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPlace {
    /// Its number there, which counts from one again in a stream that was made anew.
    pub sequence: u64,
    /// When it was published.
    pub published: SystemTime,
}

impl StreamPlace {
    /// From where to read on.
    fn start(self) -> DeliverPolicy {
        let since = self.published.checked_sub(OVERLAP).unwrap_or(self.published);
        DeliverPolicy::ByStartTime { start_time: since.into() }
    }

    /// Goes on to a message; false when it was read before.
    fn advance(&mut self, to: Self) -> bool {
        let is_new = to.sequence > self.sequence || to.published > self.published;
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

    /// Starts publishing: what is put into the queue goes to the stream, in order, each event once. What the bus was
    /// away too long for goes to `unpublished`.
    pub(crate) fn start_publisher(
        &self,
        waiting: Waiting,
        supervisor: &Supervisor,
        shutdown: CancellationToken,
        unpublished: impl Fn(ChannelEvent) + Send + Sync + 'static,
    ) {
        let bus = self.clone();
        supervisor.spawn("bus publisher", async move {
            tokio::select! {
                () = bus.publish_all(waiting.0, unpublished) => {}
                () = shutdown.cancelled() => {}
            }
        });
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
                    result = bus.follow(&mut position, &holding, &handler) => result,
                };
                if let Err(error) = result {
                    tracing::warn!(%error, "cannot follow the bus; trying again");
                }
                tokio::time::sleep(FOLLOW_AGAIN).await;
            }
        });
    }

    async fn publish_all(
        &self,
        mut events: mpsc::Receiver<(Instant, ChannelEvent)>,
        unpublished: impl Fn(ChannelEvent),
    ) {
        while let Some((accepted, event)) = events.recv().await {
            if let Err(event) = self.publish_in_time(accepted, event).await {
                self.metrics.bus.gave_up();
                tracing::debug!(channel = event.message.channel, "gave up publishing a channel message");
                unpublished(event);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Publishes an event until it is stored; gives it back when it has become too old for that.
    async fn publish_in_time(&self, accepted: Instant, mut event: ChannelEvent) -> Result<(), ChannelEvent> {
        let mut connected = self.connected();
        let mut delay = Duration::from_millis(50);
        loop {
            // What is published without a connection waits in the library, and arrives when nobody wants it any more.
            let left = EVENT_TTL.saturating_sub(accepted.elapsed());
            let there = async { connected.wait_for(|connected| *connected).await.is_ok() };
            if left.is_zero() || timeout(left, there).await != Ok(true) {
                return Err(event);
            }
            event.waited = u64::try_from(accepted.elapsed().as_millis()).unwrap_or(u64::MAX);
            match self.publish(accepted, &event).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.metrics.bus.publish_failed();
                    tracing::debug!(%error, "cannot publish a channel message yet");
                }
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(Duration::from_secs(2));
        }
    }

    /// Publishes one event. The message id makes a repeated attempt harmless.
    async fn publish(&self, accepted: Instant, event: &ChannelEvent) -> Result<(), async_nats::Error> {
        let message = &event.message;
        let subject = channel_subject(&self.network, &message.channel, &message.mud);
        let payload = serde_json::to_vec(event)?;
        let publish = PublishMessage::build().payload(payload.into()).message_id(&event.id);
        let publish = publish.expected_stream(CHANNEL_STREAM);
        let sent = Instant::now();
        let stored = match self.context.send_publish(subject, publish).await {
            Ok(stored) => stored.await,
            Err(error) => Err(error),
        };
        self.writes.done(Store::Channels, sent, stored.as_ref().err().map(WriteTrouble::from));
        stored?;
        self.metrics.bus.published(accepted.elapsed());
        Ok(())
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
        let begin = StreamPlace { sequence: 0, published: consumer.cached_info().created.into() };
        let position = position.get_or_insert(begin);
        let mut messages = consumer.messages().await?;
        let mut allowance = Allowance::new(EACH_SECOND);
        while let Some(message) = messages.next().await {
            let message = message?;
            let info = message.info()?;
            let here = StreamPlace { sequence: info.stream_sequence, published: info.published.into() };
            // A process that was paused must not tell what its successor has told.
            if !holding.is_certain() && !holding.clone().certain().await {
                return Ok(());
            }
            self.metrics.bus.pending.set(i64::try_from(info.pending).unwrap_or(i64::MAX));
            if position.advance(here)
                && let Some(event) = self.admit(&message, here, &mut allowance)
            {
                handler(here, event);
            }
        }
        Ok(())
    }

    /// The event of a message; none when it is not to be heard.
    fn admit(&self, message: &Message, here: StreamPlace, allowance: &mut Allowance) -> Option<ChannelEvent> {
        let age = SystemTime::now().duration_since(here.published).unwrap_or_default();
        let Some(event) = event::read(&self.network, message) else {
            self.metrics.bus.unreadable();
            tracing::warn!(subject = %message.subject, "ignored a channel event that cannot be read or is forged");
            return None;
        };
        let age = age + Duration::from_millis(event.waited);
        if age > EVENT_TTL {
            self.metrics.bus.too_old();
            return None;
        }
        // By when it was said: after an outage much comes at once.
        let said = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        if !allowance.admit(said, &event.message.mud) {
            self.metrics.bus.too_many();
            tracing::debug!(mud = event.message.mud, "ignored a channel event: its mud says too much");
            return None;
        }
        self.metrics.bus.handled(age);
        Some(event)
    }
}

/// Waits until the connection was lost and is there again.
async fn reconnected(connected: &mut watch::Receiver<bool>) {
    // The sender lives as long as the connection, and that as long as we do.
    let _ = connected.wait_for(|connected| !connected).await;
    let _ = connected.wait_for(|connected| *connected).await;
}

/// The way to the publisher.
#[derive(Clone)]
pub struct Publisher {
    queue: mpsc::Sender<(Instant, ChannelEvent)>,
}

/// What waits to be published.
pub(crate) struct Waiting(mpsc::Receiver<(Instant, ChannelEvent)>);

impl Publisher {
    /// A queue that takes events before [`Bus::start_publisher`] takes them out.
    pub(crate) fn new() -> (Self, Waiting) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (Self { queue }, Waiting(waiting))
    }

    /// How many events wait.
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Queues an event; false when the queue is full.
    pub fn publish(&self, event: ChannelEvent) -> bool {
        self.queue.try_send((Instant::now(), event)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_not_read_again_though_the_stream_is_read_from_further_back() {
        let second = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let at = |sequence, time| StreamPlace { sequence, published: second(time) };
        let mut position = at(7, 100);
        assert_eq!(position.start(), DeliverPolicy::ByStartTime { start_time: second(95).into() });
        for (to, is_new) in [
            (at(6, 99), false),
            (at(7, 100), false),
            (at(8, 100), true),
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
