//! Why something could not be tried.

use std::io;
use std::path::PathBuf;

/// Why something could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s")]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// A process did not say what it says when it is ready.
    #[error("{process} did not say {text:?} in time; its last words:\n{log}")]
    Silent {
        /// The process.
        process: String,
        /// What was waited for.
        text: String,
        /// The end of its log.
        log: String,
    },
    /// There is no NATS.
    #[error(transparent)]
    NoNats(#[from] testnats::Error),
    /// NATS could not be prepared or asked.
    #[error("NATS: {0}")]
    Nats(#[from] async_nats::Error),
    /// The gateway of the hosted mud cannot be reached.
    #[error(transparent)]
    Connect(#[from] mudclient::ConnectError),
    /// It does not do what it is asked.
    #[error(transparent)]
    Call(#[from] mudclient::CallError),
    /// The document has no place for the table.
    #[error("{0} has no line {1} and the one that belongs to it")]
    NoPlace(PathBuf, &'static str),
    /// There is no small disk to fill.
    #[error(
        "cannot mount a small file system, which needs a mount namespace of one's own (unshare --map-root-user --mount): {0}"
    )]
    NoDisk(String),
    /// An identity cannot be made.
    #[error("an identity for NATS: {0}")]
    Identity(#[from] mudgateway_identity::JwtError),
    /// Or not be read.
    #[error("an identity for NATS: {0}")]
    Credentials(#[from] mudgateway_identity::CredentialsError),
    /// A certificate cannot be made.
    #[error("a certificate for NATS: {0}")]
    Certificate(#[from] rcgen::Error),
    /// There is nothing to upgrade from.
    #[error("which gateway is of the version before? Name it by --previous")]
    NoPrevious,
    /// A signal asked for the end.
    #[error("interrupted")]
    Interrupted,
    /// A socket or a file.
    #[error(transparent)]
    Io(#[from] io::Error),
}
