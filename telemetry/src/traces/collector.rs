//! The way to the collector: one HTTP request for each batch of spans.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long a batch may take to be sent.
const WITHIN: Duration = Duration::from_secs(5);

/// The most bytes of an answer.
const ANSWER: usize = 64 * 1024;

/// Sends batches in the runtime of the program, while the thread that collects them waits.
#[derive(Debug)]
pub(super) struct Collector {
    runtime: Handle,
    /// Whether the last batch could not be sent, which was logged then.
    away: AtomicBool,
}

impl Collector {
    pub(super) fn new() -> Self {
        Self { runtime: Handle::current(), away: AtomicBool::new(false) }
    }

    /// Logs only what is new.
    fn note(&self, problem: Option<String>) {
        let was_away = self.away.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(problem) if !was_away => {
                tracing::warn!(problem, "traces are lost: the collector does not take them")
            }
            None if was_away => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(async { timeout(WITHIN, post(request)).await }).await;
        let result = match sent {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(format!("no answer within {WITHIN:?}").into()),
            // The program ends.
            Err(error) => Err(error.into()),
        };
        self.note(match &result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().to_string()),
            Err(error) => Some(error.to_string()),
        });
        result
    }
}

async fn post(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (mut head, body) = request.into_parts();
    let authority = head.uri.authority().ok_or("no host is named")?.clone();
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    head.headers.insert(HOST, HeaderValue::from_str(authority.as_str())?);
    head.uri =
        head.uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
        // The connection ends when nobody can send over it any more.
        drop(sender);
        Ok(Response::from_parts(head, body))
    };
    let (_, answered) = tokio::join!(connection, exchange);
    answered
}
