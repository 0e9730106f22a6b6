//! What documents the metrics.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Kind, Row};

/// What a name may end with: its unit, or what is counted.
const UNITS: [&str; 5] = ["seconds", "bytes", "ratio", "fds", "threads"];

/// The metrics as a table in Markdown, in the order of the book.
pub fn document(rows: &[Row]) -> String {
    let mut text = "| metric | kind | labels | what it is |\n|---|---|---|---|\n".to_owned();
    for row in rows {
        let labels: Vec<_> = row.labels.iter().map(|label| format!("`{label}`")).collect();
        let name = row.served_name();
        // A text always takes what is written to it.
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} | {} |",
            row.kind.as_str(),
            labels.join(", "),
            row.help.replace('|', "\\|")
        );
    }
    text
}

/// A text with another content between the two lines `<!-- NAME:begin -->` and `<!-- NAME:end -->`; none when it does
/// not have them.
pub fn in_place(text: &str, name: &str, content: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", content.trim()))
}

/// What is wrong with the names and descriptions, by the conventions of Prometheus.
pub fn faults(rows: &[Row]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for Row { name, kind, labels, help } in rows {
        let mut fault = |what: &str| faults.push(format!("{name}: {what}"));
        let plain = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        if !plain(name) || !labels.iter().all(|label| plain(label)) {
            fault("a name is made of lower case letters, digits and underscores");
        }
        if !seen.insert(name) {
            fault("the name is there twice");
        }
        if name.ends_with("_total") || name.ends_with("_info") || name.ends_with("_count") {
            fault("what its kind adds does not belong to the name");
        }
        if *kind == Kind::Histogram && !UNITS.iter().any(|unit| name.ends_with(&format!("_{unit}"))) {
            fault("a histogram's name ends with its unit");
        }
        if ["milliseconds", "minutes", "kilobytes", "percent"].iter().any(|unit| name.contains(unit)) {
            fault("units are seconds, bytes and ratios");
        }
        if help.is_empty() || help.ends_with('.') {
            fault("the description is there, and has no full stop: one is added");
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Row = Row { name: "waits_seconds", kind: Kind::Histogram, labels: &["class"], help: "Waits" };

    #[test]
    fn a_row_is_a_line_of_the_table() {
        let table = document(&[GOOD]);
        assert_eq!(table.lines().last(), Some("| `waits_seconds` | histogram | `class` | Waits |"));
    }

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n";
        let new = in_place(text, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- x:begin -->\n\nnew\n\n<!-- x:end -->\nb\n");
        assert_eq!(in_place(&new, "x", "new").as_ref(), Some(&new));
        assert_eq!(in_place(text, "y", "new"), None);
    }

    #[test]
    fn a_name_that_breaks_the_conventions_is_found() {
        assert_eq!(faults(&[GOOD]), Vec::<String>::new());
        let bad = [
            Row { name: "Waits_seconds", ..GOOD },
            Row { name: "waits", ..GOOD },
            Row { name: "waits_milliseconds", kind: Kind::Gauge, ..GOOD },
            Row { name: "waits_total", kind: Kind::Counter, ..GOOD },
            Row { name: "other_seconds", help: "Waits.", ..GOOD },
        ];
        for row in bad {
            assert_eq!(faults(&[row]).len(), 1, "{row:?}");
        }
        assert_eq!(faults(&[GOOD, GOOD]).len(), 1);
    }
}
