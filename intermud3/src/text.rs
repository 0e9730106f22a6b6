//! Text as it is on the network: bytes to characters, and characters that do not belong in it.

use std::borrow::Cow;

/// What Windows-1252 has in 0x80..=0x9F, where it differs from Latin-1. The five bytes it leaves undefined
/// are the C1 controls of the same number, as in the WHATWG encoding standard, so that no byte is lost.
const HIGH_CONTROLS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', //
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

const ESC: char = '\x1b';

/// Bytes to text: UTF-8 if they are that as a whole, else Windows-1252, in which every byte is a character.
///
/// Muds write both, and do not say which.
pub fn decode(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| e.as_bytes().iter().map(|&byte| windows_1252(byte)).collect())
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => HIGH_CONTROLS[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// The text as it should go out to others, without what only does harm there.
///
/// Stays: everything that prints, newline, tab, and ANSI colours (`ESC [ 1;31 m`), which muds use beside
/// Pinkfish. Goes: all other control characters (C0, DEL, C1) and all other terminal sequences, which move the
/// cursor, ring, or set a reader's window title. CR LF and a CR alone become a newline.
///
/// The LPC writer itself leaves out NUL only, so that a packet passed on, or echoed in an `error`, stays what it
/// was; Dead Souls, too, passes on everything but NUL. So `clean` is for texts that enter the network.
///
/// ```
/// # use intermud3::text::clean;
/// assert_eq!(clean("tea\x07 \x1b[32mgreen\x1b[0m\x1b[2J\r\n"), "tea \x1b[32mgreen\x1b[0m\n");
/// ```
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for piece in Pieces(text) {
        match piece {
            Piece::Char(c) => clean.push(c),
            Piece::Colour(sequence) => clean.push_str(sequence),
        }
    }
    Cow::Owned(clean)
}

/// What [`clean`] keeps of a text.
pub(crate) enum Piece<'t> {
    /// One that prints, a newline or a tab.
    Char(char),
    /// An ANSI colour sequence, whole.
    Colour(&'t str),
}

/// What [`clean`] keeps of a text, piece by piece.
pub(crate) struct Pieces<'t>(pub(crate) &'t str);

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        loop {
            let first = self.0.chars().next()?;
            let (token, rest) = self.0.split_at(token_len(self.0, first));
            self.0 = rest;
            match first {
                ESC if is_colour(token) => return Some(Piece::Colour(token)),
                '\r' | '\n' => return Some(Piece::Char('\n')),
                '\t' => return Some(Piece::Char('\t')),
                c if c.is_control() => {}
                c => return Some(Piece::Char(c)),
            }
        }
    }
}

/// How many bytes the first character has, with those that belong to it.
fn token_len(text: &str, first: char) -> usize {
    match first {
        ESC => sequence_len(text).unwrap_or(1),
        '\r' if text.starts_with("\r\n") => 2,
        c => c.len_utf8(),
    }
}

/// The length of a control sequence: `ESC [`, parameters, a final byte.
fn sequence_len(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !matches!(c, ' '..='?'))?;
    matches!(parameters.as_bytes()[end], b'@'..=b'~').then_some("\x1b[".len() + end + 1)
}

fn is_colour(sequence: &str) -> bool {
    let parameters = sequence.strip_prefix("\x1b[").and_then(|rest| rest.strip_suffix('m'));
    parameters.is_some_and(|parameters| parameters.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b';')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_means_a_character_of_its_own() {
        let all: std::collections::HashSet<char> = (0..=255).map(windows_1252).collect();
        assert_eq!(all.len(), 256);
        assert_eq!(windows_1252(b'a'), 'a');
        assert_eq!(windows_1252(0x92), '’');
        assert_eq!(windows_1252(0xe9), 'é');
    }

    #[test]
    fn utf8_is_preferred() {
        assert_eq!(decode("naïve €".into()), "naïve €");
        assert_eq!(decode(b"caf\xe9".to_vec()), "café");
    }
}
