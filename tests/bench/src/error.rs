//! Why something could not be measured.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why something could not be measured.
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
    /// The gateway could not be built.
    #[error("cannot build the gateway ({0}): build it by hand and name it with --gateway")]
    Build(ExitStatus),
    /// The build did not say where the program is.
    #[error("the build of the gateway named no program: build it by hand and name it with --gateway")]
    NoProgram,
    /// A process could not be started, or did not get ready.
    #[error(transparent)]
    Process(#[from] mudgateway_chaos::Error),
    /// A process said where it listens, but not in a form that can be read.
    #[error("{process} named no address in {line:?}")]
    NoAddress {
        /// The process.
        process: &'static str,
        /// What it said.
        line: String,
    },
    /// The router did not see something.
    #[error("the router did not see {0} in time")]
    Unseen(&'static str),
    /// A file under /proc is missing or of another form.
    #[error("cannot read {path}: {why}")]
    Proc {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A client saw something it must not, or its connection ended.
    #[error("client {client}: {what}")]
    Client {
        /// Which.
        client: usize,
        /// What happened.
        what: String,
    },
    /// Clients did not get all messages.
    #[error("a client had {received} of {expected} messages when the time was up")]
    Lost {
        /// What the client that is furthest behind has.
        received: u64,
        /// What was said.
        expected: u64,
    },
    /// The clients were not there in time.
    #[error("{ready} of {wanted} clients were ready in time")]
    NotReady {
        /// How many were.
        ready: usize,
        /// How many were to be.
        wanted: usize,
    },
    /// What the gateway sends does not look as expected.
    #[error("the gateway sent {0}")]
    Protocol(&'static str),
    /// The whole took too long.
    #[error("not done after {0} s")]
    TooLong(u64),
    /// A signal asked for the end.
    #[error("interrupted")]
    Interrupted,
    /// A file that was to be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A socket, a thread.
    #[error(transparent)]
    Io(#[from] io::Error),
}
