//! SIGHUP, by which an administrator asks a program to look at its files at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears SIGHUP, which then ends the program no more.
#[derive(Debug)]
pub struct Hangup(Option<Signal>);

impl Hangup {
    /// Listens from now on; in vain where the system has no place for that.
    pub fn listen() -> Self {
        Self(signal(SignalKind::hangup()).ok())
    }

    /// Resolves when it comes.
    pub async fn next(&mut self) {
        let came = match &mut self.0 {
            Some(signal) => signal.recv().await,
            None => None,
        };
        if came.is_none() {
            std::future::pending().await
        }
    }
}
