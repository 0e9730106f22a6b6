//! What each command does.

mod doctor;
mod failover;
mod key;
mod status;
mod talk;

use std::io::Write;
use std::process::ExitCode;

use crate::cli::{Cli, Command, KeyCommand};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::tls::Identity;

/// Carries out a command.
///
/// # Errors
/// When it cannot be carried out. That something is wrong with a gateway is no error of `doctor`, but its exit code.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    let cluster = Cluster::new(&cli.cluster).await?;
    match cli.command {
        Command::Status { name, all_namespaces, output } => {
            status::run(&cluster, name.as_deref(), all_namespaces, output).await
        }
        Command::Tail { channel, through, history, output } => {
            talk::tail(&cluster, &channel, &through, history, output).await
        }
        Command::Say { channel, text, through, from } => {
            talk::say(&cluster, &channel, &text.join(" "), &through, &from).await
        }
        Command::Tell { to, text, through, from } => {
            talk::tell(&cluster, &to, &text.join(" "), &through, &from).await
        }
        Command::Key(KeyCommand::Rotate { name, grace, again, no_wait, show, certificate }) => {
            let identity = Identity::read(&certificate)?;
            let rotation = key::Rotation { grace, again, wait: !no_wait, show, identity };
            key::rotate(&cluster, name.as_deref(), rotation).await
        }
        Command::Failover { name } => failover::run(&cluster, name.as_deref()).await,
        Command::Doctor { name, all_namespaces, output } => {
            return doctor::run(&cluster, name.as_deref(), all_namespaces, output).await;
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Prints at once. A reader that has gone, such as `head`, is no error worth a word.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => done.map_err(Error::Output),
    }
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
    print(&format!("{text}\n"))
}
