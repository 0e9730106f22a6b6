//! The client for the API server: when it stops waiting for an answer, and how often it asks.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use kube::client::ClientBuilder;
use kube::{Client, Config};
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::lock::lock;
use crate::metrics::{Metrics, is_watch};

/// How long a connection on which something is asked may be silent. Longer than a watch, which may well be.
const SILENCE: Duration = Duration::from_secs(75);

/// The least time between two openings of one watch: an API server that closes each at once is not asked in a loop.
const PACE: Duration = Duration::from_secs(1);

/// A client that counts its requests, waits for no answer for ever, and opens no watch in a loop.
///
/// # Errors
/// When the configuration cannot be used.
pub fn client(mut config: Config, metrics: &Metrics) -> kube::Result<Client> {
    // By itself it waits for as long as the connection stands: for ever, where the other side is gone without a word.
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    let builder = ClientBuilder::try_from(config)?;
    Ok(builder.with_layer(&metrics.requests).with_layer(&PaceWatches::default()).build())
}

/// A layer of the client that keeps a watch from being opened again and again. A watch that ends is no failure, so
/// nothing else delays the next one.
#[derive(Clone, Debug, Default)]
struct PaceWatches {
    /// When each was opened last, by path: as many as there are kinds and namespaces that are watched.
    opened: Arc<Mutex<HashMap<String, Instant>>>,
}

impl PaceWatches {
    /// When a watch may be opened, which counts as its opening.
    fn turn(&self, path: &str, now: Instant) -> Instant {
        let mut opened = lock(&self.opened);
        let turn = opened.get(path).map_or(now, |last| (*last + PACE).max(now));
        opened.insert(path.to_owned(), turn);
        turn
    }
}

impl<S> Layer<S> for PaceWatches {
    type Service = Paced<S>;

    fn layer(&self, inner: S) -> Paced<S> {
        Paced { inner, pace: self.clone() }
    }
}

/// A client that opens no watch too soon.
#[derive(Clone, Debug)]
struct Paced<S> {
    inner: S,
    pace: PaceWatches,
}

impl<S, A> Service<Request<A>> for Paced<S>
where
    S: Service<Request<A>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        if !is_watch(request.uri().query().unwrap_or_default()) {
            return Box::pin(self.inner.call(request));
        }
        let turn = self.pace.turn(request.uri().path(), Instant::now());
        // Nothing is sent before this is polled.
        let answer = self.inner.call(request);
        Box::pin(async move {
            tokio::time::sleep_until(turn).await;
            answer.await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watch_is_opened_once_a_second_and_others_when_they_like() {
        let pace = PaceWatches::default();
        let now = Instant::now();
        assert_eq!(pace.turn("/a", now), now);
        assert_eq!(pace.turn("/a", now), now + PACE);
        assert_eq!(pace.turn("/b", now), now);
        assert_eq!(pace.turn("/a", now + PACE), now + PACE * 2);
        assert_eq!(pace.turn("/a", now + PACE * 60), now + PACE * 60, "who waited long enough need not wait");
    }

    #[test]
    fn what_may_be_silent_for_as_long_as_a_watch_is_not_cut_off() {
        assert!(SILENCE > Duration::from_secs(u64::from(crate::watch::SECONDS) + 5));
    }
}
