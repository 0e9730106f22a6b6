//! Breaks gateways, their links and their servers on purpose, and measures what a mud's players notice.
//!
//! A [`world::World`] is one mud with two gateway processes or three, another hosted mud, a mud elsewhere on a strict
//! router, and a nats-server. Between the mud's processes and all others stands a fault [`proxy`]. The others talk all the
//! time, and an [`ear`] on the mud hears; it talks too, and both others hear it. A [`scenario`] has a [`fault`]; what was
//! heard becomes a row of a [`report`].

pub mod breaking;
pub mod ear;
pub mod error;
pub mod far;
pub mod fault;
pub mod hosted;
pub mod inside;
pub mod mouth;
pub mod nats;
pub mod outcome;
pub mod process;
pub mod proxy;
pub mod report;
pub mod scenario;
pub mod secure;
pub mod tally;
pub mod trouble;
pub mod watcher;
pub mod world;

pub use error::Error;

/// The API key of every gateway here.
pub const KEY: &str = "chaos";

/// The channel all talk on.
pub const CHANNEL: &str = "imud_gossip";

/// The channel that hosted muds have for themselves: by the bus alone.
pub const PROVIDER_CHANNEL: &str = "staff";

/// The mud that is broken.
pub const MUD: &str = "Dawn";
