//! The figures of the process, as Prometheus' own client libraries name them, read when they are asked for.

use std::fmt;
use std::fs;
use std::str::FromStr;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Kind, Row};

/// Linux tells times in this part of a second to programs, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

const fn row(name: &'static str, kind: Kind, help: &'static str) -> Row {
    Row { name, kind, labels: &[], help }
}

/// In the order of [`figures`].
pub(super) const ROWS: [Row; 7] = [
    row("process_cpu_seconds", Kind::Counter, "User and system CPU time spent"),
    row("process_resident_memory_bytes", Kind::Gauge, "Resident memory"),
    row("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory"),
    row("process_start_time_seconds", Kind::Gauge, "When the process started, in seconds since 1970"),
    row("process_open_fds", Kind::Gauge, "Open file descriptors"),
    row("process_max_fds", Kind::Gauge, "How many file descriptors may be open"),
    row("process_threads", Kind::Gauge, "Threads"),
];

/// Reads `/proc/self`. Where there is none, or it has another form, a figure is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for (row, figure) in ROWS.iter().zip(figures()) {
            let Some(figure) = figure else { continue };
            match row.kind {
                Kind::Counter => {
                    let metric = ConstCounter::new(figure);
                    metric.encode(encoder.encode_descriptor(
                        row.name,
                        row.help,
                        None,
                        metric.metric_type(),
                    )?)?;
                }
                _ => {
                    let metric = ConstGauge::new(figure);
                    metric.encode(encoder.encode_descriptor(
                        row.name,
                        row.help,
                        None,
                        metric.metric_type(),
                    )?)?;
                }
            }
        }
        Ok(())
    }
}

fn figures() -> [Option<f64>; ROWS.len()] {
    let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let (stat, status, limits) = (read("stat"), read("status"), read("limits"));
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fds = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
    [
        cpu_seconds(&stat),
        kilobytes(&status, "VmRSS:"),
        kilobytes(&status, "VmSize:"),
        start_time(&stat, &boot),
        // The one that reads the folder is open too.
        fds.map(|fds| fds.saturating_sub(1) as f64),
        max_fds(&limits),
        word(&status, "Threads:", 1),
    ]
}

/// A field of `/proc/self/stat` by its number in proc(5). The second one, the name, may hold blanks and brackets.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, behind_the_name) = stat.rsplit_once(')')?;
    behind_the_name.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS_PER_SECOND)
}

fn start_time(stat: &str, boot: &str) -> Option<f64> {
    Some(word::<f64>(boot, "btime", 1)? + field(stat, 22)? / TICKS_PER_SECOND)
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    Some(word::<f64>(status, name, 1)? * 1024.0)
}

fn max_fds(limits: &str) -> Option<f64> {
    word(limits, "Max open files", 3)
}

/// A word of the line that begins so.
fn word<T: FromStr>(text: &str, start: &str, number: usize) -> Option<T> {
    let line = text.lines().find(|line| line.starts_with(start))?;
    line.split_whitespace().nth(number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read() {
        let stat =
            "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 2000 9 9 18446744073709551615 1 1";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(start_time(stat, "cpu 1 2\nbtime 1000\nprocesses 5\n"), Some(1020.0));
        assert_eq!(kilobytes("VmPeak:\t 9 kB\nVmRSS:\t    12 kB\n", "VmRSS:"), Some(12288.0));
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024     4096       files\n";
        assert_eq!(max_fds(limits), Some(1024.0));
        assert_eq!(max_fds("Max open files unlimited"), None);
        assert_eq!(cpu_seconds("nothing"), None);
    }

    #[test]
    fn a_process_knows_itself() {
        let [cpu, resident, ..] = figures();
        assert!(cpu.is_some() && resident.is_some_and(|bytes| bytes > 100_000.0), "{:?}", figures());
        assert!(figures().iter().all(Option::is_some), "{:?}", figures());
    }
}
