//! The test router as a program.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use i3_router::{Config, Router, control};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

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
    /// Where muds connect
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
    /// From a mud's registration to the news of it in the mudlist
    #[arg(long, value_name = "MS", default_value_t = 100)]
    up_delay: u64,
    /// From a mud's end to the news of it in the mudlist
    #[arg(long, value_name = "MS", default_value_t = 100)]
    down_delay: u64,
    /// Where `i3-router ctl` connects
    #[arg(long, value_name = "ADDR", default_value_t = control::DEFAULT)]
    control: SocketAddr,
    /// The form of the log on stderr; RUST_LOG sets its level
    #[arg(long, value_enum, default_value = "text")]
    log: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Make faults in a running router
    Ctl {
        /// The router's control address
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8788")]
        control: String,
        #[command(subcommand)]
        request: Request,
    },
}

#[derive(Subcommand)]
enum Request {
    /// Close a mud's link and let it register no more
    Cut {
        /// The mud's name
        mud: String,
    },
    /// Let a mud register again
    Restore {
        /// The mud's name
        mud: String,
    },
    /// List the muds known: up or down, cut or -, address, name
    Muds,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Ctl { control, request }) => ask(&control, &request).await,
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

async fn ask(control: &str, request: &Request) -> Result<(), Box<dyn Error>> {
    let line = match request {
        Request::Cut { mud } => format!("cut {mud}"),
        Request::Restore { mud } => format!("restore {mud}"),
        Request::Muds => "muds".to_owned(),
    };
    let answer = control::request(control, &line).await.map_err(|error| format!("{control}: {error}"))?;
    answer.iter().for_each(|line| println!("{line}"));
    Ok(())
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
    let default = Config::default();
    Config {
        listen: args.listen,
        name: args.name,
        // On the wire there is a blank between host and port.
        advertise: args.advertise.map(|address| match address.rsplit_once(':') {
            Some((host, port)) => format!("{host} {port}"),
            None => address,
        }),
        channels: if args.channels.is_empty() { default.channels } else { args.channels },
        up_delay: Duration::from_millis(args.up_delay),
        down_delay: Duration::from_millis(args.down_delay),
        seed: None,
    }
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
