//! A fleet of gateways that lose their router at once, and how soon all are back.
//!
//! The router closes a connection accepted in the same clock second as the one before, as real ones do, and tells how
//! many it turned away. The gateways run in this process, and so do the operator's permits; NATS is a real server.

mod fleet;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use i3_router::{Config, Event, Mark, Router, RunningRouter};
use mudgateway_chaos::nats::{Nats, Servers};
use mudgateway_crds::network::NetworkLimits;
use mudgateway_crds::permit::PermitAnswer;
use mudgateway_operator::network::desk::{self, pace, serve};
use mudgateway_operator::network::permits::{Mud, Pace, Permits};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::fleet::{Fleet, Places, name};

/// The network's name on the bus.
const NETWORK: &str = "fleet";

/// What the last of a fleet may need on top of its turn: finding out, backing off, registering.
const SLACK: Duration = Duration::from_secs(6);

/// So few gateways are back so soon that nothing needs to settle.
const FEW: usize = 30;

/// The most that a hand-over may take, also while all others connect.
const HAND_OVER: Duration = Duration::from_secs(1);

/// A fleet of gateways that lose their router at once, and how soon all are back.
#[derive(Parser)]
struct Options {
    /// The nats-server program
    #[arg(long)]
    nats_server: PathBuf,

    /// How many gateways
    #[arg(long, default_value_t = 200)]
    muds: usize,

    /// Without an operator: only chance keeps them apart. Nothing is promised then, but that all come back
    #[arg(long)]
    alone: bool,
}

/// The operator's side, without a cluster.
#[derive(Default)]
struct Desk {
    questions: AtomicU64,
}

impl desk::Fleet for Desk {
    fn pace(&self, _: &Mud) -> Option<Pace> {
        Some(pace(&NetworkLimits { muds_per_address: 10_000, ..NetworkLimits::default() }))
    }

    fn registered(&self, _: &str, _: &str) -> BTreeSet<Mud> {
        BTreeSet::new()
    }

    fn answered(&self, _: &PermitAnswer) {
        self.questions.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    // What puts a gateway together stays on one thread; its parts do not.
    match LocalSet::new().run_until(try_it(&options)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("mudgateway-fleet: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn try_it(options: &Options) -> Result<(), String> {
    // All come from one address here, which this router would refuse at the 34th.
    let config = Config { address_limit: false, ..Config::strict() };
    let router = Router::start(config).await.map_err(|error| error.to_string())?;
    let nats = Nats::start(&options.nats_server, Servers::PLAIN).await.map_err(|error| error.to_string())?;
    let places = Places {
        router: router.name().to_owned(),
        port: router.addr().port(),
        nats: format!("nats://{}", nats.address(0)),
    };
    let client = async_nats::connect(places.nats.as_str()).await.map_err(|error| error.to_string())?;
    let (desk, permits) = (Desk::default(), Mutex::new(Permits::default()));
    let operator = async {
        if options.alone {
            std::future::pending::<()>().await;
        }
        serve(&client, &permits, &desk).await.err().map_or_else(String::new, |error| error.to_string())
    };
    tokio::select! {
        ended = operator => Err(format!("the operator's side ended: {ended}")),
        done = storms(options, &router, &places, &desk) => done,
    }
}

async fn storms(
    options: &Options,
    router: &RunningRouter,
    places: &Places,
    desk: &Desk,
) -> Result<(), String> {
    println!("| {} gateways at one router | all registered after | turned away | questions |", options.muds);
    println!("|---|--:|--:|--:|");
    let mut problems = Vec::new();
    let mark = router.mark();
    let mut fleet = Fleet::start(options.muds, places)?;
    problems.extend(storm("start", options, router, &mut fleet, mark, desk).await?);

    settle(options).await;
    let mark = router.mark();
    router.restart().await;
    problems.extend(storm("router restart", options, router, &mut fleet, mark, desk).await?);

    if !options.alone {
        problems.extend(hand_over(options, router, places, &mut fleet).await?);
    }
    fleet.end().await;
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

/// A session must have lasted for half a minute, or its end makes a gateway wait longer: with few gateways that is no
/// matter of minutes.
async fn settle(options: &Options) {
    sleep(Duration::from_secs(if options.muds < FEW { 2 } else { 30 })).await;
}

/// Waits until all muds are registered, prints how it went, and returns what is not as promised.
async fn storm(
    what: &str,
    options: &Options,
    router: &RunningRouter,
    fleet: &mut Fleet,
    mut mark: Mark,
    desk: &Desk,
) -> Result<Vec<String>, String> {
    let (start, before) = (Instant::now(), desk.questions.load(Ordering::Relaxed));
    let turn = Duration::from_millis(1100);
    let promised = turn * u32::try_from(options.muds).unwrap_or(u32::MAX) + SLACK;
    let mut turned_away = 0;
    let all_back = async {
        loop {
            let news = router.count(mark, |event| matches!(event, Event::TurnedAway { .. }));
            turned_away += news.0;
            mark = news.1;
            if registered(router).await == options.muds {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        back = timeout(promised * 10, all_back) => back.map_err(|_| format!("{what}: not all came back"))?,
        said = fleet.failed() => return Err(format!("a gateway ended: {said}")),
    }
    let took = start.elapsed();
    let questions = desk.questions.load(Ordering::Relaxed) - before;
    println!("| {what} | {:.1} s | {turned_away} | {questions} |", took.as_secs_f64());
    let mut problems = Vec::new();
    if !options.alone && turned_away > 0 {
        problems.push(format!("{what}: the router turned {turned_away} connections away"));
    }
    if !options.alone && took > promised {
        problems.push(format!("{what}: took {took:?}, which is more than {promised:?}"));
    }
    Ok(problems)
}

/// All lose the router; when half of them are back another process takes one of those over, as in a rollout.
async fn hand_over(
    options: &Options,
    router: &RunningRouter,
    places: &Places,
    fleet: &mut Fleet,
) -> Result<Vec<String>, String> {
    settle(options).await;
    router.restart().await;
    while registered(router).await < options.muds / 2 {
        sleep(Duration::from_millis(20)).await;
    }
    let links = router.links().await;
    let mud = links.iter().find_map(|link| link.mud.clone()).unwrap_or_else(|| name(0));
    let old = links.iter().find(|link| link.mud.as_ref() == Some(&mud)).map(|link| link.conn);
    fleet.add(&mud, "second", places)?;
    // It must be there to take over.
    sleep(Duration::from_secs(3)).await;
    fleet.leave(&mud);
    let (mut gone, start) = (None, Instant::now());
    let gap = loop {
        let now =
            router.links().await.iter().find(|link| link.mud.as_ref() == Some(&mud)).map(|link| link.conn);
        match now {
            None => gone = gone.or_else(|| Some(Instant::now())),
            Some(conn) if Some(conn) != old => break gone.map_or(Duration::ZERO, |gone| gone.elapsed()),
            Some(_) => {}
        }
        if start.elapsed() > Duration::from_secs(30) {
            return Err(format!("nobody took {mud} over"));
        }
        sleep(Duration::from_millis(1)).await;
    };
    println!("\na hand-over while the others connect: nobody logged in for {} ms", gap.as_millis());
    let late = gap > HAND_OVER;
    Ok(late.then(|| format!("the hand-over took {gap:?}")).into_iter().collect())
}

/// How many muds are registered.
async fn registered(router: &RunningRouter) -> usize {
    let links = router.links().await;
    links.iter().filter_map(|link| link.mud.as_ref()).collect::<BTreeSet<_>>().len()
}
