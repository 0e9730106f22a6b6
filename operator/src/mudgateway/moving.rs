//! A MudGateway whose spec names another network. Its mud leaves the one it was on as at its end: the router is told, the
//! pods end, and NATS forgets what is not to be kept. Only then it comes to the new one. So nobody keeps a name on a network
//! on which they are no longer, and no pod that ends writes to what was forgotten.

use mudgateway_crds::MudGateway;
use mudgateway_crds::mudgateway::DeletionPolicy;
use mudgateway_crds::status::Reason;
use tracing::{info, warn};

use super::deletion::{self, Pods, Progress, Step};
use super::validate::Gateway;
use super::{Outcome, name, observe, status};
use crate::bus::{MudName, MudState};
use crate::context::Context;
use crate::key::Key;

/// What a mud that moves may wait for.
const AWAY: &str = "NATS, which is to forget the mud on its former network, cannot be reached";

/// Has the mud leave the network that it was on before, if it was on another. Returns what that waits for.
///
/// # Errors
/// When the API server refuses.
pub async fn leave(
    object: &MudGateway,
    gateway: &Gateway,
    context: &Context,
) -> Result<Option<&'static str>, super::Error> {
    let Some(name) = left(object, gateway, context).await? else { return Ok(None) };
    let key = &gateway.key;
    let deployment = deletion::deployment(context, key, &object.metadata).await?;
    let pods = deletion::pods(deployment.as_ref());
    let state = context.mud_state();
    let state = match name::is_anothers(state.as_ref(), &name::of(gateway), key).await {
        // It cannot come to the new one, so it stays.
        Some(true) => return Ok(None),
        Some(false) => state,
        None => None,
    };
    if state.is_none() && pods == Pods::Wanted {
        // Better on the former network than on none.
        return Ok(Some(AWAY));
    }
    let (elapsed, limit) = (context.leaving_for(key), deletion::limit(context));
    let progress = Progress { elapsed, limit, has_name: true, bus: state.is_some(), pods };
    match (deletion::next(progress), state) {
        (Step::Farewell, Some(state)) => {
            if !context.has_taken_leave(key, deletion::say_farewell(state, vec![name], key.clone())) {
                return Ok(Some("the gateway takes its leave of the router"));
            }
            deletion::end_pods(context, key, deployment.as_ref()).await?;
            return Ok(Some("the gateway pods end"));
        }
        (Step::Wait(why), _) => return Ok(Some(why)),
        (Step::Forget, Some(state)) => {
            if let Err(error) = forget(object, &name, key, &state).await {
                warn!(reason = "StateUnavailable", mudgateway = %key, %error, "NATS did not forget the mud");
                if elapsed < limit {
                    return Ok(Some(
                        "NATS, which is to forget the mud on its former network, does not do so",
                    ));
                }
                tell_left(context, key).await;
            }
        }
        _ => tell_left(context, key).await,
    }
    context.has_left(key);
    // At once: the pods that are made now are not those that are to end.
    let moved = Outcome::Moving("it comes to the new network".to_owned());
    let observation =
        observe(object.metadata.generation, moved, Some(name::of(gateway).network), key, context);
    status::update(context, key, Some(object), &observation).await?;
    Ok(None)
}

/// The name that it has on its former network, and nobody else.
async fn left(
    object: &MudGateway,
    gateway: &Gateway,
    context: &Context,
) -> Result<Option<MudName>, super::Error> {
    if name::before(object).is_none() {
        return Ok(None);
    }
    // What the watch saw may be older than what we wrote last.
    let live = status::live(context, &gateway.key).await?;
    let name = name::before(&MudGateway { status: live, ..object.clone() });
    let Some(name) = name.filter(|name| !context.index().is_claimed(&name.network, &name.mud)) else {
        return Ok(None);
    };
    let anothers = name::is_anothers(context.mud_state().as_ref(), &name, &gateway.key).await;
    Ok((anothers != Some(true)).then_some(name))
}

async fn forget(
    object: &MudGateway,
    name: &MudName,
    key: &Key,
    state: &MudState,
) -> Result<(), crate::bus::StateError> {
    let policy = object.spec.deletion_policy;
    state.forget(name, key, policy == DeletionPolicy::Delete).await?;
    info!(mudgateway = %key, network = name.network, ?policy, "the mud has left its network");
    Ok(())
}

async fn tell_left(context: &Context, key: &Key) {
    let note = "NATS could not be reached: what it has of the mud on its former network stays there, its password too";
    warn!(reason = Reason::StateLeft.as_str(), mudgateway = %key, note);
    status::tell(context, key, Reason::StateLeft, note).await;
}
