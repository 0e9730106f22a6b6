//! LPC text as FluffOS restores it, which is less than `intermud3` reads: what is dropped here is dropped by the
//! routers in use.

use std::collections::HashMap;

use bytes::Bytes;
use intermud3::{Limits, Mapping, Value, lpc};

use crate::Ways;

/// What a driver writes at most. Nothing larger is read either: it could not be passed on.
const LIMITS: Limits =
    Limits { output_elements: MAX_ELEMENTS, input_elements: MAX_ELEMENTS, ..Limits::DEFAULT };

/// The `maximum array size` of the router that was observed.
pub(super) const MAX_ELEMENTS: usize = 64_000;

/// From here on FluffOS 7b446e31 reads an int as the least there is.
const INT_OVERFLOW: i64 = i64::MAX - 1;

/// Why a text is dropped. Positions are byte offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A blank outside a string, a comma that is missing, the end, ...
    #[error("not what LPC text may have at byte {at}")]
    Syntax {
        /// Where.
        at: usize,
    },
    /// A string that is not UTF-8.
    #[error("the string at byte {at} is not UTF-8")]
    NotUtf8 {
        /// Where it starts.
        at: usize,
    },
    /// More than 100 levels.
    #[error("nested too deep at byte {at}")]
    TooDeep {
        /// Where the first level too many opens.
        at: usize,
    },
    /// More elements in one container than may be.
    #[error("too many elements at byte {at}")]
    TooManyElements {
        /// Where the first one too many ends.
        at: usize,
    },
}

/// Reads the body of a frame. A NUL ends the text, wherever it stands.
pub(super) fn read(body: &[u8], ways: &Ways, max_elements: usize) -> Result<Value, TextError> {
    if !ways.strict_text {
        return lpc::decode_with(body, &LIMITS).map_err(|_| TextError::Syntax { at: 0 });
    }
    let text = body.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut reader = Reader { text, at: 0, max_elements, open: Vec::new() };
    loop {
        let Some(value) = reader.value()? else { continue };
        if let Some(whole) = reader.put(value)? {
            return Ok(whole);
        }
    }
}

/// Writes a packet. What cannot be written is dropped: nested too deep, above all.
pub(super) fn write(packet: &Value, ways: &Ways) -> Option<Bytes> {
    let text = lpc::encode_with(packet, &LIMITS).ok()?;
    Some(if ways.latin1 { latin1(&text) } else { text })
}

/// Puts a blank behind every colon that is not in a string.
pub(super) fn with_blanks(text: &[u8]) -> Bytes {
    let (mut spaced, mut quoted, mut escaped) = (Vec::with_capacity(text.len()), false, false);
    for &byte in text {
        spaced.push(byte);
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b':' if !quoted => spaced.push(b' '),
            _ => {}
        }
    }
    spaced.into()
}

fn latin1(text: &[u8]) -> Bytes {
    let byte = |c: char| match u8::try_from(c) {
        Ok(byte) if !c.is_control() => byte,
        _ => b'?',
    };
    String::from_utf8_lossy(text).chars().map(byte).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Array,
    Mapping,
    Class,
}

impl Bracket {
    fn closing(self) -> &'static [u8; 2] {
        match self {
            Bracket::Array => b"})",
            Bracket::Mapping => b"])",
            Bracket::Class => b"/)",
        }
    }
}

/// A container that is not complete; in a mapping keys and values take turns.
struct Open {
    bracket: Bracket,
    items: Vec<Value>,
}

impl Open {
    fn close(self) -> Value {
        match self.bracket {
            Bracket::Array => Value::Array(self.items),
            Bracket::Class => Value::Class(self.items),
            Bracket::Mapping => Value::Mapping(pairs(self.items)),
        }
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    max_elements: usize,
    open: Vec<Open>,
}

impl Reader<'_> {
    /// Reads a value that is no container, or closes one; None after an opening bracket.
    fn value(&mut self) -> Result<Option<Value>, TextError> {
        match self.peek() {
            Some(b'(') => self.open().map(|()| None),
            Some(b'"') => self.string().map(Some),
            Some(b'-' | b'0'..=b'9') => self.number().map(Some),
            // `({,})` is `({0,})`. No other element can be left out.
            Some(b',') if self.rest().starts_with(b",})") && self.innermost_is_empty_array() => {
                Ok(Some(Value::ZERO))
            }
            _ => self.close().map(Some),
        }
    }

    fn open(&mut self) -> Result<(), TextError> {
        let bracket = match self.text.get(self.at + 1) {
            Some(b'{') => Bracket::Array,
            Some(b'[') => Bracket::Mapping,
            Some(b'/') => Bracket::Class,
            _ => return Err(self.syntax()),
        };
        if self.open.len() >= LIMITS.depth {
            return Err(TextError::TooDeep { at: self.at });
        }
        self.open.push(Open { bracket, items: Vec::new() });
        self.at += 2;
        Ok(())
    }

    fn close(&mut self) -> Result<Value, TextError> {
        let whole = |open: &Open| open.bracket != Bracket::Mapping || open.items.len().is_multiple_of(2);
        match self.open.pop() {
            Some(open) if whole(&open) && self.rest().starts_with(open.bracket.closing()) => {
                self.at += 2;
                Ok(open.close())
            }
            _ => Err(self.syntax()),
        }
    }

    /// Puts a value into the innermost container, with the `,` or `:` that must follow; gives it back if it is
    /// the outermost one.
    fn put(&mut self, value: Value) -> Result<Option<Value>, TextError> {
        let (next, at) = (self.peek(), self.at);
        let Some(open) = self.open.last_mut() else { return Ok(Some(value)) };
        let mapping = open.bracket == Bracket::Mapping;
        let separator = if mapping && open.items.len().is_multiple_of(2) { b':' } else { b',' };
        if next != Some(separator) {
            return Err(self.syntax());
        }
        open.items.push(value);
        let elements = if mapping { open.items.len().div_ceil(2) } else { open.items.len() };
        if elements > self.max_elements {
            return Err(TextError::TooManyElements { at });
        }
        self.at += 1;
        Ok(None)
    }

    fn string(&mut self) -> Result<Value, TextError> {
        let start = self.at;
        let mut bytes = Vec::new();
        loop {
            self.at += 1;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    bytes.push(self.peek().ok_or(self.syntax())?);
                }
                Some(b'\r') => bytes.push(b'\n'),
                Some(byte) => bytes.push(byte),
                None => return Err(self.syntax()),
            }
        }
        self.at += 1;
        String::from_utf8(bytes).map(Value::String).map_err(|_| TextError::NotUtf8 { at: start })
    }

    fn number(&mut self) -> Result<Value, TextError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        self.digits()?;
        match self.peek() {
            Some(b'.') => {
                self.at += 1;
                self.digits()?;
                self.float(start)
            }
            Some(b'e') => self.float(start),
            _ => self.int(start),
        }
    }

    /// After the digits: an exponent must be signed, and one after a capital E is passed over.
    fn float(&mut self, start: usize) -> Result<Value, TextError> {
        let mut end = self.at;
        if let Some(exponent @ (b'e' | b'E')) = self.peek() {
            self.at += 1;
            match self.peek() {
                Some(b'+' | b'-') => self.at += 1,
                _ if exponent == b'e' => return Err(self.syntax()),
                _ => {}
            }
            self.digits()?;
            end = if exponent == b'e' { self.at } else { end };
        }
        let text = String::from_utf8_lossy(&self.text[start..end]);
        let n: f64 = text.parse().map_err(|_| TextError::Syntax { at: start })?;
        // Written with `%f`, and so no longer than this.
        let rounded = format!("{n:.6}").parse().unwrap_or(n);
        if n.is_finite() { Ok(Value::Float(rounded)) } else { Err(TextError::Syntax { at: start }) }
    }

    fn int(&mut self, start: usize) -> Result<Value, TextError> {
        let text = String::from_utf8_lossy(&self.text[start..self.at]);
        let n = text.parse().unwrap_or(i64::MIN);
        // `0x10` is 0.
        if n == 0 && self.peek() == Some(b'x') {
            self.at += 1;
            self.at += self.rest().iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        }
        Ok(Value::Int(if n >= INT_OVERFLOW { i64::MIN } else { n }))
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), TextError> {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 { Err(self.syntax()) } else { Ok(()) }
    }

    fn innermost_is_empty_array(&self) -> bool {
        self.open.last().is_some_and(|open| open.bracket == Bracket::Array && open.items.is_empty())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn syntax(&self) -> TextError {
        TextError::Syntax { at: self.at }
    }
}

/// Of equal keys the last one wins.
fn pairs(items: Vec<Value>) -> Mapping {
    let mut places: HashMap<Option<Bytes>, usize> = HashMap::new();
    let mut pairs: Vec<(Value, Value)> = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        let place = *places.entry(lpc::encode_with(&key, &LIMITS).ok()).or_insert(pairs.len());
        match pairs.get_mut(place) {
            Some(pair) => pair.1 = value,
            None => pairs.push((key, value)),
        }
    }
    pairs.into()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn read_strictly(text: &[u8]) -> Result<Value, TextError> {
        read(text, &Ways::DEAD_SOULS, MAX_ELEMENTS)
    }

    #[test]
    fn whatever_is_read_is_written_and_read_again() {
        let seed =
            br#"({"tell",5,({-1,1.5e+3,"a\"b",}),(["k":0,({}):(/2,/),]),"MudB",0x1,9223372036854775807,})"#;
        let mut rng = StdRng::seed_from_u64(1);
        let mut read = 0;
        for _ in 0..30_000 {
            let mut text = seed.to_vec();
            for _ in 0..rng.random_range(0..3) {
                let at = rng.random_range(0..text.len());
                match rng.random_range(0..3) {
                    0 => drop(text.remove(at)),
                    1 => text[at] = rng.random(),
                    _ => text.insert(at, seed[rng.random_range(0..seed.len())]),
                }
            }
            let Ok(value) = read_strictly(&text) else { continue };
            read += 1;
            let written = write(&value, &Ways::DEAD_SOULS).unwrap();
            assert_eq!(read_strictly(&written).as_ref(), Ok(&value), "{}", text.escape_ascii());
            assert_eq!(lpc::decode(&written).as_ref(), Ok(&value), "it is no other language");
        }
        assert!(read > 9_000, "{read}");
    }
}
