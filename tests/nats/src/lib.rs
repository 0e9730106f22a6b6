//! A real nats-server for tests: a process on loopback with JetStream and a store of its own. It is killed when dropped.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// How long it may take to get ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many of its last words are told when it does not.
const TOLD: usize = 10;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program cannot be run.
    #[error("cannot start {} ({source}): build it with `tests/cluster/tools/build nats-server`", program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its files cannot be written.
    #[error("the files of a nats-server: {0}")]
    Files(#[from] io::Error),
    /// It did not say that it is ready.
    #[error("nats-server did not get ready within {PATIENCE:?}; its last words:\n{0}")]
    NotReady(String),
}

/// What a server is like.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its port; none: one that is free.
    pub port: Option<u16>,
    /// What its configuration has besides.
    pub config: String,
    /// What its configuration has besides about JetStream.
    pub jetstream: String,
    /// More arguments.
    pub args: Vec<String>,
}

/// A nats-server.
pub struct NatsServer {
    program: PathBuf,
    args: Vec<String>,
    port: u16,
    child: Option<Child>,
    data: TempDir,
}

impl NatsServer {
    /// Starts a server with an empty store, and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, or does not get ready.
    pub async fn start(program: impl Into<PathBuf>, options: Options) -> Result<Self, Error> {
        Self::start_in(tempfile::tempdir()?, program, options).await
    }

    /// The same, with its store in this folder.
    ///
    /// # Errors
    /// When it cannot be started, or does not get ready.
    pub async fn start_in(
        data: TempDir,
        program: impl Into<PathBuf>,
        options: Options,
    ) -> Result<Self, Error> {
        let Options { port, config, jetstream, args } = options;
        let jetstream = format!("jetstream {{ store_dir: {:?}, {jetstream} }}", data.path());
        std::fs::write(configuration(&data), format!("{jetstream}\n{config}"))?;
        let mut server = Self { program: program.into(), args, port: 0, child: None, data };
        server.run(port).await?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// The folder of its store.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Whether it was not killed.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Kills it.
    ///
    /// # Errors
    /// When the system does not let us.
    pub async fn kill(&mut self) -> io::Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill().await,
            None => Ok(()),
        }
    }

    /// Starts it again after it was killed, with its data and on its port.
    ///
    /// # Errors
    /// When it cannot be started, or does not get ready.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.run(Some(self.port)).await
    }

    /// Sends it a signal, such as `-STOP`.
    ///
    /// # Errors
    /// When that cannot be done.
    pub async fn signal(&self, signal: &str) -> io::Result<()> {
        let pid = self.child.as_ref().and_then(Child::id).ok_or(io::ErrorKind::NotFound)?;
        let sent = Command::new("kill").args([signal, &pid.to_string()]).status().await?;
        if sent.success() { Ok(()) } else { Err(io::Error::other(format!("kill {signal}: {sent}"))) }
    }

    async fn run(&mut self, port: Option<u16>) -> Result<(), Error> {
        let port = port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
        let mut child = Command::new(&self.program)
            .args(["--addr", "127.0.0.1", "--port", &port, "--config"].map(OsString::from))
            .arg(configuration(&self.data))
            .args(&self.args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| Error::Program { program: self.program.clone(), source })?;
        let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe).map_err(io::Error::from)?;
        let mut lines = BufReader::new(stderr).lines();
        self.port = ready(&mut lines).await?;
        // Read on, or the server would stall on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
        Ok(())
    }
}

fn configuration(data: &TempDir) -> PathBuf {
    data.path().join("nats.conf")
}

/// Waits until it is ready; the port that it says it listens at.
async fn ready(lines: &mut Lines<BufReader<ChildStderr>>) -> Result<u16, Error> {
    let (mut port, mut last) = (None, VecDeque::new());
    let reading = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, address)) = line.split_once("Listening for client connections on ") {
                port = address.rsplit(':').next().and_then(|port| port.parse().ok());
            }
            if line.contains("Server is ready") {
                return port;
            }
            last.push_back(line);
            if last.len() > TOLD {
                last.pop_front();
            }
        }
        None
    };
    let ready = timeout(PATIENCE, reading).await.ok().flatten();
    ready.ok_or_else(|| Error::NotReady(last.make_contiguous().join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_the_program_it_says_where_it_is_from() {
        let error = NatsServer::start("/no/nats-server", Options::default()).await.err().unwrap().to_string();
        assert!(error.starts_with("cannot start /no/nats-server (No such file"), "{error}");
        assert!(error.ends_with("tests/cluster/tools/build nats-server`"), "{error}");
    }

    #[tokio::test]
    async fn what_ends_at_once_has_its_last_words_told() {
        let error = NatsServer::start("ls", Options::default()).await.err().unwrap().to_string();
        assert!(error.contains("last words:\n") && error.contains("--addr"), "{error}");
    }
}
