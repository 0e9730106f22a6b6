//! The processes that are measured: a gateway, and a nats-server for it. They are killed when dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream;
use i3_router::RunningRouter;
use mudgateway_crds::bus::{CHANNEL_STREAM, CHANNEL_STREAM_SUBJECTS, REPORT_BUCKET, STATE_BUCKET};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::error::Error;
use crate::swarm::KEY;

/// How long a process may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Builds the gateway as it is released, and says where it is.
///
/// # Errors
/// When that fails.
pub async fn build_gateway() -> Result<PathBuf, Error> {
    let cargo = PathBuf::from(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output = Command::new(&cargo)
        .args(["build", "--release", "--package", "mudgateway", "--message-format", "json"])
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| Error::Start { program: cargo, source })?;
    if !output.status.success() {
        return Err(Error::Build(output.status));
    }
    built_program(&String::from_utf8_lossy(&output.stdout)).ok_or(Error::NoProgram)
}

/// The program that cargo says it has built.
fn built_program(messages: &str) -> Option<PathBuf> {
    messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_it = message["reason"] == "compiler-artifact" && message["target"]["name"] == "mudgateway";
        is_it.then(|| message["executable"].as_str().map(PathBuf::from))?
    })
}

/// What a process has said.
#[derive(Clone, Default)]
pub struct Log(Arc<Said>);

#[derive(Default)]
struct Said {
    lines: Mutex<Vec<String>>,
    more: Notify,
}

impl Log {
    /// The first line that holds a text, if there is one.
    pub fn find(&self, text: &str) -> Option<String> {
        self.lines().iter().find(|line| line.contains(text)).cloned()
    }

    async fn wait(&self, process: &'static str, text: &str) -> Result<String, Error> {
        let find = async {
            loop {
                let more = self.0.more.notified();
                if let Some(line) = self.find(text) {
                    return line;
                }
                more.await;
            }
        };
        timeout(PATIENCE, find).await.map_err(|_| {
            let lines = self.lines();
            let log = lines[lines.len().saturating_sub(10)..].join("\n");
            Error::Silent { process, text: text.to_owned(), log }
        })
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a process and follows what it says on its standard error.
fn start(program: &Path, command: &mut Command) -> Result<(Child, Log), Error> {
    let started =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = started.spawn().map_err(|source| Error::Start { program: program.to_owned(), source })?;
    let log = Log::default();
    if let Some(stderr) = child.stderr.take() {
        let (mut lines, said) = (BufReader::new(stderr).lines(), log.clone());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                said.lines().push(line);
                said.0.more.notify_waiters();
            }
        });
    }
    Ok((child, log))
}

/// A gateway.
pub struct Gateway {
    /// What it says.
    pub log: Log,
    /// Its process.
    pub pid: u32,
    _child: Child,
    _state: TempDir,
}

impl Gateway {
    /// Starts one as a mud of a router's.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(program: &Path, router: &RunningRouter, nats: Option<&Nats>) -> Result<Self, Error> {
        let state = tempfile::tempdir()?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("MUD_NAME", "Benchmarked")
            .env("I3_ROUTER_NAME", router.name())
            .env("I3_ROUTER_HOST", router.addr().ip().to_string())
            .env("I3_ROUTER_PORT", router.addr().port().to_string())
            .env("I3_GATEWAY_SECRET", KEY)
            .env("API_WS_HOST", "127.0.0.1")
            .env("API_WS_PORT", "0")
            .env("API_TCP_PORT", "0")
            .env("METRICS_PORT", "0")
            .env("STATE_DIR", state.path())
            // All clients share one key here, and join a channel each.
            .env("API_REQUESTS_PER_MINUTE", "1000000")
            .envs(nats.map(|nats| ("NATS_URL", nats.url())));
        let (child, log) = start(program, &mut command)?;
        let pid = child.id().unwrap_or_default();
        Ok(Self { log, pid, _child: child, _state: state })
    }

    /// Waits until it is on the network.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn connected(&self) -> Result<(), Error> {
        self.log.wait("the gateway", "SessionEstablished").await.map(|_| ())
    }

    /// Where it listens for something.
    ///
    /// # Errors
    /// When it does not say so.
    pub async fn address(&self, what: &str) -> Result<SocketAddr, Error> {
        let line = self.log.wait("the gateway", &format!("\"what\":\"{what}\"")).await?;
        let address = serde_json::from_str::<Value>(&line).ok();
        address
            .and_then(|entry| entry["address"].as_str()?.parse().ok())
            .ok_or(Error::NoAddress { process: "the gateway", line })
    }
}

/// A nats-server with what the operator makes on it.
pub struct Nats {
    address: SocketAddr,
    _child: Child,
    _data: TempDir,
}

impl Nats {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When it cannot be started or prepared.
    pub async fn start(program: &Path) -> Result<Self, Error> {
        let data = tempfile::tempdir()?;
        let mut command = Command::new(program);
        command.args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir"]).arg(data.path());
        let (child, log) = start(program, &mut command)?;
        let line = log.wait("nats-server", "Listening for client connections on ").await?;
        log.wait("nats-server", "Server is ready").await?;
        let address = line.rsplit(' ').next().and_then(|address| address.parse().ok());
        let address = address.ok_or(Error::NoAddress { process: "nats-server", line })?;
        let nats = Self { address, _child: child, _data: data };
        nats.prepare().await.map_err(Error::Nats)?;
        Ok(nats)
    }

    fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Makes what the operator makes.
    async fn prepare(&self) -> Result<(), async_nats::Error> {
        let context = jetstream::new(async_nats::connect(self.url()).await?);
        let stream = jetstream::stream::Config {
            name: CHANNEL_STREAM.to_owned(),
            subjects: vec![CHANNEL_STREAM_SUBJECTS.to_owned()],
            max_age: Duration::from_secs(600),
            ..Default::default()
        };
        context.create_stream(stream).await?;
        for bucket in [STATE_BUCKET, REPORT_BUCKET] {
            let config =
                jetstream::kv::Config { bucket: bucket.to_owned(), history: 1, ..Default::default() };
            context.create_key_value(config).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_in_what_cargo_says() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"mudgateway"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"mudgateway"},"executable":"target/release/mudgateway"}
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"target/release/other"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(built_program(messages), Some(PathBuf::from("target/release/mudgateway")));
        assert_eq!(built_program("no JSON"), None);
    }
}
