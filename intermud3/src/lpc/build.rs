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
/// In a mapping each pair is a key, a `colon` and a value.
pub(crate) trait Sink {
    /// Opens a container of `len` elements or pairs.
    fn open(&mut self, bracket: Bracket, len: usize);
    fn close(&mut self, bracket: Bracket);
    fn colon(&mut self);
    fn int(&mut self, n: i64);
    fn string(&mut self, text: &str);
    fn value(&mut self, value: &Value);
    fn mapping(&mut self, mapping: &Mapping);
}

/// Most packets have no more elements.
const TYPICAL: usize = 16;

/// Finished values, those of every open container one behind the other, so that a container is allocated
/// once, when it closes, and at its exact size (the outermost one takes the list as it is).
pub(crate) struct Builder {
    values: Vec<Value>,
    innermost: Option<Open>,
    /// The open containers around the innermost one. Flat packets need none.
    around: Vec<Open>,
    /// What [`Sink`] was given outside of any container.
    done: Value,
}

#[derive(Clone, Copy)]
struct Open {
    bracket: Bracket,
    start: usize,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { values: Vec::with_capacity(TYPICAL), innermost: None, around: Vec::new(), done: Value::ZERO }
    }

    pub(super) fn depth(&self) -> usize {
        self.around.len() + usize::from(self.innermost.is_some())
    }

    /// The innermost open container, and how many values it has (two a pair).
    pub(super) fn innermost(&self) -> Option<(Bracket, usize)> {
        self.innermost.map(|open| (open.bracket, self.values.len() - open.start))
    }

    pub(super) fn begin(&mut self, bracket: Bracket) {
        self.around.extend(self.innermost);
        self.innermost = Some(Open { bracket, start: self.values.len() });
    }

    /// Puts a value into the innermost container; gives it back if none is open.
    pub(super) fn push(&mut self, value: Value) -> Option<Value> {
        if self.innermost.is_none() {
            return Some(value);
        }
        self.values.push(value);
        None
    }

    /// Closes the innermost container and makes it a value of the one around it; gives it back if it was the
    /// outermost.
    pub(super) fn end(&mut self) -> Option<Value> {
        let Open { bracket, start } = self.innermost?;
        self.innermost = self.around.pop();
        let container = match bracket {
            Bracket::Array => Value::Array(self.take(start)),
            Bracket::Class => Value::Class(self.take(start)),
            Bracket::Mapping => Value::Mapping(pairs(self.values.drain(start..))),
        };
        self.push(container)
    }

    /// Few are copied; a list grown for many, with much room to spare, is not kept for the few left.
    fn take(&mut self, start: usize) -> Vec<Value> {
        if start == 0 && self.values.capacity() <= 2 * self.values.len().max(TYPICAL) {
            return std::mem::take(&mut self.values);
        }
        self.values.split_off(start)
    }

    /// The value built by way of [`Sink`].
    pub(crate) fn finish(self) -> Value {
        self.done
    }

    fn give(&mut self, value: Value) {
        if let Some(value) = self.push(value) {
            self.done = value;
        }
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
        if let Some(value) = self.end() {
            self.done = value;
        }
    }

    fn colon(&mut self) {}

    fn int(&mut self, n: i64) {
        self.give(n.into());
    }

    fn string(&mut self, text: &str) {
        self.give(text.into());
    }

    fn value(&mut self, value: &Value) {
        self.give(value.clone());
    }

    fn mapping(&mut self, mapping: &Mapping) {
        self.give(mapping.clone().into());
    }
}
