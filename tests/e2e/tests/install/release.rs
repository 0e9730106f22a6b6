//! The chart's release, as helm has it.

use mudgateway_e2e::install::{SYSTEM, file};
use mudgateway_e2e::kubectl::{get, kubectl, run};

use super::{NAME, Result, TENANT};

const RELEASE: &str = "mudgateway";
const DEFINITIONS: [&str; 2] = ["crd/mudgateways.intermud.dev", "crd/intermudnetworks.intermud.dev"];

/// A version of the chart, and the images that belong to it.
pub struct Version {
    chart: String,
    tag: String,
}

impl Version {
    /// The one of this checkout.
    pub fn present() -> Self {
        Self { chart: file("charts/mudgateway"), tag: variable("IMAGE_TAG") }
    }

    /// The one before it.
    pub fn previous() -> Self {
        Self { chart: variable("PREVIOUS_CHART"), tag: variable("PREVIOUS_TAG") }
    }

    /// What its gateways run.
    pub fn gateway_image(&self) -> String {
        format!("localhost/mudgateway:{}", self.tag)
    }

    fn values(&self) -> String {
        format!(
            "image.repository=localhost/mudgateway-operator,image.tag={tag},\
             gateway.image.repository=localhost/mudgateway,gateway.image.tag={tag},nats.image.repository=localhost/nats",
            tag = self.tag
        )
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this with `make test-install`"))
}

fn helm(arguments: &[&str]) -> Result<String> {
    run("helm", arguments, None)
}

/// Makes the chart's namespace, which admits restricted pods only and says what else it would not.
pub fn system_namespace() -> Result<()> {
    kubectl(&["create", "namespace", SYSTEM])?;
    let levels = ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}=restricted"));
    kubectl(&["label", "namespace", SYSTEM, &levels[0], &levels[1]]).map(drop)
}

/// Installs a version; returns the notes that helm shows. It does not wait: what comes after does.
pub fn install(version: &Version) -> Result<String> {
    let said =
        helm(&["install", RELEASE, &version.chart, "--namespace", SYSTEM, "--set", &version.values()])?;
    Ok(said.split_once("NOTES:\n").map_or_else(String::new, |(_, notes)| notes.to_owned()))
}

/// Upgrades to a version, and waits until its operator runs.
pub fn upgrade(version: &Version) -> Result<()> {
    let command = ["upgrade", RELEASE, &version.chart, "--namespace", SYSTEM, "--set", &version.values()];
    helm(&[&command[..], &["--wait", "--timeout", "180s"]].concat()).map(drop)
}

/// Goes back to a revision.
pub fn roll_back(revision: u32) -> Result<()> {
    let revision = revision.to_string();
    helm(&["rollback", RELEASE, &revision, "--namespace", SYSTEM, "--wait", "--timeout", "180s"]).map(drop)
}

/// Removes the release and waits until its pods are gone.
pub fn uninstall() -> Result<()> {
    helm(&["uninstall", RELEASE, "--namespace", SYSTEM, "--wait", "--timeout", "180s"]).map(drop)
}

/// Waits until its pods are ready.
pub fn running() -> Result<()> {
    for part in ["statefulset/mudgateway-nats", "deployment/mudgateway-operator"] {
        kubectl(&["rollout", "status", "-n", SYSTEM, part, "--timeout=120s"])?;
    }
    Ok(())
}

/// `helm test`.
pub fn test() -> Result<()> {
    helm(&["test", RELEASE, "--namespace", SYSTEM, "--timeout", "120s"]).map(drop)
}

/// Runs those commands of the notes that look and do not change: a provider copies them.
pub fn follow(notes: &str) -> Result<()> {
    let commands: Vec<_> = notes.lines().map(str::trim).filter(|line| line.starts_with("kubectl ")).collect();
    assert!(commands.len() >= 4, "few commands in the notes:\n{notes}");
    assert!(notes.contains("kubectl apply --namespace tenant-a"), "{notes}");
    for command in commands.into_iter().filter(|command| !command.contains(" apply ")) {
        let command = command.replace("my-mud", NAME);
        run("sh", &["-c", &command], None)?;
    }
    Ok(())
}

/// What outlives the release.
pub fn kept() -> Result<()> {
    for definition in DEFINITIONS {
        kubectl(&["get", definition])?;
    }
    for object in ["persistentvolumeclaim/data-mudgateway-nats-0", "secret/mudgateway-nats-auth"] {
        kubectl(&["get", object, "-n", SYSTEM])?;
    }
    for gone in ["deployment/mudgateway-operator", "statefulset/mudgateway-nats"] {
        assert!(get(SYSTEM, gone)?.is_null(), "{gone} is still there");
    }
    Ok(())
}

/// Replaces the volume of NATS by an empty one.
pub fn lose_what_nats_keeps() -> Result<()> {
    kubectl(&["scale", "statefulset/mudgateway-nats", "-n", SYSTEM, "--replicas=0"])?;
    kubectl(&["wait", "--for=delete", "pod/mudgateway-nats-0", "-n", SYSTEM, "--timeout=60s"])?;
    kubectl(&["delete", "persistentvolumeclaim/data-mudgateway-nats-0", "-n", SYSTEM, "--timeout=60s"])?;
    kubectl(&["scale", "statefulset/mudgateway-nats", "-n", SYSTEM, "--replicas=1"])?;
    running()
}

/// Removes the release and all that outlives it, in the order the documentation gives.
pub fn purge() -> Result<()> {
    kubectl(&["delete", "mudgateway", NAME, "-n", TENANT, "--wait=true", "--timeout=60s"])?;
    uninstall()?;
    kubectl(&[&["delete"], &DEFINITIONS[..]].concat())?;
    kubectl(&["delete", "namespace", SYSTEM, "--wait=true", "--timeout=90s"])?;
    system_namespace()
}
