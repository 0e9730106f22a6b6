//! Requests that only the process that holds the session can answer: another process of the mud asks it, over NATS.
//!
//! A request has an id, so that asking the same process again does nothing twice. When another process has taken over
//! meanwhile nobody knows whether the one before did what was asked, and what must not be done twice is not repeated.

mod answers;
mod waiting;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, Message, Request, RequestErrorKind, SubscribeError};
use futures::StreamExt;
use futures::future::BoxFuture;
use mudgateway_crds::bus::{own_answer_subject, own_request_subject};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use self::answers::{Answers, Turn, written};
use self::waiting::{Waiting, take};
use super::rpc::{GATEWAY_ERROR, RpcError};
use super::{Api, methods, traced};
use crate::bus::Bus;
use crate::bus::genuine::is_genuine;
use crate::bus::lock::{Duty, Holding};
use crate::calls::Holder;
use crate::services::Services;
use crate::sync::lock;

/// How long an answer is waited for: the longest that a request itself may wait, and a little.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// How long a process that holds the session is looked for: a little more than a take-over lasts.
const FOUND_WITHIN: Duration = Duration::from_secs(5);

/// Between two attempts to find it.
const AGAIN: Duration = Duration::from_millis(100);

/// The most requests of other processes at work.
const AT_WORK: u32 = 256;

/// The method by which a process hands over what it accepted when nobody held the session. Clients cannot call it.
const TAKE: &str = "rpc.take";

type Answer = Result<Value, RpcError>;

/// A request as it goes from one process to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ask {
    id: Uuid,
    /// The epoch of the log that is known to who asks: who has an earlier one does not hold the session any more.
    epoch: u64,
    /// The epoch whose holder may have taken it before, without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tried: Option<u64>,
    method: String,
    params: Map<String, Value>,
}

/// What became of asking.
enum Asked {
    Answered(Answer),
    /// Nobody took it.
    Nobody,
    /// Nobody knows.
    Unknown,
}

/// The way to the process that holds the session.
#[derive(Clone)]
pub struct Forward {
    client: Client,
    connected: watch::Receiver<bool>,
    network: String,
    services: Arc<Services>,
    answers: Arc<Mutex<Answers>>,
}

impl Forward {
    /// The way over the bus.
    pub fn new(bus: &Bus, services: &Arc<Services>) -> Self {
        Self {
            client: bus.context().client(),
            connected: bus.connected(),
            network: bus.network().to_owned(),
            services: Arc::clone(services),
            answers: Arc::default(),
        }
    }

    /// Lets the process that holds the session answer. None: there is none, so that this one has to do what it can.
    pub(super) async fn call(
        &self,
        id: Uuid,
        method: &str,
        params: Map<String, Value>,
        repeatable: bool,
    ) -> Option<Answer> {
        self.call_within(ANSWERED_WITHIN, id, method, params, repeatable).await
    }

    /// The same, with another time for the answer.
    async fn call_within(
        &self,
        patience: Duration,
        id: Uuid,
        method: &str,
        params: Map<String, Value>,
        repeatable: bool,
    ) -> Option<Answer> {
        let start = Instant::now();
        let mut connected = self.connected.clone();
        let mut ask = Ask { id, epoch: 0, tried: None, method: method.to_owned(), params };
        loop {
            let not_tried = ask.tried.is_none();
            if self.services.leads() || (not_tried && !*connected.borrow()) {
                return if not_tried || repeatable { None } else { Some(Err(unknown())) };
            }
            ask.epoch = self.services.hub.position().epoch;
            let asked = tokio::select! {
                asked = self.ask(&ask) => asked,
                () = self.another_epoch(ask.epoch) => Asked::Unknown,
                () = lost_and_back(&mut connected) => Asked::Unknown,
                () = sleep_until(start + patience) => return Some(Err(unknown())),
            };
            match asked {
                Asked::Answered(answer) => return Some(answer),
                Asked::Nobody if not_tried && start.elapsed() > FOUND_WITHIN => return None,
                Asked::Nobody => sleep(AGAIN).await,
                Asked::Unknown => {
                    ask.tried.get_or_insert(ask.epoch);
                    sleep(AGAIN).await;
                }
            }
        }
    }

    async fn ask(&self, ask: &Ask) -> Asked {
        let Ok(json) = serde_json::to_vec(ask) else { return Asked::Nobody };
        let inbox = own_answer_subject(&self.network, self.services.mud(), &Uuid::new_v4().to_string());
        let mut request = Request::new().payload(json.into()).inbox(inbox).timeout(None);
        if let Some(headers) = traced::headers() {
            request = request.headers(headers);
        }
        let subject = own_request_subject(&self.network, self.services.mud());
        match self.client.send_request(subject, request).await {
            Ok(message) => match serde_json::from_slice::<Answer>(&message.payload) {
                Ok(answer) => Asked::Answered(answer),
                Err(error) => Asked::Answered(Err(RpcError::internal(&error))),
            },
            Err(error) if error.kind() == RequestErrorKind::NoResponders => Asked::Nobody,
            Err(_) => Asked::Unknown,
        }
    }

    /// Waits until the log is written by another process than the one of an epoch.
    async fn another_epoch(&self, epoch: u64) {
        let mut followed = self.services.followed();
        while self.services.hub.position().epoch == epoch && !self.services.leads() {
            tokio::select! {
                changed = followed.changed() => if changed.is_err() { return },
                () = sleep(AGAIN) => {}
            }
        }
    }

    /// Answers the requests of other processes as long as this one may hold the session. At the end it still answers what
    /// has come by then.
    pub async fn serve(self, api: Api, mut holding: Holding, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(AT_WORK as usize));
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = holding.wait_for(Duty::may_keep) => {}
            }
            // Without a subscription who asks learns at once that nobody is there.
            tokio::select! {
                biased;
                () = holding.wait_for(|duty| !duty.may_keep()) => {}
                ended = self.serve_all(&api, &places, &stop) => {
                    if stop.is_cancelled() {
                        break;
                    }
                    if let Err(error) = ended {
                        tracing::warn!(%error, "cannot take requests of other processes; trying again");
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
        // All places are free when all is answered; nobody closes the semaphore.
        let _ = places.acquire_many(AT_WORK).await;
    }

    async fn serve_all(
        &self,
        api: &Api,
        places: &Arc<Semaphore>,
        stop: &CancellationToken,
    ) -> Result<(), SubscribeError> {
        let subject = own_request_subject(&self.network, api.services.mud());
        let mut asked = self.client.subscribe(subject.clone()).await?;
        let mut ending = false;
        loop {
            let message = tokio::select! {
                message = asked.next() => message,
                () = stop.cancelled(), if !ending => {
                    ending = asked.drain().await.is_ok();
                    if ending { continue } else { None }
                }
            };
            let Some(message) = message else { return Ok(()) };
            if !is_genuine(&message, &subject) {
                tracing::warn!(subject = %message.subject, "ignored a request that no process of the mud has made");
                continue;
            }
            let Ok(place) = Arc::clone(places).try_acquire_owned() else {
                tracing::warn!("too many requests of other processes: one is not answered");
                continue;
            };
            let (forward, api) = (self.clone(), api.clone());
            tokio::spawn(async move {
                forward.serve_one(&api, message).await;
                drop(place);
            });
        }
    }

    async fn serve_one(&self, api: &Api, message: Message) {
        let (Ok(ask), Some(reply)) = (serde_json::from_slice::<Ask>(&message.payload), message.reply) else {
            return;
        };
        let epoch = self.services.hub.position().epoch;
        if ask.epoch > epoch {
            return;
        }
        let turn = lock(&self.answers).ask(Instant::now(), ask.id);
        let json = match turn {
            Turn::Wait(mut json) => json.wait_for(Option::is_some).await.ok().and_then(|found| found.clone()),
            Turn::Gone => None,
            Turn::Do(done) => {
                let (id, span) = (ask.id, traced::passed_on(ask.id, message.headers.as_ref()));
                let json = written(&self.answer(api, ask, epoch).instrument(span).await);
                done.send_replace(Some(json.clone()));
                lock(&self.answers).answered(id, json.len());
                Some(json)
            }
        };
        let json = json.unwrap_or_else(|| written(&Err(unknown())));
        if let Err(error) = self.client.publish(reply, json).await {
            tracing::debug!(%error, "cannot answer another process");
        }
    }

    async fn answer(&self, api: &Api, ask: Ask, epoch: u64) -> Answer {
        if ask.method == TAKE {
            return take(api.services.router(), ask.params);
        }
        if let Some(done) = api.driver().for_another(&ask.method, &ask.params).await {
            return Ok(done);
        }
        let (start, new_here) = (Instant::now(), ask.tried.is_some_and(|tried| tried != epoch));
        let answer = methods::answer_for_another(api, ask.id, &ask.method, ask.params, new_here).await;
        traced::answered_for_another(&ask.method, answer.as_ref().err().map(|error| error.code), start);
        answer
    }

    /// Hands over what was accepted here when nobody held the session to the process that holds it.
    pub async fn hand_over(self, stop: CancellationToken) {
        let mut look = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
            }
            if self.services.leads() || !self.services.knows_holder() {
                continue;
            }
            let waiting = self.services.router().take_not_kept();
            if waiting.is_empty() {
                continue;
            }
            tracing::info!(
                packets = waiting.len(),
                "handing what waits to the process that holds the session"
            );
            let params = json!({"packets": waiting.iter().filter_map(Waiting::new).collect::<Vec<_>>()});
            let Value::Object(params) = params else { continue };
            if !matches!(self.call(traced::new_id(), TAKE, params, true).await, Some(Ok(_))) {
                self.services.router().put_back(waiting);
            }
        }
    }
}

impl Holder for Forward {
    fn ask(
        &self,
        patience: Duration,
        method: &'static str,
        params: Map<String, Value>,
    ) -> BoxFuture<'_, Option<Result<Value, String>>> {
        Box::pin(async move {
            let answer = self.call_within(patience, Uuid::new_v4(), method, params, false).await;
            answer.map(|answer| answer.map_err(|error| error.message))
        })
    }
}

/// Nobody knows whether it was done.
pub(super) fn unknown() -> RpcError {
    RpcError::new(
        GATEWAY_ERROR,
        "The process that holds the session went away: it is not known whether this was done, so ask before it is repeated",
    )
}

/// Waits until the connection was lost and is there again.
async fn lost_and_back(connected: &mut watch::Receiver<bool>) {
    let _ = connected.wait_for(|connected| !connected).await;
    let _ = connected.wait_for(|connected| *connected).await;
}
