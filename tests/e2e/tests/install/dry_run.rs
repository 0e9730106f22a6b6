//! What the API server says of objects before anything is made of them.

use mudgateway_e2e::install::{SYSTEM, file, root};
use mudgateway_e2e::kubectl::{check, run};

use super::{Result, TENANT};

/// Ways to install the chart, as arguments of helm. The kinds of the Prometheus operator are not here; kubeconform looks at those.
const WAYS: [&[&str]; 4] = [
    &[],
    &["--values", "charts/mudgateway/values-ha.yaml"],
    &["--values", "tests/chart/values/every-option.yaml", "--set", "fullnameOverride="],
    &["--values", "tests/chart/values/own-nats.yaml"],
];

const NO_MONITORS: &str = "metrics.serviceMonitor.enabled=false,metrics.podMonitor.enabled=false,\
                           metrics.prometheusRule.enabled=false";

/// Every way to install the chart, the plain manifests and the overlays, in a namespace that admits restricted pods only.
pub fn everything() -> Result<()> {
    for way in WAYS {
        let chart = file("charts/mudgateway");
        let files: Vec<_> = way
            .iter()
            .map(|part| if part.ends_with(".yaml") { file(part) } else { (*part).to_owned() })
            .collect();
        let mut command = vec!["template", "mudgateway", &chart, "--namespace", SYSTEM];
        command.extend(files.iter().map(String::as_str));
        command.extend(["--set", NO_MONITORS]);
        check(&format!("the chart with {way:?}"), None, &run("helm", &command, None)?)?;
    }
    for folder in ["base", "overlays/single-node", "overlays/ha"] {
        let built = run("kubectl", &["kustomize", &file(&format!("deploy/kubernetes/{folder}"))], None)?;
        check(folder, None, &built)?;
    }
    Ok(())
}

/// Each example, with the definitions installed. There is one for each kind of `expose`.
pub fn examples() -> Result<()> {
    let folder = root().join("deploy/examples");
    let mut checked = Vec::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(yaml) = std::fs::read_to_string(entry.path()) else { continue };
        let namespace = yaml.contains("kind: MudGateway").then_some(TENANT);
        // Another file's MudGateway may have the same name as the one that is installed, and other owners.
        let yaml = yaml.replace("name: luminari\n", "name: example\n");
        check(&name, namespace, &yaml)?;
        checked.push(name);
    }
    for kind in ["gateway", "gateway-tls", "ingress", "loadbalancer", "nodeport"] {
        assert!(checked.contains(&format!("expose-{kind}.yaml")), "no example for {kind} among {checked:?}");
    }
    Ok(())
}
