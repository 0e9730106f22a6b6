//! What must outlive the process: the password the router gave this mud.

use std::io;
use std::path::{Path, PathBuf};

use async_nats::jetstream;
use mudgateway_crds::bus::{STATE_BUCKET, state_key};

/// The field of the password in the bucket, and the file's name in standalone mode (the Python gateway's).
const PASSWORD: &str = "password";
const PASSWORD_FILE: &str = "router-password";

/// Where state is kept.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub enum StateStore {
    /// Files in a directory: standalone mode.
    Files(PathBuf),
    /// The key-value bucket of the bus.
    Bus {
        /// The connection.
        context: jetstream::Context,
        /// The network's name.
        network: String,
        /// The mud's name.
        mud: String,
    },
}

/// State that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file.
    #[error("the state file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bus.
    #[error("the state bucket {STATE_BUCKET} on the bus: {0}")]
    Bus(async_nats::Error),
    /// Something is stored, but it is no password.
    #[error("what is stored as the router password is not a number; remove it to register anew")]
    Corrupt,
}

impl StateStore {
    /// The stored password, if there is one.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read: then nobody knows whether there is one.
    pub async fn load_password(&self) -> Result<Option<i64>, StateError> {
        let stored = match self {
            Self::Files(directory) => read_file(&directory.join(PASSWORD_FILE)).await?,
            Self::Bus { context, network, mud } => {
                let bucket = context.get_key_value(STATE_BUCKET).await.map_err(bus_error)?;
                let value = bucket.get(state_key(network, mud, PASSWORD)).await.map_err(bus_error)?;
                value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            }
        };
        stored.map(|text| text.trim().parse().map_err(|_| StateError::Corrupt)).transpose()
    }

    /// Stores the password.
    ///
    /// # Errors
    /// [`StateError`] when it is not certain that it is stored.
    pub async fn save_password(&self, password: i64) -> Result<(), StateError> {
        let text = password.to_string();
        match self {
            Self::Files(directory) => write_file(directory, &text).await,
            Self::Bus { context, network, mud } => {
                let bucket = context.get_key_value(STATE_BUCKET).await.map_err(bus_error)?;
                let key = state_key(network, mud, PASSWORD);
                bucket.put(key, text.into_bytes().into()).await.map_err(bus_error)?;
                Ok(())
            }
        }
    }
}

fn bus_error(error: impl Into<async_nats::Error>) -> StateError {
    StateError::Bus(error.into())
}

async fn read_file(path: &Path) -> Result<Option<String>, StateError> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::File { path: path.to_owned(), source }),
    }
}

/// Writes beside the file, then renames: a crash leaves the old password or the new one, never half of one.
async fn write_file(directory: &Path, text: &str) -> Result<(), StateError> {
    let path = directory.join(PASSWORD_FILE);
    let temporary = directory.join(format!("{PASSWORD_FILE}.new"));
    let write = async {
        tokio::fs::create_dir_all(directory).await?;
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&temporary).await?;
        tokio::io::AsyncWriteExt::write_all(&mut file, text.as_bytes()).await?;
        file.sync_all().await?;
        tokio::fs::rename(&temporary, &path).await
    };
    write.await.map_err(|source| StateError::File { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_survives_in_a_file_only_its_owner_can_read() {
        let directory = tempfile::tempdir().unwrap();
        let store = StateStore::Files(directory.path().join("state"));
        assert_eq!(store.load_password().await.unwrap(), None);
        store.save_password(559_354_526).await.unwrap();
        store.save_password(-1).await.unwrap();
        assert_eq!(store.load_password().await.unwrap(), Some(-1));
        let file = directory.path().join("state").join(PASSWORD_FILE);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&file, "half a pass").unwrap();
        assert!(matches!(store.load_password().await, Err(StateError::Corrupt)));
    }
}
