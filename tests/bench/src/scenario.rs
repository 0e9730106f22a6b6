//! What is done to a gateway to measure it. Each starts a gateway and a router of its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use i3_router::{Config, Event, Router, RunningRouter};
use mudgateway_chaos::nats::Nats;
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::bare;
use crate::child::Gateway;
use crate::error::Error;
use crate::figure::Figure;
use crate::process::{CpuTimes, Memory};
use crate::report::Results;
use crate::speaker::{Pace, Speaker};
use crate::stamp::Clock;
use crate::swarm::{Driver, Endpoint, Swarm};
use crate::wire::Transport;

/// How long the router may take to see something.
const SEEN: Duration = Duration::from_secs(10);

/// How long the last messages may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// Messages under way in a flood: a third of what the gateway lets wait for one client.
const WINDOW: u64 = 1024;

/// Below this many samples a 99th percentile means little.
const MIN_SAMPLES: u64 = 10_000;

/// How long each part takes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Clients of the deliveries.
    pub clients: usize,
    /// Messages in a second, paced.
    pub rate: u32,
    /// Clients there are before memory is first looked at, and those that come then.
    pub idle_clients: [usize; 2],
    /// How long memory is left to settle.
    pub settle: Duration,
    /// How long paced messages go on.
    pub paced: Duration,
    /// How long a flood goes on.
    pub flood: Duration,
    /// How many of the rounds have a client that stalls.
    pub stalls: usize,
}

/// What all scenarios share.
pub struct Bench {
    /// The time that stamps tell.
    pub clock: Clock,
    /// The thread of the clients.
    pub driver: Driver,
    /// The program to measure.
    pub gateway: PathBuf,
    /// The bus, if there is one.
    pub nats: Option<Nats>,
    /// How long each part takes.
    pub plan: Plan,
}

/// What is done to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Nothing.
    Idle,
    /// Nothing, with NATS.
    IdleNats,
    /// Many WebSocket clients connect.
    WebsocketClients,
    /// Many TCP clients connect.
    TcpClients,
    /// A steady 100 messages a second go to 100 WebSocket clients.
    WebsocketPaced,
    /// The same to TCP clients.
    TcpPaced,
    /// As many messages as it can take go to 100 WebSocket clients.
    WebsocketFlood,
    /// The same to TCP clients.
    TcpFlood,
    /// One client of ten stops reading.
    Stall,
    /// Much is said at once.
    Burst,
    /// No gateway: a thread that only sends.
    Bare,
}

impl Scenario {
    /// Whether it takes place in a round.
    pub fn is_due(self, bench: &Bench, round: usize) -> bool {
        match self {
            Self::IdleNats => bench.nats.is_some(),
            Self::Stall => round < bench.plan.stalls,
            _ => true,
        }
    }

    /// Measures once.
    ///
    /// # Errors
    /// When it cannot be measured.
    pub async fn measure(self, bench: &Bench, results: &mut Results) -> Result<(), Error> {
        use Figure as F;
        use Transport::{Tcp, WebSocket};
        match self {
            Self::Idle => idle(bench, None, [F::Start, F::IdleMemory, F::IdleMemoryAnonymous], results).await,
            Self::IdleNats => {
                let figures = [F::StartNats, F::IdleMemoryNats, F::IdleMemoryNatsAnonymous];
                idle(bench, bench.nats.as_ref(), figures, results).await
            }
            Self::WebsocketClients => clients(bench, WebSocket, F::WebsocketClientMemory, results).await,
            Self::TcpClients => clients(bench, Tcp, F::TcpClientMemory, results).await,
            Self::WebsocketPaced => {
                let figures = [F::WebsocketPacedCpu, F::WebsocketPacedP99];
                let p50 = paced(bench, WebSocket, figures, results).await?;
                results.add(F::WebsocketPacedP50, p50);
                Ok(())
            }
            Self::TcpPaced => paced(bench, Tcp, [F::TcpPacedCpu, F::TcpPacedP99], results).await.map(|_| ()),
            Self::WebsocketFlood => {
                let figures = [F::WebsocketFloodCpu, F::WebsocketFloodRate];
                let memory = flood(bench, WebSocket, figures, results).await?;
                results.add(F::MemoryAfterFlood, memory.resident as f64 / 1e6);
                Ok(())
            }
            Self::TcpFlood => flood(bench, Tcp, [F::TcpFloodCpu, F::TcpFloodRate], results).await.map(|_| ()),
            Self::Stall => stall(bench, results).await,
            Self::Burst => burst(bench, results).await,
            Self::Bare => bare::measure(bench, results).await,
        }
    }
}

/// A router and a gateway that is on its network.
pub struct Rig {
    router: RunningRouter,
    /// The gateway.
    pub gateway: Gateway,
    /// From the gateway's start to its registration at the router.
    started: Duration,
}

impl Rig {
    /// Starts both.
    ///
    /// # Errors
    /// When the gateway does not get on the network.
    pub async fn start(bench: &Bench, nats: Option<&Nats>) -> Result<Self, Error> {
        let router = Router::start(Config::default()).await?;
        let begin = Instant::now();
        let gateway = Gateway::start(&bench.gateway, &router, nats)?;
        sees(&router, "startup-req-3", "a registration").await?;
        let started = begin.elapsed();
        gateway.connected().await?;
        Ok(Self { router, gateway, started })
    }

    /// Clients that are on the channel, and so is the gateway.
    ///
    /// # Errors
    /// When one does not get there.
    pub async fn clients(&self, bench: &Bench, transport: Transport, count: usize) -> Result<Swarm, Error> {
        let swarm =
            Swarm::connect(&bench.driver, self.endpoint(transport).await?, count, bench.clock).await?;
        sees(&self.router, "channel-listen", "a subscription").await?;
        Ok(swarm)
    }

    /// Where clients connect.
    ///
    /// # Errors
    /// When the gateway does not say so.
    pub async fn endpoint(&self, transport: Transport) -> Result<Endpoint, Error> {
        let what = if transport == Transport::Tcp { "TCP lines" } else { "WebSocket and health" };
        Ok(Endpoint { address: self.gateway.address(what).await?, transport, stalls: false })
    }

    /// Another mud.
    ///
    /// # Errors
    /// When the router does not take it.
    pub fn speaker(&self, bench: &Bench) -> Result<Speaker, Error> {
        block_in_place(|| Speaker::join(self.router.addr(), self.router.name(), bench.clock))
    }

    fn memory(&self) -> Result<Memory, Error> {
        Memory::of(self.gateway.pid)
    }

    fn cpu(&self) -> Result<CpuTimes, Error> {
        CpuTimes::of(self.gateway.pid)
    }
}

/// Waits until a router has got a packet of a kind.
async fn sees(router: &RunningRouter, kind: &str, what: &'static str) -> Result<(), Error> {
    let start = format!("({{\"{kind}\",");
    let is_it =
        |event: &Event| matches!(event, Event::Received { text, .. } if text.starts_with(start.as_bytes()));
    let seen = router.wait_for(i3_router::Mark::START, is_it, SEEN).await;
    seen.map(|_| ()).ok_or(Error::Unseen(what))
}

async fn idle(
    bench: &Bench,
    nats: Option<&Nats>,
    [start, resident, anonymous]: [Figure; 3],
    results: &mut Results,
) -> Result<(), Error> {
    let rig = Rig::start(bench, nats).await?;
    sleep(bench.plan.settle).await;
    let memory = rig.memory()?;
    results.add(start, rig.started.as_secs_f64() * 1e3);
    results.add(resident, memory.resident as f64 / 1e6);
    results.add(anonymous, memory.anonymous as f64 / 1e6);
    Ok(())
}

async fn clients(
    bench: &Bench,
    transport: Transport,
    figure: Figure,
    results: &mut Results,
) -> Result<(), Error> {
    let rig = Rig::start(bench, None).await?;
    let [first, more] = bench.plan.idle_clients;
    let _first = rig.clients(bench, transport, first).await?;
    sleep(bench.plan.settle).await;
    let before = rig.memory()?.resident;
    let _more = rig.clients(bench, transport, more).await?;
    sleep(bench.plan.settle).await;
    let grown = rig.memory()?.resident.saturating_sub(before);
    results.add(figure, grown as f64 / 1024.0 / more as f64);
    Ok(())
}

/// Measures processor time and the 99th percentile; the answer is the median of how late messages are.
async fn paced(
    bench: &Bench,
    transport: Transport,
    [cpu, p99]: [Figure; 2],
    results: &mut Results,
) -> Result<f64, Error> {
    let rig = Rig::start(bench, None).await?;
    let swarm = rig.clients(bench, transport, bench.plan.clients).await?;
    let mut speaker = rig.speaker(bench)?;
    let rate = bench.plan.rate;
    let warm_up = Pace { rate, count: u64::from(rate), recorded: false };
    block_in_place(|| speaker.paced(warm_up, || true))?;
    swarm.heard(speaker.said(), ARRIVAL).await?;

    let before = rig.cpu()?;
    let count = u64::from(rate) * bench.plan.paced.as_secs();
    block_in_place(|| speaker.paced(Pace { rate, count, recorded: true }, || true))?;
    swarm.heard(speaker.said(), ARRIVAL).await?;
    let used = rig.cpu()?.since(&before);

    let latencies = swarm.tally.latencies();
    if latencies.len() < MIN_SAMPLES {
        return Err(Error::Lost { received: latencies.len(), expected: MIN_SAMPLES });
    }
    results.add(Figure::MessageBytes, swarm.tally.message_bytes() as f64);
    results.add(cpu, per_delivery(used, latencies.len()));
    results.add(p99, milliseconds(latencies.value_at_quantile(0.99)));
    Ok(milliseconds(latencies.value_at_quantile(0.5)))
}

/// Measures processor time and throughput; the answer is the memory that is left in use.
async fn flood(
    bench: &Bench,
    transport: Transport,
    [cpu, rate]: [Figure; 2],
    results: &mut Results,
) -> Result<Memory, Error> {
    let rig = Rig::start(bench, None).await?;
    let swarm = rig.clients(bench, transport, bench.plan.clients).await?;
    let mut speaker = rig.speaker(bench)?;
    let slowest = || if swarm.tally.check().is_ok() { swarm.tally.slowest() } else { 0 };
    block_in_place(|| speaker.flood(WINDOW, bench.plan.flood / 4, slowest))?;
    swarm.heard(speaker.said(), ARRIVAL).await?;

    let (before, begin, warm_up) = (rig.cpu()?, Instant::now(), swarm.tally.total());
    block_in_place(|| speaker.flood(WINDOW, bench.plan.flood, slowest))?;
    swarm.heard(speaker.said(), ARRIVAL).await?;
    let (used, took) = (rig.cpu()?.since(&before), begin.elapsed());

    let deliveries = swarm.tally.total() - warm_up;
    results.add(cpu, per_delivery(used, deliveries));
    results.add(rate, deliveries as f64 / took.as_secs_f64() / 1e3);
    rig.memory()
}

/// Nine clients read and one does not, while enough is said to fill every buffer within a second or two.
async fn stall(bench: &Bench, results: &mut Results) -> Result<(), Error> {
    const READING: usize = 9;
    const LIMIT: Duration = Duration::from_secs(20);
    let rig = Rig::start(bench, None).await?;
    let swarm = rig.clients(bench, Transport::WebSocket, READING).await?;
    let endpoint = Endpoint { stalls: true, ..rig.endpoint(Transport::WebSocket).await? };
    let _stalled = Swarm::connect(&bench.driver, endpoint, 1, bench.clock).await?;
    let mut speaker = rig.speaker(bench)?;

    let begin = Instant::now();
    let closed = std::cell::Cell::new(None);
    let go_on = || {
        if closed.get().is_none() && rig.gateway.log.last("slow consumer").is_some() {
            closed.set(Some(begin.elapsed()));
        }
        // A second longer, to see whether the others hear what comes after.
        closed.get().is_none_or(|closed| begin.elapsed() < closed + Duration::from_secs(1))
    };
    let rate = bench.plan.rate * 10;
    let count = u64::from(rate) * LIMIT.as_secs();
    block_in_place(|| speaker.paced(Pace { rate, count, recorded: true }, go_on))?;
    // What is lost is counted, not an error.
    let _ = swarm.heard(speaker.said(), ARRIVAL).await;
    let lost = (speaker.said() * READING as u64).saturating_sub(swarm.tally.total());
    results.add(Figure::StallLost, lost as f64);
    results.add(Figure::StallClosed, closed.get().unwrap_or(LIMIT).as_secs_f64());
    Ok(())
}

/// More is said at once than the gateway lets wait for a client, so those that it cannot serve in time are closed.
async fn burst(bench: &Bench, results: &mut Results) -> Result<(), Error> {
    const MESSAGES: u64 = 10_000;
    let rig = Rig::start(bench, None).await?;
    let swarm = rig.clients(bench, Transport::WebSocket, bench.plan.clients).await?;
    let mut speaker = rig.speaker(bench)?;
    block_in_place(|| speaker.burst(MESSAGES))?;
    // What is not heard is counted, not an error.
    let _ = swarm.heard(MESSAGES, ARRIVAL).await;
    results.add(Figure::BurstHeard, swarm.tally.with(MESSAGES) as f64);
    Ok(())
}

/// Microseconds of processor time for each.
pub fn per_delivery(used: Duration, deliveries: u64) -> f64 {
    used.as_secs_f64() * 1e6 / deliveries.max(1) as f64
}

/// Milliseconds of a histogram's nanoseconds.
pub fn milliseconds(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
