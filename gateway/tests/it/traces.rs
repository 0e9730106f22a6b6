//! Traces, as a collector gets them from the processes of one mud.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use i3_router::RunningRouter;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::support::{Gateway, Nats, WITHIN, router, until};

/// A collector that keeps the spans of each process, by its name.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<(String, Span)>>>,
    more: watch::Sender<()>,
}

impl Collector {
    async fn start() -> (String, Self) {
        let (collector, listener) = (Self::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async { axum::serve(listener, routes).await });
        (url, collector)
    }

    /// Waits for a span of a process.
    async fn span(&self, process: &str, name: &str) -> Span {
        let mut more = self.more.subscribe();
        let find = async {
            loop {
                let wanted = |(from, span): &&(String, Span)| from == process && span.name == name;
                if let Some((_, span)) = self.spans.lock().unwrap().iter().find(wanted) {
                    return span.clone();
                }
                more.changed().await.unwrap();
            }
        };
        timeout(WITHIN, find).await.unwrap_or_else(|_| panic!("no {name:?} of {process}: {:?}", self.spans))
    }
}

async fn take(State(collector): State<Collector>, body: Bytes) {
    for resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
        let attributes = resource.resource.unwrap().attributes;
        let name = attributes.into_iter().find(|attribute| attribute.key == "service.instance.id");
        let name = match name.unwrap().value.unwrap().value.unwrap() {
            opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(name) => name,
            other => panic!("{other:?}"),
        };
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        collector.spans.lock().unwrap().extend(spans.map(|span| (name.clone(), span)));
    }
    collector.more.send_replace(());
}

async fn process(name: &str, router: &RunningRouter, nats: &Nats, collector: &str) -> Gateway {
    let environment = [
        ("NATS_URL", nats.url()),
        ("POD_NAME", name.to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
    ];
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Gateway::start("Dawn", router, &environment).await
}

#[tokio::test]
async fn a_request_is_one_trace_from_the_client_to_the_router() {
    let (router, nats) = (router().await, Nats::start().await);
    let (url, collector) = Collector::start().await;
    let holder = process("holder", &router, &nats, &url).await;
    holder.logged("SessionEstablished").await;
    let standby = process("standby", &router, &nats, &url).await;
    let client = standby.client().await;
    until(&client, "status", json!({}), |status| status["connected"] == true).await;
    let tell = json!({"target_mud": "Dawn", "target_user": "ann", "from_user": "bob", "message": "hi"});
    client.call("tell", tell).await.unwrap();

    let asked = collector.span("standby", "tell").await;
    let done = collector.span("holder", "tell").await;
    let packet = collector.span("holder", "router packet").await;
    assert_eq!((&asked.trace_id, &asked.span_id), (&done.trace_id, &done.parent_span_id));
    assert_eq!((&asked.trace_id, &done.span_id), (&packet.trace_id, &packet.parent_span_id));
    collector.span("holder", "packet from router").await;
    let trace: String = asked.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    for process in [&standby, &holder] {
        let line = process.logged("\"method\":\"tell\"").await;
        assert!(line.to_string().contains(&format!("\"trace_id\":\"{trace}\"")), "{line}");
    }
}

#[tokio::test]
async fn a_collector_that_is_not_there_harms_nothing_and_is_told_once() {
    let (router, nats) = (router().await, Nats::start().await);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let gateway = process("alone", &router, &nats, &url).await;
    gateway.logged("SessionEstablished").await;
    let client = gateway.client().await;
    for _ in 0..3 {
        client.call("mudlist", json!({})).await.unwrap();
    }
    gateway.logged("traces are lost").await;
    gateway.terminate().await;
    gateway.logged("\"stopped\"").await;
    assert_eq!(gateway.whole_log().matches("traces are lost").count(), 1);
    assert!(gateway.ended().await.0.success());
}
