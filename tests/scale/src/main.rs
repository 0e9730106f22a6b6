//! Measures the operator with many MudGateways, on a real control plane whose nodes kwok plays.
//!
//! The pods run nothing, so a stand-in reports for them on the bus ([`gateways`]); all else is real: API server, etcd,
//! controllers, scheduler, nats-server, and the operator as it is shipped, with the rights of its chart.

mod audit;
mod fleet;
mod gateways;
mod process;
mod report;

use std::fs::File;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use clap::Parser;
use kube::{Client, Config};
use testnats::{NatsServer, Options};

use crate::audit::{Audit, Requests};
use crate::fleet::Fleet;
use crate::process::Operator;
use crate::report::{Figures, Load, Times};

/// How long the operator must have written nothing before it counts as idle.
const QUIET: Duration = Duration::from_secs(15);

/// How long to wait for that.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long it is watched when it is idle.
const IDLE: Duration = Duration::from_secs(60);

/// How much of the operator's log is shown when the measurement fails.
const LINES: usize = 20;

/// Measures the operator with many MudGateways
#[derive(Debug, Parser)]
struct Args {
    /// How many MudGateways
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// In how many namespaces
    #[arg(long, default_value_t = 20)]
    namespaces: usize,
    /// How many of them to change, to see how long that takes
    #[arg(long, default_value_t = 200)]
    updates: usize,
    /// The operator's program
    #[arg(long)]
    operator: PathBuf,
    /// The nats-server program
    #[arg(long)]
    nats_server: PathBuf,
    /// The kubeconfig with which the operator runs
    #[arg(long)]
    operator_kubeconfig: PathBuf,
    /// The API server's audit log of the operator
    #[arg(long)]
    audit_log: PathBuf,
    /// The document whose table gets this run's row
    #[arg(long)]
    write: Option<PathBuf>,
}

/// Why the measurement could not be made.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the API server: {0}")]
    Kube(#[from] kube::Error),
    #[error("the kubeconfig: {0}")]
    Config(#[from] kube::config::InferConfigError),
    #[error("watching: {0}")]
    Watch(#[from] kube::runtime::watcher::Error),
    #[error(transparent)]
    NoNats(#[from] testnats::Error),
    #[error("NATS: {0}")]
    Nats(#[from] async_nats::Error),
    #[error("connecting to NATS: {0}")]
    Connect(#[from] async_nats::ConnectError),
    #[error("{0}: {1}")]
    Start(PathBuf, #[source] std::io::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the operator has ended by itself: {0}")]
    Ended(ExitStatus),
    #[error("{what} not within {} s: {last}", within.as_secs())]
    Timeout { what: &'static str, within: Duration, last: String },
    #[error("{0} has no place for the row: it needs the lines {begin} and {end}", begin = report::BEGIN, end = report::END)]
    NoPlace(PathBuf),
}

type Result<T, E = Error> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let log = match tempfile::NamedTempFile::new() {
        Ok(log) => log,
        Err(error) => {
            eprintln!("mudgateway-scale: a file for the operator's log: {error}");
            return ExitCode::FAILURE;
        }
    };
    match run(&args, log.as_file()).await {
        Ok(figures) => {
            println!("\n{}{figures}", report::HEAD);
            let missed = figures.missed();
            missed.iter().for_each(|missed| eprintln!("NOT REACHED: {missed}"));
            if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            let log = std::fs::read_to_string(log.path()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LINES)..];
            eprintln!("mudgateway-scale: {error}\nthe operator said last:\n{}", last.join("\n"));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args, log: &File) -> Result<Figures> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_from(Config::infer().await?)?;
    let audit = Audit::new(&args.audit_log);
    let nats = NatsServer::start(&args.nats_server, Options::default()).await?;
    let operator = Operator::start(args, &nats, log)?;
    operator.during(operator.synced(0)).await?;
    let fleet = Fleet::new(client.clone(), args.count, args.namespaces);
    fleet.prepare().await?;
    tokio::spawn(gateways::run(client.clone(), nats.url()));

    say(&format!("creating {} MudGateways in {} namespaces", args.count, args.namespaces));
    let (ready, creation) = during(&audit, &operator, async {
        let ready = fleet.create().await?;
        quiet(&audit).await?;
        Ok(ready)
    })
    .await?;
    let changed = args.updates.min(args.count);
    say(&format!("changing {changed} of them"));
    let (updates, _) = during(&audit, &operator, async {
        let updates = fleet.update(changed).await?;
        quiet(&audit).await?;
        Ok(updates)
    })
    .await?;
    say("watching it idle for a minute");
    let (_, idle) = during(&audit, &operator, async {
        tokio::time::sleep(IDLE).await;
        Ok(())
    })
    .await?;
    let used = operator.load()?;
    say(&format!("what the API server keeps takes {} MiB", stored(&client).await? >> 20));
    say("starting it anew");
    let before = audit.count()?;
    operator.stop().await?;
    let started = Instant::now();
    let operator = Operator::start(args, &nats, log)?;
    operator.during(operator.synced(0)).await?;
    let listed = started.elapsed();
    operator.during(operator.synced(args.count)).await?;
    let synced = started.elapsed();
    operator.during(quiet(&audit)).await?;
    let restart = audit.count()? - before;

    for (what, requests) in
        [("creation", &creation.requests), ("idle minute", &idle.requests), ("restart", &restart)]
    {
        say(&format!("requests of the {what}: {:?}", requests.by));
    }
    let figures = Figures {
        count: args.count,
        ready: Times::of(ready),
        all_ready: fleet.took(),
        updates: Times::of(updates),
        creation: creation.requests,
        creation_cpu: creation.cpu,
        idle: idle.requests,
        idle_load: Load { cpu: idle.cpu, ..used },
        peak: used.peak,
        listed,
        synced,
        restart_writes: restart.writes,
        restart_peak: operator.load()?.peak,
    };
    if let Some(path) = &args.write {
        figures.write_into(path)?;
    }
    Ok(figures)
}

/// What the operator did while something happened.
struct Doings {
    requests: Requests,
    cpu: Duration,
}

async fn during<T>(
    audit: &Audit,
    operator: &Operator,
    what: impl Future<Output = Result<T>>,
) -> Result<(T, Doings)> {
    let (requests, cpu) = (audit.count()?, operator.load()?.cpu);
    let done = operator.during(what).await?;
    let cpu = operator.load()?.cpu.saturating_sub(cpu);
    Ok((done, Doings { requests: audit.count()? - requests, cpu }))
}

/// Waits until the operator has written nothing for a while.
async fn quiet(audit: &Audit) -> Result<()> {
    let (mut last, mut since, began) = (audit.count()?.writes, Instant::now(), Instant::now());
    while since.elapsed() < QUIET {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = audit.count()?.writes;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if began.elapsed() > PATIENCE {
            let last = format!("{last} writes so far");
            return Err(Error::Timeout { what: "the operator came to no rest", within: PATIENCE, last });
        }
    }
    Ok(())
}

/// How big etcd's file is, in bytes, as the API server tells it.
async fn stored(client: &Client) -> Result<u64> {
    let request = http::Request::get("/metrics").body(Vec::new()).map_err(kube::Error::HttpError)?;
    let metrics = client.request_text(request).await?;
    let line = metrics.lines().find(|line| line.starts_with("apiserver_storage_size_bytes{"));
    let bytes = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(bytes.map_or(0, |bytes| bytes as u64))
}

fn say(text: &str) {
    println!("{text}");
}
