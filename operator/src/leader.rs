//! One operator at a time writes: the holder of a Lease.
//!
//! [`Election`] decides, purely; [`run`] brings it to the API server. All replicas watch, so that the next one has
//! everything at hand; only the holder reconciles. Who loses the Lease, or cannot renew it in time, must end its process
//! at once: another may write by then. Who ends as asked gives it back, so that the next one need not wait.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use mudgateway_telemetry::metrics::Gauge;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::context::FIELD_MANAGER;

/// How long a Lease holds without a renewal. A candidate waits so long, by its own clock.
const DURATION: Duration = Duration::from_secs(15);

/// When the holder gives up that could not renew: before a candidate may take over.
const RENEW_WITHIN: Duration = Duration::from_secs(10);

/// How often it is looked at, and renewed.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(4);

/// The holder is no longer the holder.
#[derive(Debug, thiserror::Error)]
#[error("the lease is lost to {0}, so another operator may write: this process ends")]
pub struct Lost(String);

/// Where the Lease is, and who we are.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub lease: String,
    /// Our own name, which no other process has.
    pub holder: String,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Make the Lease, with us as its holder.
    Create,
    /// Write it, with us as its holder.
    Write,
    /// Another holds it.
    Wait,
    /// We held it, and do no longer.
    GiveUp,
}

/// The pure part: what to do, from what was seen of the Lease and when.
#[derive(Debug)]
struct Election {
    us: String,
    /// When we last wrote it as its holder; counted from before the request.
    renewed: Option<Instant>,
    /// The Lease as it was when it was last seen to change, and when that was.
    seen: Option<(String, Instant)>,
}

impl Election {
    fn new(us: String) -> Self {
        Self { us, renewed: None, seen: None }
    }

    /// What to do about the Lease as it is now; none: it does not exist.
    fn next(&mut self, lease: Option<&Lease>, now: Instant) -> Step {
        let Some(lease) = lease else {
            return if self.renewed.is_some() { Step::GiveUp } else { Step::Create };
        };
        let holder = holder(lease).unwrap_or_default();
        if holder == self.us && self.renewed.is_some() {
            return if self.is_late(now) { Step::GiveUp } else { Step::Write };
        }
        if self.renewed.is_some() {
            return Step::GiveUp;
        }
        if holder.is_empty() {
            return Step::Write;
        }
        let version = lease.resource_version().unwrap_or_default();
        match &self.seen {
            // Durations, never clocks of others: it has stood still for as long as it holds.
            Some((seen, since)) if *seen == version => {
                if now.saturating_duration_since(*since) >= DURATION {
                    Step::Write
                } else {
                    Step::Wait
                }
            }
            _ => {
                self.seen = Some((version, now));
                Step::Wait
            }
        }
    }

    /// Whether the holder could not renew for too long.
    fn is_late(&self, now: Instant) -> bool {
        self.renewed.is_some_and(|renewed| now.saturating_duration_since(renewed) >= RENEW_WITHIN)
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

/// Keeps trying to hold the Lease, says so once when it does, and gives it back at the end.
///
/// # Errors
/// [`Lost`] when it was held and is no longer: then the process must end.
pub async fn run(
    client: Client,
    identity: Identity,
    leads: impl Fn(),
    transitions: &Gauge,
    shutdown: CancellationToken,
) -> Result<(), Lost> {
    let api: Api<Lease> = Api::namespaced(client, &identity.namespace);
    let mut election = Election::new(identity.holder.clone());
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let now = Instant::now();
        let round = round(&api, &identity, &mut election, transitions, now);
        let round = tokio::time::timeout(REQUEST, round).await;
        match round {
            Ok(Ok(Round::Held)) => {
                if election.renewed.replace(now).is_none() {
                    info!(lease = identity.lease, holder = identity.holder, "this operator leads now");
                    leads();
                }
            }
            Ok(Ok(Round::HeldByOther)) => {}
            Ok(Ok(Round::Lost(other))) => return Err(Lost(other)),
            Ok(Err(error)) => warn!(reason = "LeaseFailed", %error, "the lease could not be read or written"),
            Err(_) => warn!(reason = "LeaseFailed", "the API server did not answer about the lease in time"),
        }
        if election.is_late(Instant::now()) {
            return Err(Lost("nobody yet: it could not be renewed in time".to_owned()));
        }
    }
    if election.renewed.is_some() {
        release(&api, &identity).await;
    }
    Ok(())
}

/// How often the Lease has changed hands.
fn transitions_of(lease: &Lease) -> i64 {
    lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(0).into()
}

/// How one look at the Lease ended.
enum Round {
    Held,
    HeldByOther,
    Lost(String),
}

async fn round(
    api: &Api<Lease>,
    identity: &Identity,
    election: &mut Election,
    transitions: &Gauge,
    now: Instant,
) -> kube::Result<Round> {
    let lease = api.get_opt(&identity.lease).await?;
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() };
    let written = match election.next(lease.as_ref(), now) {
        Step::Wait => {
            transitions.set(lease.as_ref().map_or(0, transitions_of));
            return Ok(Round::HeldByOther);
        }
        Step::GiveUp => {
            let other = lease.as_ref().and_then(holder).filter(|other| !other.is_empty());
            return Ok(Round::Lost(other.unwrap_or("nobody").to_owned()));
        }
        Step::Create => {
            let metadata = ObjectMeta { name: Some(identity.lease.clone()), ..Default::default() };
            let spec = held(identity, None);
            api.create(&params, &Lease { metadata, spec: Some(spec) }).await
        }
        Step::Write => {
            // With the version that was read: who comes second gets a conflict.
            let mut lease = lease.unwrap_or_default();
            lease.spec = Some(held(identity, lease.spec.as_ref()));
            api.replace(&identity.lease, &params, &lease).await
        }
    };
    match written {
        Ok(lease) => {
            transitions.set(transitions_of(&lease));
            Ok(Round::Held)
        }
        // Somebody was faster; the next look says who.
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
            Ok(Round::HeldByOther)
        }
        Err(error) => Err(error),
    }
}

/// The Lease as we hold it.
fn held(identity: &Identity, before: Option<&LeaseSpec>) -> LeaseSpec {
    let now = MicroTime(Timestamp::now());
    let same = before.filter(|spec| spec.holder_identity.as_deref() == Some(identity.holder.as_str()));
    let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
    LeaseSpec {
        holder_identity: Some(identity.holder.clone()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: same.and_then(|spec| spec.acquire_time.clone()).or_else(|| Some(now.clone())),
        renew_time: Some(now),
        lease_transitions: Some(transitions + i32::from(before.is_some() && same.is_none())),
        ..Default::default()
    }
}

/// Gives the Lease back, if it is still ours.
async fn release(api: &Api<Lease>, identity: &Identity) {
    let given_back = async || -> kube::Result<()> {
        let mut lease = api.get(&identity.lease).await?;
        if holder(&lease) == Some(identity.holder.as_str())
            && let Some(spec) = &mut lease.spec
        {
            spec.holder_identity = None;
            spec.renew_time = None;
            spec.acquire_time = None;
            api.replace(&identity.lease, &PostParams::default(), &lease).await?;
        }
        Ok(())
    };
    match tokio::time::timeout(REQUEST, given_back()).await {
        Ok(Ok(())) => info!(lease = identity.lease, "the lease is given back"),
        Ok(Err(error)) => warn!(reason = "LeaseFailed", %error, "the lease was not given back"),
        Err(_) => warn!(reason = "LeaseFailed", "the lease was not given back in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: Option<&str>, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..Default::default() },
            spec: Some(LeaseSpec { holder_identity: holder.map(str::to_owned), ..Default::default() }),
        }
    }

    fn election() -> (Election, Instant) {
        (Election::new("us".to_owned()), Instant::now())
    }

    #[test]
    fn what_is_free_is_taken_at_once() {
        let (mut election, now) = election();
        assert_eq!(election.next(None, now), Step::Create);
        assert_eq!(election.next(Some(&lease(None, "1")), now), Step::Write);
        assert_eq!(election.next(Some(&lease(Some(""), "1")), now), Step::Write);
    }

    #[test]
    fn what_another_renews_is_never_taken() {
        let (mut election, start) = election();
        for round in 0..100 {
            let now = start + INTERVAL * round;
            let renewed = lease(Some("other"), &round.to_string());
            assert_eq!(election.next(Some(&renewed), now), Step::Wait);
        }
    }

    #[test]
    fn what_stood_still_for_its_whole_time_is_taken() {
        let (mut election, start) = election();
        let still = lease(Some("other"), "7");
        assert_eq!(election.next(Some(&still), start), Step::Wait);
        assert_eq!(election.next(Some(&still), start + DURATION - INTERVAL), Step::Wait);
        assert_eq!(election.next(Some(&still), start + DURATION), Step::Write);
    }

    #[test]
    fn a_process_of_the_same_name_before_us_is_another() {
        let (mut election, start) = election();
        assert_eq!(election.next(Some(&lease(Some("us"), "7")), start), Step::Wait);
    }

    #[test]
    fn the_holder_renews_and_gives_up_when_it_is_not_any_more() {
        let (mut election, start) = election();
        election.renewed = Some(start);
        let ours = lease(Some("us"), "8");
        assert_eq!(election.next(Some(&ours), start + INTERVAL), Step::Write);
        for lost in [Some(lease(Some("other"), "9")), Some(lease(None, "9")), None] {
            assert_eq!(election.next(lost.as_ref(), start + INTERVAL), Step::GiveUp);
        }
        assert_eq!(election.next(Some(&ours), start + RENEW_WITHIN), Step::GiveUp);
    }

    #[test]
    fn the_holder_gives_up_before_another_may_begin() {
        assert!(RENEW_WITHIN + REQUEST < DURATION);
    }
}
