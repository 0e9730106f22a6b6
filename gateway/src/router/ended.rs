//! Why a session with a router, or the attempt at one, ended.

use std::ops::ControlFlow;

use intermud3::Packet;
use intermud3::packet::{Body, ErrorPacket};
use mudgateway_crds::report::SessionReason;

use super::RouterAddress;
use crate::bus::lock::Duty;
use crate::mud::Mud;

/// The end of a session, or of the attempt at one.
#[derive(Debug)]
pub(super) struct Ended {
    /// Why, in one word.
    pub(super) reason: SessionReason,
    /// The same for a person.
    pub(super) message: String,
    /// Whether to try again soon would do harm.
    pub(super) slow: bool,
}

/// An end for a reason, in words.
pub(super) fn ended(reason: SessionReason, message: impl Into<String>) -> Ended {
    Ended { reason, message: message.into(), slow: false }
}

/// What the state store cannot do; its message says what the mud must not do without it.
pub(super) fn unavailable(message: String) -> Ended {
    ended(SessionReason::StateUnavailable, message)
}

/// Another process has the session.
pub(super) fn taken_over() -> Ended {
    ended(SessionReason::Standby, "another process of this mud took over")
}

/// Another process may have the session, so that none is opened here.
pub(super) fn may_not_open() -> Ended {
    ended(SessionReason::Standby, "another process of this mud may hold the session")
}

/// An end leaves the loop it is in.
pub(super) fn into_flow<T>(result: Result<T, Ended>) -> ControlFlow<Ended, T> {
    match result {
        Ok(value) => ControlFlow::Continue(value),
        Err(ended) => ControlFlow::Break(ended),
    }
}

/// A router refuses by silence, so all that can be said is what it may be. Without a password that it gave us it may
/// be that, and routers ban an address, and all whose text begins with it, for a hundred wrong ones (dead-souls-router
/// rule 41b).
pub(super) fn refused(mud: &Mud, router: &RouterAddress, password_known: bool) -> Ended {
    let message = format!(
        "{router} did not answer the registration of {:?}, which is how a router refuses. Likely causes: its name \
         is not exactly {:?}; the mud's name is in use from another address; the stored password is wrong and the \
         address is new; too many muds share this address; the name or address is banned",
        mud.name, router.name
    );
    Ended { slow: !password_known, ..ended(SessionReason::RouterRefused, message) }
}

/// Why this process has no session though the router may be there.
pub(super) fn standing_by(duty: Duty) -> (SessionReason, &'static str) {
    match duty {
        Duty::Unknown => (
            SessionReason::StateUnavailable,
            "the session lock cannot be read from the bus, so not registering: NATS is away, or the operator has not \
             prepared it",
        ),
        _ => (SessionReason::Standby, "another process of this mud holds the session"),
    }
}

/// "Another mud is trying to be you."
pub(super) fn is_bad_mojo(packet: &Packet) -> bool {
    matches!(&packet.body, Body::Error(error) if error.code == ErrorPacket::BAD_MOJO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_may_be_wrong_is_not_shown_often() {
        let mud = Mud {
            name: "Dawn".into(),
            port: 4000,
            admin_email: String::new(),
            mudlib: String::new(),
            base_mudlib: String::new(),
            driver: String::new(),
            mud_type: String::new(),
            open_status: String::new(),
            own_services: Vec::new(),
            other_data: Vec::new(),
            oob: Default::default(),
        };
        let router = RouterAddress { name: "*test".into(), host: "h".into(), port: 1 };
        assert!(refused(&mud, &router, false).slow && !refused(&mud, &router, true).slow);
    }
}
