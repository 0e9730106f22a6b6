//! Traces as a collector gets them.

// Clippy knows tests by their attribute; the helpers beside them are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use mudgateway_telemetry::log::{self, Format, LevelFilter, Output};
use mudgateway_telemetry::traces::{self, Endpoint, Sending, Traced};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing::Instrument;

const TRACED: Traced =
    Traced { service: "a-program", version: "1.2.3", modules: &[("traces", LevelFilter::INFO)] };

/// A collector, and what comes to it.
async fn collector() -> (Endpoint, mpsc::UnboundedReceiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let sender = Arc::new(sender);
        while let Ok((stream, _)) = listener.accept().await {
            let sender = Arc::clone(&sender);
            let service = service_fn(move |request: Request<Incoming>| {
                let sender = Arc::clone(&sender);
                async move {
                    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/traces"));
                    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                    let body = request.into_body().collect().await?.to_bytes();
                    sender.send(ExportTraceServiceRequest::decode(body).unwrap()).unwrap();
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::new())))
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (endpoint, receiver)
}

fn spans(requests: &[ExportTraceServiceRequest]) -> Vec<&Span> {
    let resources = requests.iter().flat_map(|request| &request.resource_spans);
    resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_the_collector_with_their_parents_here_and_elsewhere() {
    let (endpoint, mut received) = collector().await;
    let sending =
        Sending::start(&endpoint, &TRACED, vec![("service.instance.id", "pod-1".to_owned())]).unwrap();
    log::start(&"error".parse().unwrap(), Format::Json, &[], Output::Stderr, Some((&sending, &TRACED)));

    let outer = tracing::error_span!("request", request_id = 7);
    let (id, carried) = (traces::id(&outer).unwrap(), traces::carry(&outer).unwrap());
    assert!(carried.starts_with(&format!("00-{id}-")), "{carried}");
    async { tracing::info_span!("router packet").in_scope(|| ()) }.instrument(outer).await;
    let elsewhere = tracing::error_span!("request", request_id = 7);
    traces::go_on(&elsewhere, &carried);
    assert_eq!(traces::id(&elsewhere).unwrap(), id);
    drop(elsewhere);
    tracing::debug_span!("too fine").in_scope(|| ());
    tracing::info_span!(target: "another", "not ours").in_scope(|| ());
    sending.end().await;

    let mut requests = Vec::new();
    while let Ok(request) = received.try_recv() {
        requests.push(request);
    }
    let spans = spans(&requests);
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["router packet", "request", "request"], "in the order of their ends");
    let [packet, request, elsewhere] = spans[..] else { panic!() };
    assert!(request.parent_span_id.is_empty());
    assert_eq!(packet.parent_span_id, request.span_id);
    assert_eq!(elsewhere.parent_span_id, request.span_id);
    assert!(spans.iter().all(|span| span.trace_id == request.trace_id));
    let attributes = &requests[0].resource_spans[0].resource.as_ref().unwrap().attributes;
    for (name, value) in
        [("service.name", "a-program"), ("service.version", "1.2.3"), ("service.instance.id", "pod-1")]
    {
        let found = attributes.iter().find(|attribute| attribute.key == name).unwrap();
        assert!(format!("{:?}", found.value).contains(value), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_does_not_hold_up_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let sending = Sending::start(&endpoint, &TRACED, Vec::new()).unwrap();
    tokio::time::timeout(Duration::from_secs(4), sending.end()).await.expect("it ends");
}
