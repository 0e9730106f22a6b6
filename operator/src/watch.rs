//! Watches that come back, ever more slowly while they fail.
//!
//! kube's own delays start over whenever a watch says anything, and a watch says that it begins each time before it
//! fails to. And one watch that failed would hold up all others of a controller, so nothing of it is passed on here.

use std::fmt::Debug;
use std::future;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::Resource;
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;
use tracing::{debug, warn};

use crate::backoff::Backoff;
use crate::metrics::Metrics;
use crate::mudgateway::api_error;

/// A connection to the API server that died unnoticed is noticed after this many seconds.
pub const SECONDS: u32 = 60;

/// When the API server is away, or refuses: it may be back at any moment, and everything waits for it.
const FAILED: Backoff = Backoff { first: Duration::from_millis(800), most: Duration::from_secs(15) };

/// When it does not know the kind: that is so for as long as nobody installs it.
const MISSING: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };

/// How many objects are asked for at once. All kinds are listed at the same time, and a page is in memory as a whole.
const PAGE: u32 = 100;

/// How this operator watches.
pub fn config() -> watcher::Config {
    watcher::Config::default().timeout(SECONDS).page_size(PAGE)
}

/// The events of a watch, which is opened again for ever. `what` is watched, as it stands in the log and in metrics.
pub fn events<K>(
    api: Api<K>,
    config: watcher::Config,
    what: &'static str,
    metrics: &Metrics,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    persistent(renewed(move || watcher(api.clone(), config.clone())), what, metrics.clone())
}

/// A watch that is begun anew, with a list, when the API server refuses to open it where the last one ended: by itself
/// it would ask for the same again and again. What is too old in a watch that is open it knows by itself.
fn renewed<S, K>(begin: impl Fn() -> S + Send + 'static) -> impl Stream<Item = S::Item> + Send + 'static
where
    S: Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    K: Send + 'static,
{
    stream::unfold((begin().boxed(), begin), |(mut events, begin)| async move {
        let event = events.next().await?;
        if is_expired(&event) {
            events = begin().boxed();
        }
        Some((event, (events, begin)))
    })
}

fn is_expired<K>(event: &watcher::Result<K>) -> bool {
    let Err(watcher::Error::WatchStartFailed(kube::Error::Api(status))) = event else { return false };
    status.code == 410
}

fn persistent<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    what: &'static str,
    metrics: Metrics,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static {
    let mut delays = Delays::default();
    events
        .then(move |event| {
            let delay = delays.after(&event, rand::random());
            if let (Err(error), Some(delay)) = (&event, delay) {
                tell(what, error, delay, &metrics);
            }
            async move {
                if let Some(delay) = delay {
                    tokio::time::sleep(delay).await;
                }
                event
            }
        })
        .filter(|event| future::ready(event.is_ok()))
}

fn tell(what: &'static str, error: &watcher::Error, delay: Duration, metrics: &Metrics) {
    if is_missing(error) {
        debug!(what, ?delay, "the cluster does not know the kind");
    } else {
        let reason = reason(error);
        metrics.watch_error(what, reason);
        warn!(reason, what, %error, ?delay, "a watch failed and will be opened again");
    }
}

/// The reason as it stands in metric labels and logs.
fn reason(error: &watcher::Error) -> &'static str {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => api_error::reason(error),
        watcher::Error::WatchError(status) => api_error::reason_of(status),
        watcher::Error::NoResourceVersion => "UnreadableResponse",
    }
}

/// The failures of a watch in a row.
#[derive(Debug, Default)]
struct Delays {
    failures: u32,
}

impl Delays {
    /// How long to wait after what a watch said. `random`: as for [`Backoff::delay`].
    fn after<K>(&mut self, event: &watcher::Result<Event<K>>, random: f64) -> Option<Duration> {
        match event {
            // It begins; that is no success yet.
            Ok(Event::Init) => None,
            Ok(_) => {
                self.failures = 0;
                None
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let backoff = if is_missing(error) { MISSING } else { FAILED };
                Some(backoff.delay(self.failures, random))
            }
        }
    }
}

/// Whether the API server does not know the kind.
fn is_missing(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::Status;

    use super::*;

    type Said = watcher::Result<Event<ConfigMap>>;

    fn failure(code: u16) -> Said {
        let status = Status::failure("in its words", "").with_code(code);
        Err(watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status))))
    }

    fn seconds(said: &mut dyn FnMut() -> Said, times: usize) -> Vec<f32> {
        let mut delays = Delays::default();
        let attempts = (0..times).map(|_| {
            assert_eq!(delays.after::<ConfigMap>(&Ok(Event::Init), 0.0), None);
            delays.after(&said(), 0.0).unwrap().as_secs_f32()
        });
        attempts.collect()
    }

    #[test]
    fn a_missing_kind_is_looked_for_ever_more_seldom() {
        assert_eq!(seconds(&mut || failure(404), 8), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
    }

    #[test]
    fn an_api_server_that_is_away_is_looked_for_more_often() {
        assert_eq!(seconds(&mut || failure(503), 7), [0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0]);
    }

    #[test]
    fn a_success_starts_over() {
        let mut delays = Delays::default();
        delays.after(&failure(404), 0.0);
        delays.after(&failure(404), 0.0);
        assert_eq!(delays.after::<ConfigMap>(&Ok(Event::InitDone), 0.0), None);
        assert_eq!(delays.after(&failure(404), 0.5), Some(Duration::from_millis(750)));
    }

    #[tokio::test]
    async fn a_failure_pauses_the_watch_and_is_not_passed_on() {
        let said = [Ok(Event::Init), failure(404), Ok(Event::Init)];
        let mut events = Box::pin(persistent(stream::iter(said), "ConfigMap", Metrics::default()));
        assert!(matches!(events.next().await, Some(Ok(Event::Init))));
        assert!(futures::poll!(events.next()).is_pending(), "neither the failure nor what comes after it");
    }
}
