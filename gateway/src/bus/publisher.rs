//! The way of what our mud says into the stream of the channels.

use std::time::{Duration, Instant};

use async_nats::jetstream::message::PublishMessage;
use mudgateway_crds::bus::{CHANNEL_STREAM, channel_subject};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::{Bus, ChannelEvent, Store, WriteTrouble};
use crate::supervise::Supervisor;

/// How many events may wait to be published.
const QUEUE: usize = 1024;

/// The pause after each channel event of ours, of those that go together after them all.
const PACE: Duration = Duration::from_millis(10);

/// After an attempt that failed: at first, and at most.
const AGAIN: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

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

impl Bus {
    /// Starts publishing: what is put into the queue goes to the stream, in order, each event once. What the bus was
    /// away too long for goes to `unpublished`.
    pub(crate) fn start_publisher(
        &self,
        mut waiting: Waiting,
        supervisor: &Supervisor,
        shutdown: CancellationToken,
        unpublished: impl Fn(ChannelEvent) + Send + Sync + 'static,
    ) {
        let bus = self.clone();
        supervisor.spawn("bus publisher", async move {
            tokio::select! {
                () = bus.publish_all(&mut waiting.0, unpublished) => {}
                () = shutdown.cancelled() => {}
            }
        });
    }

    async fn publish_all(
        &self,
        events: &mut mpsc::Receiver<(Instant, ChannelEvent)>,
        unpublished: impl Fn(ChannelEvent),
    ) {
        while let Some((accepted, event)) = events.recv().await {
            let mut batch = Batch::new(accepted, event);
            self.publish_in_time(&mut batch, events, &unpublished).await;
            sleep(PACE * batch.len().max(1)).await;
        }
    }

    /// Publishes a batch, with what else waits, until it is stored, or all of it has become too old for that.
    async fn publish_in_time(
        &self,
        batch: &mut Batch,
        events: &mut mpsc::Receiver<(Instant, ChannelEvent)>,
        unpublished: &impl Fn(ChannelEvent),
    ) {
        let mut connected = self.connected();
        let [mut delay, longest] = AGAIN;
        loop {
            // What is published without a connection waits in the library, and arrives when nobody wants it any more.
            let there = async { connected.wait_for(|connected| *connected).await.is_ok() };
            let there = timeout(batch.left(Instant::now()), there).await == Ok(true);
            for event in batch.take_expired(Instant::now()) {
                self.metrics.bus.gave_up();
                tracing::debug!(channel = event.message.channel, "gave up publishing a channel message");
                unpublished(event);
            }
            if batch.is_empty() {
                return;
            }
            if !there {
                continue;
            }
            batch.fill(|| events.try_recv().ok());
            match self.publish(batch).await {
                Ok(()) => return,
                Err(error) => {
                    self.metrics.bus.publish_failed();
                    tracing::debug!(%error, "cannot publish channel messages yet");
                }
            }
            sleep(delay).await;
            delay = (delay * 2).min(longest);
        }
    }

    /// Publishes a batch. The message id makes a repeated attempt harmless.
    async fn publish(&self, batch: &Batch) -> Result<(), async_nats::Error> {
        let sent = Instant::now();
        let Some(message) = batch.message(sent) else { return Ok(()) };
        let said = &message.first.message;
        let subject = channel_subject(&self.network, &said.channel, &said.mud);
        let payload = serde_json::to_vec(&message)?;
        let publish = PublishMessage::build().payload(payload.into()).message_id(batch.id());
        let publish = publish.expected_stream(CHANNEL_STREAM);
        let stored = match self.context.send_publish(subject, publish).await {
            Ok(stored) => stored.await,
            Err(error) => Err(error),
        };
        self.writes.done(Store::Channels, sent, stored.as_ref().err().map(WriteTrouble::from));
        stored?;
        batch.waited(Instant::now()).for_each(|waited| self.metrics.bus.published(waited));
        Ok(())
    }
}
