//! Volumes for NATS, on a cluster that has nothing that makes them.

use std::time::Duration;

use serde_json::json;

use crate::Result;
use crate::kubectl::{apply, get, kubectl, wait};

/// Makes volumes on the first node, unless the cluster makes them itself.
///
/// # Errors
/// When kubectl fails, or the node does not make the folders.
pub fn make(count: usize) -> Result<()> {
    if !kubectl(&["get", "storageclasses", "-o", "name"])?.trim().is_empty() {
        return Ok(());
    }
    let folder = |number: usize| format!("/var/lib/mudgateway-volumes/{number}");
    folders((1..=count).map(folder).collect())?;
    for number in 1..=count {
        let volume = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": format!("volume-{number}")},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "local": {"path": folder(number)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{
                    "matchExpressions": [{"key": "test-node", "operator": "In", "values": ["1"]}],
                }]}},
            },
        });
        apply("default", &volume.to_string())?;
    }
    Ok(())
}

/// Makes folders on the first node: the kubelet does so for a pod that asks for them.
fn folders(paths: Vec<String>) -> Result<()> {
    let volumes: Vec<_> = paths
        .iter()
        .enumerate()
        .map(|(index, path)| json!({"name": format!("v{index}"), "hostPath": {"path": path, "type": "DirectoryOrCreate"}}))
        .collect();
    let mounts: Vec<_> = (0..paths.len())
        .map(|index| json!({"name": format!("v{index}"), "mountPath": format!("/v{index}")}))
        .collect();
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "folders"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "nodeSelector": {"test-node": "1"},
            "containers": [{
                "name": "folders",
                "image": "localhost/mudgateway-testkit:dev",
                "command": ["/i3-router", "--version"],
                "volumeMounts": mounts,
            }],
            "volumes": volumes,
        },
    });
    apply("default", &pod.to_string())?;
    wait("the folders of the volumes", Duration::from_secs(60), || {
        let pod = get("default", "pod/folders")?;
        if pod["status"]["phase"] == "Succeeded" { Ok(Ok(())) } else { Ok(Err(pod["status"].to_string())) }
    })?;
    kubectl(&["delete", "pod", "folders", "-n", "default"]).map(drop)
}
