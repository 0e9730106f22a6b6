//! Breaks gateways, their links and their servers on purpose, and tells what a mud's players notice.
//!
//! Everything is on loopback, is bounded in time and ends with this process.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use futures::{StreamExt, stream};
use mudgateway_chaos::Error;
use mudgateway_chaos::outcome::Run;
use mudgateway_chaos::report::{NatsReport, Report, Row};
use mudgateway_chaos::scenario::Scenario;
use mudgateway_chaos::world::{Programs, World};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// The most a scenario may take, however often it is run.
const SCENARIO_LIMIT: Duration = Duration::from_secs(1200);

/// Break gateways on purpose, and tell what is noticed.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// The gateway program
    #[arg(long, value_name = "FILE")]
    gateway: PathBuf,
    /// The gateway program of the version before; without it upgrades are not tried
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// The nats-server program
    #[arg(long, value_name = "FILE", env = "NATS_SERVER")]
    nats_server: PathBuf,
    /// Only the scenarios with promises, once or twice each: about a minute
    #[arg(long)]
    quick: bool,
    /// How often each is run [default: by scenario]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: Option<u16>,
    /// Only this; may be repeated
    #[arg(long, value_enum)]
    only: Vec<Scenario>,
    /// How many scenarios run at a time, each in a world of its own
    #[arg(long, value_name = "COUNT", default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// The seed of the first run; the others count on from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the table into this document
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

impl Cli {
    fn scenarios(&self) -> Vec<Scenario> {
        let all = if self.quick { &Scenario::QUICK[..] } else { Scenario::value_variants() };
        let wanted = |scenario: &Scenario| {
            let named = self.only.contains(scenario);
            named || self.only.is_empty() && (self.previous.is_some() || *scenario != Scenario::Upgrade)
        };
        let mut scenarios: Vec<_> = all.iter().copied().filter(wanted).collect();
        // The longest first, so that none is left alone at the end.
        scenarios.sort_by_key(|scenario| Reverse(scenario.plan().takes() * u32::from(self.runs(*scenario))));
        scenarios
    }

    fn runs(&self, scenario: Scenario) -> u16 {
        match self.runs {
            Some(runs) => runs,
            None if self.quick => {
                if matches!(scenario, Scenario::NatsRestart | Scenario::NatsFull | Scenario::KillTwice) {
                    1
                } else {
                    2
                }
            }
            None => scenario.plan().runs,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = tokio::select! {
        done = all(&cli) => done,
        stopped = stop_signal() => Err(stopped.err().unwrap_or(Error::Interrupted)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mudgateway-chaos: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all that is wanted and reports; false when a promise was broken or something did not recover.
async fn all(cli: &Cli) -> Result<bool, Error> {
    let trials = stream::iter(cli.scenarios()).map(|scenario| trial(cli, scenario));
    let mut trials: Vec<Trial> = trials.buffer_unordered(usize::from(cli.jobs)).collect().await;
    trials.sort_by_key(|trial| trial.row.scenario);
    let kept = trials.iter().all(|trial| trial.broken.is_empty());
    let broken: Vec<_> = trials.iter().flat_map(|trial| &trial.broken).cloned().collect();
    let report = Report(trials.into_iter().map(|trial| trial.row).collect());
    println!("{report}\n{}", NatsReport(&report));
    for line in broken {
        eprintln!("mudgateway-chaos: {line}");
    }
    if let Some(path) = &cli.write {
        report.write_into(path)?;
    }
    Ok(kept)
}

/// A scenario's row, and what was not as promised.
struct Trial {
    row: Row,
    broken: Vec<String>,
}

async fn trial(cli: &Cli, scenario: Scenario) -> Trial {
    let mut trial = Trial { row: Row { scenario, outcomes: Vec::new() }, broken: Vec::new() };
    let done = timeout(SCENARIO_LIMIT, run(cli, &mut trial)).await;
    let late = || Error::TooLate { what: "its end".to_owned(), seconds: SCENARIO_LIMIT.as_secs() };
    if let Err(error) = done.unwrap_or_else(|_| Err(late())) {
        trial.broken.push(format!("{scenario:?}: {error}"));
    }
    trial
}

/// Runs a scenario as often as it is wanted, each time or all the times in a world of its own.
async fn run(cli: &Cli, trial: &mut Trial) -> Result<(), Error> {
    let scenario = trial.row.scenario;
    let seeds: Vec<u64> = (cli.seed..).take(usize::from(cli.runs(scenario))).collect();
    let each = if scenario.plan().fault.needs_fresh_world() { 1 } else { seeds.len().max(1) };
    for seeds in seeds.chunks(each) {
        run_in_one_world(cli, seeds, trial).await?;
    }
    Ok(())
}

async fn run_in_one_world(cli: &Cli, seeds: &[u64], trial: &mut Trial) -> Result<(), Error> {
    let scenario = trial.row.scenario;
    let Cli { gateway, previous, nats_server, .. } = cli;
    let programs =
        Programs { gateway: gateway.clone(), previous: previous.clone(), nats_server: nats_server.clone() };
    let mut world = World::start(&programs, scenario.plan().setup).await?;
    let mut runs: Vec<(u64, Run)> = Vec::new();
    for seed in seeds {
        match scenario.run(&mut world, *seed).await {
            Ok(run) => {
                eprintln!("{scenario:?}, seed {seed}: {}", run.outcome(&world));
                runs.push((*seed, run));
            }
            Err(error) => {
                trial.broken.push(format!("{scenario:?}, seed {seed}: {error}"));
                break;
            }
        }
    }
    // Only now: what is late counts, too.
    for (seed, run) in runs {
        let outcome = run.outcome(&world);
        let broken = outcome.broken(scenario).into_iter();
        trial.broken.extend(broken.map(|what| format!("{scenario:?}, seed {seed}: {what}")));
        trial.row.outcomes.push(outcome);
    }
    if world.watcher.most_sessions() > 1 {
        trial.broken.push(format!("{scenario:?}: the router had two sessions of one mud"));
    }
    Ok(())
}

/// Resolves when the program is asked to end.
async fn stop_signal() -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
