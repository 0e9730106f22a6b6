//! What keeps a pod from running.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

/// What keeps a pod from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// What keeps a pod from running, if anything names it.
pub fn problem(pod: &Pod) -> Option<Problem> {
    let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
    let describe = format!("see: kubectl describe pod {name} -n {namespace}");
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.iter().flatten();
    let unscheduled = conditions.clone().find(|one| one.type_ == "PodScheduled" && one.status == "False");
    if let Some(condition) = unscheduled {
        let why = condition.message.as_deref().unwrap_or("no node takes it");
        let remedy = "make room, or change what the pod asks for (resources, nodeSelector, tolerations)";
        return Some(Problem { message: format!("no node for it: {why}"), remedy: remedy.to_owned() });
    }
    status.container_statuses.iter().flatten().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let detail = waiting.message.clone().unwrap_or_default();
        let problem = match waiting.reason.as_deref()? {
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => Problem {
                message: format!("the image {} cannot be pulled: {detail}", container.image),
                remedy:
                    "correct the image's name or tag, or give the registry's credentials (imagePullSecrets)"
                        .to_owned(),
            },
            "CrashLoopBackOff" => Problem {
                message: format!(
                    "it ends again and again ({} restarts){}",
                    container.restart_count,
                    last_end(container)
                ),
                remedy: format!("its last words: kubectl logs {name} -n {namespace} --previous --tail=20"),
            },
            reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") => {
                Problem { message: format!("{reason}: {detail}"), remedy: describe.clone() }
            }
            _ => return None,
        };
        Some(problem)
    })
}

fn last_end(container: &ContainerStatus) -> String {
    let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    ended.map_or_else(String::new, |ended| {
        let reason = ended.reason.as_deref().unwrap_or("it ended");
        format!("; the last time: {reason}, exit code {}", ended.exit_code)
    })
}
