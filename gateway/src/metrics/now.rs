//! What is so at the moment: it is not counted when it comes about, but read when somebody looks.

use crate::hub::Transport;
use crate::mud::SessionStatus;
use crate::router::Class;

/// What is so at the moment, and what others count for us.
#[derive(Clone, Debug)]
pub struct Now {
    /// How the session with the router is.
    pub status: SessionStatus,
    /// How many packets wait for the router, by [`Class::ALL`].
    pub waiting: [usize; Class::ALL.len()],
    /// How many muds are known.
    pub muds: usize,
    /// How many of them are up.
    pub muds_up: usize,
    /// How many channels are known.
    pub channels: usize,
    /// How much was dropped because of whom it came from.
    pub ignored: u64,
    /// How many requests of other muds were dropped, because they asked too often.
    pub requests_dropped: u64,
    /// Whether the bus is there; none in standalone mode.
    pub bus: Option<bool>,
    /// How many channel messages wait to be published.
    pub unpublished: u64,
    /// The epoch of the log.
    pub epoch: u64,
    /// How many sessions of clients there are, by [`Transport::ALL`].
    pub sessions: [usize; Transport::ALL.len()],
    /// How many bytes wait for all clients.
    pub queued: usize,
    /// How many for the client for whom most wait.
    pub most_queued: usize,
    /// How many may wait for one; none: there is no client.
    pub queue_limit: Option<usize>,
    /// How many tells were kept for a client that did not come in time.
    pub tells_dropped: u64,
}
