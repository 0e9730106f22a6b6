//! `kubectl mudgw`.

use std::process::ExitCode;

use clap::Parser;
use kubectl_mudgw::cli::Cli;
use kubectl_mudgw::{commands, completion};

#[tokio::main]
async fn main() -> ExitCode {
    // Once, for the API server and the gateways alike. It fails only where there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // kubectl calls the plug-in under this name to complete a command line.
    if completion::is_asked_for() {
        completion::run(std::env::args().skip(1).collect()).await;
        return ExitCode::SUCCESS;
    }
    match commands::run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
