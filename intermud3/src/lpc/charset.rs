//! Bytes of a string to text.

/// What Windows-1252 has in 0x80..=0x9F, where it differs from Latin-1. The five bytes it leaves undefined
/// are the C1 controls of the same number, as in the WHATWG encoding standard, so that no byte is lost.
const HIGH_CONTROLS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', //
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// UTF-8 if it is that, else Windows-1252.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| e.as_bytes().iter().map(|&byte| windows_1252(byte)).collect())
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => HIGH_CONTROLS[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
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
        assert_eq!(text("naïve €".into()), "naïve €");
        assert_eq!(text(b"caf\xe9".to_vec()), "café");
    }
}
