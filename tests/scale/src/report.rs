//! What was measured, and what is promised.

use std::fmt::{self, Display};
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::audit::Requests;
use crate::{Error, Result};

/// The line before the table in a document.
pub const BEGIN: &str = "<!-- scale:begin -->";

/// The line behind it.
pub const END: &str = "<!-- scale:end -->";

/// The head of the table.
pub const HEAD: &str = "| MudGateways | create to Ready p50 / p95 / p99, s | all Ready, s | update p50 / p95 / p99, ms | requests each (writes) | \
    memory idle / peak / restarted, MiB | CPU each, ms | idle minute: writes, reads, CPU ms | restart: listed / all looked at, s | writes at restart |\n\
    |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";

/// What is promised for 1,000 MudGateways.
const ALL_READY: Duration = Duration::from_secs(120);
const MEMORY: u64 = 64 << 20;
const SYNCED: Duration = Duration::from_secs(10);

/// What a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Memory now, in bytes.
    pub resident: u64,
    /// The most memory it ever had, in bytes.
    pub peak: u64,
    /// Time of processors.
    pub cpu: Duration,
}

/// Percentiles of times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times([Duration; 3]);

impl Times {
    /// Of these times.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self([50, 95, 99].map(|percent| percentile(&times, percent)))
    }

    fn show(&self, unit: impl Fn(Duration) -> String) -> String {
        self.0.map(unit).join(" / ")
    }
}

/// The smallest of the sorted values that is not below this share of them; 0 of none.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// All figures of one run.
#[derive(Clone, Debug)]
pub struct Figures {
    /// MudGateways.
    pub count: usize,
    /// From the request to create one until it was Ready.
    pub ready: Times,
    /// From the first request until the last was Ready.
    pub all_ready: Duration,
    /// From the request to change one until its child had it.
    pub updates: Times,
    /// The operator's requests for all of that creation.
    pub creation: Requests,
    /// The operator's processor time for it.
    pub creation_cpu: Duration,
    /// The operator's requests in an idle minute.
    pub idle: Requests,
    /// What it used in that minute.
    pub idle_load: Load,
    /// The most memory it had, in bytes.
    pub peak: u64,
    /// From a start until every MudGateway is listed.
    pub listed: Duration,
    /// From a start until every MudGateway has been looked at.
    pub synced: Duration,
    /// What it wrote after that start.
    pub restart_writes: usize,
    /// The most memory it had after that start, in bytes.
    pub restart_peak: u64,
}

impl Figures {
    /// What is promised and was not reached.
    pub fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        let mut promise = |kept: bool, text: String| {
            if !kept {
                missed.push(text)
            }
        };
        // What is promised is promised of 1,000; more take longer.
        let share = u32::try_from(self.count.div_ceil(1000)).unwrap_or(u32::MAX);
        let (ready, synced) = (ALL_READY * share, SYNCED * share);
        promise(self.all_ready <= ready, format!("all Ready within {} s", ready.as_secs()));
        promise(self.synced <= synced, format!("a restart within {} s", synced.as_secs()));
        let peak = self.peak.max(self.restart_peak);
        promise(
            peak <= MEMORY * u64::from(share),
            format!("at most {} MiB", (MEMORY >> 20) * u64::from(share)),
        );
        promise(self.idle.writes == 0, format!("no write in an idle minute: {:?}", self.idle.by));
        promise(self.restart_writes == 0, "no write at a restart".to_owned());
        missed
    }

    /// Puts its row into the table of a document, in the place of one for as many MudGateways.
    pub fn write_into(&self, path: &Path) -> Result<()> {
        let text = fs::read_to_string(path)?;
        let text = self.placed(&text).ok_or_else(|| Error::NoPlace(path.to_owned()))?;
        Ok(fs::write(path, text)?)
    }

    fn placed(&self, text: &str) -> Option<String> {
        let (head, rest) = text.split_once(BEGIN)?;
        let (table, tail) = rest.split_once(END)?;
        let count = |row: &str| row.trim_start_matches("| ").split(' ').next()?.parse::<usize>().ok();
        let kept = table.lines().filter(|row| count(row).is_some_and(|count| count != self.count));
        let mut rows: Vec<String> = kept.map(|row| format!("{row}\n")).chain([self.to_string()]).collect();
        rows.sort_by_key(|row| count(row));
        Some(format!("{head}{BEGIN}\n{HEAD}{}{END}{tail}", rows.concat()))
    }
}

impl Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: Duration| format!("{:.1}", time.as_secs_f64());
        let millis = |time: Duration| time.as_millis().to_string();
        let each = |count: usize| count as f64 / self.count.max(1) as f64;
        let mebi = |bytes: u64| bytes >> 20;
        writeln!(
            f,
            "| {} | {} | {} | {} | {:.1} ({:.1}) | {} / {} / {} | {:.1} | {}, {}, {} | {} / {} | {} |",
            self.count,
            self.ready.show(seconds),
            seconds(self.all_ready),
            self.updates.show(millis),
            each(self.creation.total),
            each(self.creation.writes),
            mebi(self.idle_load.resident),
            mebi(self.peak),
            mebi(self.restart_peak),
            self.creation_cpu.as_secs_f64() * 1000.0 / self.count.max(1) as f64,
            self.idle.writes,
            self.idle.total - self.idle.writes,
            self.idle_load.cpu.as_millis(),
            seconds(self.listed),
            seconds(self.synced),
            self.restart_writes,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(count: usize) -> Figures {
        let second = Duration::from_secs(1);
        Figures {
            count,
            ready: Times::of(vec![second, second * 3, second * 2]),
            all_ready: second * 30,
            updates: Times::of(vec![second / 10]),
            creation: Requests { total: 3000, writes: 1000, ..Requests::default() },
            creation_cpu: second * 2,
            idle: Requests { total: 5, writes: 0, ..Requests::default() },
            idle_load: Load { resident: 30 << 20, peak: 0, cpu: second / 2 },
            peak: 40 << 20,
            listed: second,
            synced: second * 2,
            restart_writes: 0,
            restart_peak: 35 << 20,
        }
    }

    #[test]
    fn a_row_shows_each_figure() {
        let row = "| 1000 | 2.0 / 3.0 / 3.0 | 30.0 | 100 / 100 / 100 | 3.0 (1.0) | 30 / 40 / 35 | 2.0 | 0, 5, 500 | 1.0 / 2.0 | 0 |\n";
        assert_eq!(figures(1000).to_string(), row);
    }

    #[test]
    fn a_row_takes_the_place_of_one_for_as_many() {
        let empty = format!("before\n{BEGIN}\n{END}\nbehind\n");
        let text = figures(1000).placed(&empty).unwrap();
        let text = figures(50).placed(&text).unwrap();
        let again = Figures { restart_writes: 7, ..figures(1000) }.placed(&text).unwrap();
        let rows: Vec<_> =
            again.lines().filter(|line| line.starts_with("| 50") || line.starts_with("| 1000")).collect();
        assert!(rows.len() == 2 && rows[0].starts_with("| 50 ") && rows[1].ends_with(" 7 |"), "{again}");
        assert!(again.starts_with("before\n") && again.ends_with("-->\nbehind\n"));
        assert_eq!(figures(1).placed("no marks"), None);
    }

    #[test]
    fn what_is_promised_is_told_when_it_is_missed() {
        assert!(figures(1000).missed().is_empty());
        let bad = Figures {
            peak: 65 << 20,
            all_ready: ALL_READY * 2,
            synced: SYNCED * 2,
            restart_writes: 1,
            ..figures(1000)
        };
        assert_eq!(bad.missed().len(), 4);
        assert!(
            Figures { count: 4000, ..bad }.missed().len() == 1,
            "more may take longer, but write they must not"
        );
    }
}
