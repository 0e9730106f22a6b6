//! What outlives the process: the password the router gave this mud, the routers it named, and its lists.

use std::time::Instant;

use async_nats::jetstream;
use mudgateway_crds::bus::{STATE_BUCKET, state_key};

use super::files::{self, FileError};
use super::kv::Bucket;
use super::{Store, WriteTrouble, Writes};

/// A part of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The router's password, a number. Losing it locks the mud out of its own name.
    Password,
    /// The routers that the last one named, in JSON.
    Routers,
    /// The mudlist, as the packet it came in.
    Mudlist,
    /// The channel list, as the packet it came in.
    Chanlist,
    /// What waits for the router, in JSON.
    Outbox,
    /// What went of that since, as numbers in JSON.
    Gone,
    /// The tells that wait for a client, in JSON.
    Kept,
    /// What is known of users of other muds, in JSON.
    Ucache,
}

impl Part {
    /// The field in the bucket.
    fn field(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Routers => "routers",
            Self::Mudlist => "mudlist",
            Self::Chanlist => "chanlist",
            Self::Outbox => "outbox",
            Self::Gone => "gone",
            Self::Kept => "kept",
            Self::Ucache => "ucache",
        }
    }

    /// Whether an earlier state would do harm: the mud locked out, or its users' words lost or doubled.
    fn must_be_current(self) -> bool {
        matches!(self, Self::Password | Self::Outbox | Self::Gone | Self::Kept)
    }

    /// The file in standalone mode; the password's has the Python gateway's name.
    fn file(self) -> &'static str {
        match self {
            Self::Password => "router-password",
            Self::Routers => "routers.json",
            Self::Mudlist => "mudlist.lpc",
            Self::Chanlist => "chanlist.lpc",
            Self::Outbox => "outbox.json",
            Self::Gone => "gone.json",
            Self::Kept => "kept.json",
            Self::Ucache => "ucache.json",
        }
    }
}

/// Where state is kept.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub enum StateStore {
    /// Files in a directory: standalone mode.
    Files(std::path::PathBuf),
    /// The key-value bucket of the bus.
    Bus {
        /// The connection.
        context: jetstream::Context,
        /// The network's name.
        network: String,
        /// The mud's name.
        mud: String,
        /// Takes note of how writes go.
        writes: Writes,
    },
}

/// State that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The bus.
    #[error("the state bucket {STATE_BUCKET} on the bus: {0}")]
    Bus(async_nats::Error),
    /// Something is stored, but it is not what it should be.
    #[error("what is stored as the {0} cannot be read; remove it to start without")]
    Corrupt(&'static str),
}

impl StateStore {
    /// Reads a part, if it is there. A file that `parse` does not take is replaced by its backup.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read: then nobody knows whether it is there.
    pub async fn load<T>(
        &self,
        part: Part,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StateError> {
        let corrupt = || StateError::Corrupt(part.field());
        match self {
            Self::Files(directory) => {
                let found = files::load(directory, part.file(), parse).await?;
                found.map(|parsed| parsed.ok_or_else(corrupt)).transpose()
            }
            Self::Bus { context, network, mud, .. } => {
                let (bucket, key) =
                    (Bucket::new(context, STATE_BUCKET), state_key(network, mud, part.field()));
                let value =
                    if part.must_be_current() { bucket.current(&key).await } else { bucket.get(&key).await };
                let value = value.map_err(StateError::Bus)?;
                value.map(|bytes| parse(&bytes).ok_or_else(corrupt)).transpose()
            }
        }
    }

    /// Stores a part.
    ///
    /// # Errors
    /// [`StateError`] when it is not certain that it is stored.
    pub async fn save(&self, part: Part, contents: Vec<u8>) -> Result<(), StateError> {
        match self {
            Self::Files(directory) => Ok(files::save(directory, part.file(), &contents).await?),
            Self::Bus { context, network, mud, writes } => {
                let key = state_key(network, mud, part.field());
                let sent = Instant::now();
                let stored = Bucket::new(context, STATE_BUCKET).put(&key, contents.into()).await;
                writes.done(Store::State, sent, stored.as_ref().err().map(WriteTrouble::from));
                stored.map_err(|error| StateError::Bus(error.into()))
            }
        }
    }

    /// The stored password, if there is one.
    ///
    /// # Errors
    /// As [`StateStore::load`].
    pub async fn load_password(&self) -> Result<Option<i64>, StateError> {
        self.load(Part::Password, |text| std::str::from_utf8(text).ok()?.trim().parse().ok()).await
    }

    /// Stores the password.
    ///
    /// # Errors
    /// As [`StateStore::save`].
    pub async fn save_password(&self, password: i64) -> Result<(), StateError> {
        self.save(Part::Password, password.to_string().into_bytes()).await
    }
}

#[cfg(test)]
mod tests {
    use mudgateway_crds::bus::STATE_FIELDS;

    use super::*;

    #[test]
    fn every_part_may_be_stored_on_the_bus_and_nothing_else() {
        let parts = [
            Part::Password,
            Part::Routers,
            Part::Mudlist,
            Part::Chanlist,
            Part::Outbox,
            Part::Gone,
            Part::Kept,
            Part::Ucache,
        ];
        assert_eq!(parts.map(Part::field), STATE_FIELDS);
    }

    #[tokio::test]
    async fn a_password_survives_and_a_broken_one_is_never_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let store = StateStore::Files(directory.path().join("state"));
        assert_eq!(store.load_password().await.unwrap(), None);
        store.save_password(559_354_526).await.unwrap();
        store.save_password(-1).await.unwrap();
        assert_eq!(store.load_password().await.unwrap(), Some(-1));
        for file in ["router-password", "router-password.bak"] {
            std::fs::write(directory.path().join("state").join(file), "half a pass").unwrap();
        }
        assert!(matches!(store.load_password().await, Err(StateError::Corrupt("password"))));
    }
}
