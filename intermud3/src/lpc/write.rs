//! Writing LPC text: strictly, as Dead Souls wants it.

use std::io::Write as _;
use std::slice::Iter;

use bytes::Bytes;

use super::scan::find;
use super::{Bracket, EncodeError, Limits, Sink};
use crate::{Mapping, Value};

/// Most packets fit in this.
const TYPICAL: usize = 256;

/// Every value is written with the comma that follows it inside a container; [`Writer::finish`] takes the
/// last one back, and [`Sink::colon`] makes one a colon. The first error sticks, and nothing is written from
/// then on.
pub(crate) struct Writer<'l> {
    out: Vec<u8>,
    limits: &'l Limits,
    depth: usize,
    error: Option<EncodeError>,
}

impl<'l> Writer<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self { out: Vec::with_capacity(TYPICAL), limits, depth: 0, error: None }
    }

    pub(crate) fn finish(mut self) -> Result<Bytes, EncodeError> {
        self.out.pop();
        match self.error {
            None if self.out.len() > self.limits.output_bytes => {
                Err(EncodeError::TooLong { limit: self.limits.output_bytes })
            }
            None => Ok(self.out.into()),
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
            self.out.extend_from_slice(bytes);
        }
    }

    /// `%f`, which is six places, or as many as it takes to read the same number back.
    fn float(&mut self, n: f64) {
        if !n.is_finite() {
            self.error.get_or_insert(EncodeError::NotFinite);
            return;
        }
        let shortest = n.to_string();
        let places = shortest.split_once('.').map_or(0, |(_, places)| places.len());
        let point = if places == 0 { "." } else { "" };
        let zeros = "0".repeat(6_usize.saturating_sub(places));
        self.put(format!("{shortest}{point}{zeros},").as_bytes());
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

    /// Writes a value that is no container; of a container the opening, and returns what is left to do.
    fn start<'v>(&mut self, value: &'v Value) -> Option<Walk<'v>> {
        let walk = match value {
            Value::Int(n) => {
                self.int(*n);
                return None;
            }
            Value::Float(n) => {
                self.float(*n);
                return None;
            }
            Value::String(text) => {
                self.string(text);
                return None;
            }
            Value::Array(items) => Walk { bracket: Bracket::Array, rest: Rest::Items(items.iter()) },
            Value::Class(items) => Walk { bracket: Bracket::Class, rest: Rest::Items(items.iter()) },
            Value::Mapping(mapping) => Walk::pairs(mapping),
        };
        self.begin(walk.bracket, walk.len()).then_some(walk)
    }

    /// Writes what is left of a container.
    fn walk(&mut self, first: Option<Walk<'_>>) {
        let mut stack: Vec<Walk> = first.into_iter().collect();
        while let Some(walk) = stack.last_mut()
            && self.error.is_none()
        {
            match walk.next() {
                Some(Step::Value(value)) => stack.extend(self.start(value)),
                Some(Step::ValueOfKey(value)) => {
                    self.colon();
                    stack.extend(self.start(value));
                }
                None => {
                    let bracket = walk.bracket;
                    stack.pop();
                    self.close(bracket);
                }
            }
        }
    }
}

impl Sink for Writer<'_> {
    fn open(&mut self, bracket: Bracket, len: usize) {
        self.begin(bracket, len);
    }

    fn close(&mut self, bracket: Bracket) {
        self.depth -= 1;
        self.put(bracket.closing());
        self.put(b",");
    }

    fn colon(&mut self) {
        if let Some(comma) = self.out.last_mut() {
            *comma = b':';
        }
    }

    fn int(&mut self, n: i64) {
        if let Ok(digit @ 0..=9) = u8::try_from(n) {
            self.put(&[b'0' + digit, b',']);
        } else if self.room(0) {
            // Writing to a Vec cannot fail.
            let _ = write!(self.out, "{n}");
            self.put(b",");
        }
    }

    fn string(&mut self, text: &str) {
        // Checked before anything is copied, so that a string far too long costs nothing.
        if !self.room(text.len()) {
            return;
        }
        self.out.reserve(text.len() + 3);
        self.put(b"\"");
        let mut rest = text.as_bytes();
        while let Some(len) = find(rest, [b'"', b'\\', b'\r', b'\n', 0]) {
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
        self.put(b"\",");
    }

    fn value(&mut self, value: &Value) {
        let walk = self.start(value);
        self.walk(walk);
    }

    fn mapping(&mut self, mapping: &Mapping) {
        let walk = Walk::pairs(mapping);
        if self.begin(walk.bracket, walk.len()) {
            self.walk(Some(walk));
        }
    }
}

/// A container half written.
struct Walk<'v> {
    bracket: Bracket,
    rest: Rest<'v>,
}

enum Rest<'v> {
    Items(Iter<'v, Value>),
    /// The value is that of a key already written.
    Pairs {
        pairs: Iter<'v, (Value, Value)>,
        value: Option<&'v Value>,
    },
}

/// What to write next.
enum Step<'v> {
    Value(&'v Value),
    ValueOfKey(&'v Value),
}

impl<'v> Walk<'v> {
    fn pairs(mapping: &'v Mapping) -> Self {
        Self { bracket: Bracket::Mapping, rest: Rest::Pairs { pairs: mapping.iter(), value: None } }
    }

    /// Elements or pairs not begun.
    fn len(&self) -> usize {
        match &self.rest {
            Rest::Items(items) => items.len(),
            Rest::Pairs { pairs, .. } => pairs.len(),
        }
    }

    fn next(&mut self) -> Option<Step<'v>> {
        match &mut self.rest {
            Rest::Items(items) => items.next().map(Step::Value),
            Rest::Pairs { pairs, value } => match value.take() {
                Some(value) => Some(Step::ValueOfKey(value)),
                None => {
                    let (key, of_key) = pairs.next()?;
                    *value = Some(of_key);
                    Some(Step::Value(key))
                }
            },
        }
    }
}
