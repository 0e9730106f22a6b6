//! Captures as text: what was recorded of a connection, line by line.

/// Bytes of one direction of one connection.
pub struct Chunk<'l> {
    /// What the line says before the bytes: time, connection and direction, or nothing.
    pub label: &'l str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The bytes a line holds, if any: `0.002 MudA <<< '\x00\x00\x00\x04123\x00'`, a recorded exchange with the bytes
/// as a Python literal, or hex digits, `00 00 00 04 31 32 33 00`.
pub fn chunk(line: &str) -> Option<Chunk<'_>> {
    for arrow in [" >>> ", " <<< "] {
        if let Some((label, literal)) = line.split_once(arrow) {
            let end = line.len() - literal.len() - 1;
            return Some(Chunk { label: &line[..end], bytes: unquote(literal.trim())? })
                .filter(|_| is_label(label));
        }
    }
    Some(Chunk { label: "", bytes: hex(line)? })
}

/// Seconds and the name of a connection. A comment is no label.
fn is_label(label: &str) -> bool {
    let words: Vec<&str> = label.split_whitespace().collect();
    words.len() == 2 && words[1] != "#"
}

/// A Python literal to bytes; `None` for one that was cut, which ends in `...(N bytes)` or without its quote.
fn unquote(literal: &str) -> Option<Vec<u8>> {
    let mut rest =
        literal.strip_prefix('\'')?.strip_suffix('\'').filter(|l| !l.ends_with(" bytes)"))?.bytes();
    let mut bytes = Vec::new();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => byte_of(rest.next()?, rest.next()?)?,
                other => other,
            },
            plain => plain,
        });
    }
    Some(bytes)
}

fn hex(line: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = line.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| byte_of(high, low)).collect::<Option<Vec<u8>>>()?;
    (rest.is_empty() && !bytes.is_empty()).then_some(bytes)
}

fn byte_of(high: u8, low: u8) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}
