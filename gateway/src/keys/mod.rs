//! API keys: what each allows, how fast it may be used, and until when.
//!
//! A key is kept as the SHA-256 of its text and compared in constant time. Keys in files are read again when the
//! files change, without a session that uses another key noticing.

mod attempts;
mod permission;
mod rate;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use mudgateway_crds::api_key;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::sync::lock;

pub use attempts::FailedAttempts;
pub use permission::{Permission, Permissions, UnknownPermission};
use rate::Limiters;
pub use rate::{Rate, RateLimited, RateLimits};

/// A key as it is configured.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySpec {
    /// Where its text is.
    pub source: KeySource,
    /// What it allows.
    pub permissions: Permissions,
    /// How fast it may be used; none: the default.
    pub rate: Option<Rate>,
    /// When it ends to be valid.
    pub expires: Option<Timestamp>,
}

/// Where a key's text is. It has no `Debug`: a key is a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In the configuration itself.
    Given(String),
    /// In a file of its own; blanks around it do not belong to it.
    File(PathBuf),
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("the API key file {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is empty.
    #[error("the API key file {path} is empty: write the key into it")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file of the key before it does not say what that is.
    #[error(
        "the file {path} must hold the key that was used before on its first line, and on its second until when it \
         is valid, such as 2027-01-01T00:00:00Z: write both, or remove the file"
    )]
    Previous {
        /// The file.
        path: PathBuf,
    },
}

/// A key that is valid.
pub struct Key {
    digest: [u8; 32],
    spec: KeySpec,
    limiters: Limiters,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("permissions", &self.spec.permissions).finish_non_exhaustive()
    }
}

impl Key {
    /// A key for tests and for a client that needs none.
    pub fn new(text: &str, permissions: Permissions, limits: &RateLimits) -> Self {
        let source = KeySource::Given(String::new());
        let spec = KeySpec { source, permissions, rate: None, expires: None };
        Self { digest: digest(text), limiters: Limiters::new(limits, None), spec }
    }

    /// What it allows.
    pub fn permissions(&self) -> &Permissions {
        &self.spec.permissions
    }

    /// Counts one use for a method.
    ///
    /// # Errors
    /// [`RateLimited`] when it is used too fast.
    pub fn use_for(&self, method: &'static str) -> Result<(), RateLimited> {
        self.limiters.check(method)
    }
}

/// The keys that are valid now.
pub struct Keyring {
    specs: Vec<KeySpec>,
    limits: RateLimits,
    keys: Mutex<Vec<Arc<Key>>>,
}

impl Keyring {
    /// Reads all keys.
    ///
    /// # Errors
    /// [`KeyError`] for the first file that cannot be read or is empty.
    pub fn load(specs: Vec<KeySpec>, limits: RateLimits, now: Timestamp) -> Result<Self, KeyError> {
        let ring = Self { specs, limits, keys: Mutex::default() };
        ring.reload(now)?;
        Ok(ring)
    }

    /// Reads the files again and leaves out what has expired. True when a key came or went.
    ///
    /// # Errors
    /// [`KeyError`] for the first file that cannot be read or is empty; then nothing changes.
    pub fn reload(&self, now: Timestamp) -> Result<bool, KeyError> {
        let mut found = Vec::with_capacity(self.specs.len());
        for spec in &self.specs {
            if spec.expires.is_none_or(|expires| now < expires) {
                found.push((digest(&text(&spec.source)?), spec));
                if let KeySource::File(path) = &spec.source
                    && let Some((key, until)) = previous(path)?
                    && now < until
                {
                    found.push((digest(&key), spec));
                }
            }
        }
        let mut keys = lock(&self.keys);
        let unchanged = |digest: &[u8; 32], spec: &KeySpec| {
            keys.iter().find(|key| key.digest == *digest && key.spec == *spec).cloned()
        };
        // A key that stays keeps its counts.
        let new: Vec<_> = found
            .into_iter()
            .map(|(digest, spec)| {
                unchanged(&digest, spec).unwrap_or_else(|| {
                    let limiters = Limiters::new(&self.limits, spec.rate);
                    Arc::new(Key { digest, spec: spec.clone(), limiters })
                })
            })
            .collect();
        let same = new.len() == keys.len() && new.iter().zip(keys.iter()).all(|(a, b)| Arc::ptr_eq(a, b));
        *keys = new;
        Ok(!same)
    }

    /// The key with this text. The time it takes does not depend on which it is, or how much of it matches.
    pub fn find(&self, text: &str) -> Option<Arc<Key>> {
        let presented = digest(text);
        let keys = lock(&self.keys);
        let mut found = None;
        for key in keys.iter() {
            if bool::from(presented.ct_eq(&key.digest)) {
                found = Some(Arc::clone(key));
            }
        }
        found
    }

    /// Whether a key that was found is still valid.
    pub fn holds(&self, key: &Key) -> bool {
        let keys = lock(&self.keys);
        keys.iter().any(|valid| valid.digest == key.digest)
    }
}

fn text(source: &KeySource) -> Result<String, KeyError> {
    match source {
        KeySource::Given(text) => Ok(text.clone()),
        KeySource::File(path) => read(path),
    }
}

fn read(path: &Path) -> Result<String, KeyError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| KeyError::Unreadable { path: path.to_owned(), source })?;
    if text.trim().is_empty() {
        return Err(KeyError::Empty { path: path.to_owned() });
    }
    Ok(text)
}

/// The key that was used before the one in this file, and until when it is still valid. It is in a file beside it, so
/// that a new key does not shut out a client that still shows the old one.
fn previous(path: &Path) -> Result<Option<(String, Timestamp)>, KeyError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let path = path.with_file_name(api_key::previous(&name));
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(KeyError::Unreadable { path, source }),
        Ok(text) => text,
    };
    let mut lines = text.lines().map(str::trim);
    let key = lines.next().filter(|key| !key.is_empty()).map(str::to_owned);
    let until = lines.next().and_then(|until| until.parse().ok());
    key.zip(until).map(Some).ok_or(KeyError::Previous { path })
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.trim().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(source: KeySource, expires: Option<Timestamp>) -> KeySpec {
        KeySpec { source, permissions: Permissions::all(), rate: None, expires }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn keys_come_from_the_configuration_and_from_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "from-file\n").unwrap();
        let specs =
            vec![spec(KeySource::Given("given".into()), None), spec(KeySource::File(file.clone()), None)];
        let ring = Keyring::load(specs, RateLimits::default(), at(0)).unwrap();
        assert!(ring.find("given").is_some() && ring.find("from-file").is_some());
        for wrong in ["", "give", "givenn", "from-file2"] {
            assert!(ring.find(wrong).is_none(), "{wrong:?}");
        }
        std::fs::write(&file, " \n").unwrap();
        assert!(matches!(ring.reload(at(0)), Err(KeyError::Empty { .. })));
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(ring.reload(at(0)), Err(KeyError::Unreadable { .. })));
        assert!(ring.find("from-file").is_some(), "a file that cannot be read changes nothing");
    }

    #[test]
    fn a_key_that_is_replaced_is_no_longer_valid_and_the_others_stay_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "old").unwrap();
        let specs =
            vec![spec(KeySource::Given("given".into()), None), spec(KeySource::File(file.clone()), None)];
        let ring = Keyring::load(specs, RateLimits::default(), at(0)).unwrap();
        let (given, old) = (ring.find("given").unwrap(), ring.find("old").unwrap());
        assert!(!ring.reload(at(0)).unwrap());
        std::fs::write(&file, "new").unwrap();
        assert!(ring.reload(at(0)).unwrap());
        assert!(ring.find("old").is_none() && ring.find("new").is_some());
        assert!(!ring.holds(&old) && ring.holds(&given));
        assert!(Arc::ptr_eq(&given, &ring.find("given").unwrap()));
    }

    #[test]
    fn the_key_before_is_valid_for_a_while_beside_the_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let (file, previous) = (directory.path().join("token"), directory.path().join("token.previous"));
        std::fs::write(&file, "old").unwrap();
        let ring =
            Keyring::load(vec![spec(KeySource::File(file.clone()), None)], RateLimits::default(), at(0))
                .unwrap();
        let old = ring.find("old").unwrap();
        std::fs::write(&file, "new").unwrap();
        std::fs::write(&previous, "old\n1970-01-01T00:00:10Z\n").unwrap();
        assert!(ring.reload(at(9)).unwrap());
        assert!(ring.find("new").is_some() && ring.find("old").is_some() && ring.holds(&old));
        assert!(!ring.reload(at(9)).unwrap(), "nothing has changed");
        assert!(ring.reload(at(10)).unwrap());
        assert!(ring.find("new").is_some() && ring.find("old").is_none() && !ring.holds(&old));
        for wrong in ["", "old", "old\nsoon", "\n1970-01-01T00:00:10Z"] {
            std::fs::write(&previous, wrong).unwrap();
            assert!(matches!(ring.reload(at(9)), Err(KeyError::Previous { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_ends_when_it_expires() {
        let specs = vec![spec(KeySource::Given("given".into()), Some(at(10)))];
        let ring = Keyring::load(specs, RateLimits::default(), at(9)).unwrap();
        assert!(ring.find("given").is_some());
        assert!(ring.reload(at(10)).unwrap());
        assert!(ring.find("given").is_none());
    }
}
