//! Traces, sent to an OpenTelemetry collector (OTLP over HTTP) where one is named. Without one, spans cost next to nothing.
//!
//! What waits to be sent is bounded, and dropped when that is full: a collector that is slow or away harms nothing. How
//! much waits, how often it is sent and what is sampled is up to OpenTelemetry's own variables (`OTEL_BSP_*`,
//! `OTEL_TRACES_SAMPLER`).

mod collector;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::task::spawn_blocking;
use tracing::Span;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use collector::Collector;

/// The header of the W3C in which a trace goes on elsewhere.
pub const HEADER: &str = "traceparent";

/// How long the rest may take to be sent at the end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Where traces are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// A text that is no address of a collector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not the address of a collector: write http://HOST:PORT, as in http://otel-collector:4318, without a login. For TLS \
     or a login let a collector nearby pass the traces on"
)]
pub struct EndpointError;

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let uri: http::Uri = text.parse().map_err(|_| EndpointError)?;
        let authority = uri.authority().ok_or(EndpointError)?;
        let plain = uri.scheme() == Some(&http::uri::Scheme::HTTP) && uri.query().is_none();
        if !plain || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(EndpointError);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl Endpoint {
    /// The TCP port.
    pub fn port(&self) -> u16 {
        let uri = self.0.parse::<http::Uri>();
        uri.ok().and_then(|uri| uri.port_u16()).unwrap_or(80)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What of a program becomes traces.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    /// The name of the program.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The modules whose spans count.
    pub modules: &'static [(&'static str, LevelFilter)],
}

/// Sends traces until [`Sending::end`].
#[derive(Clone, Debug)]
pub struct Sending(SdkTracerProvider);

impl Sending {
    /// Begins. `about` says which of several processes this is, by the names of OpenTelemetry.
    ///
    /// # Errors
    /// A message, when the sender cannot be made.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(to: &Endpoint, traced: &Traced, about: Vec<(&'static str, String)>) -> Result<Self, String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{to}/v1/traces"))
            .build()
            .map_err(|error| error.to_string())?;
        let resource = Resource::builder()
            .with_service_name(traced.service)
            .with_attribute(KeyValue::new("service.version", traced.version))
            .with_attributes(about.into_iter().map(|(name, value)| KeyValue::new(name, value)))
            .build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource);
        Ok(Self(provider.build()))
    }

    /// Sends what is left, but not for long.
    pub async fn end(self) {
        // It waits for a thread of its own.
        let _ = spawn_blocking(move || self.0.shutdown_with_timeout(END_WITHIN)).await;
    }

    pub(crate) fn layer<S>(&self, traced: &Traced) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        let modules = Targets::new().with_targets(traced.modules.iter().copied());
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(traced.service))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(modules)
    }
}

/// The trace that a span belongs to, as 32 hexadecimal digits, if traces are sent.
pub fn id(span: &Span) -> Option<String> {
    let context = span.context();
    let trace = context.span().span_context().clone();
    trace.is_valid().then(|| trace.trace_id().to_string())
}

/// Gives a span that runs the name that it has in its trace.
pub fn rename(span: &Span, name: &str) {
    span.context().span().update_name(name.to_owned());
}

/// What lets a trace go on in another process: the value of [`HEADER`], if traces are sent.
pub fn carry(span: &Span) -> Option<String> {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
    headers.remove(HEADER)
}

/// Lets a trace that began in another process go on in a span that has not been entered.
pub fn go_on(span: &Span, carried: &str) {
    let headers = HashMap::from([(HEADER.to_owned(), carried.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    // It fails where no traces are sent.
    let _ = span.set_parent(context);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_scheme_host_and_port() {
        let parse = |text: &str| text.parse::<Endpoint>().map(|endpoint| endpoint.to_string());
        assert_eq!(parse("http://collector:4318/"), Ok("http://collector:4318".to_owned()));
        assert_eq!(parse("http://[::1]:4318/otlp"), Ok("http://[::1]:4318/otlp".to_owned()));
        let port = |text: &str| text.parse::<Endpoint>().unwrap().port();
        assert_eq!((port("http://collector:4318"), port("http://collector")), (4318, 80));
        for text in
            ["collector:4318", "https://collector:4318", "http://ann:hunter2@collector", "http://", "/x", ""]
        {
            assert_eq!(parse(text), Err(EndpointError), "{text}");
        }
    }

    #[test]
    fn without_traces_there_is_nothing_to_carry() {
        let span = tracing::info_span!("request");
        assert_eq!((id(&span), carry(&span)), (None, None));
        go_on(&span, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert_eq!(id(&span), None);
    }
}
