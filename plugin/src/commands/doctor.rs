//! `doctor`.

use std::process::ExitCode;

use super::{print, print_json};
use crate::cli::Output;
use crate::cluster::Cluster;
use crate::doctor::{Finding, Level, collect, findings};
use crate::error::{Error, Result};
use crate::gateway;

/// Looks for what is wrong; the exit code is 1 when something is.
pub(super) async fn run(
    cluster: &Cluster,
    name: Option<&str>,
    everywhere: bool,
    output: Output,
) -> Result<ExitCode> {
    let namespace = (!everywhere).then_some(cluster.namespace.as_str());
    let gateways = match name {
        Some(name) => gateway::get(cluster, name).await.map(|gateway| vec![gateway]),
        None => gateway::list(&cluster.client, namespace).await,
    };
    let gateways = match gateways {
        // That is something to find, not a reason to give up.
        Err(Error::NoDefinition) => Vec::new(),
        other => other?,
    };
    let facts = collect::collect(cluster, gateways).await?;
    let findings = findings(&facts);
    match output {
        Output::Json => print_json(&findings)?,
        Output::Text => print(&text(&findings))?,
    }
    let wrong = findings.iter().any(|finding| finding.level == Level::Wrong);
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The findings for people, by what they are about; the count at the end.
fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut subject = "";
    for finding in findings {
        if finding.subject != subject {
            subject = &finding.subject;
            text.push_str(&format!("{subject}\n"));
        }
        text.push_str(&format!(
            "  {:<8} {:<11} {}\n",
            finding.level.as_str(),
            finding.check,
            finding.message
        ));
        for line in finding.remedy.iter().flat_map(|remedy| remedy.lines()) {
            text.push_str(&format!("  {:<8} {:<11} -> {line}\n", "", ""));
        }
    }
    let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let summary = match (count(Level::Wrong), count(Level::Warning), count(Level::Unknown)) {
        (0, 0, 0) => "all is well".to_owned(),
        (wrong, warnings, unknown) => {
            format!("wrong: {wrong}, warnings: {warnings}, not looked at: {unknown}")
        }
    };
    text.push_str(&format!("\n{summary}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Check;

    #[test]
    fn findings_are_grouped_and_counted_and_remedies_stand_below() {
        let check = |subject, name| Check { subject, name };
        let findings = [
            check("cluster", "operator").ok("runs"),
            check("a/dawn", "router").wrong("RouterRefused", "do this\nthen that"),
            check("a/dawn", "pods").unknown("no right\nask for it"),
        ];
        let expected = "cluster\n  ok       operator    runs\na/dawn\n  WRONG    router      RouterRefused\n                       \
            -> do this\n                       -> then that\n  unknown  pods        could not be looked at: no right\n                       \
            -> ask for it\n\nwrong: 1, warnings: 0, not looked at: 1\n";
        assert_eq!(text(&findings), expected);
        assert!(text(&findings[..1]).ends_with("\nall is well\n"));
    }
}
