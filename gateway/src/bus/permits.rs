//! Asks the operator, over the bus, whether the mud may connect to a router: routers take one connection a second.

use std::time::{Duration, Instant};

use async_nats::{Client, Request};
use mudgateway_crds::bus::permit_subject;
use mudgateway_crds::permit::{PermitAnswer, PermitRequest, Purpose, Step};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Bus;

/// How long the operator may take to answer. That there is none is known at once: this is for one that is slow, and a
/// whole fleet that does not wait for it would be turned away.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The same for who takes over or hands over, and for what needs no answer.
const HASTY: Duration = Duration::from_secs(1);

/// What the operator said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Connect, but not begin to after this.
    Now(Instant),
    /// Ask again after this time.
    Later {
        /// When.
        wait: Duration,
        /// How many muds go before.
        ahead: u32,
    },
    /// Too many muds leave by this address.
    AddressFull {
        /// How many.
        muds: u32,
    },
    /// There is no operator to ask: connect, and let chance keep muds apart.
    NobodyToAsk,
}

/// The way to the operator; none where there is no bus.
#[derive(Clone)]
pub struct Permits {
    operator: Option<Operator>,
}

#[derive(Clone)]
struct Operator {
    client: Client,
    connected: watch::Receiver<bool>,
    subject: String,
}

impl Permits {
    /// Nobody to ask.
    pub fn none() -> Self {
        Self { operator: None }
    }

    /// Asks over a bus.
    pub fn over(bus: &Bus, mud: &str) -> Self {
        let operator = Operator {
            client: bus.context().client(),
            connected: bus.connected(),
            subject: permit_subject(&bus.network, mud),
        };
        Self { operator: Some(operator) }
    }

    /// Asks for the turn.
    pub async fn ask(&self, request: &PermitRequest) -> Turn {
        let asked = Instant::now();
        match self.answer(request).await {
            Some(PermitAnswer::Granted { valid_milliseconds }) => {
                // Counted from the question on: the answer may have taken its time.
                Turn::Now(asked + Duration::from_millis(valid_milliseconds))
            }
            Some(PermitAnswer::Wait { milliseconds, ahead }) => {
                Turn::Later { wait: Duration::from_millis(milliseconds), ahead }
            }
            Some(PermitAnswer::AddressFull { muds }) => Turn::AddressFull { muds },
            Some(PermitAnswer::Noted) | None => Turn::NobodyToAsk,
        }
    }

    /// The answer; none: there is nobody, or nobody in time.
    async fn answer(&self, request: &PermitRequest) -> Option<PermitAnswer> {
        let operator = self.operator.as_ref().filter(|operator| *operator.connected.borrow())?;
        // An inbox of its own goes with the request; the shared one remembers requests without an answer for ever.
        let inbox = operator.client.new_inbox();
        let patience = match request.step {
            Step::Ask { purpose: Purpose::Connect, .. } => ANSWER_WITHIN,
            _ => HASTY,
        };
        let request = Request::new()
            .payload(serde_json::to_vec(request).ok()?.into())
            .inbox(inbox)
            .timeout(Some(patience));
        let answer = operator.client.send_request(operator.subject.clone(), request);
        match timeout(patience, answer).await {
            Ok(Ok(answer)) => serde_json::from_slice(&answer.payload).ok(),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the operator does not hand out permits");
                None
            }
            Err(_) => None,
        }
    }

    /// Tells the operator what became of a permit. To be lost costs others three seconds.
    pub async fn tell(&self, router: String, egress: String, step: Step) {
        let Some(operator) = self.operator.as_ref().filter(|operator| *operator.connected.borrow()) else {
            return;
        };
        // Texts can always be written.
        let payload = serde_json::to_vec(&PermitRequest { router, egress, step }).unwrap_or_default();
        let sent = operator.client.publish(operator.subject.clone(), payload.into());
        // With a full buffer it would wait for NATS.
        let _ = timeout(HASTY, sent).await;
    }
}
