//! The process that is measured: a gateway. It is killed when dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use i3_router::RunningRouter;
use mudgateway_chaos::nats::Nats;
use mudgateway_chaos::process::{Log, start};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::error::Error;
use crate::swarm::KEY;

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

/// How many were started.
static STARTED: AtomicU32 = AtomicU32::new(0);

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
            // Another one each time: a mud whose process was just killed waits until its lock on NATS has ended.
            .env("MUD_NAME", format!("Benchmarked-{}", STARTED.fetch_add(1, Ordering::Relaxed)))
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
            .envs(nats.map(|nats| ("NATS_URL", format!("nats://{}", nats.address(0)))));
        let (child, log) = start(program, &mut command)?;
        let pid = child.id().unwrap_or_default();
        Ok(Self { log, pid, _child: child, _state: state })
    }

    /// Waits until it is on the network.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn connected(&self) -> Result<(), Error> {
        Ok(self.log.wait("the gateway", "SessionEstablished").await.map(|_| ())?)
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
