//! How the session with the router is.

use jiff::Timestamp;
use mudgateway_crds::report::SessionReason;
use serde::{Deserialize, Serialize};

/// How the router session is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// The state, from one vocabulary.
    pub reason: SessionReason,
    /// For a person: what happened, and the likely causes.
    pub message: String,
    /// The router that is meant.
    pub router: Option<String>,
    /// Its host and port.
    pub address: Option<String>,
    /// What names the address that it sees.
    pub egress: Option<String>,
    /// Since when the session is established.
    pub since: Option<Timestamp>,
}

impl SessionStatus {
    /// Before the first attempt has ended.
    pub(crate) fn connecting() -> Self {
        Self {
            reason: SessionReason::Connecting,
            message: "connecting".to_owned(),
            router: None,
            address: None,
            egress: None,
            since: None,
        }
    }

    /// Whether the mud is on the network.
    pub fn is_connected(&self) -> bool {
        self.reason == SessionReason::SessionEstablished
    }
}
