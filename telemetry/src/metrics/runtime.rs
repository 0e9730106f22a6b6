//! The figures of the asynchronous runtime.

use std::fmt;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio::runtime::{Handle, RuntimeMetrics};
use tokio::time::{Instant, sleep};

use super::{Book, Kind, Row};

/// How often the delay of the event loop is measured.
const INTERVAL: Duration = Duration::from_millis(250);

/// Seconds. The runtime's clock counts in milliseconds, so less means nothing.
const DELAYS: &[f64] = &[0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

const fn row(name: &'static str, help: &'static str) -> Row {
    Row { name, kind: Kind::Gauge, labels: &[], help }
}

pub(super) const ROWS: [Row; 3] = [
    row("event_loop_workers", "Threads that run tasks"),
    row("event_loop_tasks", "Tasks that are alive"),
    row("event_loop_queue_size", "Tasks that wait for a thread in the common queue"),
];

/// Asks the runtime in which it is first asked.
#[derive(Debug, Default)]
pub(super) struct Runtime(Mutex<Option<RuntimeMetrics>>);

impl Collector for Runtime {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.is_none() {
            *known = Handle::try_current().ok().map(|handle| handle.metrics());
        }
        let Some(runtime) = known.as_ref() else { return Ok(()) };
        let figures = [runtime.num_workers(), runtime.num_alive_tasks(), runtime.global_queue_depth()];
        for (row, figure) in ROWS.iter().zip(figures) {
            let metric = ConstGauge::new(i64::try_from(figure).unwrap_or(i64::MAX));
            metric.encode(encoder.encode_descriptor(row.name, row.help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

/// How late tasks run.
#[derive(Clone, Debug)]
pub struct EventLoop {
    delay: Histogram,
}

impl EventLoop {
    /// Enters it in the book.
    pub fn new(book: &mut Book) -> Self {
        let help = "How late a task runs that was to run at a certain time, measured four times a second";
        Self { delay: book.histogram("event_loop_delay_seconds", help, DELAYS) }
    }

    /// Measures, for ever.
    pub fn measure(&self) -> impl Future<Output = ()> + Send + 'static {
        let delay = self.delay.clone();
        async move {
            loop {
                let due = Instant::now() + INTERVAL;
                sleep(INTERVAL).await;
                delay.observe(due.elapsed().as_secs_f64());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_runtime_and_its_delay_are_measured() {
        let mut book = Book::of_process();
        let event_loop = EventLoop::new(&mut book);
        let measuring = tokio::spawn(event_loop.measure());
        let text = loop {
            let text = book.encode().unwrap();
            if text.contains("event_loop_delay_seconds_count 1\n") {
                break text;
            }
            tokio::task::yield_now().await;
        };
        measuring.abort();
        assert!(text.contains("event_loop_workers 1\n"), "{text}");
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }
}
