//! Texts for a terminal: tables, ages, and what comes from other muds.

use jiff::Timestamp;

/// A table with its columns as wide as they need to be, three blanks between them, as kubectl prints it.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or_default()
    });
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            line.push_str(&format!("{cell:<width$}   "));
        }
        format!("{}\n", line.trim_end())
    };
    let body = rows.iter().map(|row| line(std::array::from_fn(|column| row[column].as_str())));
    std::iter::once(line(head)).chain(body).collect()
}

/// How long ago something was, as kubectl says it: the largest unit that fits, two where the first is small.
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{minutes}m"),
        7_200..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

/// A text from outside, fit for a terminal: another mud's text must not move the cursor or change colours.
pub fn harmless(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).collect()
}

/// A text or, when it is empty, a dash.
pub fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "Émud".to_owned()], ["longer".to_owned(), "-".to_owned()]];
        assert_eq!(table(["NAME", "MUD"], &rows), "NAME     MUD\na        Émud\nlonger   -\n");
        assert_eq!(table(["NAME"], &[]), "NAME\n");
    }

    #[test]
    fn ages_are_short() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_800, "2d"),
            (-5, "0s"),
        ];
        for (seconds, expected) in cases {
            let since = Timestamp::from_second(1_000_000 - seconds).unwrap();
            assert_eq!(age(since, now), expected, "{seconds}");
        }
    }

    #[test]
    fn no_text_moves_the_cursor() {
        assert_eq!(harmless("a\u{1b}[2Jb\rc\u{9b}31md\te"), "a[2Jbc31mde");
    }
}
