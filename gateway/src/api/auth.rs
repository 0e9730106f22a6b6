//! API keys: kept as digests, compared in constant time.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The keys clients may authenticate with.
pub struct Keyring {
    digests: Vec<[u8; 32]>,
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
}

impl Keyring {
    /// Takes keys given as they are, and reads those in files. Blanks around a key do not belong to it.
    ///
    /// # Errors
    /// [`KeyError`] for the first file that cannot be read or is empty.
    pub fn load(keys: &[String], files: &[PathBuf]) -> Result<Self, KeyError> {
        let mut digests: Vec<_> = keys.iter().map(|key| digest(key)).collect();
        for file in files {
            digests.push(digest(&read(file)?));
        }
        Ok(Self { digests })
    }

    /// Whether a key is one of ours. The time it takes does not depend on which, or how much of it matches.
    pub fn accepts(&self, key: &str) -> bool {
        let presented = digest(key);
        let mut found = subtle::Choice::from(0);
        for known in &self.digests {
            found |= presented.ct_eq(known);
        }
        found.into()
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

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.trim().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_the_configuration_and_from_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "from-file\n").unwrap();
        let keyring = Keyring::load(&["given".to_owned()], std::slice::from_ref(&file)).unwrap();
        assert!(keyring.accepts("given") && keyring.accepts("from-file"));
        for wrong in ["", "give", "givenn", "from-file2"] {
            assert!(!keyring.accepts(wrong), "{wrong:?}");
        }
        std::fs::write(&file, " \n").unwrap();
        assert!(matches!(Keyring::load(&[], std::slice::from_ref(&file)), Err(KeyError::Empty { .. })));
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(Keyring::load(&[], &[file]), Err(KeyError::Unreadable { .. })));
    }
}
