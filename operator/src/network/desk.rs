//! Answers the gateways that ask, over NATS, whether they may connect to a router.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_nats::{Client, Subject, SubscribeError};
use futures::StreamExt;
use mudgateway_crds::bus::{PERMIT_FILTER, inbox_prefix, parse_permit_subject};
use mudgateway_crds::network::NetworkLimits;
use mudgateway_crds::permit::{PermitAnswer, PermitRequest, Step};
use tracing::debug;

use super::permits::{Mud, Pace, Permits, Question};
use crate::context::Context;
use crate::lock::lock;

/// The muds there are, and the rules for them.
pub trait Fleet {
    /// What the routers of a mud's network tolerate; none: there is no such mud.
    fn pace(&self, mud: &Mud) -> Option<Pace>;

    /// The muds that are registered with a router from an address.
    fn registered(&self, router: &str, egress: &str) -> BTreeSet<Mud>;

    /// Takes note of an answer.
    fn answered(&self, answer: &PermitAnswer);
}

/// What NATS puts in the place of the subject that who asks from another account wants the answer on. Nobody can ask for
/// an answer on one that begins so.
const OTHER_ACCOUNT: &str = "_R_.";

/// Answers until the connection to NATS ends. Of several operators only the one that leads may do so.
///
/// # Errors
/// When NATS does not let us listen.
pub async fn serve(
    client: &Client,
    permits: &Mutex<Permits>,
    fleet: &impl Fleet,
) -> Result<(), SubscribeError> {
    let mut requests = client.subscribe(PERMIT_FILTER).await?;
    while let Some(request) = requests.next().await {
        let mud = parse_permit_subject(&request.subject).map(|(network, name)| Mud { network, name });
        let parsed = serde_json::from_slice::<PermitRequest>(&request.payload);
        let asker = mud.clone();
        let answer = match (mud, parsed) {
            (Some(mud), Ok(parsed)) => answer(Instant::now(), permits, fleet, &mud, &parsed),
            _ => PermitAnswer::Noted,
        };
        // Nowhere but to who asks: we may publish where others may not.
        let is_asker = |reply: &Subject| {
            reply.starts_with(OTHER_ACCOUNT) || asker.as_ref().is_some_and(|mud| is_inbox(reply, mud))
        };
        let Some(reply) = request.reply.filter(is_asker) else { continue };
        fleet.answered(&answer);
        // Texts and numbers can always be written.
        let payload = serde_json::to_vec(&answer).unwrap_or_default();
        if let Err(error) = client.publish(reply, payload.into()).await {
            debug!(%error, "a permit could not be sent");
        }
    }
    Ok(())
}

/// Whether it is a subject on which nobody but a mud gets its answers.
fn is_inbox(reply: &str, mud: &Mud) -> bool {
    let rest = reply.strip_prefix(&inbox_prefix(&mud.network, &mud.name));
    rest.is_some_and(|rest| rest.starts_with('.'))
}

fn answer(
    now: Instant,
    permits: &Mutex<Permits>,
    fleet: &impl Fleet,
    mud: &Mud,
    request: &PermitRequest,
) -> PermitAnswer {
    let Some(pace) = fleet.pace(mud) else { return PermitAnswer::Noted };
    let PermitRequest { router, egress, step } = request;
    match *step {
        Step::Ask { waited_milliseconds, purpose, known } => {
            // Whom the router knows it lets in, however many there are.
            let registered = if known { BTreeSet::new() } else { fleet.registered(router, egress) };
            let waited = Duration::from_millis(waited_milliseconds);
            let question = Question { mud, router, egress, waited, purpose, known, registered: &registered };
            lock(permits).ask(now, pace, &question)
        }
        Step::Used => {
            lock(permits).used(now, pace.interval, router, mud);
            PermitAnswer::Noted
        }
        Step::GivenBack => {
            lock(permits).given_back(now, router, mud);
            PermitAnswer::Noted
        }
    }
}

/// The limits of a network as a pace.
pub fn pace(limits: &NetworkLimits) -> Pace {
    Pace {
        interval: Duration::from_millis(u64::try_from(limits.connect_interval_milliseconds).unwrap_or(1100)),
        muds_per_address: usize::try_from(limits.muds_per_address).unwrap_or(usize::MAX),
    }
}

impl Fleet for Context {
    fn pace(&self, mud: &Mud) -> Option<Pace> {
        let claimed = self.index().is_claimed(&mud.network, &mud.name);
        let network = self.networks.known(&mud.network);
        claimed
            .then(|| network.map_or_else(NetworkLimits::default, |network| network.spec.limits.clone()))
            .map(|limits| pace(&limits))
    }

    fn registered(&self, router: &str, egress: &str) -> BTreeSet<Mud> {
        let index = self.index();
        let reports = self.reports();
        let there = reports.connected(Instant::now()).filter(|(_, report)| {
            report.router_address.as_deref() == Some(router) && report.egress.as_deref() == Some(egress)
        });
        let muds = there.filter_map(|(key, _)| index.mud_of(key));
        muds.map(|(network, name)| Mud { network: network.to_owned(), name: name.to_owned() }).collect()
    }

    fn answered(&self, answer: &PermitAnswer) {
        self.metrics.permit(match answer {
            PermitAnswer::Granted { .. } => "Granted",
            PermitAnswer::Wait { .. } => "Wait",
            PermitAnswer::AddressFull { .. } => "AddressFull",
            PermitAnswer::Noted => "Noted",
        });
    }
}
