//! The bus: channel events and directed packets between gateways over NATS, and what is kept there.

mod direct;
mod echo;
mod event;
mod files;
mod links;
pub mod lock;
mod mailbox;
pub mod report;
mod state;

use std::time::{Duration, Instant, SystemTime};

use async_nats::jetstream;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::message::PublishMessage;
use futures::StreamExt;
use mudgateway_crds::bus::{CHANNEL_STREAM, channel_filter, channel_subject};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use direct::{Audience, Direct, Handed};
pub use echo::{EchoFilter, Path, Remembered};
pub use event::{ChannelEvent, ChannelKind, ChannelMessage, EmoteTarget};
pub use files::FileError;
pub use mailbox::Refusal;
pub use state::{Part, StateError, StateStore};

use crate::supervise::Supervisor;

/// How many events may wait to be published.
const QUEUE: usize = 1024;

/// Channel talk older than this is not worth telling any more: neither published nor delivered.
const EVENT_TTL: Duration = Duration::from_secs(60);

/// How long one request to NATS may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The connection to NATS, which looks after itself: it is there at once and reconnects for ever.
#[derive(Clone)]
pub struct Bus {
    context: jetstream::Context,
    network: String,
    connected: watch::Receiver<bool>,
}

/// Why the bus cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The address is no address, or credentials are broken.
    #[error("the NATS address in nats.url cannot be used: {0}")]
    Address(#[from] async_nats::ConnectError),
}

impl Bus {
    /// Connects in the background.
    ///
    /// # Errors
    /// [`BusError`] when it can never work. A server that is away is not an error.
    pub async fn connect(url: &str, network: &str, name: &str) -> Result<Self, BusError> {
        let (sender, connected) = watch::channel(false);
        let client = async_nats::ConnectOptions::new()
            .name(name)
            .retry_on_initial_connect()
            .ping_interval(Duration::from_secs(5))
            .event_callback(move |event| {
                match event {
                    async_nats::Event::Connected => {
                        sender.send_replace(true);
                    }
                    async_nats::Event::Disconnected | async_nats::Event::Closed => {
                        sender.send_replace(false);
                    }
                    _ => {}
                }
                tracing::info!(%event, "bus");
                async {}
            })
            .connect(url)
            .await?;
        let context =
            ContextBuilder::new().timeout(REQUEST_TIMEOUT).ack_timeout(REQUEST_TIMEOUT).build(client);
        Ok(Self { context, network: network.to_owned(), connected })
    }

    /// JetStream, for state and reports.
    pub fn context(&self) -> &jetstream::Context {
        &self.context
    }

    /// Whether the connection is there, to be watched.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// Starts publishing: what is put into the queue goes to the stream, in order, each event once.
    pub(crate) fn start_publisher(&self, supervisor: &Supervisor, shutdown: CancellationToken) -> Publisher {
        let (queue, events) = mpsc::channel(QUEUE);
        let bus = self.clone();
        supervisor.spawn("bus publisher", async move {
            tokio::select! {
                () = bus.publish_all(events) => {}
                () = shutdown.cancelled() => {}
            }
        });
        Publisher { queue }
    }

    /// Starts listening: every channel event of the network goes to `handler` with its place in the stream, in
    /// order.
    pub(crate) fn start_subscriber(
        &self,
        supervisor: &Supervisor,
        shutdown: CancellationToken,
        handler: impl Fn(u64, ChannelEvent) + Send + Sync + 'static,
    ) {
        let bus = self.clone();
        supervisor.spawn("bus subscriber", async move {
            let mut position = None;
            let mut connected = bus.connected();
            loop {
                let result = tokio::select! {
                    () = shutdown.cancelled() => return,
                    // The library would notice a lost consumer too, but only after half a minute.
                    () = reconnected(&mut connected) => continue,
                    result = bus.follow(&mut position, &handler) => result,
                };
                if let Err(error) = result {
                    tracing::warn!(%error, "cannot follow the bus; trying again");
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }

    async fn publish_all(&self, mut events: mpsc::Receiver<(Instant, ChannelEvent)>) {
        while let Some((accepted, event)) = events.recv().await {
            let mut delay = Duration::from_millis(50);
            while let Err(error) = self.publish(&event).await {
                if accepted.elapsed() > EVENT_TTL {
                    tracing::warn!(%error, channel = event.message.channel, "gave up publishing a channel message");
                    break;
                }
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(Duration::from_secs(2));
            }
        }
    }

    /// Publishes one event. The message id makes a repeated attempt harmless.
    async fn publish(&self, event: &ChannelEvent) -> Result<(), async_nats::Error> {
        let message = &event.message;
        let subject = channel_subject(&self.network, &message.channel, &message.mud);
        let payload = serde_json::to_vec(event)?;
        let publish = PublishMessage::build().payload(payload.into()).message_id(&event.id);
        let publish = publish.expected_stream(CHANNEL_STREAM);
        self.context.send_publish(subject, publish).await?.await?;
        Ok(())
    }

    /// Follows the stream from `position` on, or from now on, until an error.
    async fn follow(
        &self,
        position: &mut Option<u64>,
        handler: &(impl Fn(u64, ChannelEvent) + Send),
    ) -> Result<(), async_nats::Error> {
        let stream = self.context.get_stream(CHANNEL_STREAM).await?;
        let last = stream.cached_info().state.last_sequence;
        // A stream that was made anew counts from one again, and then an old position means nothing.
        let start = position.filter(|position| *position <= last).unwrap_or(last);
        *position = Some(start);
        let config = OrderedConfig {
            filter_subject: channel_filter(&self.network),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: start + 1 },
            ..OrderedConfig::default()
        };
        let mut messages = stream.create_consumer(config).await?.messages().await?;
        while let Some(message) = messages.next().await {
            let message = message?;
            let info = message.info()?;
            // The library makes a consumer that was lost anew, and may begin further back than it had come.
            if position.is_some_and(|position| info.stream_sequence <= position) {
                continue;
            }
            *position = Some(info.stream_sequence);
            let age = SystemTime::now().duration_since(info.published.into()).unwrap_or_default();
            if age > EVENT_TTL {
                continue;
            }
            match serde_json::from_slice::<ChannelEvent>(&message.payload) {
                Ok(event) => handler(info.stream_sequence, event),
                Err(error) => {
                    tracing::warn!(%error, subject = %message.subject, "a channel event cannot be read")
                }
            }
        }
        Ok(())
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

impl Publisher {
    /// Queues an event; false when the queue is full.
    pub fn publish(&self, event: ChannelEvent) -> bool {
        self.queue.try_send((Instant::now(), event)).is_ok()
    }
}
