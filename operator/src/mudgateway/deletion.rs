//! The end of a MudGateway. Its objects go by their owner references; what is not in Kubernetes goes before: its router
//! is told, and NATS forgets what is not to be kept. A finalizer holds the MudGateway until then, and never for long: what
//! cannot be done in time is left, and that is said.

use std::time::Duration;

use kube::Resource;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::core::{ObjectMeta, PartialObjectMeta, PartialObjectMetaExt};
use mudgateway_crds::MudGateway;
use mudgateway_crds::mudgateway::DeletionPolicy;
use mudgateway_crds::status::Reason;
use tracing::{info, warn};

use super::children::{Child, Kind};
use super::verdict::Outcome;
use super::{Again, apply, name, observe, status};
use crate::bus::{Farewell, MudName, MudState};
use crate::context::Context;
use crate::key::{Guarded, Key};

/// What holds a MudGateway until its end is carried out.
pub const FINALIZER: &str = "intermud.dev/farewell";

/// When to look again.
pub(super) const AGAIN: Duration = Duration::from_secs(3);

/// How far the end has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// For how long it has been under way.
    pub elapsed: Duration,
    /// How long it may take.
    pub limit: Duration,
    /// Whether it has the mud's name, and neither an older MudGateway nor another namespace.
    pub has_name: bool,
    /// Whether NATS can be reached.
    pub bus: bool,
    /// Its Deployment.
    pub pods: Pods,
}

/// What is left of the pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pods {
    /// They are wanted.
    Wanted,
    /// They are told to end.
    Ending,
    /// They are gone.
    Gone,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The gateway takes its leave of the router, then its pods end.
    Farewell,
    /// The pods end without a word.
    End,
    /// Look again later.
    Wait(&'static str),
    /// NATS forgets, and that is the end.
    Forget,
    /// That is the end; what NATS has of the mud stays there.
    Leave,
    /// That is the end.
    Done,
}

/// Decides what is to be done next. Pure.
pub fn next(progress: Progress) -> Step {
    let Progress { elapsed, limit, has_name, bus, pods } = progress;
    match pods {
        // What is left goes by its owner reference.
        _ if !has_name => Step::Done,
        Pods::Wanted if bus => Step::Farewell,
        Pods::Wanted if elapsed < limit / 6 => Step::Wait(
            "NATS, by which the gateway is told to take its leave of the router, cannot be reached",
        ),
        Pods::Wanted => Step::End,
        // A pod that ends still writes what it knows.
        Pods::Ending if elapsed < limit * 3 / 4 => Step::Wait("the gateway pods end"),
        Pods::Ending | Pods::Gone if bus => Step::Forget,
        Pods::Ending | Pods::Gone if elapsed < limit => {
            Step::Wait("NATS, which is to forget the mud, cannot be reached")
        }
        Pods::Ending | Pods::Gone => Step::Leave,
    }
}

/// A step towards the end could not be done. It will be tried again.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {}", super::api_error::Plain(source))]
pub struct Error {
    action: &'static str,
    /// What the API server said.
    pub source: kube::Error,
}

/// Has a MudGateway held until its end is carried out, from before anything is made for it.
///
/// # Errors
/// When the API server refuses.
pub async fn hold(context: &Context, key: &Key, gateway: &MudGateway) -> Result<(), Error> {
    if has_finalizer(gateway.meta()) {
        return Ok(());
    }
    let metadata = ObjectMeta {
        name: Some(key.name.clone()),
        // So that one made anew under this name meanwhile is not mistaken for it.
        uid: gateway.metadata.uid.clone(),
        finalizers: Some(vec![FINALIZER.to_owned()]),
        ..ObjectMeta::default()
    };
    let partial: PartialObjectMeta<MudGateway> = metadata.into_request_partial();
    let api: Api<MudGateway> = Api::namespaced(context.client.clone(), &key.namespace);
    let held = api.patch_metadata(&key.name, &apply::params(), &Patch::Apply(partial)).await;
    held.map(drop).map_err(|source| Error { action: "holding it for its end", source })
}

/// Takes the next step towards the end of a MudGateway that is deleted.
///
/// # Errors
/// When the API server refuses.
pub async fn carry_out(object: &Guarded, key: &Key, context: &Context) -> Result<Again, super::Error> {
    if !has_finalizer(object.meta()) {
        return Ok(None);
    }
    let (names, state) = names(object, key, context).await;
    let deployment = deployment(context, key, object.meta()).await?;
    let progress = Progress {
        elapsed: context.leaving_for(key),
        limit: limit(context),
        has_name: !names.is_empty(),
        bus: state.is_some(),
        pods: pods(deployment.as_ref()),
    };
    match (next(progress), &state) {
        (Step::Farewell, Some(state)) => {
            if !context.has_taken_leave(key, say_farewell(state.clone(), names, key.clone())) {
                return Ok(None);
            }
            end_pods(context, key, deployment.as_ref()).await?;
            Ok(Some(AGAIN))
        }
        (Step::End, _) => {
            warn!(reason = "StateUnavailable", mudgateway = %key, "the router is not told that the mud leaves: NATS is away");
            end_pods(context, key, deployment.as_ref()).await?;
            Ok(Some(AGAIN))
        }
        (Step::Wait(why), _) => {
            wait(object, key, context, why).await?;
            Ok(Some(AGAIN))
        }
        (Step::Forget, Some(state)) => forget(object, key, context, state, &names).await,
        (Step::Leave, _) => leave(object, key, context).await,
        (Step::Done | Step::Farewell | Step::Forget, _) => Ok(release(context, key, object.meta()).await?),
    }
}

/// The names that it has and is to give up, that on a network which it was about to leave too; and NATS, as far as that
/// can be reached.
async fn names(object: &Guarded, key: &Key, context: &Context) -> (Vec<MudName>, Option<MudState>) {
    let now = {
        let index = context.index();
        let now = index.mud_of(key).filter(|_| index.senior(key).is_none());
        now.map(|(network, mud)| MudName { network: network.to_owned(), mud: mud.to_owned() })
    };
    let before = object.0.as_ref().ok().and_then(name::before);
    let before = before.filter(|name| !context.index().is_claimed(&name.network, &name.mud));
    let (mut names, mut state) = (Vec::new(), context.mud_state());
    for name in now.into_iter().chain(before) {
        let anothers = name::is_anothers(state.as_ref(), &name, key).await;
        if anothers.is_none() {
            // As good as away.
            state = None;
        }
        if anothers != Some(true) {
            names.push(name);
        }
    }
    (names, state)
}

/// What is left of the pods of a Deployment.
pub(super) fn pods(deployment: Option<&Child>) -> Pods {
    match deployment {
        None => Pods::Gone,
        Some(child) if child.metadata.deletion_timestamp.is_some() => Pods::Ending,
        Some(_) => Pods::Wanted,
    }
}

/// How long it may take.
pub(super) fn limit(context: &Context) -> Duration {
    Duration::from_secs(context.settings.deletion_seconds.into())
}

/// Has the gateway take its leave of the router, under each of its names.
pub(super) async fn say_farewell(state: MudState, names: Vec<MudName>, key: Key) {
    for name in &names {
        match state.retire(name).await {
            Ok(Farewell::Said) => info!(mudgateway = %key, "the router was told that the mud leaves"),
            Ok(Farewell::NobodyThere) => {
                info!(mudgateway = %key, "no gateway runs that could take its leave");
            }
            Ok(Farewell::NoAnswer) => {
                warn!(reason = "NoAnswer", mudgateway = %key, "the gateway did not take its leave in time");
            }
            Err(error) => {
                warn!(reason = "StateUnavailable", mudgateway = %key, %error, "the gateway could not be told to take its leave");
            }
        }
    }
}

/// While there is something to wait for, whoever looks at the object is told.
async fn wait(object: &Guarded, key: &Key, context: &Context, why: &str) -> Result<(), status::Error> {
    let deleting = Outcome::Deleting(why.to_owned());
    let observation = observe(object.meta().generation, deleting, None, key, context);
    status::update(context, key, object.0.as_ref().ok(), &observation).await
}

async fn forget(
    object: &Guarded,
    key: &Key,
    context: &Context,
    state: &MudState,
    names: &[MudName],
) -> Result<Again, super::Error> {
    let policy = object.0.as_ref().map_or(DeletionPolicy::Retain, |gateway| gateway.spec.deletion_policy);
    for name in names {
        if let Err(error) = state.forget(name, key, policy == DeletionPolicy::Delete).await {
            if context.leaving_for(key) >= limit(context) {
                return leave(object, key, context).await;
            }
            warn!(reason = "StateUnavailable", mudgateway = %key, %error, "NATS did not forget the mud, will try again");
            wait(object, key, context, "NATS, which is to forget the mud, does not do so").await?;
            return Ok(Some(AGAIN));
        }
    }
    info!(mudgateway = %key, ?policy, "its end is carried out");
    Ok(release(context, key, object.meta()).await?)
}

async fn leave(object: &Guarded, key: &Key, context: &Context) -> Result<Again, super::Error> {
    let note = "NATS could not be reached: what it has of the mud stays there, its password too. A MudGateway of the \
                same mud goes on with it";
    warn!(reason = Reason::StateLeft.as_str(), mudgateway = %key, note);
    status::tell(context, key, Reason::StateLeft, note).await;
    Ok(release(context, key, object.meta()).await?)
}

/// Its Deployment, if it is its own.
pub(super) async fn deployment(
    context: &Context,
    key: &Key,
    owner: &ObjectMeta,
) -> Result<Option<Child>, Error> {
    let api = deployments(context, key);
    let found = api.get_opt(&Kind::Deployment.name_for(&key.name)).await;
    let found = found.map_err(|source| Error { action: "reading its Deployment", source })?;
    Ok(found.filter(|child| child.is_owned(owner.uid.as_deref().unwrap_or_default())))
}

/// Ends the pods. The Deployment goes when the last of them has gone.
pub(super) async fn end_pods(context: &Context, key: &Key, deployment: Option<&Child>) -> Result<(), Error> {
    let Some(child) = deployment else { return Ok(()) };
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: child.metadata.uid.clone(), resource_version: None }),
        propagation_policy: Some(PropagationPolicy::Foreground),
        ..DeleteParams::default()
    };
    match deployments(context, key).delete(&Kind::Deployment.name_for(&key.name), &params).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(source) => Err(Error { action: "deleting its Deployment", source }),
        Ok(_) => Ok(()),
    }
}

fn deployments(context: &Context, key: &Key) -> Api<Child> {
    Api::namespaced_with(context.client.clone(), &key.namespace, &Kind::Deployment.resource())
}

/// Lets the MudGateway go. By all finalizers there are, for it may have come with ours from a backup.
async fn release(context: &Context, key: &Key, metadata: &ObjectMeta) -> Result<Again, Error> {
    let others: Vec<&String> =
        metadata.finalizers.iter().flatten().filter(|finalizer| *finalizer != FINALIZER).collect();
    let patch = serde_json::json!({"metadata": {
        "uid": metadata.uid,
        "resourceVersion": metadata.resource_version,
        "finalizers": others,
    }});
    let api: Api<MudGateway> = Api::namespaced(context.client.clone(), &key.namespace);
    match api.patch_metadata(&key.name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(source) => Err(Error { action: "letting it go", source }),
        Ok(_) => Ok(None),
    }
}

fn has_finalizer(metadata: &ObjectMeta) -> bool {
    metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, bus: bool, pods: Pods) -> Step {
        let elapsed = Duration::from_secs(seconds);
        next(Progress { elapsed, limit: Duration::from_secs(60), has_name: true, bus, pods })
    }

    #[test]
    fn first_the_router_is_told_then_the_pods_end_then_nats_forgets() {
        assert_eq!(at(0, true, Pods::Wanted), Step::Farewell);
        assert!(matches!(at(1, true, Pods::Ending), Step::Wait(_)));
        assert_eq!(at(2, true, Pods::Gone), Step::Forget);
    }

    #[test]
    fn without_nats_it_takes_a_while_and_then_ends_all_the_same() {
        for (seconds, pods) in [(0, Pods::Wanted), (30, Pods::Ending), (50, Pods::Ending), (30, Pods::Gone)] {
            assert!(matches!(at(seconds, false, pods), Step::Wait(_)), "{seconds} {pods:?}");
        }
        assert_eq!(at(10, false, Pods::Wanted), Step::End);
        for pods in [Pods::Ending, Pods::Gone] {
            assert_eq!(at(60, false, pods), Step::Leave);
        }
    }

    #[test]
    fn pods_that_do_not_end_hold_nothing_up_for_ever() {
        assert_eq!(at(45, true, Pods::Ending), Step::Forget);
    }

    #[test]
    fn the_mud_of_another_is_left_alone() {
        for bus in [true, false] {
            for pods in [Pods::Wanted, Pods::Ending, Pods::Gone] {
                let (elapsed, limit) = (Duration::ZERO, Duration::from_secs(60));
                let progress = Progress { elapsed, limit, has_name: false, bus, pods };
                assert_eq!(next(progress), Step::Done);
            }
        }
    }
}
