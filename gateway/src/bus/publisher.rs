//! The way of what our mud says into the stream of the channels.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::message::PublishMessage;
use intermud3::lpc::EncodeError;
use mudgateway_crds::bus::{CHANNEL_STREAM, channel_subject};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::batch::{self, Batch};
use super::{Bus, ChannelEvent, Store, WriteTrouble};
use crate::supervise::Supervisor;
use crate::sync::lock;

/// How many events may wait to be published.
const QUEUE: usize = 1024;

/// The pause after each channel event of ours, of those that go together after them all.
const PACE: Duration = Duration::from_millis(10);

/// After an attempt that failed: at first, and at most.
const AGAIN: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// Why an event is not taken to be published.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The bus is away, or does not keep up.
    #[error("too much waits for the bus; try again later")]
    Full,
    /// It is longer than the stream takes.
    #[error("this cannot be sent over Intermud-3: {0}")]
    TooLong(EncodeError),
}

/// The way to the publisher.
#[derive(Clone)]
pub struct Publisher {
    queue: mpsc::Sender<(Instant, ChannelEvent)>,
    /// How many events were accepted. Held while one is queued, so that they are counted in their order.
    accepted: Arc<Mutex<u64>>,
    /// How many of them are stored, or given up.
    done: watch::Sender<u64>,
}

/// What waits to be published.
pub(crate) struct Waiting {
    events: mpsc::Receiver<(Instant, ChannelEvent)>,
    done: watch::Sender<u64>,
}

impl Publisher {
    /// A queue that takes events before [`Bus::start_publisher`] takes them out.
    pub(crate) fn new() -> (Self, Waiting) {
        let (queue, events) = mpsc::channel(QUEUE);
        let done = watch::Sender::default();
        (Self { queue, accepted: Arc::default(), done: done.clone() }, Waiting { events, done })
    }

    /// How many events wait.
    pub fn waiting(&self) -> u64 {
        lock(&self.accepted).saturating_sub(*self.done.borrow())
    }

    /// Queues an event; returns its number.
    ///
    /// # Errors
    /// [`NotTaken`] when the queue is full, or the event is longer than the stream takes.
    pub fn publish(&self, event: ChannelEvent) -> Result<u64, NotTaken> {
        if batch::size(&event) > batch::EVENT {
            return Err(NotTaken::TooLong(EncodeError::TooLong { limit: batch::EVENT }));
        }
        let mut accepted = lock(&self.accepted);
        self.queue.try_send((Instant::now(), event)).map_err(|_| NotTaken::Full)?;
        *accepted += 1;
        Ok(*accepted)
    }

    /// Waits until the event of a number, and all before it, is stored, or given up after [`EVENT_TTL`].
    pub async fn done(&self, number: u64) {
        // The sender is ours.
        let _ = self.done.subscribe().wait_for(|done| *done >= number).await;
    }

    /// Waits until all that was queued so far is.
    pub async fn all_done(&self) {
        let number = *lock(&self.accepted);
        self.done(number).await;
    }
}

impl Bus {
    /// Starts publishing: what is put into the queue goes to the stream, in order, each event once. What the bus was
    /// away too long for goes to `unpublished`. From `hurry` on it makes no pauses.
    pub(crate) fn start_publisher(
        &self,
        waiting: Waiting,
        supervisor: &Supervisor,
        hurry: CancellationToken,
        shutdown: CancellationToken,
        unpublished: impl Fn(ChannelEvent) + Send + Sync + 'static,
    ) {
        let bus = self.clone();
        supervisor.spawn("bus publisher", async move {
            tokio::select! {
                () = bus.publish_all(waiting, &hurry, unpublished) => {}
                () = shutdown.cancelled() => {}
            }
        });
    }

    async fn publish_all(
        &self,
        Waiting { mut events, done }: Waiting,
        hurry: &CancellationToken,
        unpublished: impl Fn(ChannelEvent),
    ) {
        while let Some((accepted, event)) = events.recv().await {
            let mut batch = Batch::new(accepted, event);
            let gave_up = |event| {
                unpublished(event);
                done.send_modify(|done| *done += 1);
            };
            self.publish_in_time(&mut batch, &mut events, &gave_up).await;
            done.send_modify(|done| *done += u64::from(batch.len()));
            // At the end nothing more comes, and when each was said goes with it.
            tokio::select! {
                () = hurry.cancelled() => {}
                () = sleep(PACE * batch.len().max(1)) => {}
            }
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::bus::event::tests::said;

    #[test]
    fn what_is_longer_than_the_stream_takes_is_refused_at_once() {
        let (publisher, _waiting) = Publisher::new();
        let long = said(&"x".repeat(batch::EVENT));
        assert!(matches!(publisher.publish(long), Err(NotTaken::TooLong(EncodeError::TooLong { .. }))));
        assert_eq!((publisher.publish(said("short")), publisher.waiting()), (Ok(1), 1));
    }

    #[test]
    fn what_is_queued_is_done_when_it_is_stored_and_all_before_it() {
        let (publisher, waiting) = Publisher::new();
        assert_eq!(publisher.all_done().now_or_never(), Some(()));
        let numbers: Vec<_> = (0..3).map(|_| publisher.publish(said("hi")).unwrap()).collect();
        waiting.done.send_modify(|done| *done += 2);
        let done = numbers.iter().map(|number| publisher.done(*number).now_or_never().is_some());
        assert_eq!(done.collect::<Vec<_>>(), [true, true, false]);
        assert_eq!((publisher.all_done().now_or_never(), publisher.waiting()), (None, 1));
    }
}
