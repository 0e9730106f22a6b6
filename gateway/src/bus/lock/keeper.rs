//! Drives the session lock over NATS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, OptionFuture};
use mudgateway_crds::bus::{LOCK_BUCKET, lock_key};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{ASK_TIMEOUT, Duty, Entry, SessionLock, WRITE_TIMEOUT, Write, WriteError};
use crate::bus::kv::{self, Bucket, PutError, Watch};
use crate::bus::{Bus, Store, WriteTrouble, Writes};
use crate::mud::Position;

/// Between two attempts to watch the key.
const RETRY: Duration = Duration::from_millis(250);

/// A revision that no key ever has.
const NEVER: u64 = u64::MAX / 2;

/// What the key holds.
#[derive(Serialize, Deserialize)]
struct Value {
    by: String,
    held: bool,
    /// The epoch in which the holder writes the log of the mud. Older gateways write none.
    #[serde(default)]
    epoch: u64,
    /// Where the log ended that was written by who gave the lock back. Older gateways tell none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<Position>,
}

/// What the keeper of a lock asks and tells.
pub trait LockListener: Send + Sync {
    /// How far the mud's log is known here.
    fn position(&self) -> Position;

    /// Waits, but not for long, until all that has come of the log is read here, and where it ended, if that is known. Whoever
    /// wrote on before that would tell again what is still to be read.
    fn read_log(&self, end: Option<Position>) -> BoxFuture<'_, ()>;

    /// Takes note of until when nobody else can have taken the lock; none: it is not ours.
    fn certain_until(&self, until: Option<Instant>);

    /// Takes note of what this process may do, before anybody else is told. Whoever comes to hold the lock writes the
    /// log in this epoch.
    fn on_duty(&self, duty: Duty, epoch: u64);
}

/// Keeps one mud's session lock.
pub struct Keeper {
    bucket: Bucket,
    writes: Writes,
    connected: watch::Receiver<bool>,
    key: String,
    name: String,
    lock: SessionLock,
    duty: watch::Sender<Duty>,
    certain: watch::Sender<Option<Instant>>,
    listener: Arc<dyn LockListener>,
    /// The epoch of ours, and the last one that the key held.
    epoch: u64,
    last_epoch: u64,
    /// Where the log ended of the one who gave the lock back.
    end: Option<Position>,
    yielding: Arc<Notify>,
    watch: Option<Watch>,
}

/// What the holder of a session needs of its lock.
#[derive(Clone)]
pub struct Holding {
    duty: watch::Receiver<Duty>,
    /// Until when nobody else can have taken the lock.
    certain: watch::Receiver<Option<Instant>>,
    yielding: Arc<Notify>,
    shared: bool,
}

impl Holding {
    /// A session without a lock: there is one process only.
    pub fn alone() -> Self {
        let (sender, duty) = watch::channel(Duty::Holder);
        // The duty never changes, and nobody hears of its end.
        drop(sender);
        let (_, certain) = watch::channel(None);
        Self { duty, certain, yielding: Arc::default(), shared: false }
    }

    /// Whether nobody else can hold the session now.
    pub fn is_certain(&self) -> bool {
        !self.shared || self.certain.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until that is certain; false: another one may hold it.
    pub async fn certain(&mut self) -> bool {
        while !self.is_certain() {
            if !self.now().may_keep() {
                return false;
            }
            tokio::select! {
                changed = self.certain.changed() => if changed.is_err() { return false },
                _ = self.duty.changed() => {}
            }
        }
        true
    }

    /// The same, but not for longer than so long after it was certain last.
    pub async fn certain_soon(&mut self, grace: Duration) -> bool {
        let until = *self.certain.borrow();
        match until.filter(|_| !self.is_certain()) {
            Some(until) => timeout_at((until + grace).into(), self.certain()).await.unwrap_or(false),
            None => self.is_certain(),
        }
    }

    /// Does work as long as the session may be kept; none: it may not be any more.
    pub async fn while_kept<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut holding = self.clone();
        tokio::select! {
            biased;
            done = work => Some(done),
            () = holding.wait_for(|duty| !duty.may_keep()) => None,
        }
    }

    /// Whether other processes may take the session over.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// What the process may do now.
    pub fn now(&self) -> Duty {
        *self.duty.borrow()
    }

    /// Waits for a duty.
    pub async fn wait_for(&mut self, wanted: impl Fn(Duty) -> bool) {
        if self.duty.wait_for(|duty| wanted(*duty)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Lets other processes try, because the router cannot be reached from here.
    pub fn yield_to_others(&self) {
        self.yielding.notify_one();
    }
}

impl Keeper {
    /// The lock of a mud. `known` says whether the mud was ever on the network.
    pub fn new(
        bus: &Bus,
        network: &str,
        mud: &str,
        name: &str,
        known: bool,
        listener: Arc<dyn LockListener>,
    ) -> (Self, Holding) {
        let (sender, duty) = watch::channel(Duty::Unknown);
        let (certain_sender, certain) = watch::channel(None);
        let yielding = Arc::new(Notify::new());
        let keeper = Self {
            bucket: Bucket::new(bus.context(), LOCK_BUCKET),
            writes: bus.writes().clone(),
            connected: bus.connected(),
            key: lock_key(network, mud),
            name: name.to_owned(),
            lock: SessionLock::new(name, known),
            duty: sender,
            certain: certain_sender,
            listener,
            epoch: 0,
            last_epoch: 0,
            end: None,
            yielding: Arc::clone(&yielding),
            watch: None,
        };
        (keeper, Holding { duty, certain, yielding, shared: true })
    }

    /// Keeps the lock until it is to be left, and then gives it back. The session must be closed before that.
    pub async fn run(mut self, leave: CancellationToken) {
        let mut writing: OptionFuture<BoxFuture<'static, Result<u64, WriteError>>> = None.into();
        let mut is_writing = false;
        let mut asking: OptionFuture<BoxFuture<'static, bool>> = None.into();
        let mut is_asking = false;
        let mut connected = self.connected.clone();
        let yielding = Arc::clone(&self.yielding);
        while !self.lock.has_left() {
            // Before the lock is given back: nothing is written to the log any more then.
            self.publish().await;
            let now = Instant::now();
            if !is_writing && let Some(write) = self.next_write(now) {
                writing = Some(write).into();
                is_writing = true;
            }
            if !is_asking && self.lock.ask(now) {
                asking = Some(self.answers()).into();
                is_asking = true;
            }
            let (wake_at, stays) = (self.lock.wake_at(now), self.lock.stays());
            tokio::select! {
                outcome = &mut writing, if is_writing => {
                    is_writing = false;
                    self.lock.wrote(Instant::now(), outcome.unwrap_or(Err(WriteError::Unknown)));
                    self.look_if_needed().await;
                }
                answers = &mut asking, if is_asking => {
                    is_asking = false;
                    if answers != Some(true) {
                        tracing::debug!("the bucket of the session lock takes no writes");
                        self.lost();
                    }
                }
                () = self.follow() => {}
                _ = connected.changed() => self.lost(),
                () = yielding.notified() => self.lock.yield_to_others(),
                () = leave.cancelled(), if stays => self.lock.leave(),
                () = sleep_until(wake_at.into()) => {}
            }
        }
        self.publish().await;
    }

    /// Tells who holds the session what it may do.
    async fn publish(&mut self) {
        let takes_over = !self.duty.borrow().may_keep() && self.lock.duty(Instant::now()) == Duty::Holder;
        if takes_over {
            self.listener.read_log(self.end).await;
        }
        let (duty, certain) = (self.lock.duty(Instant::now()), self.lock.certain_until());
        self.listener.certain_until(certain);
        if *self.duty.borrow() != duty {
            self.listener.on_duty(duty, self.epoch);
        }
        self.certain.send_if_modified(|current| std::mem::replace(current, certain) != certain);
        self.duty.send_if_modified(|current| {
            let before = std::mem::replace(current, duty);
            if before != duty {
                tracing::info!(from = ?before, to = ?duty, "session lock");
            }
            before != duty
        });
    }

    /// Takes one piece of news of the key; watches it first, if it is not watched.
    async fn follow(&mut self) {
        let Some(watch) = &mut self.watch else {
            match timeout(WRITE_TIMEOUT, self.open()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%error, "cannot watch the session lock yet");
                    sleep(RETRY).await;
                }
                Err(_) => tracing::debug!("cannot watch the session lock yet: no answer"),
            }
            return;
        };
        match watch.next().await {
            Some(Ok(entry)) => self.see(Some(&entry)),
            Some(Err(error)) => {
                tracing::debug!(%error, "the watch over the session lock broke");
                self.lost();
            }
            None => self.lost(),
        }
    }

    async fn open(&mut self) -> Result<(), async_nats::Error> {
        let watch = self.bucket.watch(&self.key).await?;
        let entry = self.bucket.entry(&self.key).await?;
        self.lock.bus(Instant::now(), true);
        self.see(entry.as_ref());
        self.watch = Some(watch);
        Ok(())
    }

    /// Asks whether the bucket takes writes, by one that it must refuse: only its leader can.
    fn answers(&self) -> BoxFuture<'static, bool> {
        let (bucket, key) = (self.bucket.clone(), self.key.clone());
        Box::pin(async move {
            let refused = bucket.update(&key, Vec::new().into(), NEVER);
            matches!(timeout(ASK_TIMEOUT, refused).await, Ok(Err(PutError::Conflict)))
        })
    }

    fn see(&mut self, entry: Option<&kv::Entry>) {
        let seen = entry.map(|entry| (entry.revision, read(entry)));
        if let Some((_, value)) = &seen {
            self.last_epoch = self.last_epoch.max(value.epoch);
            if value.by != self.name {
                self.end = value.end;
            }
        }
        let entry = seen.map(|(revision, Value { by, held, .. })| Entry { revision, by, held });
        self.lock.seen(Instant::now(), entry);
    }

    /// An epoch greater than all before: than those that the lock and the log tell of, and, should nobody know of them
    /// any more, than any that was begun earlier. The revision of the lock would not do, for it counts from one again
    /// when the bucket is lost.
    fn next_epoch(&self) -> u64 {
        let now = jiff::Timestamp::now().as_millisecond().unsigned_abs();
        now.max(self.last_epoch + 1).max(self.listener.position().epoch + 1)
    }

    /// The connection changed: what was watched before means nothing any more.
    fn lost(&mut self) {
        self.watch = None;
        self.lock.bus(Instant::now(), false);
    }

    /// After a conflict the key is read at once; the watch may be late.
    async fn look_if_needed(&mut self) {
        if self.watch.is_none() || !self.lock.should_look() {
            return;
        }
        match timeout(WRITE_TIMEOUT, self.bucket.entry(&self.key)).await {
            Ok(Ok(entry)) => self.see(entry.as_ref()),
            _ => self.lost(),
        }
    }

    fn next_write(&mut self, now: Instant) -> Option<BoxFuture<'static, Result<u64, WriteError>>> {
        self.watch.as_ref()?;
        let ours = self.lock.duty(now).may_keep();
        let Write { expected, held } = self.lock.write(now)?;
        if held && !ours {
            self.epoch = self.next_epoch();
        }
        let end = (!held).then(|| self.listener.position());
        let value = Value { by: self.name.clone(), held, epoch: self.epoch, end };
        // Texts, numbers and booleans can always be written.
        let value = serde_json::to_vec(&value).unwrap_or_default();
        let (bucket, key, writes) = (self.bucket.clone(), self.key.clone(), self.writes.clone());
        Some(Box::pin(async move {
            // Revision 0: there is no such key.
            let update = bucket.update(&key, value.into(), expected.unwrap_or(0));
            let (outcome, trouble) = match timeout(WRITE_TIMEOUT, update).await {
                Ok(Ok(revision)) => (Ok(revision), None),
                Ok(Err(PutError::Conflict)) => (Err(WriteError::Conflict), None),
                Ok(Err(PutError::Other(error))) => {
                    tracing::debug!(%error, "cannot write the session lock");
                    (Err(WriteError::Unknown), Some(WriteTrouble::from(&error)))
                }
                Err(_) => (Err(WriteError::Unknown), Some(WriteTrouble::NoAnswer)),
            };
            writes.done(Store::Lock, now, trouble);
            outcome
        }))
    }
}

/// What an entry says. A key that was deleted is free; one that nobody can read belongs to somebody unknown.
fn read(entry: &kv::Entry) -> Value {
    let unknown = || Value { by: String::new(), held: entry.value.is_some(), epoch: 0, end: None };
    let value = entry.value.as_deref().unwrap_or_default();
    serde_json::from_slice(value).unwrap_or_else(|_| unknown())
}
