//! State in files: written whole or not at all, with the version before as a backup.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt;

/// A state file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the state file {path}: {source}")]
pub struct FileError {
    /// The file.
    path: PathBuf,
    /// Why.
    source: io::Error,
}

/// Reads a file. One that is broken is replaced by its backup: `Some(None)` when that does not help either.
///
/// # Errors
/// [`FileError`] when a file is there but cannot be read.
pub async fn load<T>(
    directory: &Path,
    name: &str,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Result<Option<Option<T>>, FileError> {
    let path = directory.join(name);
    let current = read(&path).await?;
    if let Some(parsed) = current.as_deref().and_then(&parse) {
        return Ok(Some(Some(parsed)));
    }
    let backup = read(&backup(&path)).await?;
    if let Some(parsed) = backup.as_deref().and_then(&parse) {
        tracing::warn!(file = %path.display(), "the state file is missing or broken; using its backup");
        return Ok(Some(Some(parsed)));
    }
    Ok((current.is_some() || backup.is_some()).then_some(None))
}

async fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path).await {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError { path: path.to_owned(), source }),
    }
}

/// Writes beside the file, keeps what was there as the backup, then renames: a crash at any point leaves the old
/// contents or the new ones under one of the two names, never half of them.
///
/// # Errors
/// [`FileError`] when it is not certain that it is on the disk.
pub async fn save(directory: &Path, name: &str, contents: &[u8]) -> Result<(), FileError> {
    let path = directory.join(name);
    let temporary = path.with_file_name(format!("{name}.new"));
    let write = async {
        fs::create_dir_all(directory).await?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&temporary).await?;
        file.write_all(contents).await?;
        file.sync_all().await?;
        match fs::rename(&path, backup(&path)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(&temporary, &path).await?;
        // The names themselves must be on the disk too.
        fs::File::open(directory).await?.sync_all().await
    };
    write.await.map_err(|source| FileError { path, source })
}

fn backup(path: &Path) -> PathBuf {
    path.with_added_extension("bak")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(contents: &[u8]) -> Option<u32> {
        std::str::from_utf8(contents).ok()?.parse().ok()
    }

    #[tokio::test]
    async fn only_the_owner_can_read_what_is_written_and_the_version_before_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("state");
        assert_eq!(load(&directory, "number", digits).await.unwrap(), None);
        save(&directory, "number", b"1").await.unwrap();
        save(&directory, "number", b"22").await.unwrap();
        assert_eq!(load(&directory, "number", digits).await.unwrap(), Some(Some(22)));
        assert_eq!(std::fs::read(directory.join("number.bak")).unwrap(), b"1");
        assert!(!directory.join("number.new").exists());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(directory.join("number")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn the_backup_stands_in_for_a_file_that_is_broken_or_gone() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        save(directory, "number", b"1").await.unwrap();
        save(directory, "number", b"2").await.unwrap();
        for broken in [&b""[..], b"2x", b"\xff\0"] {
            std::fs::write(directory.join("number"), broken).unwrap();
            assert_eq!(load(directory, "number", digits).await.unwrap(), Some(Some(1)));
        }
        // A crash between the two renames.
        std::fs::remove_file(directory.join("number")).unwrap();
        assert_eq!(load(directory, "number", digits).await.unwrap(), Some(Some(1)));
        std::fs::write(directory.join("number.bak"), "x").unwrap();
        assert_eq!(load(directory, "number", digits).await.unwrap(), Some(None));
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_written_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = save(&file, "number", b"1").await.unwrap_err().to_string();
        assert!(error.contains("number"), "{error}");
    }
}
