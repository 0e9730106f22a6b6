//! The end of a run of plain bytes in a string, eight bytes at a time: most of a packet is such runs.

const STEP: usize = size_of::<u64>();

/// Where the first of the wanted bytes is.
pub(super) fn find<const N: usize>(bytes: &[u8], wanted: [u8; N]) -> Option<usize> {
    let (chunks, rest) = bytes.as_chunks::<STEP>();
    for (n, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let found = wanted.iter().fold(0, |found, byte| found | zeros(word ^ all(*byte)));
        if found != 0 {
            return Some(n * STEP + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| wanted.contains(byte))?;
    Some(bytes.len() - rest.len() + at)
}

/// A word of eight times the same byte.
const fn all(byte: u8) -> u64 {
    u64::from_le_bytes([byte; STEP])
}

/// The high bit of each byte that is zero. Bytes above the lowest zero byte may be marked wrongly.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(all(0x01)) & !word & all(0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wanted_byte_is_found_wherever_it_is() {
        for len in 0..40 {
            let plain: Vec<u8> = (0..len).map(|n| if n % 2 == 0 { b'!' } else { 0x8d }).collect();
            assert_eq!(find(&plain, [b'"', b'\\', b'\r', 0]), None);
            for at in 0..plain.len() {
                for byte in [b'"', b'\\', b'\r', 0] {
                    let mut bytes = plain.clone();
                    bytes[at..].fill(byte);
                    assert_eq!(find(&bytes, [b'"', b'\\', b'\r', 0]), Some(at));
                }
            }
        }
    }
}
