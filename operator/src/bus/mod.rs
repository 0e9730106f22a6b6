//! The operator's side of the bus: it keeps the stream and the buckets in shape and hears the gateways' reports.
//!
//! A NATS that is away stops nothing else: the connection is retried for ever, beside the reconciliation.

mod reports;
mod state;

use std::time::{Duration, Instant};

use async_nats::jetstream::context::KeyValueError;
use async_nats::jetstream::kv;
use async_nats::{ConnectOptions, Event};
use futures::StreamExt;
use mudgateway_crds::bus::{STATE_BUCKET, parse_report_key, parse_state_key};
use mudgateway_crds::report::GatewayReport;
use mudgateway_identity::{Login, Trouble};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::backoff;
use crate::context::Context;
use crate::key::Key;
use crate::network::desk;

pub use reports::{Reports, Session};
pub use state::{Error as StateError, Farewell, MudName, MudState, Password};

/// How often the stream and the buckets are put back in shape while connected.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// How often reports that no longer hold are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// Why a session with NATS ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error("no connection: {}: {source}", trouble.advice())]
    Connect {
        /// Why, in one word.
        trouble: Trouble,
        /// Why, in the words of the client library.
        source: async_nats::ConnectError,
    },
    /// The connection was lost.
    #[error("the connection was lost")]
    Lost,
    /// A stream or bucket could not be put in shape.
    #[error(transparent)]
    Layout(#[from] mudgateway_layout::Error),
    /// The bucket of the muds' state could not be had.
    #[error("bucket {STATE_BUCKET}: {0}")]
    State(#[source] KeyValueError),
    /// The gateways' requests for permits could not be listened to.
    #[error("listening to requests for permits: {0}")]
    Permits(#[from] async_nats::SubscribeError),
    /// The reports could not be watched.
    #[error("watching the reports: {0}")]
    Watch(#[from] kv::WatchError),
    /// The watch over the reports broke.
    #[error("the watch over the reports broke: {0}")]
    Watcher(#[from] kv::WatcherError),
}

impl Error {
    /// The reason as it stands in metric labels and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Connect { trouble: Trouble::Unreachable, .. } | Self::Lost => "BusUnavailable",
            Self::Connect { trouble, .. } => trouble.as_str(),
            Self::Layout(_) | Self::State(_) => "BusLayoutRefused",
            Self::Permits(_) | Self::Watch(_) | Self::Watcher(_) => "BusWatchFailed",
        }
    }
}

/// The operator's side of the bus.
#[derive(Clone)]
pub struct Bus {
    context: Context,
}

impl Bus {
    /// The bus that feeds a context.
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Keeps a session with NATS, for ever, and drops the reports that no longer hold. Begins when every
    /// MudGateway is known: a report for one that is not known yet would be lost.
    pub async fn run(&self) {
        self.context.listed().await;
        tokio::join!(self.keep_session(), self.keep_expiring());
    }

    async fn keep_session(&self) {
        let mut failures: u32 = 0;
        loop {
            let Err(error) = self.session().await;
            self.context.set_mud_state(None);
            if self.set_connected(false) {
                failures = 0;
            }
            failures = failures.saturating_add(1);
            self.context.metrics.bus_error(error.reason());
            let delay = backoff::BUS.delay(failures, rand::random());
            warn!(reason = error.reason(), %error, ?delay, "no session with NATS, will try again");
            tokio::time::sleep(delay).await;
        }
    }

    /// One session: until the connection is lost or NATS refuses something.
    ///
    /// Each has a client of its own, which gives up with it, so that there is one place that retries.
    async fn session(&self) -> Result<std::convert::Infallible, Error> {
        let layout = self.context.settings.layout();
        let lost = CancellationToken::new();
        let access = &self.context.access;
        self.look_at_credentials();
        let client = connect_options(&access.login, lost.clone()).connect(access.servers.clone()).await;
        let client = client.map_err(|source| {
            let trouble = access.login.of_attempt(source.kind());
            Error::Connect { trouble, source }
        })?;
        let jetstream = async_nats::jetstream::new(client.clone());
        let (bucket, stored) = layout.ensure(&jetstream).await?;
        self.context.metrics.state(stored, layout.state_bytes);
        // From the last report of each gateway on: a restarted operator need not wait for the next ones.
        let mut entries = bucket.watch_with_history(">").await?;
        let state = jetstream.get_key_value(STATE_BUCKET).await.map_err(Error::State)?;
        let mut passwords = state.watch(state::PASSWORDS).await?;
        self.context.set_mud_state(Some(MudState::new(jetstream.clone(), state)));
        self.set_connected(true);
        // What NATS has lost meanwhile is to come back.
        self.context.trigger_all();
        info!("session with NATS established");

        let permits = self.context.shared_permits();
        let permits = async {
            self.context.leading().await;
            desk::serve(&client, &permits, &self.context).await
        };
        let mut permits = std::pin::pin!(permits);
        let mut check = tokio::time::interval(CHECK_INTERVAL);
        check.reset();
        loop {
            tokio::select! {
                entry = entries.next() => self.receive(entry.ok_or(Error::Lost)??),
                entry = passwords.next() => self.receive_password(&entry.ok_or(Error::Lost)??),
                _ = check.tick() => {
                    self.look_at_credentials();
                    // With the new files at once, for the old ones may end.
                    if access.login.has_changed() {
                        return Err(Error::Lost);
                    }
                    let (_, stored) = layout.ensure(&jetstream).await?;
                    self.context.metrics.state(stored, layout.state_bytes);
                }
                ended = &mut permits => return Err(ended.err().map_or(Error::Lost, Error::from)),
                () = lost.cancelled() => return Err(Error::Lost),
            }
        }
    }

    /// Has the `MudGateway` reconciled whose password is new.
    fn receive_password(&self, entry: &kv::Entry) {
        let concerned = parse_state_key(&entry.key)
            .and_then(|(network, mud)| self.context.index().holder(&network, &mud));
        self.context.work.request(concerned);
    }

    /// Notes when the credentials end. What is wrong with them is told when they are used.
    fn look_at_credentials(&self) {
        let credentials = self.context.access.login.credentials().ok().flatten();
        self.context.metrics.nats_credentials_expire(credentials.and_then(|found| found.expires_at()));
    }

    /// Takes in one entry of the bucket, and has its `MudGateway` reconciled if that changes anything.
    fn receive(&self, entry: kv::Entry) {
        let Some((namespace, name)) = parse_report_key(&entry.key) else {
            self.context.metrics.bus_error("InvalidReport");
            return;
        };
        let key = Key { namespace, name };
        if !self.context.index().contains(&key) {
            return;
        }
        let report = match entry.operation {
            kv::Operation::Delete | kv::Operation::Purge => None,
            kv::Operation::Put => match serde_json::from_slice::<GatewayReport>(&entry.value) {
                Ok(report) => Some(report),
                Err(error) => {
                    self.context.metrics.bus_error("InvalidReport");
                    warn!(reason = "InvalidReport", mudgateway = %key, %error, "a gateway's report cannot be read");
                    return;
                }
            },
        };
        let changed = self.context.reports().record(key.clone(), report, Instant::now());
        if changed {
            self.context.work.request([key]);
        }
    }

    /// Notes whether there is a session, has those reconciled for whom that matters, and says whether it is news.
    fn set_connected(&self, connected: bool) -> bool {
        self.context.metrics.bus_connected.set(i64::from(connected));
        let index = self.context.index();
        let mut reports = self.context.reports();
        let news = reports.set_connected(connected, Instant::now());
        if news {
            self.context.work.request(reports.silent(index.keys()));
        }
        news
    }

    async fn keep_expiring(&self) {
        let mut ticks = tokio::time::interval(EXPIRY_INTERVAL);
        loop {
            ticks.tick().await;
            let index = self.context.index();
            let expired = self.context.reports().expire(index.keys(), Instant::now());
            self.context.work.request(expired);
        }
    }
}

fn connect_options(login: &Login, lost: CancellationToken) -> ConnectOptions {
    login
        .options()
        .name("mudgateway-operator")
        .connection_timeout(Duration::from_secs(5))
        .ping_interval(Duration::from_secs(10))
        .max_reconnects(1)
        .event_callback(move |event| {
            if matches!(event, Event::Disconnected | Event::Closed) {
                lost.cancel();
            }
            std::future::ready(())
        })
}
