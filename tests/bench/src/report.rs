//! The figures as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::error::Error;
use crate::figure::{Figure, Goal, RATIOS};
use crate::stats::Summary;

/// What was measured, each figure as often as there were rounds.
#[derive(Debug, Default)]
pub struct Results(BTreeMap<Figure, Vec<f64>>);

impl Results {
    /// Keeps one value.
    pub fn add(&mut self, figure: Figure, value: f64) {
        self.0.entry(figure).or_default().push(value);
    }

    /// Adds what follows from others, where those were measured in every round.
    pub fn add_ratios(&mut self) {
        for (figure, of, bare) in RATIOS {
            let (Some(values), Some(units)) = (self.0.get(of), self.0.get(bare)) else { continue };
            if values.len() == units.len() {
                let ratios = values.iter().zip(units).map(|(value, unit)| value / unit).collect();
                self.0.insert(*figure, ratios);
            }
        }
    }
}

/// The machine all this is true of.
#[derive(Debug, Serialize)]
pub struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    memory: String,
    /// The load average of a minute before the run, and at its end.
    load: [String; 2],
}

impl Machine {
    /// Looks at the machine before the run.
    pub fn before() -> Self {
        let field = |path: &str, name: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':'))
                .map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: field("/proc/cpuinfo", "model name"),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            memory: field("/proc/meminfo", "MemTotal"),
            load: [load(), String::new()],
        }
    }
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// One figure in the report.
#[derive(Debug, Serialize)]
struct Row {
    figure: Figure,
    about: &'static str,
    unit: &'static str,
    goal: Goal,
    values: Vec<f64>,
    #[serde(flatten)]
    summary: Summary,
    reached: Option<bool>,
}

/// All figures, and where they were measured.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: Machine,
    rows: Vec<Row>,
}

impl Report {
    /// Of what was measured up to now.
    pub fn new(results: Results, mut machine: Machine) -> Self {
        machine.load[1] = load();
        let row = |(figure, values): (Figure, Vec<f64>)| {
            let (about, unit, goal) = figure.about();
            let summary = Summary::of(&values)?;
            Some(Row { figure, about, unit, goal, values, summary, reached: goal.reached(summary) })
        };
        Self { machine, rows: results.0.into_iter().filter_map(row).collect() }
    }

    /// What misses its goal by more than a factor.
    pub fn missed(&self, factor: f64) -> Vec<&'static str> {
        let missed = |row: &&Row| row.goal.missed_by(row.summary).is_some_and(|by| by > factor.max(1.0));
        self.rows.iter().filter(missed).map(|row| row.about.trim()).collect()
    }

    /// Writes the raw values.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_json(&self, path: &Path) -> Result<(), Error> {
        let write = || fs::write(path, serde_json::to_vec_pretty(self)?);
        write().map_err(|source| Error::Write { path: path.to_owned(), source })
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cores, processor, kernel, memory, load: [before, after] } = &self.machine;
        writeln!(
            f,
            "{cores} cores of {processor}, {memory}, Linux {kernel}; load {before} before, {after} after\n"
        )?;
        writeln!(
            f,
            "| {:46} | {:8} | {:>8} | {:>6} | {:>13} | runs | reached |",
            "measure", "unit", "goal", "median", "range"
        )?;
        writeln!(f, "|{:-<48}|{:-<10}|{:->10}|{:->8}|{:->15}|-----:|---------|", "", "", ":", ":", ":")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { median, min, max } = self.summary;
        let (goal, median) = (self.goal.to_string(), Short(median).to_string());
        let range = format!("{} - {}", Short(min), Short(max));
        let runs = self.values.len();
        let reached = match self.reached {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        write!(
            f,
            "| {:46} | {:8} | {goal:>8} | {median:>6} | {range:>13} | {runs:>4} | {reached:7} |",
            self.about, self.unit
        )
    }
}

impl Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(goal) => write!(f, "<= {goal}"),
            Self::NeverAbove(goal) if *goal == 0.0 => write!(f, "0"),
            Self::NeverAbove(goal) => write!(f, "all <= {goal}"),
            Self::AtLeast(goal) => write!(f, ">= {goal}"),
            Self::None => Ok(()),
        }
    }
}

/// A number with as many digits as matter.
struct Short(f64);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = match self.0.abs() {
            0.0 | 100.0.. => 0,
            10.0.. => 1,
            1.0.. => 2,
            _ => 3,
        };
        write!(f, "{:.decimals$}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(values: &[(Figure, f64)]) -> Report {
        let mut results = Results::default();
        values.iter().for_each(|(figure, value)| results.add(*figure, *value));
        Report::new(results, Machine::before())
    }

    #[test]
    fn what_misses_its_goal_by_more_than_the_factor_is_named() {
        let report =
            report(&[(Figure::IdleMemory, 30.0), (Figure::Start, 60.0), (Figure::BareFloodCpu, 1e9)]);
        assert_eq!(report.missed(2.0), ["idle resident memory, standalone"]);
        assert_eq!(report.missed(0.0).len(), 2, "a factor below 1 is 1");
        assert!(report.missed(3.0).is_empty());
    }

    #[test]
    fn the_table_has_a_line_for_each_figure() {
        let text =
            report(&[(Figure::Start, 8.0), (Figure::Start, 10.0), (Figure::StallLost, 0.0)]).to_string();
        assert_eq!(text.lines().count(), 6, "{text}");
        assert!(text.contains("<= 50 |   9.00 |   8.00 - 10.0 |    2 | yes"), "{text}");
    }

    #[test]
    fn ratios_are_of_the_same_round_and_of_whole_ones() {
        let mut results = Results::default();
        for (paced, bare) in [(8.0, 4.0), (30.0, 10.0)] {
            results.add(Figure::WebsocketPacedCpu, paced);
            results.add(Figure::BareSingleCpu, bare);
        }
        results.add(Figure::TcpPacedCpu, 8.0);
        results.add_ratios();
        assert_eq!(results.0.get(&Figure::WebsocketPacedRatio), Some(&vec![2.0, 3.0]));
        assert_eq!(results.0.get(&Figure::TcpPacedRatio), None);
    }

    #[test]
    fn numbers_are_short() {
        let short: Vec<_> = [0.0, 0.1234, 1.234, 12.34, 1234.5].map(|value| Short(value).to_string()).into();
        assert_eq!(short, ["0", "0.123", "1.23", "12.3", "1234"]);
    }
}
