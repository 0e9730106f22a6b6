//! What a gateway says of itself: its metrics, and the detail of its readiness.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Error;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// One look at a gateway.
#[derive(Clone, Debug, Default)]
pub struct Inside {
    /// The text of `/metrics`.
    metrics: String,
    /// The body of `/health/ready`.
    health: Value,
}

impl Inside {
    /// Looks.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn of(observers: SocketAddr) -> Result<Self, Error> {
        let metrics = get(observers, "/metrics").await?;
        let health = serde_json::from_str(&get(observers, "/health/ready").await?).unwrap_or_default();
        Ok(Self { metrics, health })
    }

    /// The sum of all series of a metric that have these labels, as they stand in the text; none when there is none.
    pub fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let values = self.metrics.lines().filter_map(|line| value(line, name, labels));
        values.reduce(|sum, value| sum + value)
    }

    /// What the readiness says at a JSON pointer.
    pub fn health(&self, pointer: &str) -> Option<&Value> {
        self.health.pointer(pointer)
    }

    /// Resident memory, in bytes.
    pub fn memory(&self) -> u64 {
        self.metric("process_resident_memory_bytes", &[]).unwrap_or_default() as u64
    }
}

fn value(line: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let (found, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once("} ")?,
        None => ("", rest.strip_prefix(' ')?),
    };
    let has_all = labels.iter().all(|label| found.split(',').any(|one| one == *label));
    if has_all { value.split(' ').next()?.parse().ok() } else { None }
}

/// The body of what is there.
async fn get(address: SocketAddr, path: &str) -> Result<String, Error> {
    let answer = timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    });
    let late = |_| Error::TooLate { what: format!("an answer for {path}"), seconds: PATIENCE.as_secs() };
    let answer = answer.await.map_err(late)??;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn series_are_found_by_name_and_labels_and_added_up() {
        let metrics = "# TYPE bus_connected gauge\nbus_connected 1\nbus_connected_x 7\n\
                       writes_total{store=\"lock\",reason=\"NoAnswer\"} 2\n\
                       writes_total{store=\"state\",reason=\"NoAnswer\"} 3 1.5\n"
            .to_owned();
        let inside = Inside { metrics, health: json!({"bus": {"state": "connected"}}) };
        assert_eq!(inside.metric("bus_connected", &[]), Some(1.0));
        assert_eq!(inside.metric("writes_total", &["store=\"lock\""]), Some(2.0));
        assert_eq!(inside.metric("writes_total", &["reason=\"NoAnswer\""]), Some(5.0));
        assert_eq!(inside.metric("writes_total", &["reason=\"Refused\""]), None);
        assert_eq!(inside.health("/bus/state"), Some(&json!("connected")));
        assert_eq!(inside.health("/bus/lock"), None);
    }
}
