//! The mudgateway operator: turns MudGateway resources into gateway pods.

use std::process::ExitCode;

use clap::Parser;
use kube::Config;
use mudgateway_operator::settings::Settings;
use mudgateway_operator::telemetry;
use mudgateway_telemetry::log::follow;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

fn main() -> ExitCode {
    mudgateway_telemetry::probe::command("/readyz").unwrap_or_else(operate)
}

#[tokio::main]
async fn operate() -> ExitCode {
    match run(Settings::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mudgateway-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
    let (log, traces) =
        telemetry::start_traced(&settings.log_level, settings.log_format, settings.otlp_endpoint.as_ref())?;
    if let Some(file) = settings.log_level_file.clone() {
        tokio::spawn(follow(file, settings.log_level.clone(), log));
    }
    // Once, for the clients of both the API server and NATS. It fails only where there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::infer().await?;
    let result = mudgateway_operator::run(config, settings, on_signal()?).await;
    if let Some(traces) = traces {
        traces.end().await;
    }
    Ok(result?)
}

/// Cancelled by SIGTERM, or by Ctrl+C.
fn on_signal() -> std::io::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let signalled = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("asked to stop");
        signalled.cancel();
    });
    Ok(shutdown)
}
