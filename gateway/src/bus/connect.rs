//! The connection to NATS, and the files it is made with.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, Event, ServerAddr};
use mudgateway_crds::bus::inbox_prefix;
use mudgateway_identity::{Login, LoginFiles, Trouble};
use tokio::sync::watch;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{Bus, BusError, REQUEST_TIMEOUT, Writes};
use crate::metrics::Metrics;
use crate::supervise::Supervisor;
use crate::sync::lock;

/// How often the files are looked at: new credentials take effect within this.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The longest between two attempts to connect. A process that is back sooner takes the session lock of one that is not
/// back in time.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// Where NATS is and how to log in there.
#[derive(Clone, Debug)]
pub struct Nats {
    /// The servers; never empty.
    pub servers: Vec<ServerAddr>,
    /// The files that a connection needs.
    pub files: LoginFiles,
}

fn reconnect_delay(attempts: usize) -> Duration {
    // From 2 ms on; the shift never overflows.
    Duration::from_millis(1 << attempts.min(10)).min(LONGEST_DELAY)
}

/// What connecting tells of.
struct Observer {
    login: Login,
    metrics: Arc<Metrics>,
    connected: watch::Sender<bool>,
    been_there: AtomicBool,
    /// What was said last, so that it is said once.
    said: Mutex<Option<Trouble>>,
}

impl Bus {
    /// Connects in the background.
    ///
    /// # Errors
    /// [`BusError`] when it can never work. A server that is away, or does not let us in, is not an error.
    pub async fn connect(
        nats: &Nats,
        network: &str,
        mud: &str,
        name: &str,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, BusError> {
        let (sender, connected) = watch::channel(false);
        let login = Login::new(nats.files.clone());
        let observer = Arc::new(Observer {
            login: login.clone(),
            metrics: Arc::clone(metrics),
            connected: sender,
            been_there: AtomicBool::new(false),
            said: Mutex::default(),
        });
        let client = login
            .options()
            .name(name)
            .custom_inbox_prefix(inbox_prefix(network, mud))
            .retry_on_initial_connect()
            .reconnect_delay_callback(reconnect_delay)
            .ping_interval(Duration::from_secs(5))
            .event_callback(move |event| {
                observer.on_event(&event);
                std::future::ready(())
            })
            .connect(nats.servers.clone())
            .await?;
        let context =
            ContextBuilder::new().timeout(REQUEST_TIMEOUT).ack_timeout(REQUEST_TIMEOUT).build(client);
        let writes = Writes::new(metrics);
        Ok(Self {
            context,
            network: network.to_owned(),
            connected,
            metrics: Arc::clone(metrics),
            login,
            writes,
        })
    }

    /// Starts looking for new files, with which the connection is made anew: nothing that waits is lost.
    pub(crate) fn start_login(&self, supervisor: &Supervisor, shutdown: CancellationToken) {
        let (login, client, connected) = (self.login.clone(), self.context.client(), self.connected());
        let metrics = Arc::clone(&self.metrics);
        supervisor.spawn("bus login", async move {
            let mut look = interval(LOOK_EVERY);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    _ = look.tick() => {}
                }
                let expiry =
                    login.credentials().ok().flatten().and_then(|credentials| credentials.expires_at());
                metrics.bus.credentials_expire(expiry);
                if *connected.borrow() && login.has_changed() {
                    reconnect(&client).await;
                }
            }
        });
    }
}

/// While there is no connection, each attempt reads the files anyway.
async fn reconnect(client: &Client) {
    tracing::info!("the files for NATS have changed; connecting anew");
    // What was published goes out by the old connection.
    let _ = timeout(REQUEST_TIMEOUT, client.flush()).await;
    if let Err(error) = client.force_reconnect().await {
        tracing::warn!(%error, "cannot connect to NATS anew");
    }
}

impl Observer {
    fn on_event(&self, event: &Event) {
        match event {
            Event::Connected => {
                *lock(&self.said) = None;
                if self.been_there.swap(true, Ordering::Relaxed) {
                    self.metrics.bus.reconnected();
                }
                self.connected.send_replace(true);
            }
            Event::Disconnected | Event::Closed => {
                self.connected.send_replace(false);
            }
            _ => {}
        }
        let Some(trouble) = self.login.trouble(event) else {
            tracing::info!(%event, "bus");
            return;
        };
        self.metrics.bus.trouble(trouble);
        let before = lock(&self.said).replace(trouble);
        if before == Some(trouble) {
            tracing::debug!(reason = trouble.as_str(), %event, "bus");
        } else {
            tracing::warn!(reason = trouble.as_str(), advice = trouble.advice(), %event, "trouble with the bus");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::lock::{ASK_TIMEOUT, TAKEN_OVER_AFTER};

    #[test]
    fn however_long_nats_was_away_the_holder_is_back_before_another_takes_its_lock() {
        assert_eq!(reconnect_delay(1), Duration::from_millis(2));
        assert!([10, 11, 600, usize::MAX].map(reconnect_delay).iter().all(|delay| *delay == LONGEST_DELAY));
        // It has to connect, to look, and to write.
        assert!(LONGEST_DELAY + 3 * ASK_TIMEOUT < TAKEN_OVER_AFTER);
    }
}
