//! An Intermud-3 router for tests, as a library and a program.
//!
//! It behaves on the wire like the Dead Souls router, the family of the large live routers: a refusal is
//! silence, subscriptions outlive connections, a mud that is taken over stays connected but deaf. What is not
//! there yet: the flood limit, the accept and address limits, channel administration, protocols 1 and 2, and
//! the pace of the second mudlist.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use std::time::Duration;
//! use i3_router::{Config, Event, Mark, Router};
//!
//! let router = Router::start(Config::default()).await?; // on a free port of 127.0.0.1
//! println!("connect to {} at {}", router.name(), router.addr());
//! let up = |event: &Event| event.registered() == Some("MudA");
//! router.wait_for(Mark::START, up, Duration::from_secs(5)).await;
//! router.cut("MudA").await; // its link closes and it cannot come back
//! router.restore("MudA").await;
//! # Ok(()) }
//! ```
//!
//! [`core`] holds the rules, without sockets or clocks; the rest brings them to the network.

mod config;
pub mod control;
pub mod core;
mod event;
mod journal;
mod link;
mod running;

pub use config::Config;
pub use core::MudInfo;
pub use event::{Event, Refusal};
pub use journal::Mark;
pub use running::{Router, RunningRouter};
