//! What the messages say: a number, so that a lost one is noticed, and when they were due, so that a late one is.

use std::time::Instant;

/// How long a message's text is.
pub const TEXT: usize = 80;

/// The sign a stamp begins with; nothing else in an event holds it.
const SIGN: u8 = b'#';

const SEQUENCE: std::ops::Range<usize> = 1..11;
const DUE: std::ops::Range<usize> = 12..28;

/// The clock that all threads share.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start; never 0.
    pub fn nanos(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

/// What a message's text begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Counts the messages, from 0.
    pub sequence: u64,
    /// When the message was due, in [`Clock`] nanoseconds; 0: do not record how late it is.
    pub due: u64,
}

impl Stamp {
    /// The text of a message.
    pub fn text(self) -> String {
        let head = format!("#{:010} {:016} ", self.sequence, self.due);
        let filler = "the quick brown fox jumps over the lazy dog, twice a day";
        head.chars().chain(filler.chars().cycle()).take(TEXT).collect()
    }

    /// Writes the stamp over the one a text begins with.
    pub fn write_over(self, text: &mut [u8]) {
        if text.len() >= DUE.end {
            write_digits(self.sequence, &mut text[SEQUENCE]);
            write_digits(self.due, &mut text[DUE]);
        }
    }

    /// Reads the stamp of a text.
    pub fn read(text: &[u8]) -> Option<Self> {
        if text.first() != Some(&SIGN) || text.len() < DUE.end {
            return None;
        }
        Some(Self { sequence: read_digits(&text[SEQUENCE])?, due: read_digits(&text[DUE])? })
    }
}

/// Finds the stamps in messages that all have the same form, so that the place of the first is that of all.
#[derive(Debug, Default)]
pub struct StampFinder {
    place: usize,
}

impl StampFinder {
    /// The stamp in a message; none: it is of another kind.
    pub fn find(&mut self, message: &[u8]) -> Option<Stamp> {
        if message.get(self.place) != Some(&SIGN) {
            self.place = message.iter().position(|byte| *byte == SIGN)?;
        }
        Stamp::read(&message[self.place..])
    }
}

fn write_digits(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn read_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, digit| {
        let value = digit.wrapping_sub(b'0');
        (value < 10).then(|| number * 10 + u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let stamp = Stamp { sequence: 42, due: 1_234_567_890_123 };
        let mut text = stamp.text().into_bytes();
        assert_eq!((text.len(), Stamp::read(&text)), (TEXT, Some(stamp)));
        let later = Stamp { sequence: 9_999_999_999, due: 0 };
        later.write_over(&mut text);
        assert_eq!((text.len(), Stamp::read(&text)), (TEXT, Some(later)));
    }

    #[test]
    fn what_is_no_stamp_is_none() {
        for text in ["", "#1 2", "0000000001 0000000000000001 ", "#00000000x1 0000000000000001 "] {
            assert_eq!(Stamp::read(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn the_stamp_is_found_wherever_it_stands() {
        let mut finder = StampFinder::default();
        let stamp = Stamp { sequence: 7, due: 8 };
        for before in ["{\"message\":\"", "{\"more\":1,\"message\":\"", ""] {
            let message = format!("{before}{}\"}}", stamp.text());
            assert_eq!(finder.find(message.as_bytes()), Some(stamp));
        }
        assert_eq!(finder.find(b"{\"method\":\"gateway_reconnected\"}"), None);
    }
}
