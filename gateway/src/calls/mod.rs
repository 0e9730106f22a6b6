//! Conversations with other muds over TCP, in which mail, files and news are carried ([`crate::oob`] has the rules).
//!
//! [`line`] drives a conversation over a socket, [`listener`] for muds that call us and [`outbound`] when we call. What
//! other muds ask for is put before our clients ([`serve`]), and what our clients ask for becomes a call ([`errands`]).
//! A mud may call any process of ours ([`elsewhere`]).

mod elsewhere;
pub mod errands;
mod line;
pub mod listener;
pub mod outbound;
mod serve;

use std::net::IpAddr;
use std::sync::Arc;

use intermud3::oob::OobBegin;

pub use elsewhere::Holder;
pub use outbound::Unavailable;

use crate::metrics::Metrics;
use crate::oob::{Oob, address};
use crate::services::Services;

/// What a conversation needs.
#[derive(Clone)]
pub struct Driver {
    /// The rest of the gateway.
    pub services: Arc<Services>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The way to the process that holds the session; none: there is one process only.
    pub holder: Option<Arc<dyn Holder>>,
}

impl Driver {
    /// Whether a caller may come in to this process, which holds the session.
    fn admits_here(&self, begin: &OobBegin, from: IpAddr) -> bool {
        let services = &self.services;
        let known = services.mud_entry(&begin.mud).and_then(|entry| address::from_address(&entry));
        !services.policy().ignores_user("", &begin.mud) && self.oob().admits(begin, known == Some(from))
    }

    fn oob(&self) -> &Oob {
        &self.services.oob
    }
}
