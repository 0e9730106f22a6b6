//! A file that says what is logged.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::interval;

use super::{Handle, Levels};
use crate::hangup::Hangup;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Follows a file that says what is logged, for ever; also at once when SIGHUP comes. While it is not there or empty,
/// `otherwise` counts; while it cannot be understood, what counted before.
pub async fn follow(path: PathBuf, otherwise: Levels, handle: Handle) {
    let mut hangup = Hangup::listen();
    let mut look = interval(LOOK_EVERY);
    let (mut current, mut told) = (otherwise.clone(), None);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = hangup.next() => {}
        }
        let problem = match read(&path, &otherwise) {
            Ok(levels) => {
                if levels != current {
                    handle.set(&levels);
                    current = levels;
                }
                None
            }
            Err(problem) => Some(problem),
        };
        if problem != told
            && let Some(problem) = &problem
        {
            tracing::warn!(problem, file = %path.display(), "what is logged stays as it was");
        }
        told = problem;
    }
}

fn read(path: &Path, otherwise: &Levels) -> Result<Levels, String> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Ok(otherwise.clone()),
        Ok(text) => text.trim().parse().map_err(|error: super::LevelsError| error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(otherwise.clone()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_wins_while_it_says_something_and_a_bad_one_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("level");
        let otherwise: Levels = "warn".parse().unwrap();
        assert_eq!(read(&path, &otherwise).unwrap(), otherwise);
        std::fs::write(&path, " \n").unwrap();
        assert_eq!(read(&path, &otherwise).unwrap(), otherwise);
        std::fs::write(&path, "debug\n").unwrap();
        assert_eq!(read(&path, &otherwise).unwrap().to_string(), "debug");
        std::fs::write(&path, "loud\n").unwrap();
        assert!(read(&path, &otherwise).unwrap_err().contains("\"loud\" is neither"));
    }
}
