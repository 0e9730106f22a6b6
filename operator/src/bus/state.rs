//! What the muds keep on NATS, as far as it concerns the operator.

use std::fmt;
use std::time::Duration;

use async_nats::StatusCode;
use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{CreateErrorKind, Store};
use bytes::Bytes;
use futures::StreamExt;
use mudgateway_crds::bus::{
    LOCK_BUCKET, REPORT_BUCKET, STATE_BUCKET, bucket_stream, bucket_subject, lock_key, own_answer_subject,
    own_retire_subject, report_key, state_key, state_keys,
};
use tokio::time::timeout;

use crate::key::Key;

/// The keys of all router passwords.
pub const PASSWORDS: &str = "*.*.password";

/// The field of a mud's state with the namespace that has its name. It is none of those that a gateway may write.
const NAMESPACE: &str = "namespace";

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(5);

/// How long a gateway may take to leave its router: what waits for the router still goes out.
const FAREWELL: Duration = Duration::from_secs(10);

/// The password by which a router knows a mud. Never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password(i64);

impl Password {
    /// Reads one; none if it is no password, for a gateway would refuse to go on with it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        std::str::from_utf8(text).ok()?.trim().parse().ok().map(Self)
    }

    /// As it is stored.
    pub fn text(self) -> String {
        self.0.to_string()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// The name of a mud on a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MudName {
    /// The network.
    pub network: String,
    /// The mud.
    pub mud: String,
}

/// NATS did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no session with it.
    #[error("NATS cannot be reached")]
    Away,
    /// It did not answer.
    #[error("NATS did not answer within {REQUEST:?}")]
    Timeout,
    /// It refused, or the connection was lost.
    #[error("NATS: {0}")]
    Failed(#[source] async_nats::Error),
    /// What is stored is not what it should be.
    #[error(
        "what NATS has as the password of the mud {0:?} is no number: no gateway goes on with it; remove that key"
    )]
    Corrupt(String),
}

/// What became of a request to leave the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The router has been told.
    Said,
    /// No gateway runs.
    NobodyThere,
    /// No gateway that holds the session answered in time.
    NoAnswer,
}

/// The state of the muds on NATS.
#[derive(Clone)]
pub struct MudState {
    jetstream: Context,
    /// Opened once: to open it is a request of its own.
    bucket: Store,
}

impl MudState {
    /// That behind a connection, in this bucket.
    pub fn new(jetstream: Context, bucket: Store) -> Self {
        Self { jetstream, bucket }
    }

    /// The password of a mud, if a router gave it one.
    ///
    /// # Errors
    /// When nobody knows.
    pub async fn password(&self, name: &MudName) -> Result<Option<Password>, Error> {
        let stored = self.get(name, "password").await?;
        let parse = |text: Bytes| Password::parse(&text).ok_or_else(|| Error::Corrupt(name.mud.clone()));
        stored.map(parse).transpose()
    }

    /// Stores a password for a mud that has none; false if it has one by now.
    ///
    /// # Errors
    /// When it is not certain that it is stored.
    pub async fn restore(&self, name: &MudName, password: Password) -> Result<bool, Error> {
        self.create(name, "password", password.text()).await
    }

    /// The namespace that has the name of a mud, if one has.
    ///
    /// # Errors
    /// When nobody knows.
    pub async fn namespace(&self, name: &MudName) -> Result<Option<String>, Error> {
        let stored = self.get(name, NAMESPACE).await?;
        Ok(stored.map(|namespace| String::from_utf8_lossy(&namespace).into_owned()))
    }

    /// Claims the name of a mud for a namespace, and returns the one that has it then.
    ///
    /// # Errors
    /// When nobody knows.
    pub async fn claim(&self, name: &MudName, namespace: &str) -> Result<String, Error> {
        if let Some(holder) = self.namespace(name).await? {
            return Ok(holder);
        }
        if self.create(name, NAMESPACE, namespace.to_owned()).await? {
            return Ok(namespace.to_owned());
        }
        // Another operator was quicker.
        self.namespace(name).await?.ok_or(Error::Timeout)
    }

    async fn get(&self, name: &MudName, field: &str) -> Result<Option<Bytes>, Error> {
        let key = state_key(&name.network, &name.mud, field);
        within(REQUEST, async { Ok(self.bucket.get(key).await?) }).await
    }

    /// Stores a field of a mud's state; false if it is there already.
    async fn create(&self, name: &MudName, field: &str, text: String) -> Result<bool, Error> {
        let key = state_key(&name.network, &name.mud, field);
        let create = async {
            match self.bucket.create(key, text.into()).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error.into()),
            }
        };
        within(REQUEST, create).await
    }

    /// Has the gateway of a mud leave the network for good: its router is told, and no process takes over.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn retire(&self, name: &MudName) -> Result<Farewell, Error> {
        let client = self.jetstream.client();
        let unique = format!("{:032x}", rand::random::<u128>());
        // A gateway may answer on subjects of its mud alone.
        let answer = own_answer_subject(&name.network, &name.mud, &unique);
        let ask = async {
            let answers = client.subscribe(answer.clone()).await?;
            let subject = own_retire_subject(&name.network, &name.mud);
            client.publish_with_reply(subject, answer, Bytes::new()).await?;
            Ok(answers)
        };
        let mut answers = within(REQUEST, ask).await?;
        Ok(match timeout(FAREWELL, answers.next()).await {
            Ok(Some(message)) if message.status == Some(StatusCode::NO_RESPONDERS) => Farewell::NobodyThere,
            Ok(Some(_)) => Farewell::Said,
            Ok(None) | Err(_) => Farewell::NoAnswer,
        })
    }

    /// Forgets the lock and the report of a mud that is gone, and its state, if that is asked for. A name that no router
    /// has given a password for is free in any case.
    ///
    /// # Errors
    /// When it is not certain that they are gone.
    pub async fn forget(&self, name: &MudName, gateway: &Key, state: bool) -> Result<(), Error> {
        let mut gone = vec![
            (LOCK_BUCKET, lock_key(&name.network, &name.mud)),
            (REPORT_BUCKET, report_key(&gateway.namespace, &gateway.name)),
        ];
        if state {
            gone.push((STATE_BUCKET, state_keys(&name.network, &name.mud)));
        } else if matches!(self.password(name).await, Ok(None)) {
            gone.push((STATE_BUCKET, state_key(&name.network, &name.mud, NAMESPACE)));
        }
        for (bucket, keys) in gone {
            let purge = async {
                let stream = self.jetstream.get_stream_no_info(bucket_stream(bucket)).await?;
                stream.purge().filter(bucket_subject(bucket, &keys)).await?;
                Ok(())
            };
            within(REQUEST, purge).await?;
        }
        Ok(())
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, async_nats::Error>>,
) -> Result<T, Error> {
    timeout(limit, work).await.map_err(|_| Error::Timeout)?.map_err(Error::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_number_and_not_shown() {
        for (text, expected) in
            [("559354526", Some("559354526")), (" -1\n", Some("-1")), ("", None), ("hunter2", None)]
        {
            let password = Password::parse(text.as_bytes());
            assert_eq!(password.map(Password::text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(format!("{:?}", Password::parse(b"42")), "Some(Password)");
    }
}
