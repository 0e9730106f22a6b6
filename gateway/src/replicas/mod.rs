//! The processes of one mud: one of them writes the log and tells it over NATS, the others follow, and each tells the
//! others of its clients' sessions.
//!
//! NATS without JetStream suffices, because a message that is missing is noticed: each entry of the log has a number,
//! and the writer tells the last one each second. Who misses something asks the writer for all that the log amounts to.

mod catch_up;
mod step;

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message, SubscribeError};
use futures::StreamExt;
use mudgateway_crds::bus::{own_log_subject, own_sessions_subject, own_snapshot_subject};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::bus::genuine::is_genuine;
use crate::hub::{Epoch, News, Outgoing, Record, TOLD_EVERY};
use crate::mud::Position;
use crate::services::Services;
use crate::services::replica::Beat;
use crate::supervise::Supervisor;
use step::{Step, step};

/// How much may wait to be told. What does not fit is missed, and asked for.
pub const QUEUE: usize = 4096;

/// How often the writer tells how far the log is.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// The most bytes of a message; NATS takes none over 1 MiB.
const MESSAGE: usize = 1_000_000;

/// How long it may take to tell the end of the log.
const END_TOLD_WITHIN: Duration = Duration::from_millis(300);

/// The sessions in one message.
const SESSIONS: usize = 50;

/// What the writer of the log tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    /// The next entry.
    Record(Box<Record>),
    /// This process writes from now on. Older gateways do not know it, and ask for everything.
    Epoch(Epoch),
    /// How far it is.
    Beat(Beat),
}

/// What a process tells of its sessions.
#[derive(Debug, Serialize, Deserialize)]
struct FromProcess<N> {
    /// Which process.
    from: String,
    news: N,
}

/// The other processes of the mud, as this one talks to them.
#[derive(Clone)]
pub struct Replicas {
    client: Client,
    network: String,
    mud: String,
    /// Names this process; no other has the same, not even an earlier one in its place.
    me: String,
    connected: watch::Receiver<bool>,
    services: Arc<Services>,
    /// Counts what was told.
    told: watch::Sender<u64>,
    /// Another process wants to be told of all sessions.
    asked: Arc<Notify>,
}

/// The end of writing the log, when another process is to go on.
pub struct LogEnd {
    client: Client,
    services: Arc<Services>,
    told: watch::Receiver<u64>,
}

impl LogEnd {
    /// Writes no more, and waits until all that was written is on its way: what another process then does not know it
    /// would tell again.
    pub async fn reach(mut self) {
        self.services.hub.follow();
        let all = self.services.hub.told();
        let on_its_way = async {
            // Should the teller be gone there is nothing to wait for.
            if self.told.wait_for(|told| *told >= all).await.is_ok()
                && let Err(error) = self.client.flush().await
            {
                tracing::debug!(%error, "the end of the log may not be on its way");
            }
        };
        if timeout(END_TOLD_WITHIN, on_its_way).await.is_err() {
            tracing::warn!(
                "the end of the log is not on its way yet: another process may tell some of it again"
            );
        }
    }
}

impl Replicas {
    /// Starts telling the other processes of the mud what they must know, and taking what they tell.
    pub fn start(
        bus: &Bus,
        me: &str,
        services: &Arc<Services>,
        outgoing: mpsc::Receiver<Outgoing>,
        supervisor: &Supervisor,
        stop: &CancellationToken,
    ) -> LogEnd {
        let replicas = Self {
            client: bus.context().client(),
            network: bus.network().to_owned(),
            mud: services.mud().to_owned(),
            me: me.to_owned(),
            connected: bus.connected(),
            services: Arc::clone(services),
            told: watch::Sender::new(0),
            asked: Arc::default(),
        };
        let (client, told) = (replicas.client.clone(), replicas.told.subscribe());
        let end = LogEnd { client, services: Arc::clone(services), told };
        let (teller, follower, listener, server) =
            (replicas.clone(), replicas.clone(), replicas.clone(), replicas);
        let stopped = stop.clone();
        supervisor.spawn("log writer", async move {
            tokio::select! {
                () = stopped.cancelled() => teller.tell_news(News::Gone).await,
                () = teller.tell(outgoing) => {}
            }
        });
        let stopped = stop.clone();
        supervisor.spawn("log follower", async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = for_ever(|| follower.follow()) => {}
            }
        });
        let stopped = stop.clone();
        supervisor.spawn("sessions elsewhere", async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = for_ever(|| listener.listen()) => {}
            }
        });
        let stopped = stop.clone();
        supervisor.spawn("snapshots", async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = for_ever(|| server.serve_snapshots()) => {}
            }
        });
        end
    }

    /// Tells what comes, how far the log is, and all sessions now and then.
    async fn tell(&self, mut outgoing: mpsc::Receiver<Outgoing>) {
        let (mut beat, mut round, mut rounds) = (every(BEAT_EVERY), every(TOLD_EVERY), 0);
        let mut status = self.services.router().watch();
        loop {
            tokio::select! {
                biased;
                Some(what) = outgoing.recv() => {
                    match what {
                        Outgoing::Record(record) => {
                            self.tell_written(record.position, Written::Record(record)).await;
                        }
                        Outgoing::Epoch(epoch) => {
                            self.tell_written(epoch.begin, Written::Epoch(epoch)).await;
                        }
                        Outgoing::News(news) => self.tell_news(news).await,
                    }
                    self.told.send_modify(|told| *told += 1);
                }
                _ = beat.tick() => self.tell_beat(&outgoing).await,
                Ok(()) = status.changed() => self.tell_beat(&outgoing).await,
                () = self.asked.notified() => {
                    rounds += 1;
                    self.tell_round(rounds).await;
                }
                _ = round.tick() => {
                    rounds += 1;
                    self.tell_round(rounds).await;
                    self.services.forget_silent();
                }
            }
        }
    }

    /// Tells what was written at a place of the log.
    async fn tell_written(&self, position: Position, written: Written) {
        if !self.publish(own_log_subject(&self.network, &self.mud), &written).await {
            tracing::debug!(?position, "the other processes are not told of a place of the log");
        }
    }

    /// How far the log is must not overtake what waits to be told.
    async fn tell_beat(&self, outgoing: &mpsc::Receiver<Outgoing>) {
        let beat = self.services.beat();
        if self.services.leads() && outgoing.is_empty() {
            self.publish(own_log_subject(&self.network, &self.mud), &Written::Beat(beat)).await;
        }
    }

    async fn tell_news(&self, news: News) {
        let told = FromProcess { from: self.me.clone(), news };
        self.publish(own_sessions_subject(&self.network, &self.mud), &told).await;
    }

    async fn tell_round(&self, number: u64) {
        let sessions = self.services.hub.remotes();
        let mut rest = sessions.chunks(SESSIONS).map(<[_]>::to_vec).peekable();
        let mut some = rest.next().unwrap_or_default();
        loop {
            let last = rest.peek().is_none();
            self.tell_news(News::Round { number, last, sessions: some }).await;
            match rest.next() {
                Some(next) => some = next,
                None => return,
            }
        }
    }

    /// What cannot be told now is noticed to be missing, so it does not wait for the bus.
    async fn publish(&self, subject: String, what: &impl Serialize) -> bool {
        let json = serde_json::to_vec(what).unwrap_or_default();
        let fits = *self.connected.borrow() && json.len() <= MESSAGE;
        fits && self.client.publish(subject, json.into()).await.is_ok()
    }

    /// Follows the log as long as another process writes it.
    async fn follow(&self) -> Result<(), SubscribeError> {
        let subject = own_log_subject(&self.network, &self.mud);
        let mut log = self.client.subscribe(subject.clone()).await?;
        let mut connected = self.connected.clone();
        if connected.wait_for(|connected| *connected).await.is_ok() && !self.services.leads() {
            self.catch_up(None).await;
        }
        let mut to_read = self.services.to_read();
        loop {
            tokio::select! {
                biased;
                message = log.next() => match message {
                    Some(message) => self.hear(&message, &subject).await,
                    None => return Ok(()),
                },
                // Nothing has come that is not read.
                () = self.read_enough(&mut to_read) => self.services.log_is_read(),
            }
        }
    }

    /// Ends when somebody waits for the log to be read up to a place that it is read up to.
    async fn read_enough(&self, to_read: &mut watch::Receiver<Option<Position>>) {
        let hub = &self.services.hub;
        // The sender lives as long as the services do.
        let _ = to_read.wait_for(|end| end.is_some_and(|end| end <= hub.position())).await;
    }

    /// Takes what the writer of the log tells.
    async fn hear(&self, message: &Message, subject: &str) {
        if self.services.leads() {
            return;
        }
        let missing = match read(message, subject) {
            Some(Written::Record(record)) => {
                let (step, place) = (self.step(record.position), record.position);
                if step == Step::Take {
                    self.services.apply(*record);
                }
                (step == Step::CatchUp).then_some(place)
            }
            Some(Written::Epoch(epoch)) => (!self.services.hub.go_on(epoch)).then_some(epoch.begin),
            Some(Written::Beat(beat)) => {
                self.services.on_beat(&beat);
                let misses = beat.position > self.services.hub.position() || !self.services.hub.follows();
                misses.then_some(beat.position)
            }
            None => None,
        };
        if missing.is_some() {
            self.catch_up(missing).await;
        }
    }

    fn step(&self, next: Position) -> Step {
        let hub = &self.services.hub;
        step(hub.follows(), hub.position(), next)
    }

    /// Listens to what the other processes tell of their sessions.
    async fn listen(&self) -> Result<(), SubscribeError> {
        let subject = own_sessions_subject(&self.network, &self.mud);
        let mut told = self.client.subscribe(subject.clone()).await?;
        let mut connected = self.connected.clone();
        if connected.wait_for(|connected| *connected).await.is_ok() {
            self.tell_news(News::Hello).await;
        }
        while let Some(message) = told.next().await {
            if let Some(FromProcess::<News> { from, news }) = read(&message, &subject)
                && from != self.me
            {
                if let News::Hello = news {
                    self.asked.notify_one();
                }
                self.services.on_news(&from, news);
            }
        }
        Ok(())
    }

    /// Tells who asks all that the log amounts to.
    async fn serve_snapshots(&self) -> Result<(), SubscribeError> {
        let subject = own_snapshot_subject(&self.network, &self.mud);
        let mut asked = self.client.subscribe(subject.clone()).await?;
        while let Some(message) = asked.next().await {
            let ours = self.services.leads() && is_genuine(&message, &subject);
            if let Some(reply) = message.reply.filter(|_| ours) {
                self.send_snapshot(&reply).await;
            }
        }
        Ok(())
    }
}

/// What a message of another process of the mud holds; none, and a word in the log, when it cannot be read, which a later
/// version may bring about.
fn read<T: DeserializeOwned>(message: &Message, subject: &str) -> Option<T> {
    if !is_genuine(message, subject) {
        tracing::warn!(subject = %message.subject, "ignored what no process of the mud has told");
        return None;
    }
    serde_json::from_slice(&message.payload)
        .map_err(|error| tracing::debug!(%error, "what another process tells cannot be read"))
        .ok()
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Does something that should not end again and again.
async fn for_ever<F: Future<Output = Result<(), SubscribeError>>>(task: impl Fn() -> F) {
    loop {
        if let Err(error) = task().await {
            tracing::warn!(%error, "cannot listen to the other processes of the mud; trying again");
        }
        sleep(Duration::from_secs(1)).await;
    }
}
