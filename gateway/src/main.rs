//! The `mudgateway` program.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use mudgateway::config::{Config, Ignored, SETTINGS, Source};
use mudgateway::{run, telemetry};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    if let Some(probed) = mudgateway_telemetry::probe::command("/health/ready") {
        return probed;
    }
    let matches = command().get_matches();
    let config = match configuration(&matches) {
        Ok(config) => config,
        Err(message) => return fail(&message),
    };
    if matches.get_flag("dry-run") {
        for Ignored { setting, reason } in &config.ignored {
            println!("{setting} changes nothing: {reason}");
        }
        println!("the configuration is valid");
        return ExitCode::SUCCESS;
    }
    // Only one provider is compiled in, so this cannot have been done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("mudgateway: {}", message.trim_end());
    ExitCode::FAILURE
}

#[tokio::main]
async fn serve(config: Config) -> Result<(), String> {
    let (log, traces) = telemetry::start(&config)?;
    for Ignored { setting, reason } in &config.ignored {
        tracing::warn!(setting, reason, "this setting of the configuration file changes nothing");
    }
    let stop = stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let result = run::run(config, log, stop).await.map_err(|error| error.to_string());
    if let Some(traces) = traces {
        traces.end().await;
    }
    result
}

/// Resolves at SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn command() -> Command {
    let mut command = Command::new("mudgateway")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Connects one MUD to an Intermud-3 router and serves it a JSON-RPC API")
        .after_help(
            "A flag wins over its environment variable, which wins over the file. No router is contacted unless you \
             name it. `mudgateway probe [ADDRESS [PATH]]` asks a running gateway whether it is ready.",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .short('c')
                .value_name("FILE")
                .help("A YAML file with settings")
                .value_parser(clap::value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("env-file")
                .long("env-file")
                .short('e')
                .value_name("FILE")
                .help("A file of environment variables, KEY=VALUE lines; those of the real environment win")
                .value_parser(clap::value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Check the configuration and end"),
        );
    for setting in SETTINGS {
        let mut arg = Arg::new(setting.path)
            .long(setting.flag)
            .value_name("VALUE")
            .help(format!("{} [env: {}]", setting.help, setting.env));
        if setting.flag == "debug" {
            arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true");
        }
        command = command.arg(arg);
    }
    command
}

fn configuration(matches: &ArgMatches) -> Result<Config, String> {
    let flags: BTreeMap<&'static str, String> = SETTINGS
        .iter()
        .filter_map(|setting| Some((setting.path, matches.get_one::<String>(setting.path)?.clone())))
        .collect();
    let path = |name| matches.get_one::<PathBuf>(name).cloned();
    let mut source = Source::new(flags, path("config"), path("env-file").as_deref())?;
    let config = source.load()?;
    Ok(Config { source: Some(source), ..config })
}
