//! What was measured, as a table.

use std::fmt::{self, Display};
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Error;
use crate::outcome::Outcome;
use crate::scenario::Scenario;
use crate::tally::Count;
use crate::trouble::{Cost, signs};

/// The lines before and behind the table in a document.
pub const PLACE: [&str; 2] = ["<!-- chaos:begin -->", "<!-- chaos:end -->"];

/// The same of the table of what trouble with NATS costs.
pub const NATS_PLACE: [&str; 2] = ["<!-- chaos-nats:begin -->", "<!-- chaos-nats:end -->"];

/// A scenario and what its runs showed.
#[derive(Clone, Debug)]
pub struct Row {
    /// The scenario.
    pub scenario: Scenario,
    /// What its runs showed.
    pub outcomes: Vec<Outcome>,
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub struct Report(pub Vec<Row>);

impl Report {
    /// Writes the table into a document, in the place of the one that is there.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn write_into(&self, path: &Path) -> Result<(), Error> {
        let text = fs::read_to_string(path)?;
        let tables = [(PLACE, self.to_string()), (NATS_PLACE, NatsReport(self).to_string())];
        let text = tables.into_iter().try_fold(text, |text, (place, table)| {
            replaced(&text, place, &table).ok_or_else(|| Error::NoPlace(path.to_owned(), place[0]))
        });
        Ok(fs::write(path, text?)?)
    }
}

/// A document with another table.
fn replaced(text: &str, [begin, end]: [&str; 2], table: &str) -> Option<String> {
    let (head, rest) = text.split_once(begin)?;
    let (_, tail) = rest.split_once(end)?;
    Some(format!("{head}{begin}\n\n{table}\n{end}{tail}"))
}

/// What trouble with NATS costs the gateways, and where an operator sees it.
pub struct NatsReport<'a>(pub &'a Report);

impl Display for NatsReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what happens | logins | memory, MiB | waiting to be published | caught up after, ms | seen as |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|---|")?;
        for row in &self.0.0 {
            let costs: Vec<_> = row.outcomes.iter().filter_map(|outcome| outcome.cost.as_ref()).collect();
            if costs.is_empty() {
                continue;
            }
            let logins: usize = row.outcomes.iter().map(|outcome| outcome.logins).sum();
            let most = |of: fn(&Cost) -> u64| costs.iter().map(|cost| of(cost)).max().unwrap_or_default();
            let seen: Vec<_> = signs(row.scenario).iter().map(|(_, sign)| sign.to_string()).collect();
            writeln!(
                f,
                "| {} | {logins} | {:.1} | {} | {} | {} |",
                row.scenario.plan().about,
                most(|cost| cost.memory) as f64 / f64::from(1 << 20),
                most(|cost| cost.waiting),
                Times(costs.iter().map(|cost| cost.caught_up).collect()),
                seen.join(", "),
            )?;
        }
        Ok(())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what happens | runs | no session, ms | remote unheard, ms | hosted unheard, ms | remote lost | \
             hosted lost | own lost | own lost afar | tells lost | doubled | out of order |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        // A scenario of which no run came to its end has nothing to show; the program says why.
        self.0.iter().filter(|row| !row.outcomes.is_empty()).try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |of: fn(&Outcome) -> Duration| Times(self.outcomes.iter().map(of).collect());
        let lost =
            |of: fn(&Outcome) -> Count| Mean(self.outcomes.iter().map(|outcome| of(outcome).lost).collect());
        let total = |of: fn(Count) -> usize| -> usize {
            let counts = |outcome: &Outcome| {
                let Outcome { remote, hosted, own, own_afar, tells, .. } = outcome;
                [remote, hosted, own, own_afar, tells].into_iter().map(|count| of(*count)).sum::<usize>()
            };
            self.outcomes.iter().map(counts).sum()
        };
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.scenario.plan().about,
            self.outcomes.len(),
            times(|outcome| outcome.router_gap),
            times(|outcome| outcome.remote_gap),
            times(|outcome| outcome.hosted_gap),
            lost(|outcome| outcome.remote),
            lost(|outcome| outcome.hosted),
            lost(|outcome| outcome.own),
            lost(|outcome| outcome.own_afar),
            lost(|outcome| outcome.tells),
            total(|count| count.doubled),
            total(|count| count.disordered),
        )
    }
}

/// Times as p50 / p99 / max, in milliseconds.
struct Times(Vec<Duration>);

impl Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis: Vec<_> = self.0.iter().map(Duration::as_millis).collect();
        millis.sort_unstable();
        let [middle, high, max] = [50, 99, 100].map(|percent| percentile(&millis, percent));
        write!(f, "{middle} / {high} / {max}")
    }
}

/// The smallest of the sorted values that is not below this share of them; 0 of none.
fn percentile(sorted: &[u128], percent: usize) -> u128 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The mean of a few numbers.
struct Mean(Vec<usize>);

impl Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum: usize = self.0.iter().sum();
        match sum {
            0 => f.write_str("0"),
            _ => write!(f, "{:.1}", sum as f64 / self.0.len() as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(millis: u64, lost: usize) -> Outcome {
        let gap = Duration::from_millis(millis);
        let count = |lost, doubled| Count { said: 100, lost, doubled, ..Count::default() };
        Outcome {
            router_gap: gap,
            remote_gap: gap * 2,
            hosted_gap: gap / 2,
            remote: count(lost, 0),
            hosted: count(0, 1),
            own: count(0, 0),
            own_afar: count(0, 0),
            tells: count(0, 0),
            logins: 1,
            links: 2,
            cost: None,
        }
    }

    #[test]
    fn a_row_has_percentiles_of_times_means_of_losses_and_sums_of_what_must_not_be() {
        let row =
            Row { scenario: Scenario::Kill, outcomes: vec![outcome(30, 3), outcome(10, 4), outcome(20, 0)] };
        assert_eq!(
            row.to_string(),
            "| crash: SIGKILL | 3 | 20 / 30 / 30 | 40 / 60 / 60 | 10 / 15 / 15 | 2.3 | 0 | 0 | 0 | 0 | 3 | 0 |"
        );
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<u128> = (1..=100).collect();
        assert_eq!([50, 99, 100].map(|percent| percentile(&hundred, percent)), [50, 99, 100]);
        assert_eq!((percentile(&[], 50), percentile(&[7], 50), percentile(&[1, 2], 50)), (0, 7, 1));
    }

    #[test]
    fn what_trouble_with_nats_costs_is_the_most_of_all_runs() {
        let of = |memory, waiting| {
            let cost = Cost { memory, waiting, caught_up: Duration::from_millis(waiting), ..Cost::default() };
            Outcome { cost: Some(cost), logins: 0, ..outcome(0, 0) }
        };
        let outcomes = vec![of(3 << 20, 7), of(1 << 20, 9)];
        let rows = vec![
            Row { scenario: Scenario::NatsSliced, outcomes },
            Row { scenario: Scenario::Kill, outcomes: vec![outcome(1, 0)] },
        ];
        let table = NatsReport(&Report(rows)).to_string();
        let last = "| 0 | 3.0 | 9 | 7 / 9 / 9 | ready /bus/writes/channels/milliseconds 10 or more |\n";
        assert!(table.ends_with(last), "{table}");
        assert_eq!(table.lines().count(), 3);
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let [begin, end] = PLACE;
        let text = format!("before\n{begin}\nold\n{end}\nbehind\n");
        assert_eq!(
            replaced(&text, PLACE, "new\n"),
            Some(format!("before\n{begin}\n\nnew\n\n{end}\nbehind\n"))
        );
        assert_eq!(replaced("no marks", PLACE, "new"), None);
    }
}
