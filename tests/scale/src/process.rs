//! The operator. Killed when dropped.

use std::fs::File;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use testnats::NatsServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::report::Load;
use crate::{Args, Error, Result};

/// How long a program may take to do what it should.
const PATIENCE: Duration = Duration::from_secs(120);

const HTTP: &str = "127.0.0.1:9090";

/// Ticks of the processor's clock in a second, as Linux counts them for programs.
const TICKS: u64 = 100;

/// An operator.
pub struct Operator {
    child: Mutex<Child>,
    pid: u32,
}

impl Operator {
    /// Starts it; what it logs goes to a file.
    pub fn start(args: &Args, nats: &NatsServer, log: &File) -> Result<Self> {
        let child = Command::new(&args.operator)
            .args(["--gateway-image=gateway:scale", "--log-level=warn", "--http-listen", HTTP, "--nats-url"])
            .arg(nats.url())
            .env("KUBECONFIG", &args.operator_kubeconfig)
            .env("LEASE_NAMESPACE", "mudgateway-system")
            .env("POD_NAME", "scale-operator")
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::Start(args.operator.clone(), error))?;
        // There is one until the child has been waited for.
        let pid = child.id().unwrap_or_default();
        Ok(Self { child: Mutex::new(child), pid })
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.pid.to_string()]).status().await?;
        self.child.into_inner().unwrap_or_else(PoisonError::into_inner).wait().await?;
        Ok(())
    }

    /// Waits for something that comes about only while it runs: fails at once when it ends.
    pub async fn during<T>(&self, what: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = what => done,
            ended = self.ended() => Err(Error::Ended(ended?)),
        }
    }

    async fn ended(&self) -> Result<ExitStatus> {
        loop {
            let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()?;
            if let Some(status) = status {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until it is ready, and has looked at so many MudGateways.
    pub async fn synced(&self, count: usize) -> Result<()> {
        let began = Instant::now();
        loop {
            let looked_at = match get("/readyz").await {
                Some(answer) if answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200") => {
                    Some(reconciled(&get("/metrics").await.unwrap_or_default()))
                }
                _ => None,
            };
            if looked_at.is_some_and(|looked_at| looked_at >= count) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                let last = format!("looked at {looked_at:?}");
                return Err(Error::Timeout { what: "the operator was not ready", within: PATIENCE, last });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it has used so far.
    pub fn load(&self) -> Result<Load> {
        let pid = self.pid;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Ok(Load {
            resident: kilobytes(&status, "VmRSS:") * 1024,
            peak: kilobytes(&status, "VmHWM:") * 1024,
            cpu: cpu(&stat),
        })
    }
}

async fn get(path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(HTTP).await.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

/// How many reconciliations have ended, by the operator's metrics.
fn reconciled(metrics: &str) -> usize {
    let counts = metrics.lines().filter(|line| line.starts_with("i3op_reconcile_total{"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map(|count| count as usize).sum()
}

fn kilobytes(status: &str, field: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// The 14th and 15th field, of which the second may hold blanks.
fn cpu(stat: &str) -> Duration {
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_the_operator_ends_what_waits_for_it() {
        let child = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
        let operator = Operator { pid: child.id().unwrap(), child: Mutex::new(child) };
        let waited = operator.during(std::future::pending::<Result<()>>()).await;
        assert!(matches!(waited, Err(Error::Ended(status)) if status.code() == Some(3)));
    }

    #[test]
    fn what_linux_and_the_operator_tell_is_understood() {
        assert_eq!(kilobytes("VmHWM:\t   2048 kB\nVmRSS:\t 1024 kB\n", "VmRSS:"), 1024);
        assert_eq!(cpu("7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0"), Duration::from_secs(2));
        let metrics =
            "# x\ni3op_reconcile_total{outcome=\"Applied\"} 7\ni3op_reconcile_total{outcome=\"Failed\"} 1\n";
        assert_eq!(reconciled(metrics), 8);
    }
}
