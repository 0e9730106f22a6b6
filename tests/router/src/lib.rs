//! An Intermud-3 router for tests, as a library and a program.
//!
//! It behaves on the wire like the Dead Souls router, the family of the large live routers, as that was
//! observed: a refusal is silence, subscriptions outlive connections, a mud that is taken over stays connected
//! but deaf, and a packet with a blank too many is lost. With [`Config::strict`] it also has that router's
//! limits and its pace; [`Ways`] has the habits of other families.
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
//! router.send_raw("MudA", &b"\x7f\xff\xff\xff"[..]).await; // a length that cannot be
//! # Ok(()) }
//! ```
//!
//! [`core`] holds the rules, without sockets or clocks; the rest brings them to the network.

mod config;
pub mod control;
pub mod core;
mod event;
pub mod frame;
mod journal;
mod link;
mod outbox;
mod running;

pub use config::{Config, Peer, Ways};
pub use core::{ChannelInfo, LinkInfo, MudInfo, TextError};
pub use event::{Event, Refusal};
pub use journal::Mark;
pub use running::{Router, RunningRouter};
