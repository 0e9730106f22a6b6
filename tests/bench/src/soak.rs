//! A gateway under a steady load for a long time: whether memory or descriptors grow, and whether anything is lost.

use std::fmt::{self, Display};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mudclient::{Client, Options};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::{Instant, timeout};

use crate::error::Error;
use crate::process::Memory;
use crate::scenario::{Bench, Rig};
use crate::speaker::Pace;
use crate::stamp::StampFinder;
use crate::swarm::{CHANNEL, KEY};
use crate::wire::Transport;

/// Clients that stay, beside the one that comes and goes.
const CLIENTS: usize = 199;

/// Messages in a second.
const RATE: u32 = 50;

/// How long the client that comes and goes stays.
const STAYS: Duration = Duration::from_secs(1);

/// How often memory and descriptors are looked at, in seconds.
const LOOK_EVERY: u64 = 5;

/// How long the last messages may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The most that memory may grow, in MB an hour.
const SLOPE: f64 = 1.0;

/// What a soak showed.
pub struct Soak {
    minutes: u64,
    heard: u64,
    reconnects: u64,
    /// Why a client that should have heard everything did not.
    lost: Option<Error>,
    /// Anonymous memory in bytes by seconds, after half of the time: then all that is kept for a while is full.
    memory: Vec<(f64, f64)>,
    /// Open descriptors then and at the end.
    descriptors: (usize, usize),
}

/// Lets a gateway work for some minutes, with NATS if there is one.
///
/// # Errors
/// When it cannot be measured.
pub async fn soak(bench: &Bench, minutes: u64) -> Result<Soak, Error> {
    let rig = Rig::start(bench, bench.nats.as_ref()).await?;
    let swarm = rig.clients(bench, Transport::WebSocket, CLIENTS).await?;
    let restless = Restless::new(format!("ws://{}/ws", rig.endpoint(Transport::WebSocket).await?.address));
    let (reconnects, failure) = (Arc::clone(&restless.reconnects), restless.failure.subscribe());
    let (stop, stopped) = watch::channel(false);
    let coming_and_going = bench.driver.spawn(restless.come_and_go(stopped));
    let mut speaker = rig.speaker(bench)?;
    let (start, seconds) = (Instant::now(), minutes * 60);
    let (mut memory, mut descriptors) = (Vec::new(), (0, 0));
    let mut lost = None;
    for second in 0..seconds {
        block_in_place(|| {
            speaker.paced(Pace { rate: RATE, count: u64::from(RATE), recorded: true }, || true)
        })?;
        if let Err(error) = swarm.tally.check() {
            lost = Some(error);
            break;
        }
        if second % LOOK_EVERY == 0 && second >= seconds / 2 {
            let now = Memory::of(rig.gateway.pid)?;
            memory.push((start.elapsed().as_secs_f64(), now.anonymous as f64));
            if descriptors.0 == 0 {
                descriptors.0 = open_files(rig.gateway.pid)?;
            }
        }
        if second % 60 == 59 {
            let now = Memory::of(rig.gateway.pid)?.anonymous as f64 / 1e6;
            eprintln!(
                "minute {} of {minutes}: {now:.2} MB, {} descriptors",
                second / 60 + 1,
                open_files(rig.gateway.pid)?
            );
        }
    }
    // What has ended before hears of it.
    stop.send_replace(true);
    let _ = coming_and_going.await;
    if lost.is_none() {
        lost = swarm.heard(speaker.said(), ARRIVAL).await.err();
    }
    if lost.is_none() {
        lost = failure.borrow().clone().map(|what| Error::Client { client: CLIENTS, what });
    }
    descriptors.1 = open_files(rig.gateway.pid)?;
    let heard = swarm.tally.total();
    Ok(Soak { minutes, heard, reconnects: reconnects.load(Ordering::Relaxed), lost, memory, descriptors })
}

/// How many descriptors a process has open.
fn open_files(pid: u32) -> Result<usize, Error> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// A client that reconnects each second, goes on where it was, and must miss nothing.
struct Restless {
    url: String,
    reconnects: Arc<AtomicU64>,
    failure: watch::Sender<Option<String>>,
    finder: StampFinder,
    /// The last message of the mud that speaks.
    last: Option<u64>,
}

impl Restless {
    fn new(url: String) -> Self {
        Self {
            url,
            reconnects: Arc::default(),
            failure: watch::Sender::default(),
            finder: StampFinder::default(),
            last: None,
        }
    }

    async fn come_and_go(mut self, stopped: watch::Receiver<bool>) {
        let mut resume = None;
        while !*stopped.borrow() {
            match self.stay(resume.take()).await {
                Ok(next) => resume = Some(next),
                Err(what) => {
                    self.failure.send_replace(Some(what));
                    return;
                }
            }
            self.reconnects.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Stays for a while; returns from where to go on.
    async fn stay(&mut self, resume: Option<Value>) -> Result<Value, String> {
        let said = |error: &dyn Display| error.to_string();
        let options = Options { api_key: None, connect_timeout: ARRIVAL, call_timeout: ARRIVAL };
        let client = Client::connect_with(&self.url, options).await.map_err(|error| said(&error))?;
        let mut params = json!({"api_key": KEY});
        if let Some(resume) = &resume {
            params["resume"] = resume.clone();
        }
        let welcome = client.call("authenticate", params).await.map_err(|error| said(&error))?;
        let mut position = match resume {
            Some(resume) if welcome["recovered"] == true => resume,
            Some(_) => return Err(format!("its session did not go on: {welcome}")),
            None => {
                let join = json!({"channel": CHANNEL});
                client.call("channel_join", join).await.map_err(|error| said(&error))?;
                welcome["position"].clone()
            }
        };
        position["session_id"] = welcome["session_id"].clone();
        let hear = async {
            while let Ok(event) = client.next_event(ARRIVAL).await {
                let params = &event["params"];
                (position["epoch"], position["seq"]) = (params["epoch"].clone(), params["seq"].clone());
                self.take(&event)?;
            }
            Err("nothing was heard for long".to_owned())
        };
        match timeout(STAYS, hear).await {
            Ok(Err(what)) => Err(what),
            Ok(Ok(())) | Err(_) => Ok(position),
        }
    }

    /// Takes note of a message: none may be missing, or come again.
    fn take(&mut self, event: &Value) -> Result<(), String> {
        let Some(stamp) = self.finder.find(event.to_string().as_bytes()) else { return Ok(()) };
        let last = self.last.replace(stamp.sequence);
        match last {
            Some(last) if stamp.sequence != last + 1 => {
                Err(format!("message {} came after {last}", stamp.sequence))
            }
            _ => Ok(()),
        }
    }
}

impl Soak {
    /// What is not as it should be.
    pub fn broken(&self) -> Vec<String> {
        let mut broken: Vec<_> =
            self.lost.iter().map(|error| format!("something is lost: {error}")).collect();
        if self.slope() > SLOPE {
            broken.push(format!("memory grows by {:.2} MB an hour, more than {SLOPE}", self.slope()));
        }
        if self.descriptors.1 > self.descriptors.0 + 1 {
            broken.push(format!("descriptors grow from {} to {}", self.descriptors.0, self.descriptors.1));
        }
        broken
    }

    /// By how many MB memory grows in an hour.
    fn slope(&self) -> f64 {
        slope(&self.memory) * 3600.0 / 1e6
    }
}

/// The slope of the line that fits best (least squares); 0 of fewer than two points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    if spread > 0.0 { both / spread } else { 0.0 }
}

impl Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |points: &[(f64, f64)]| points.first().map_or(0.0, |point| point.1) / 1e6;
        let last = self.memory.last().map_or(0.0, |point| point.1) / 1e6;
        writeln!(
            f,
            "| minutes | heard | reconnects | lost | memory, MB, half-way and at the end | MB an hour | descriptors |"
        )?;
        writeln!(f, "|--:|--:|--:|--:|--:|--:|--:|")?;
        write!(
            f,
            "| {} | {} | {} | {} | {:.2}, {last:.2} | {:+.2} | {}, {} |",
            self.minutes,
            self.heard,
            self.reconnects,
            if self.lost.is_some() { "yes" } else { "0" },
            bytes(&self.memory),
            self.slope(),
            self.descriptors.0,
            self.descriptors.1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line_that_fits() {
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), 2.0);
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 1.0)]), 0.0);
        assert_eq!((slope(&[]), slope(&[(1.0, 1.0)])), (0.0, 0.0));
    }

    #[test]
    fn what_grows_or_is_lost_is_told() {
        let soak = |memory, descriptors, lost| Soak {
            minutes: 1,
            heard: 0,
            reconnects: 0,
            lost,
            memory,
            descriptors,
        };
        assert_eq!(soak(vec![(0.0, 5e6), (3600.0, 5.9e6)], (9, 10), None).broken(), Vec::<String>::new());
        let lost = Some(Error::Unseen("a message"));
        assert_eq!(soak(vec![(0.0, 5e6), (3600.0, 6.1e6)], (9, 11), lost).broken().len(), 3);
    }

    #[test]
    fn a_gap_or_a_repetition_is_noticed() {
        let mut restless = Restless::new(String::new());
        let event =
            |sequence| json!({"params": {"message": crate::stamp::Stamp { sequence, due: 1 }.text()}});
        assert_eq!(restless.take(&event(7)), Ok(()));
        assert_eq!(restless.take(&event(8)), Ok(()));
        assert!(restless.take(&event(8)).is_err());
        assert!(restless.take(&event(10)).is_err());
    }
}
