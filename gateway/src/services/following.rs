//! What this process knows of the one that writes the log, while that is another one.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use crate::mud::{Position, SessionStatus};

/// How long what the holder told of its session is taken to be so.
const CURRENT: Duration = Duration::from_millis(3500);

/// How long who comes to hold the session may read what the one before has written, before it writes on without. Short of the
/// time in which it may open a session.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// What the process that writes the log told, and when.
#[derive(Clone, Debug)]
pub struct Followed {
    since: Instant,
    status: SessionStatus,
}

/// The one that writes the log, as far as it is known here.
#[derive(Debug, Default)]
pub(super) struct Following {
    told: watch::Sender<Option<Followed>>,
    /// Up to where the log is to be read before this process writes it.
    to_read: watch::Sender<Option<Position>>,
}

impl Following {
    /// It tells how its session is.
    pub fn hear(&self, status: SessionStatus) {
        self.told.send_replace(Some(Followed { since: Instant::now(), status }));
    }

    /// How its session is, if it told that lately.
    pub fn status(&self) -> Option<SessionStatus> {
        let told = self.told.borrow();
        told.as_ref().filter(|told| told.since.elapsed() < CURRENT).map(|told| told.status.clone())
    }

    /// Changes whenever it tells something.
    pub fn told(&self) -> watch::Receiver<Option<Followed>> {
        self.told.subscribe()
    }

    /// Up to where the log is to be read; none: nobody waits for that.
    pub fn to_read(&self) -> watch::Receiver<Option<Position>> {
        self.to_read.subscribe()
    }

    /// The log is read as far as it is to be, or nobody waits for that any more.
    pub fn note_read(&self) {
        self.to_read.send_replace(None);
    }

    /// Waits until the log is read up to a place; false when that takes too long.
    pub async fn read_up_to(&self, end: Position) -> bool {
        self.to_read.send_replace(Some(end));
        let mut to_read = self.to_read.subscribe();
        timeout(READ_WITHIN, to_read.wait_for(Option::is_none)).await.is_ok()
    }
}
