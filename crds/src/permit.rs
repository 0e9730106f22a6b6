//! Connect permits: what a gateway and the operator say to each other before the gateway connects to a router, by requests
//! on [`crate::bus::permit_subject`].
//!
//! Routers close a connection that they accept in the same second of their clock as the one before, so the operator
//! lets one mud after the other connect. Who asks is told at once either to go, or when to ask again: nothing is held
//! open, and an operator that starts anew learns the queue from those who ask again.

use serde::{Deserialize, Serialize};

/// What a gateway says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PermitRequest {
    /// The router's host and port, as it is connected to.
    pub router: String,
    /// What names the address from which the connection will come, as far as the gateway knows it.
    pub egress: String,
    /// What this is about.
    pub step: Step,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Step {
    /// May the mud connect?
    Ask {
        /// For how long it has been asking.
        waited_milliseconds: u64,
        /// Why it connects.
        purpose: Purpose,
        /// Whether the router knows the mud: it gave it a password.
        known: bool,
    },
    /// The router has accepted the mud's connection by now, as its answer shows, or the mud no longer tries.
    Used,
    /// The mud has not reached the router and leaves its turn to another one.
    GivenBack,
}

/// Why a mud connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// It has no session.
    Connect,
    /// This process takes over from another one: it goes first.
    TakeOver,
    /// This process has a session and will close it once its successor may connect at once: it goes first, too.
    HandOver,
}

/// What the operator answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum PermitAnswer {
    /// Connect now.
    Granted {
        /// How long after the question the connecting may begin.
        valid_milliseconds: u64,
    },
    /// Ask again later.
    Wait {
        /// When.
        milliseconds: u64,
        /// How many muds go before.
        ahead: u32,
    },
    /// Too many muds leave by this address for a mud that the router does not know.
    AddressFull {
        /// How many are registered from there.
        muds: u32,
    },
    /// The request was noted, or makes no sense to the operator: connect as if there was no operator.
    Noted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_on_the_bus_stays() {
        let step = Step::Ask { waited_milliseconds: 5, purpose: Purpose::TakeOver, known: true };
        let request = PermitRequest { router: "h:1".into(), egress: "node".into(), step };
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"router":"h:1","egress":"node","step":{"kind":"ask","waitedMilliseconds":5,"purpose":"takeOver","known":true}}"#
        );
        let answer = PermitAnswer::Wait { milliseconds: 20, ahead: 3 };
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"kind":"wait","milliseconds":20,"ahead":3}"#);
    }
}
