//! Completion of command lines: kubectl calls `kubectl_complete-mudgw` with the words so far and reads what may come
//! next, one a line, and at the end a colon and what the shell should do with it.

use std::time::Duration;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, ClusterArgs};
use crate::cluster::Cluster;
use crate::gateway;

/// Under which name kubectl looks for it: a link to the plug-in will do.
const NAME: &str = "kubectl_complete-mudgw";

/// Complete with what is printed, and not with files.
const NO_FILES: &str = ":4";

/// Nobody waits longer for a completion.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether the program was started under that name.
pub fn is_asked_for() -> bool {
    let called = std::env::args_os().next().unwrap_or_default();
    std::path::Path::new(&called).file_stem().is_some_and(|name| name == NAME)
}

/// Prints what may come after these words, the last of which may be unfinished.
pub async fn run(words: Vec<String>) {
    let (last, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let mut candidates = static_candidates(before);
    if wants_gateway(before) {
        let names = tokio::time::timeout(PATIENCE, names(before)).await;
        candidates.extend(names.unwrap_or_default());
    }
    for candidate in candidates.iter().filter(|candidate| candidate.starts_with(last)) {
        println!("{candidate}");
    }
    println!("{NO_FILES}");
}

/// The command that the words have come to.
fn command(before: &[String]) -> (clap::Command, Vec<String>) {
    let mut command = Cli::command();
    command.build();
    let mut path = Vec::new();
    for word in before {
        if let Some(next) = command.find_subcommand(word).cloned() {
            path.push(word.clone());
            command = next;
        }
    }
    (command, path)
}

/// Subcommands and flags.
fn static_candidates(before: &[String]) -> Vec<String> {
    let (command, _) = command(before);
    let subcommands = command.get_subcommands().map(|one| one.get_name().to_owned());
    let flags = command.get_arguments().filter_map(|argument| argument.get_long());
    subcommands.chain(flags.map(|flag| format!("--{flag}"))).collect()
}

/// Whether the name of a MudGateway may come here.
fn wants_gateway(before: &[String]) -> bool {
    let (_, path) = command(before);
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    let is_flag = matches!(before.last().map(String::as_str), Some("-g" | "--gateway"));
    is_flag || matches!(path[..], ["status" | "failover" | "doctor"] | ["key", "rotate"])
}

/// The names of the MudGateways of the namespace. Without a cluster there is nothing to complete, and no error to show.
async fn names(before: &[String]) -> Vec<String> {
    let words = ["kubectl-mudgw", "status"].into_iter().map(str::to_owned);
    let flags =
        before.iter().filter(|word| word.starts_with("--namespace=") || word.starts_with("--context="));
    let spaced =
        before.windows(2).filter(|pair| matches!(pair[0].as_str(), "-n" | "--namespace" | "--context"));
    let words = words.chain(flags.cloned()).chain(spaced.flat_map(|pair| pair.to_vec()));
    let args = Cli::try_parse_from(words).map_or_else(|_| ClusterArgs::default(), |cli| cli.cluster);
    let Ok(cluster) = Cluster::new(&args).await else { return Vec::new() };
    let listed = gateway::list(&cluster.client, Some(&cluster.namespace)).await.unwrap_or_default();
    listed.into_iter().map(|gateway| gateway.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn commands_and_flags_are_offered_where_they_may_come() {
        let offered = |line: &str| static_candidates(&words(line));
        for name in ["status", "tail", "key", "doctor", "--namespace"] {
            assert!(offered("").contains(&name.to_owned()), "{name}");
        }
        assert!(offered("key").contains(&"rotate".to_owned()));
        assert!(offered("-n x key rotate").contains(&"--grace".to_owned()));
        assert!(!offered("status").contains(&"--grace".to_owned()));
    }

    #[test]
    fn names_are_offered_where_a_gateway_is_meant() {
        for (line, wanted) in [
            ("status", true),
            ("key rotate", true),
            ("-n a doctor", true),
            ("tail imud_gossip -g", true),
            ("tail", false),
            ("key", false),
            ("", false),
        ] {
            assert_eq!(wants_gateway(&words(line)), wanted, "{line}");
        }
    }
}
