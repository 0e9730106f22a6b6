//! Values put together from their parts, without recursion.

use crate::{Mapping, Value};

/// The three kinds of container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bracket {
    Array,
    Mapping,
    Class,
}

impl Bracket {
    pub(crate) fn opening(self) -> &'static [u8; 2] {
        match self {
            Bracket::Array => b"({",
            Bracket::Mapping => b"([",
            Bracket::Class => b"(/",
        }
    }

    pub(crate) fn closing(self) -> &'static [u8; 2] {
        match self {
            Bracket::Array => b"})",
            Bracket::Mapping => b"])",
            Bracket::Class => b"/)",
        }
    }
}

/// Where the fields of a packet go: into text (`Writer`) or into a value (`Builder`).
///
/// In a mapping each pair is a `key` and then one value.
pub(crate) trait Sink {
    /// Opens a container of `len` elements or pairs.
    fn open(&mut self, bracket: Bracket, len: usize);
    fn close(&mut self, bracket: Bracket);
    fn key(&mut self, key: &str);
    fn int(&mut self, n: i64);
    fn string(&mut self, text: &str);
    fn value(&mut self, value: &Value);
    fn mapping(&mut self, mapping: &Mapping);

    /// A string, or 0 for none.
    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.int(0),
        }
    }
}

/// Finished values, those of every open container one behind the other, so that a container is allocated
/// once and at its exact size: when it closes.
pub(crate) struct Builder {
    values: Vec<Value>,
    open: Vec<Open>,
}

struct Open {
    bracket: Bracket,
    start: usize,
}

impl Builder {
    pub(crate) fn new() -> Self {
        // Enough for most packets.
        Self { values: Vec::with_capacity(16), open: Vec::with_capacity(4) }
    }

    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The innermost open container, and how many values it has (two a pair).
    pub(super) fn innermost(&self) -> Option<(Bracket, usize)> {
        self.open.last().map(|open| (open.bracket, self.values.len() - open.start))
    }

    pub(super) fn begin(&mut self, bracket: Bracket) {
        self.open.push(Open { bracket, start: self.values.len() });
    }

    pub(super) fn push(&mut self, value: Value) {
        self.values.push(value);
    }

    /// Closes the innermost container and makes it a value of the one around it.
    pub(super) fn end(&mut self) {
        let Some(Open { bracket, start }) = self.open.pop() else {
            return;
        };
        let items = self.values.drain(start..);
        let container = match bracket {
            Bracket::Array => Value::Array(items.collect()),
            Bracket::Class => Value::Class(items.collect()),
            Bracket::Mapping => Value::Mapping(pairs(items)),
        };
        self.values.push(container);
    }

    /// The value built, or 0 if there was none.
    pub(crate) fn finish(mut self) -> Value {
        self.values.pop().unwrap_or(Value::ZERO)
    }
}

fn pairs(mut items: std::vec::Drain<'_, Value>) -> Mapping {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs.into()
}

impl Sink for Builder {
    fn open(&mut self, bracket: Bracket, _len: usize) {
        self.begin(bracket);
    }

    fn close(&mut self, _bracket: Bracket) {
        self.end();
    }

    fn key(&mut self, key: &str) {
        self.push(key.into());
    }

    fn int(&mut self, n: i64) {
        self.push(n.into());
    }

    fn string(&mut self, text: &str) {
        self.push(text.into());
    }

    fn value(&mut self, value: &Value) {
        self.push(value.clone());
    }

    fn mapping(&mut self, mapping: &Mapping) {
        self.push(mapping.clone().into());
    }
}
