//! Measures a gateway process against the goals in `docs/PERFORMANCE.md`: memory, processor time for each delivery,
//! latency, throughput, the time to start, and what one client that stops reading does to the others.
//!
//! The gateway is a process of its own. The router, the mud that speaks and the clients are threads of this one, so
//! that what they use is not counted as the gateway's. Everything is on loopback and ends by itself.

mod bare;
mod child;
mod error;
mod figure;
mod process;
mod report;
mod scenario;
mod soak;
mod speaker;
mod stamp;
mod stats;
mod swarm;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use mudgateway_chaos::nats::{Nats, Servers};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use child::build_gateway;
use error::Error;
use report::{Machine, Report, Results};
use scenario::{Bench, Plan, Scenario};
use stamp::Clock;
use swarm::Driver;

/// Measure a gateway against the goals in docs/PERFORMANCE.md.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// The gateway program [default: build the one of this checkout]
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// The nats-server program; without one nothing is measured with NATS
    #[arg(long, value_name = "FILE", env = "NATS_SERVER")]
    nats_server: Option<PathBuf>,
    /// Fewer and shorter rounds: within a minute
    #[arg(long)]
    quick: bool,
    /// How often each is measured [default: 5, quick: 2]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: Option<u64>,
    /// Measure only this; may be repeated
    #[arg(long, value_enum)]
    only: Vec<Scenario>,
    /// Measure nothing else than whether anything grows or is lost in so many minutes
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(2..=1440))]
    soak: Option<u64>,
    /// Write the raw values here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail when a figure misses its goal by more than this factor
    #[arg(long, value_name = "FACTOR")]
    enforce: Option<f64>,
}

impl Cli {
    fn rounds(&self) -> usize {
        let rounds = self.rounds.unwrap_or(if self.quick { 2 } else { 5 });
        usize::try_from(rounds).unwrap_or(1)
    }

    fn plan(&self) -> Plan {
        let seconds = Duration::from_secs;
        let plan = Plan {
            clients: 100,
            rate: 100,
            idle_clients: [50, 850],
            settle: seconds(1),
            paced: seconds(5),
            flood: seconds(4),
            stalls: usize::MAX,
        };
        if self.quick { Plan { paced: seconds(2), flood: seconds(2), stalls: 1, ..plan } } else { plan }
    }

    /// The most the whole may take, the build of the gateway not counted.
    fn limit(&self) -> Duration {
        match self.soak {
            Some(minutes) => Duration::from_secs(60 * (minutes + 2)),
            None => Duration::from_secs(30 + 90 * self.rounds() as u64),
        }
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mudgateway-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and reports; false when something could not be measured or misses its goal too far.
fn run(cli: &Cli) -> Result<bool, Error> {
    // One worker: it serves the router, as everything else waits most of the time.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut results = Results::default();
    let machine = Machine::before();
    let complete = runtime.block_on(async {
        tokio::select! {
            complete = measure(cli, &mut results) => complete,
            () = stop_signal()? => Err(Error::Interrupted),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    let complete = complete?;
    if cli.soak.is_some() {
        return Ok(complete);
    }
    let report = Report::new(results, machine);
    println!("{report}");
    if let Some(path) = &cli.json {
        report.write_json(path)?;
    }
    let missed = cli.enforce.map(|factor| report.missed(factor)).unwrap_or_default();
    for figure in &missed {
        eprintln!("mudgateway-bench: misses its goal too far: {figure}");
    }
    Ok(complete && missed.is_empty())
}

/// Measures all there is to measure, in turn; false when something could not be.
async fn measure(cli: &Cli, results: &mut Results) -> Result<bool, Error> {
    let gateway = match &cli.gateway {
        Some(gateway) => gateway.clone(),
        None => build_gateway().await?,
    };
    let rounds = tokio::time::timeout(cli.limit(), async {
        let bench = bench(cli, gateway).await?;
        match cli.soak {
            Some(minutes) => soak(&bench, minutes).await,
            None => measure_rounds(cli, &bench, results).await,
        }
    });
    rounds.await.unwrap_or_else(|_| Err(Error::TooLong(cli.limit().as_secs())))
}

async fn bench(cli: &Cli, gateway: PathBuf) -> Result<Bench, Error> {
    let nats = match &cli.nats_server {
        Some(program) => Some(Nats::start(program, Servers::PLAIN).await?),
        None => None,
    };
    Ok(Bench { clock: Clock::start(), driver: Driver::start()?, gateway, nats, plan: cli.plan() })
}

/// False when something grows or is lost.
async fn soak(bench: &Bench, minutes: u64) -> Result<bool, Error> {
    let soak = soak::soak(bench, minutes).await?;
    println!("{soak}");
    let broken = soak.broken();
    broken.iter().for_each(|what| eprintln!("mudgateway-bench: {what}"));
    Ok(broken.is_empty())
}

async fn measure_rounds(cli: &Cli, bench: &Bench, results: &mut Results) -> Result<bool, Error> {
    let mut complete = true;
    for round in 0..cli.rounds() {
        for scenario in Scenario::value_variants() {
            let wanted = cli.only.is_empty() || cli.only.contains(scenario);
            if !wanted || !scenario.is_due(bench, round) {
                continue;
            }
            eprintln!("round {} of {}: {scenario:?}", round + 1, cli.rounds());
            if let Err(error) = scenario.measure(bench, results).await {
                eprintln!("mudgateway-bench: {scenario:?} could not be measured: {error}");
                complete = false;
            }
        }
    }
    results.add_ratios();
    Ok(complete)
}

/// Resolves when the program is asked to end.
fn stop_signal() -> Result<impl Future<Output = ()>, Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
