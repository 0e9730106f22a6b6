//! Writing LPC text: strictly, as Dead Souls wants it.

use std::fmt::Write as _;
use std::slice::Iter;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Bracket, EncodeError, Limits, Sink};
use crate::{Mapping, Value};

/// Most packets fit in this.
const TYPICAL: usize = 256;

/// Every value is written with the comma that follows it inside a container; [`Writer::finish`] takes the
/// last one back. The first error sticks, and nothing is written from then on.
pub(crate) struct Writer<'l> {
    out: BytesMut,
    limits: &'l Limits,
    depth: usize,
    error: Option<EncodeError>,
}

impl<'l> Writer<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self { out: BytesMut::with_capacity(TYPICAL), limits, depth: 0, error: None }
    }

    pub(crate) fn finish(mut self) -> Result<Bytes, EncodeError> {
        self.out.truncate(self.out.len().saturating_sub(1));
        match self.error {
            None if self.out.len() > self.limits.output_bytes => {
                Err(EncodeError::TooLong { limit: self.limits.output_bytes })
            }
            None => Ok(self.out.freeze()),
            Some(error) => Err(error),
        }
    }

    /// Whether `len` more bytes may be written.
    fn room(&mut self, len: usize) -> bool {
        // One over the limit, for the comma that finish() takes back.
        if self.error.is_none() && self.out.len() + len > self.limits.output_bytes + 1 {
            self.error = Some(EncodeError::TooLong { limit: self.limits.output_bytes });
        }
        self.error.is_none()
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.room(bytes.len()) {
            self.out.put_slice(bytes);
        }
    }

    fn put_int(&mut self, n: i64, then: u8) {
        if let Ok(digit @ 0..=9) = u8::try_from(n) {
            self.put(&[b'0' + digit, then]);
        } else if self.room(0) {
            // Writing to a BytesMut cannot fail.
            let _ = write!(self.out, "{n}");
            self.put(&[then]);
        }
    }

    /// `%f`, which is six places, or as many as it takes to read the same number back.
    fn put_float(&mut self, n: f64, then: u8) {
        if !n.is_finite() {
            self.error.get_or_insert(EncodeError::NotFinite);
            return;
        }
        let shortest = n.to_string();
        let places = shortest.split_once('.').map_or(0, |(_, places)| places.len());
        let point = if places == 0 { "." } else { "" };
        let text = format!("{shortest}{point}{}", "0".repeat(6_usize.saturating_sub(places)));
        self.put(text.as_bytes());
        self.put(&[then]);
    }

    fn put_string(&mut self, text: &str, then: u8) {
        // Checked before anything is copied, so that a string far too long costs nothing.
        if !self.room(text.len()) {
            return;
        }
        self.put(b"\"");
        let mut rest = text.as_bytes();
        while let Some(len) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | 0)) {
            self.put(&rest[..len]);
            match rest[len] {
                // A NUL would end the packet for every reader.
                0 => {}
                b'\n' => self.put(b"\r"),
                byte => self.put(&[b'\\', byte]),
            }
            rest = &rest[len + 1..];
        }
        self.put(rest);
        self.put(&[b'"', then]);
    }

    /// Opens a container; false when it must not be.
    fn begin(&mut self, bracket: Bracket, len: usize) -> bool {
        self.depth += 1;
        if self.depth > self.limits.depth {
            self.error.get_or_insert(EncodeError::TooDeep { limit: self.limits.depth });
        } else if len > self.limits.output_elements {
            let limit = self.limits.output_elements;
            self.error.get_or_insert(EncodeError::TooManyElements { len, limit });
        }
        self.put(bracket.opening());
        self.error.is_none()
    }

    fn end(&mut self, bracket: Bracket, then: u8) {
        self.depth -= 1;
        self.put(bracket.closing());
        self.put(&[then]);
    }

    /// Writes a value that is no container; of a container the opening, and returns what is left to do.
    fn start<'v>(&mut self, value: &'v Value, then: u8) -> Option<Walk<'v>> {
        let walk = match value {
            Value::Int(n) => {
                self.put_int(*n, then);
                return None;
            }
            Value::Float(n) => {
                self.put_float(*n, then);
                return None;
            }
            Value::String(text) => {
                self.put_string(text, then);
                return None;
            }
            Value::Array(items) => Walk { bracket: Bracket::Array, rest: Rest::Items(items.iter()), then },
            Value::Class(items) => Walk { bracket: Bracket::Class, rest: Rest::Items(items.iter()), then },
            Value::Mapping(mapping) => Walk::pairs(mapping, then),
        };
        self.begin(walk.bracket, walk.len()).then_some(walk)
    }

    /// Writes what is left of a container.
    fn walk(&mut self, first: Option<Walk<'_>>) {
        let mut stack: Vec<Walk> = first.into_iter().collect();
        while let Some(walk) = stack.last_mut() {
            match walk.next() {
                Some((value, then)) => stack.extend(self.start(value, then)),
                None => {
                    let (bracket, then) = (walk.bracket, walk.then);
                    stack.pop();
                    self.end(bracket, then);
                }
            }
            if self.error.is_some() {
                return;
            }
        }
    }
}

impl Sink for Writer<'_> {
    fn open(&mut self, bracket: Bracket, len: usize) {
        self.begin(bracket, len);
    }

    fn close(&mut self, bracket: Bracket) {
        self.end(bracket, b',');
    }

    fn key(&mut self, key: &str) {
        self.put_string(key, b':');
    }

    fn int(&mut self, n: i64) {
        self.put_int(n, b',');
    }

    fn string(&mut self, text: &str) {
        self.put_string(text, b',');
    }

    fn value(&mut self, value: &Value) {
        let walk = self.start(value, b',');
        self.walk(walk);
    }

    fn mapping(&mut self, mapping: &Mapping) {
        let walk = Walk::pairs(mapping, b',');
        if self.begin(walk.bracket, walk.len()) {
            self.walk(Some(walk));
        }
    }
}

/// A container half written, and what follows it.
struct Walk<'v> {
    bracket: Bracket,
    rest: Rest<'v>,
    then: u8,
}

enum Rest<'v> {
    Items(Iter<'v, Value>),
    Pairs { pairs: Iter<'v, (Value, Value)>, value: Option<&'v Value> },
}

impl<'v> Walk<'v> {
    fn pairs(mapping: &'v Mapping, then: u8) -> Self {
        Self { bracket: Bracket::Mapping, rest: Rest::Pairs { pairs: mapping.iter(), value: None }, then }
    }

    /// Elements or pairs not begun.
    fn len(&self) -> usize {
        match &self.rest {
            Rest::Items(items) => items.len(),
            Rest::Pairs { pairs, .. } => pairs.len(),
        }
    }

    /// The next value to write, and what follows it.
    fn next(&mut self) -> Option<(&'v Value, u8)> {
        match &mut self.rest {
            Rest::Items(items) => items.next().map(|item| (item, b',')),
            Rest::Pairs { pairs, value } => match value.take() {
                Some(value) => Some((value, b',')),
                None => {
                    let (key, of_key) = pairs.next()?;
                    *value = Some(of_key);
                    Some((key, b':'))
                }
            },
        }
    }
}
