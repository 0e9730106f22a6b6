//! Counts the requests to the API server.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Method, Request, Response};
use k8s_openapi::jiff::Timestamp;
use mudgateway_telemetry::metrics::{Book, By, Counter, Gauge, Histogram};
use tower::{Layer, Service};

/// Seconds.
const DURATIONS: &[f64] = &[0.0025, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0];

/// The resources that the operator has to do with.
const RESOURCES: [&str; 25] = [
    "mudgateways",
    "mudgateways/status",
    "intermudnetworks",
    "intermudnetworks/status",
    "configmaps",
    "customresourcedefinitions",
    "deployments",
    "endpoints",
    "endpointslices",
    "events",
    "gateways",
    "grpcroutes",
    "httproutes",
    "ingresses",
    "leases",
    "namespaces",
    "networkpolicies",
    "nodes",
    "poddisruptionbudgets",
    "pods",
    "secrets",
    "serviceaccounts",
    "services",
    "tcproutes",
    "tlsroutes",
];

/// The codes that an API server gives often.
const CODES: [(u16, &str); 15] = [
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (409, "409"),
    (410, "410"),
    (422, "422"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];

/// A layer of the client that counts requests to the API server.
#[derive(Clone, Debug)]
pub struct CountRequests {
    requests: By<Counter, 3>,
    durations: By<Histogram, 1>,
    watches: By<Gauge, 1>,
}

impl CountRequests {
    pub(super) fn new(book: &mut Book) -> Self {
        Self {
            requests: book.counters(
                "i3op_k8s_requests",
                "Requests to the API server by verb, resource and status code",
                &["verb", "resource", "code"],
            ),
            durations: book.histograms(
                "i3op_k8s_request_duration_seconds",
                "How long the API server took until its answer began, by verb",
                &["verb"],
                DURATIONS,
            ),
            watches: book.gauges(
                "i3op_watch_opened_timestamp_seconds",
                "When a watch was last opened, in seconds since 1970, by resource: each once a minute while all is well",
                &["resource"],
            ),
        }
    }
}

impl<S> Layer<S> for CountRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, counts: self.clone() }
    }
}

/// A client that counts.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    counts: CountRequests,
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let query = request.uri().query().unwrap_or_default();
        let (resource, named) = resource(request.uri().path());
        let verb = verb(request.method(), query, named);
        let counts = self.counts.clone();
        let start = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = answer.as_ref().map_or("error", |answer| code(answer.status().as_u16()));
            counts.requests.of([verb, resource, code]).inc();
            counts.durations.of([verb]).observe(start.elapsed().as_secs_f64());
            if (verb, code) == ("watch", "200") {
                counts.watches.of([resource]).set(Timestamp::now().as_second());
            }
            answer
        })
    }
}

/// The resource that a path is about, with its subresource if it has one, and whether one object is named.
fn resource(path: &str) -> (&'static str, bool) {
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    // api/v1/... or apis/GROUP/VERSION/...
    let prefix = if parts.first() == Some(&"api") { 2 } else { 3 };
    parts.drain(..prefix.min(parts.len()));
    if parts.first() == Some(&"namespaces") && parts.len() > 2 {
        parts.drain(..2);
    }
    let whole = match parts[..] {
        [resource, _, sub, ..] => format!("{resource}/{sub}"),
        [resource, ..] => resource.to_owned(),
        [] => String::new(),
    };
    let known = RESOURCES.into_iter().find(|known| *known == whole);
    (known.unwrap_or("other"), parts.len() > 1)
}

/// Whether a request for a collection asks to watch it.
pub fn is_watch(query: &str) -> bool {
    query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1")
}

/// The verb as Kubernetes' own rules name it.
fn verb(method: &Method, query: &str, named: bool) -> &'static str {
    let watch = is_watch(query);
    match (method, named) {
        (&Method::GET, _) if watch => "watch",
        (&Method::GET, true) => "get",
        (&Method::GET, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, _) => "delete",
        _ => "other",
    }
}

fn code(status: u16) -> &'static str {
    match CODES.iter().find(|(code, _)| *code == status) {
        Some((_, label)) => label,
        None if status < 400 => "other_success",
        None => "other_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_as_kubernetes_names_it() {
        for (method, target, named) in [
            (Method::GET, "/api/v1/namespaces/a/secrets/b", ["get", "secrets"]),
            (Method::GET, "/api/v1/namespaces/a", ["get", "namespaces"]),
            (Method::GET, "/apis/intermud.dev/v1alpha1/mudgateways?limit=1", ["list", "mudgateways"]),
            (
                Method::GET,
                "/apis/apps/v1/deployments?&watch=true&timeoutSeconds=60",
                ["watch", "deployments"],
            ),
            (
                Method::PATCH,
                "/apis/intermud.dev/v1alpha1/namespaces/a/mudgateways/b/status?",
                ["patch", "mudgateways/status"],
            ),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/a/events", ["create", "events"]),
            (Method::DELETE, "/apis/x/v1/namespaces/a/unheardof/b", ["delete", "other"]),
            (Method::GET, "/version", ["list", "other"]),
        ] {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let (resource, one) = resource(path);
            assert_eq!([verb(&method, query, one), resource], named, "{target}");
        }
    }

    #[tokio::test]
    async fn answers_and_failures_are_counted() {
        let counts = CountRequests::new(&mut Book::default());
        let answer = |status: Option<u16>| {
            let inner = tower::service_fn(move |_: Request<()>| async move {
                match status {
                    Some(status) => Ok(Response::builder().status(status).body(()).unwrap()),
                    None => Err("the connection broke"),
                }
            });
            let request = Request::builder().uri("/api/v1/namespaces/a/secrets/b").body(()).unwrap();
            counts.layer(inner).call(request)
        };
        answer(Some(200)).await.unwrap();
        assert_eq!(answer(Some(418)).await.unwrap().status(), 418);
        answer(None).await.unwrap_err();
        for code in ["200", "other_error", "error"] {
            assert_eq!(counts.requests.of(["get", "secrets", code]).get(), 1, "{code}");
        }
    }
}
