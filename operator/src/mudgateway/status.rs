//! Step five: the status, and an event for what a person should see. Written only when it says something new.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch};
use kube::runtime::events::{Event, EventType};
use kube::{Resource, ResourceExt};
use mudgateway_crds::report::{GatewayReport, SessionReason};
use mudgateway_crds::status::{ConditionType, Reason, RouterSession, SessionError};
use mudgateway_crds::{MudGateway, MudGatewayStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::warn;

use super::api_error::Plain;
use super::apply;
use super::verdict::{self, Observation, Outcome, Verdict};
use crate::bus::Session;
use crate::context::Context;
use crate::key::Key;

/// The most bytes of a message that go into conditions and events: what an event may have.
const MESSAGE_LIMIT: usize = 1024;

/// A `MudGateway` of which nobody looks at the spec, which so may be one that we cannot decode.
#[derive(Clone, Debug, Deserialize, Serialize, Resource)]
#[resource(inherit = MudGateway)]
pub struct StatusView {
    /// Standard metadata.
    pub metadata: ObjectMeta,
    /// The status.
    #[serde(default)]
    pub status: Option<MudGatewayStatus>,
}

/// The status could not be written.
#[derive(Debug, thiserror::Error)]
#[error("writing the status: {}", Plain(source))]
pub struct Error {
    /// What the API server said.
    #[from]
    pub source: kube::Error,
}

/// Brings the status in line with an observation.
///
/// `cached` is the object as the watch last saw it. If its status says all that already, nothing is asked for; if not, it
/// is written on the condition that nothing has changed since. Our own last write may not have come back by the watch
/// yet: then the API server refuses, and the live object decides.
///
/// # Errors
/// When the API server refuses.
pub async fn update(
    context: &Context,
    key: &Key,
    cached: Option<&MudGateway>,
    observation: &Observation,
) -> Result<(), Error> {
    // One that has none yet was changed since: it is held until its end.
    if let Some(cached) = cached.filter(|cached| cached.status.is_some()) {
        match write(context, key, cached, cached.status.as_ref(), observation).await {
            Err(Error { source: kube::Error::Api(refused) }) if refused.code == 409 => {}
            written => return written,
        }
    }
    let api: Api<StatusView> = Api::namespaced(context.client.clone(), &key.namespace);
    let Some(live) = api.get_opt(&key.name).await? else { return Ok(()) };
    write(context, key, &live, live.status.as_ref(), observation).await
}

/// Writes what an observation adds to the status of an object that is as it was seen.
async fn write(
    context: &Context,
    key: &Key,
    seen: &impl Resource<DynamicType = ()>,
    status: Option<&MudGatewayStatus>,
    observation: &Observation,
) -> Result<(), Error> {
    let none = MudGatewayStatus::default();
    let before = status.unwrap_or(&none);
    let after = next(before, observation, whole_seconds(Timestamp::now()));
    if status.is_some() && *before == after {
        return Ok(());
    }
    let patch = json!({
        "apiVersion": MudGateway::api_version(&()),
        "kind": MudGateway::kind(&()),
        // The uid, so that an object created anew under this name meanwhile does not get it.
        "metadata": {"uid": seen.uid(), "resourceVersion": seen.resource_version()},
        "status": after,
    });
    let api: Api<StatusView> = Api::namespaced(context.client.clone(), &key.namespace);
    api.patch_status(&key.name, &apply::params(), &Patch::Apply(patch)).await?;
    publish(context, seen, &events(before, observation)).await;
    Ok(())
}

/// The status as the API server has it now.
///
/// # Errors
/// When it cannot be read.
pub async fn live(context: &Context, key: &Key) -> Result<Option<MudGatewayStatus>, Error> {
    let api: Api<StatusView> = Api::namespaced(context.client.clone(), &key.namespace);
    Ok(api.get_opt(&key.name).await?.and_then(|live| live.status))
}

/// The API server's own times have no fractions either.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Events are best effort: a refused one must not fail the reconciliation.
async fn publish(context: &Context, object: &impl Resource<DynamicType = ()>, events: &[Event]) {
    let reference = object.object_ref(&());
    for event in events {
        if let Err(error) = context.recorder.publish(event, &reference).await {
            warn!(reason = event.reason, %error, "an event could not be published");
        }
    }
}

/// An event about an object, for what no condition says.
pub async fn tell(context: &Context, key: &Key, reason: Reason, note: &str) {
    let Some(type_) = event_type(reason) else { return };
    let api: Api<StatusView> = Api::namespaced(context.client.clone(), &key.namespace);
    // Best effort, like all events.
    if let Ok(Some(live)) = api.get_opt(&key.name).await {
        let (reason, note) = (reason.as_str().to_owned(), Some(shortened(note)));
        let event = Event { type_, reason, note, action: "Reconcile".to_owned(), secondary: None };
        publish(context, &live, &[event]).await;
    }
}

/// The status after an observation. It moves the time of a condition only when its status changes, so the same
/// observation twice gives the same status.
fn next(before: &MudGatewayStatus, observation: &Observation, now: Timestamp) -> MudGatewayStatus {
    let mut after = before.clone();
    after.observed_generation = observation.generation;
    for (type_, verdict) in news(before, observation) {
        set(&mut after.conditions, condition(type_, &verdict, observation.generation, now));
    }
    if let Some(ready) = ready(&after) {
        set(&mut after.conditions, Condition { last_transition_time: Time(now), ..ready });
    }
    if let Some(network) = &observation.network {
        after.network = Some(network.clone());
    }
    note_session(&mut after, &observation.session, now);
    note_objects(&mut after, &observation.outcome);
    after
}

fn note_session(after: &mut MudGatewayStatus, session: &Session, now: Timestamp) {
    match session {
        Session::Reported(report) => {
            after.holder = Some(report.holder.clone());
            if report.is_connected() {
                after.last_connected = Some(report.holder.clone());
            }
            after.router = router_session(report);
            after.clients = report.clients;
            note_error(after, report, now);
        }
        Session::Silent | Session::BusAway => {
            after.holder = None;
            after.router = None;
            after.clients = None;
        }
        Session::NotYetKnown => {}
    }
}

/// Notes what there is of the gateway, once it is known whether a pod of it is logged in.
fn note_objects(after: &mut MudGatewayStatus, outcome: &Outcome) {
    if let Outcome::Applied(applied) = outcome {
        after.endpoints = Some(applied.exposure.endpoints.clone());
        after.api_key_secret.clone_from(&applied.api_key_secret);
        after.selector = Some(applied.selector.clone());
        let pods = applied.deployment.status.as_ref();
        after.replicas = pods.and_then(|status| status.replicas).unwrap_or(0);
        let ready = pods.and_then(|status| status.ready_replicas).unwrap_or(0);
        after.standbys = (ready - i32::from(after.router.is_some())).max(0);
    }
    if verdict::has_lost_its_name(outcome) {
        after.endpoints = None;
        (after.replicas, after.standbys) = (0, 0);
    }
    if verdict::without_pod(outcome).is_some() {
        // Whoever comes next takes over from nobody.
        after.last_connected = None;
    }
}

/// Keeps what last kept the mud from the network, with the time when it was first heard of.
fn note_error(after: &mut MudGatewayStatus, report: &GatewayReport, now: Timestamp) {
    if event_type(Reason::Session(report.reason)) != Some(EventType::Warning) {
        return;
    }
    let error = SessionError {
        reason: report.reason.as_str().to_owned(),
        message: shortened(&report.message),
        router: report.router.clone(),
        time: Time(now),
    };
    match &after.last_error {
        Some(last) if SessionError { time: last.time.clone(), ..error.clone() } == *last => {}
        _ => after.last_error = Some(error),
    }
}

fn router_session(report: &GatewayReport) -> Option<RouterSession> {
    let name = report.router.clone().filter(|_| report.is_connected())?;
    let since = report.connected_since.as_deref().and_then(|time| time.parse().ok());
    Some(RouterSession { name, connected_since: since.map(Time) })
}

/// The verdict on each condition but Ready, without those that tell nothing new.
fn news(before: &MudGatewayStatus, observation: &Observation) -> Vec<(ConditionType, Verdict)> {
    let Observation { outcome, session, .. } = observation;
    let verdicts = [
        (ConditionType::Accepted, verdict::accepted(outcome)),
        (ConditionType::Programmed, verdict::programmed(outcome)),
        (ConditionType::Connected, verdict::connected(outcome, session)),
    ];
    let stands = |(type_, verdict): &(_, Verdict)| !verdict.tentative || before.condition(*type_).is_none();
    verdicts.into_iter().filter(stands).collect()
}

/// Ready says what the first of the others says that does not hold, or else what Connected says.
fn ready(status: &MudGatewayStatus) -> Option<Condition> {
    let others = [ConditionType::Accepted, ConditionType::Programmed, ConditionType::Connected];
    let others = others.map(|type_| status.condition(type_));
    let telling = others
        .iter()
        .flatten()
        .find(|condition| condition.status != "True")
        .or(others.iter().flatten().last());
    telling.map(|condition| Condition {
        type_: ConditionType::Ready.as_str().to_owned(),
        ..(*condition).clone()
    })
}

fn condition(type_: ConditionType, verdict: &Verdict, generation: Option<i64>, now: Timestamp) -> Condition {
    Condition {
        type_: type_.as_str().to_owned(),
        status: verdict.status.as_str().to_owned(),
        reason: verdict.reason.as_str().to_owned(),
        message: shortened(&verdict.message),
        observed_generation: generation,
        last_transition_time: Time(now),
    }
}

/// Puts a condition in its place, with the time of its last change.
fn set(conditions: &mut Vec<Condition>, new: Condition) {
    match conditions.iter_mut().find(|old| old.type_ == new.type_) {
        Some(old) if old.status == new.status => {
            *old = Condition { last_transition_time: old.last_transition_time.clone(), ..new };
        }
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

/// An event for each condition that came to say something new that a person should see.
fn events(before: &MudGatewayStatus, observation: &Observation) -> Vec<Event> {
    let is_said = |type_, verdict: &Verdict| {
        before
            .condition(type_)
            .is_some_and(|old| old.status == verdict.status.as_str() && old.reason == verdict.reason.as_str())
    };
    let mut events: Vec<Event> = failed_over(before, observation).into_iter().collect();
    for (type_, verdict) in news(before, observation) {
        let Some(event_type) = event_type(verdict.reason) else { continue };
        let reason = verdict.reason.as_str();
        // One reason may concern two conditions: it is one event.
        if !is_said(type_, &verdict) && events.iter().all(|event| event.reason != reason) {
            events.push(Event {
                type_: event_type,
                reason: reason.to_owned(),
                note: Some(shortened(&verdict.message)),
                action: "Reconcile".to_owned(),
                secondary: None,
            });
        }
    }
    events
}

/// An event when another pod is logged in at the router than was before. Not by the holder: a pod that takes over reports
/// before it is logged in.
fn failed_over(before: &MudGatewayStatus, observation: &Observation) -> Option<Event> {
    let Session::Reported(report) = &observation.session else { return None };
    let last = before.last_connected.as_ref()?;
    if !report.is_connected() || *last == report.holder {
        return None;
    }
    Some(Event {
        type_: EventType::Normal,
        reason: Reason::FailedOver.as_str().to_owned(),
        note: Some(shortened(&format!("pod {} is logged in at the router, after pod {last}", report.holder))),
        action: "Reconcile".to_owned(),
        secondary: None,
    })
}

/// Whether a person should see it, and how.
fn event_type(reason: Reason) -> Option<EventType> {
    match reason {
        Reason::InvalidSpec
        | Reason::ImageNotAllowed
        | Reason::KeyExpiring
        | Reason::KeyExpired
        | Reason::GatewayApiMissing
        | Reason::GatewayNotFound
        | Reason::RouteNotAccepted
        | Reason::EndpointConflict
        | Reason::ImmutableField
        | Reason::SecretNotFound
        | Reason::NetworkNotFound
        | Reason::NetworkUnavailable
        | Reason::NameConflict
        | Reason::ObjectExists
        | Reason::ApplyFailed
        | Reason::NatsLoginUnavailable
        | Reason::StateLeft
        | Reason::PasswordRestored
        | Reason::ProgressDeadlineExceeded => Some(EventType::Warning),
        Reason::Session(SessionReason::SessionEstablished) => Some(EventType::Normal),
        Reason::Session(
            SessionReason::Connecting
            | SessionReason::WaitingForPermit
            | SessionReason::Redirected
            | SessionReason::Standby
            | SessionReason::ShuttingDown,
        ) => None,
        Reason::Session(_) => Some(EventType::Warning),
        Reason::Paused | Reason::FailedOver => Some(EventType::Normal),
        Reason::Accepted
        | Reason::AddressPending
        | Reason::Deleting
        | Reason::Moving
        | Reason::MinimumReplicasAvailable
        | Reason::Progressing
        | Reason::ScaledToZero
        | Reason::WaitingForGateway
        | Reason::BusUnavailable => None,
    }
}

fn shortened(message: &str) -> String {
    if message.len() <= MESSAGE_LIMIT {
        return message.to_owned();
    }
    let end = message.floor_char_boundary(MESSAGE_LIMIT - '…'.len_utf8());
    format!("{}…", &message[..end])
}

#[cfg(test)]
mod tests;
