//! What the link keeps from one session, and one process, to the next.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::routers::{self, Routers};
use super::{Left, spool};
use crate::bus::{Part, StateError, StateStore};

/// How long the store may take to read or keep the password.
const PASSWORD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take for what a mud can do without.
const ROUTERS_TIMEOUT: Duration = Duration::from_secs(3);

/// How long it may take for what waits for the router.
const OUTBOX_TIMEOUT: Duration = Duration::from_secs(3);

/// What is kept of routers, on top of the state store.
#[derive(Clone)]
pub struct Memory(pub StateStore);

/// A password to register with.
#[derive(Clone, Copy)]
pub(super) struct Password {
    pub(super) value: i64,
    /// Whether a router of this network gave it to us.
    pub(super) known: bool,
}

impl Memory {
    /// The stored password, else the configured one, else 0: "I have none".
    ///
    /// # Errors
    /// A message when nobody knows whether one is stored: to register without it would lock the mud out of its name.
    pub(super) async fn password(&self, configured: Option<i64>) -> Result<Password, String> {
        let stored = within(PASSWORD_TIMEOUT, self.0.load_password()).await;
        let stored = stored
            .map_err(|problem| format!("cannot read the router password, so not registering: {problem}"))?;
        Ok(Password { value: stored.or(configured).unwrap_or(0), known: stored.is_some() })
    }

    /// Stores the password that the router gave, before anything else happens: losing it locks the mud out of its own name. Mostly
    /// it is the stored one, with which we registered.
    ///
    /// # Errors
    /// A message when it is not certain that it is kept.
    pub(super) async fn keep_password(&self, shown: Password, given: i64) -> Result<(), String> {
        if shown.known && shown.value == given {
            return Ok(());
        }
        within(PASSWORD_TIMEOUT, self.0.save_password(given))
            .await
            .map_err(|problem| format!("the router gave a password that cannot be kept: {problem}"))
    }

    /// What an earlier process left for the router. What nobody can read is given up: it would be of no use in five
    /// minutes anyway, and to wait for it would leave nothing that waits from now on kept.
    ///
    /// # Errors
    /// A message when nobody knows whether there is anything.
    pub(super) async fn outbox(&self) -> Result<Vec<Left>, String> {
        let parse = |json: &[u8]| spool::parse(json, Timestamp::now());
        let lost = "starting without what waited for the router";
        let left = self.readable(Part::Outbox, parse, lost);
        let lost = "what an earlier process sent just before its end may be sent again";
        let gone = self.readable(Part::Gone, spool::parse_gone, lost);
        // At once: a take-over waits for both.
        let both = async { tokio::try_join!(left, gone) };
        let (mut left, gone) = within(OUTBOX_TIMEOUT, both).await?;
        left.retain(|left| !gone.contains(&left.id));
        Ok(left)
    }

    /// What is stored, if there is anything that can be read.
    async fn readable<T: Default>(
        &self,
        part: Part,
        parse: impl Fn(&[u8]) -> Option<T>,
        lost: &'static str,
    ) -> Result<T, StateError> {
        match self.0.load(part, parse).await {
            Err(error @ StateError::Corrupt(_)) => {
                tracing::warn!(%error, "{lost}");
                Ok(T::default())
            }
            loaded => Ok(loaded?.unwrap_or_default()),
        }
    }

    /// Stores what waits for the router.
    ///
    /// # Errors
    /// A message when it is not certain that it is kept.
    pub(super) async fn keep_outbox(&self, json: Vec<u8>) -> Result<(), String> {
        within(OUTBOX_TIMEOUT, self.0.save(Part::Outbox, json)).await
    }

    /// Stores what went of that since.
    ///
    /// # Errors
    /// A message when it is not certain that it is kept.
    pub(super) async fn keep_gone(&self, json: Vec<u8>) -> Result<(), String> {
        within(OUTBOX_TIMEOUT, self.0.save(Part::Gone, json)).await
    }

    /// Adds the routers that were learned before.
    pub(super) async fn restore(&self, routers: &mut Routers) {
        match within(ROUTERS_TIMEOUT, self.0.load(Part::Routers, routers::parse)).await {
            Ok(stored) => routers.restore(stored.unwrap_or_default()),
            Err(problem) => tracing::warn!(problem, "starting without the routers that were learned before"),
        }
    }

    /// Stores what routers there are. To lose it costs no more than a detour.
    pub(super) async fn keep_routers(&self, routers: &Routers) {
        if let Err(problem) = within(ROUTERS_TIMEOUT, self.0.save(Part::Routers, routers.to_json())).await {
            tracing::warn!(problem, "the router list is not kept");
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, StateError>>) -> Result<T, String> {
    match timeout(limit, work).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the state store does not answer".to_owned()),
    }
}
