//! The client as a program: requests from stdin, every message to stdout.

mod command;

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use command::Command;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use mudclient::{CallError, Client};
use tokio_util::codec::{FramedRead, LinesCodec};

const HELP: &str = "\
Lines on stdin:
  join CHANNEL | leave CHANNEL | say CHANNEL TEXT | tell USER@MUD TEXT
  list | muds | status | quit
  METHOD [{\"json\": \"params\"}]
  {\"jsonrpc\": \"2.0\", ...}           sent as it is, with an id if it has none
Every message that comes is one line of JSON on stdout. At the end of stdin the program waits for
outstanding answers and ends.";

/// A client of the mudgateway API.
#[derive(Parser)]
#[command(version, after_help = HELP)]
struct Cli {
    /// ws://HOST:PORT/PATH or tcp://HOST:PORT
    url: String,
    /// The API key; better in a file, or in the environment as MUDCLIENT_KEY
    #[arg(long, conflicts_with = "key_file")]
    key: Option<String>,
    /// A file with the API key
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The user in whose name `say` and `tell` speak
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Stay this much longer after the end of stdin
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    listen: f64,
}

/// The longest line of input.
const MAX_LINE: usize = 1024 * 1024;

/// Requests without an answer; when there are more the program stops reading.
const MAX_OUTSTANDING: usize = 1_024;

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().map_err(|_| "not a number")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    Ok(seconds)
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let done = runtime.block_on(run(cli));
    // A read of stdin cannot be interrupted and must not be waited for.
    runtime.shutdown_background();
    done.map_or_else(|error| fail(&*error), |()| ExitCode::SUCCESS)
}

fn fail(error: &dyn Error) -> ExitCode {
    eprintln!("mudclient: {error}");
    ExitCode::FAILURE
}

async fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    let key = key(&cli)?;
    let client = Client::connect(&cli.url).await?;
    let mut talk = pin!(talk(&client, &cli, key));
    loop {
        tokio::select! {
            // An answer counts even if the connection ended right behind it.
            biased;
            done = &mut talk => {
                while let Ok(text) = client.next_raw(Duration::ZERO).await {
                    print(&text)?;
                }
                return done;
            }
            text = client.next_raw(Duration::MAX) => print(&text?)?,
        }
    }
}

fn key(cli: &Cli) -> Result<Option<String>, Box<dyn Error>> {
    let key = match &cli.key_file {
        Some(path) => {
            let key = std::fs::read_to_string(path);
            Some(key.map_err(|error| format!("{}: {error}", path.display()))?.trim().to_owned())
        }
        None => cli.key.clone().or_else(|| std::env::var("MUDCLIENT_KEY").ok()),
    };
    Ok(key.filter(|key| !key.is_empty()))
}

/// Everything there is to say: the key, what stdin says, and then silence for as long as is to be listened.
async fn talk(client: &Client, cli: &Cli, key: Option<String>) -> Result<(), Box<dyn Error>> {
    if let Some(key) = key {
        client.authenticate(&key).await?;
    }
    let failures = pass_on(client, cli.user.as_deref()).await?;
    tokio::time::sleep(Duration::from_secs_f64(cli.listen)).await;
    if failures == 0 { Ok(()) } else { Err(format!("{}: {failures} requests failed", cli.url).into()) }
}

/// Sends what stdin says; returns at its end and when every answer has come. Lines that are no requests, and
/// requests without an answer, are told and counted.
async fn pass_on(client: &Client, user: Option<&str>) -> Result<usize, Box<dyn Error>> {
    let mut lines = FramedRead::new(tokio::io::stdin(), LinesCodec::new_with_max_length(MAX_LINE));
    let mut outstanding = FuturesUnordered::new();
    let (mut reading, mut failures) = (true, 0);
    while reading || !outstanding.is_empty() {
        tokio::select! {
            line = lines.next(), if reading && outstanding.len() < MAX_OUTSTANDING => {
                match line.transpose()?.map(|line| command::parse(&line, user)) {
                    None | Some(Ok(Command::Quit)) => reading = false,
                    Some(Ok(Command::Nothing)) => {}
                    Some(Ok(Command::Request(request))) => outstanding.push(client.request(request)),
                    Some(Err(error)) => {
                        eprintln!("mudclient: {error}");
                        failures += 1;
                    }
                }
            }
            Some(answer) = outstanding.next() => match answer {
                // Printed already, as every answer is.
                Ok(_) | Err(CallError::Rpc { .. }) => {}
                Err(error) => {
                    eprintln!("mudclient: {error}");
                    failures += 1;
                }
            }
        }
    }
    Ok(failures)
}

/// One message, one line, at once.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(message) if text.contains('\n') => writeln!(out, "{message}")?,
        _ => writeln!(out, "{text}")?,
    }
    out.flush()
}
