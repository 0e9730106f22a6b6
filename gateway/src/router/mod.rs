//! The link to the I3 router: connect, register, keep alive, pace, come back.

mod backoff;
mod ended;
mod link;
mod memory;
mod outbox;
mod proxy;
mod routers;
mod rules;
mod session;
pub mod spool;
mod turn;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use intermud3::Packet;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;

use crate::bus::NotTaken;
use crate::metrics::Metrics;
use crate::mud::SessionStatus;
use crate::sync::lock;

pub use link::Link;
pub use memory::Memory;
pub use outbox::{Class, NotAccepted, PACKETS_PER_SECOND};
pub(crate) use outbox::{Left, Next, Outbox};
pub use rules::{Egress, Login, Proxy, RouterAddress, Rules};

impl From<NotTaken> for NotAccepted {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::Full => Self::BusFull,
            NotTaken::TooLong(error) => Self::Unwritable(error),
        }
    }
}

/// How many packets may wait for the router.
pub(crate) const OUTBOX_PACKETS: usize = 1000;

/// How long a request waits to learn that its packet would outlive the process. Then it is kept in memory only.
const KEPT_WITHIN: Duration = Duration::from_millis(500);

/// How long a request waits to learn that the link, or the bus, took what it brought. Then it answers "queued".
pub(crate) const SENT_WITHIN: Duration = Duration::from_millis(100);

/// What became of a packet that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The router link, or the gateway of another hosted mud, took it.
    Sent,
    /// It waits for the router.
    Queued,
}

impl Accepted {
    /// The status as clients get it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Queued => "queued",
        }
    }
}

/// What the link tells the services.
#[derive(Debug)]
pub enum LinkEvent {
    /// The router accepted us.
    Established,
    /// A packet for us.
    Packet(Packet),
    /// The session has ended.
    Ended,
    /// A packet that was accepted could not be sent in time.
    Expired(Packet),
}

/// Who is told of what the link gets.
pub trait LinkListener: Send + Sync {
    /// Handles an event.
    fn on_link(&self, event: LinkEvent);

    /// The ids of the last mudlist and channel list that came from this router, which a registration carries.
    fn list_ids(&self, router: &str) -> (i64, i64);
}

/// The link as the rest of the gateway sees it.
#[derive(Clone)]
pub struct RouterHandle {
    shared: Arc<Shared>,
}

struct Shared {
    metrics: Arc<Metrics>,
    outbox: Mutex<Outbox>,
    wake: Notify,
    reconnect: Notify,
    status: watch::Sender<SessionStatus>,
    /// Counts the changes of what clients asked to send.
    changed: watch::Sender<u64>,
    /// Up to which change what waits is kept.
    kept: watch::Sender<u64>,
    /// Whether what an earlier process left has been taken over.
    taken_over: AtomicBool,
}

impl Default for RouterHandle {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl RouterHandle {
    /// A link without a session yet, and nothing that waits.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let shared = Shared {
            metrics,
            outbox: Mutex::new(Outbox::new(OUTBOX_PACKETS, first_number())),
            wake: Notify::new(),
            reconnect: Notify::new(),
            status: watch::Sender::new(SessionStatus::connecting()),
            changed: watch::Sender::default(),
            kept: watch::Sender::default(),
            taken_over: AtomicBool::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sends a packet, or lets it wait for the router.
    ///
    /// # Errors
    /// [`NotAccepted`] when too much waits, or it has no form on the wire.
    #[tracing::instrument(name = "router packet", skip_all, fields(kind = packet.kind(), class = class.as_str()))]
    pub async fn send(&self, packet: Packet, class: Class) -> Result<Accepted, NotAccepted> {
        let taken = self.push(packet, class)?;
        let change = self.note_change();
        self.shared.wake.notify_one();
        if !self.status().is_connected() {
            self.wait_until_kept(change).await;
            return Ok(Accepted::Queued);
        }
        match timeout(SENT_WITHIN, taken).await {
            Ok(Ok(())) => Ok(Accepted::Sent),
            _ => Ok(Accepted::Queued),
        }
    }

    fn push(&self, packet: Packet, class: Class) -> Result<oneshot::Receiver<()>, NotAccepted> {
        let pushed = self.outbox().push(Instant::now(), packet, class);
        if pushed.as_ref().is_err_and(|error| *error == NotAccepted::Full) {
            self.shared.metrics.router.refused(class);
        }
        pushed
    }

    /// Counts a change of what waits.
    pub(crate) fn note_change(&self) -> u64 {
        let mut now = 0;
        self.shared.changed.send_modify(|count| {
            *count += 1;
            now = *count;
        });
        now
    }

    /// Waits, but not for long, until what waits is kept up to a change; not at all when nobody keeps it.
    async fn wait_until_kept(&self, change: u64) {
        if self.shared.changed.receiver_count() > 0 {
            let mut kept = self.shared.kept.subscribe();
            // Without it the packet waits all the same.
            let _ = timeout(KEPT_WITHIN, kept.wait_for(|kept| *kept >= change)).await;
        }
    }

    /// Whether what an earlier process left has been taken over.
    fn has_taken_over(&self) -> bool {
        self.shared.taken_over.load(Ordering::Acquire)
    }

    /// Takes over what an earlier process left, once for each time that this one comes to hold the session.
    pub(crate) async fn take_over(&self, memory: &Memory) {
        if self.has_taken_over() {
            return;
        }
        match memory.outbox().await {
            Ok(left) => {
                if !left.is_empty() {
                    tracing::info!(packets = left.len(), "sending what an earlier process left");
                }
                self.outbox().take_over(Instant::now(), left);
                self.shared.taken_over.store(true, Ordering::Release);
                self.note_change();
            }
            // It stays where it is until it can be read.
            Err(problem) => {
                tracing::warn!(problem, "cannot read what an earlier process left for the router")
            }
        }
    }

    /// Another process holds the session, and has taken over what was kept.
    pub(crate) fn hand_over(&self) {
        if self.shared.taken_over.swap(false, Ordering::AcqRel) {
            self.outbox().forget_kept();
        }
    }

    /// Takes out what clients asked to send and no other process would find.
    pub(crate) fn take_not_kept(&self) -> Vec<Left> {
        let taken = self.outbox().take_not_kept(Instant::now());
        if !taken.is_empty() {
            self.note_change();
        }
        taken
    }

    /// Takes what another process accepted when nobody held the session.
    ///
    /// # Errors
    /// [`NotAccepted::Full`] when it does not fit with what waits.
    pub(crate) fn take_in(&self, packets: Vec<Left>) -> Result<(), NotAccepted> {
        self.outbox().take_in(Instant::now(), packets)?;
        self.note_change();
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Puts back what was taken out.
    pub(crate) fn put_back(&self, packets: Vec<Left>) {
        self.outbox().put_back(Instant::now(), packets, false);
        self.note_change();
        self.shared.wake.notify_one();
    }

    /// Sends a packet nobody waits for, such as an answer; false: dropped, because too much waits.
    pub fn post(&self, packet: Packet, class: Class) -> bool {
        let accepted = self.push(packet, class).is_ok();
        if accepted {
            self.shared.wake.notify_one();
        }
        accepted
    }

    /// Closes the session and opens a new one, without waiting for a back-off.
    pub fn reconnect(&self) {
        self.shared.reconnect.notify_one();
    }

    /// How the session is now.
    pub fn status(&self) -> SessionStatus {
        self.shared.status.borrow().clone()
    }

    /// How the session is, to be watched.
    pub fn watch(&self) -> watch::Receiver<SessionStatus> {
        self.shared.status.subscribe()
    }

    /// How many packets wait.
    pub fn waiting(&self) -> usize {
        self.outbox().len()
    }

    /// How many packets of each class wait.
    pub fn waiting_by_class(&self) -> [usize; Class::ALL.len()] {
        self.outbox().waiting()
    }

    /// Takes out the packets that waited too long; returns those that a client asked to send.
    pub fn expire(&self) -> Vec<Packet> {
        let expired = self.outbox().expired(Instant::now());
        if !expired.is_empty() {
            self.note_change();
        }
        for entry in &expired {
            self.shared.metrics.router.expired(entry.class);
        }
        let expired = expired.into_iter();
        expired.filter(|entry| entry.class.is_asked_for()).map(|entry| entry.packet).collect()
    }

    /// Sets how many packets may go in any second.
    pub fn set_pace(&self, packets_per_second: usize) {
        self.outbox().set_pace(packets_per_second);
        self.shared.wake.notify_one();
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        lock(&self.shared.outbox)
    }

    pub(crate) fn set_status(&self, status: SessionStatus) {
        self.shared.status.send_if_modified(|current| {
            let changed = *current != status;
            *current = status;
            changed
        });
    }
}

/// After which number this process counts packets: far from where any other does.
fn first_number() -> u64 {
    (u64::from(rand::random::<u32>()) << 20) | 1
}
