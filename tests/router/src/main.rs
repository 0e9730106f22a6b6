//! The test router as a program.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use i3_router::{Config, Peer, Router, Ways, control};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

mod ctl;

/// An Intermud-3 router for tests. Serves until SIGTERM or Ctrl-C.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Args)]
struct Serve {
    /// Where muds and other routers connect
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)))]
    listen: SocketAddr,
    /// The router's name
    #[arg(long, default_value = "*test")]
    name: String,
    /// A channel there is; may be repeated [default: imud_gossip imud_code]
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
    /// What the router tells muds its own address is [default: the address at which a mud reached it]
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// A router to name in the list muds get, the preferred one first; may be repeated [default: itself]
    #[arg(long = "names", value_name = "NAME=HOST:PORT", value_parser = named)]
    routers: Vec<(String, String)>,
    /// Have the limits and the pace of the real router
    #[arg(long)]
    strict: bool,
    /// Whose habits to have
    #[arg(long, value_enum, default_value = "dead-souls")]
    family: Family,
    /// From a mud's registration to the news of it in the mudlist [default: 100; 1000 with --strict]
    #[arg(long, value_name = "MS")]
    up_delay: Option<u64>,
    /// From a mud's end to the news of it in the mudlist [default: 100; 11000 with --strict]
    #[arg(long, value_name = "MS")]
    down_delay: Option<u64>,
    /// Close every link when an array has more elements than this
    #[arg(long, value_name = "N")]
    crash_above: Option<usize>,
    /// Another router to exchange muds and channels with; may be repeated. One of the two has to know the
    /// address, and only one should
    #[arg(long = "peer", value_name = "NAME[=ADDR]", value_parser = peer)]
    peers: Vec<(String, Option<SocketAddr>)>,
    /// What routers say to each other first
    #[arg(long, value_name = "N", default_value_t = 0)]
    peer_password: i64,
    /// Where `i3-router ctl` connects
    #[arg(long, value_name = "ADDR", default_value_t = control::DEFAULT)]
    control: SocketAddr,
    /// The form of the log on stderr; RUST_LOG sets its level
    #[arg(long, value_enum, default_value = "text")]
    log: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum Family {
    DeadSouls,
    CoffeeMud,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Look into a running router, and make faults in it
    Ctl(ctl::Ctl),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Ctl(ctl)) => ctl.run().await,
        None => serve(cli.serve).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("i3-router: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Serve) -> Result<(), Box<dyn Error>> {
    log(args.log);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = TcpListener::bind(args.control)
        .await
        .map_err(|error| format!("cannot listen for control on {}: {error}", args.control))?;
    let control_addr = listener.local_addr()?;
    let listen = args.listen;
    let router = Router::start(config(args))
        .await
        .map_err(|error| format!("cannot listen for muds on {listen}: {error}"))?;
    println!("i3-router {} ready on {}, control on {control_addr}", router.name(), router.addr());
    tokio::select! {
        done = control::serve(listener, router.clone()) => done?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    router.stop().await;
    Ok(())
}

fn config(args: Serve) -> Config {
    let default = if args.strict { Config::strict() } else { Config::default() };
    let ms = |given: Option<u64>, default| given.map_or(default, Duration::from_millis);
    let password = args.peer_password;
    let peer = |(name, address)| Peer { name, address, password };
    Config {
        listen: args.listen,
        name: args.name,
        advertise: args.advertise.map(|address| on_the_wire(&address)),
        routers: args.routers,
        channels: if args.channels.is_empty() { default.channels } else { args.channels },
        ways: match args.family {
            Family::DeadSouls => Ways::DEAD_SOULS,
            Family::CoffeeMud => Ways::COFFEE_MUD,
        },
        up_delay: ms(args.up_delay, default.up_delay),
        down_delay: ms(args.down_delay, default.down_delay),
        crash_above: args.crash_above,
        peers: args.peers.into_iter().map(peer).collect(),
        ..default
    }
}

/// On the wire there is a blank between host and port.
fn on_the_wire(address: &str) -> String {
    match address.rsplit_once(':') {
        Some((host, port)) => format!("{host} {port}"),
        None => address.to_owned(),
    }
}

fn named(text: &str) -> Result<(String, String), String> {
    let (name, address) = text.split_once('=').ok_or("must be of the form NAME=HOST:PORT")?;
    Ok((name.to_owned(), on_the_wire(address)))
}

fn peer(text: &str) -> Result<(String, Option<SocketAddr>), String> {
    let (name, address) = text.split_once('=').map_or((text, None), |(name, address)| (name, Some(address)));
    let address = address.map(|address| address.parse().map_err(|error| format!("{address}: {error}")));
    Ok((name.to_owned(), address.transpose()?))
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
