//! The processes that are broken. They are killed when dropped.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mudclient::{Client, Options};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::secure::Identity;
use crate::{Error, KEY, PROVIDER_CHANNEL};

/// How long a process may take to get ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lines of its log that are kept.
const KEPT_LINES: usize = 2000;

/// What a process has said.
#[derive(Clone, Default)]
pub struct Log(Arc<Said>);

#[derive(Default)]
struct Said {
    lines: Mutex<VecDeque<String>>,
    more: Notify,
}

impl Log {
    /// The last line that holds a text, if there is one.
    pub fn last(&self, text: &str) -> Option<String> {
        self.lines().iter().rev().find(|line| line.contains(text)).cloned()
    }

    /// Its last words.
    pub fn tail(&self, lines: usize) -> String {
        let said = self.lines();
        let skip = said.len().saturating_sub(lines);
        said.iter().skip(skip).cloned().collect::<Vec<_>>().join("\n")
    }

    /// Waits for a line that holds a text.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn wait(&self, process: &str, text: &str) -> Result<String, Error> {
        let find = async {
            loop {
                let more = self.0.more.notified();
                if let Some(line) = self.last(text) {
                    return line;
                }
                more.await;
            }
        };
        timeout(PATIENCE, find).await.map_err(|_| Error::Silent {
            process: process.to_owned(),
            text: text.to_owned(),
            log: self.tail(10),
        })
    }

    fn push(&self, line: String) {
        let mut lines = self.lines();
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
        drop(lines);
        self.0.more.notify_waiters();
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a process and follows what it says on its standard error.
///
/// # Errors
/// When it cannot be started.
pub fn start(program: &Path, command: &mut Command) -> Result<(Child, Log), Error> {
    let started =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = started.spawn().map_err(|source| Error::Start { program: program.to_owned(), source })?;
    let log = Log::default();
    if let Some(stderr) = child.stderr.take() {
        let (mut lines, said) = (BufReader::new(stderr).lines(), log.clone());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                said.push(line);
            }
        });
    }
    Ok((child, log))
}

/// Sends a signal, such as `-STOP`, to a process of ours.
///
/// # Errors
/// When it has ended.
pub async fn signal(child: &Child, signal: &str) -> Result<(), Error> {
    let gone = || std::io::Error::other("the process has ended");
    let pid = child.id().ok_or_else(gone)?.to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().await?;
    if sent.success() { Ok(()) } else { Err(gone().into()) }
}

/// Where a gateway finds what it needs.
#[derive(Clone, Debug)]
pub struct Place {
    /// The mud it is.
    pub mud: String,
    /// The router's name.
    pub router_name: String,
    /// The router, or the proxy before it.
    pub router: SocketAddr,
    /// NATS, or the proxy before it.
    pub nats: SocketAddr,
    /// By what it logs in there, if NATS asks for that.
    pub identity: Option<Identity>,
}

/// A gateway.
pub struct Gateway {
    /// What it says.
    pub log: Log,
    /// Where its clients connect to.
    pub address: SocketAddr,
    /// Where its metrics and its health are.
    pub observers: SocketAddr,
    child: Child,
    _state: TempDir,
}

impl Gateway {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(program: &Path, place: &Place) -> Result<Self, Error> {
        let state = tempfile::tempdir()?;
        let config = state.path().join("config.yaml");
        let channels =
            format!("channels: {{default_channels: [{{name: {PROVIDER_CHANNEL}, scope: provider}}]}}");
        std::fs::write(&config, channels)?;
        let mut command = Command::new(program);
        command
            .arg("--config")
            .arg(config)
            .env_clear()
            .env("MUD_NAME", &place.mud)
            .env("I3_ROUTER_NAME", &place.router_name)
            .env("I3_ROUTER_HOST", place.router.ip().to_string())
            .env("I3_ROUTER_PORT", place.router.port().to_string())
            .env("I3_GATEWAY_SECRET", KEY)
            .env("API_WS_HOST", "127.0.0.1")
            .env("API_WS_PORT", "0")
            .env("API_TCP_PORT", "0")
            .env("METRICS_PORT", "0")
            .env("STATE_DIR", state.path())
            .env("API_REQUESTS_PER_MINUTE", "1000000")
            .env("LOG_LEVEL", "info");
        match &place.identity {
            None => _ = command.env("NATS_URL", format!("nats://{}", place.nats)),
            Some(identity) => {
                let file = state.path().join("nats.creds");
                std::fs::write(&file, &identity.credentials)?;
                command
                    .env("NATS_URL", format!("tls://{}", place.nats))
                    .env("NATS_CREDENTIALS_FILE", file)
                    .env("NATS_CA_FILE", &identity.ca);
            }
        }
        let (child, log) = start(program, &mut command)?;
        let address = listens(&log, &place.mud, "WebSocket and health").await?;
        let observers = listens(&log, &place.mud, "metrics").await?;
        Ok(Self { log, address, observers, child, _state: state })
    }

    /// Whether the session lock is another's, as far as it knows.
    pub fn stands_by(&self) -> bool {
        self.log.last("\"session lock\"").is_some_and(|line| line.contains("\"to\":\"Standby\""))
    }

    /// Whether the session lock is its own, as far as it knows.
    pub fn holds(&self) -> bool {
        self.log.last("\"session lock\"").is_some_and(|line| line.contains("\"to\":\"Holder\""))
    }

    /// Whether it says that the mud is on the network.
    pub async fn is_connected(&self) -> bool {
        let Ok(client) = open(self.address).await else { return false };
        client.call("status", json!({})).await.is_ok_and(|status| status["connected"] == true)
    }

    /// Sends a signal, such as `-STOP`.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn signal(&self, name: &str) -> Result<(), Error> {
        signal(&self.child, name).await
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ended(&mut self) -> Result<(), Error> {
        let late =
            |_| Error::TooLate { what: "the end of a gateway".to_owned(), seconds: PATIENCE.as_secs() };
        timeout(PATIENCE, self.child.wait()).await.map_err(late)??;
        Ok(())
    }
}

/// Where a gateway says that it listens for something.
async fn listens(log: &Log, mud: &str, what: &str) -> Result<SocketAddr, Error> {
    let line = log.wait(mud, &format!("\"what\":\"{what}\"")).await?;
    let said = serde_json::from_str::<Value>(&line).unwrap_or_default();
    let address = said["address"].as_str().and_then(|address| address.parse().ok());
    Ok(address.ok_or_else(|| std::io::Error::other("the gateway does not say where it listens"))?)
}

/// A client that gives up soon.
///
/// # Errors
/// When there is no gateway, or it does not answer.
pub async fn open(address: SocketAddr) -> Result<Client, Error> {
    let client = connect(address).await?;
    client.authenticate(KEY).await?;
    Ok(client)
}

/// The same before it authenticates.
///
/// # Errors
/// When there is no gateway.
pub async fn connect(address: SocketAddr) -> Result<Client, Error> {
    let soon = Duration::from_millis(1500);
    let options = Options { api_key: None, connect_timeout: soon, call_timeout: soon };
    Ok(Client::connect_with(&format!("ws://{address}/ws"), options).await?)
}
