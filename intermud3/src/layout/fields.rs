//! The elements of a packet, taken one after the other.

use super::{At, Field, Layout, Refused};
use crate::{Mapping, PacketError, Value};

/// The entries of a mapping by name, and the keys of those that cannot be read.
pub(crate) type Entries<V> = (Vec<(String, V)>, Vec<Value>);

/// What is left of an array, and where it is, for errors.
pub(crate) struct Fields<'k> {
    kind: &'k str,
    inside: Option<&'static str>,
    /// How many elements the whole array has, and how many of them are not fields.
    elements: usize,
    header: usize,
    rest: std::vec::IntoIter<Value>,
}

impl<'k> Fields<'k> {
    /// What follows the type's name in a packet whose header has so many elements, the name included.
    pub(crate) fn new(kind: &'k str, header: usize, rest: std::vec::IntoIter<Value>) -> Self {
        Self { kind, inside: None, elements: rest.len() + 1, header, rest }
    }

    /// The elements of an array inside a packet.
    pub(super) fn nested(at: At<'k>, items: Vec<Value>) -> Self {
        Self {
            kind: at.kind,
            inside: Some(at.holder()),
            elements: items.len(),
            header: 0,
            rest: items.into_iter(),
        }
    }

    /// Reads all fields.
    pub(crate) fn all<L: Layout>(&mut self) -> Result<L, Refused> {
        if !L::FIELDS.contains(&self.count()) {
            return Err(self.wrong_count(*L::FIELDS.end()));
        }
        L::read(self)
    }

    /// Checks that there is no field.
    pub(crate) fn none(&self) -> Result<(), Refused> {
        if self.count() == 0 { Ok(()) } else { Err(self.wrong_count(0)) }
    }

    /// How many fields there are, read ones included.
    pub(crate) fn count(&self) -> usize {
        self.elements.saturating_sub(self.header)
    }

    /// All that is left.
    pub(crate) fn rest(self) -> Vec<Value> {
        self.rest.collect()
    }

    /// Any value; 0 when none is left.
    #[inline]
    pub(crate) fn value(&mut self) -> Value {
        self.rest.next().unwrap_or(Value::ZERO)
    }

    #[inline]
    pub(crate) fn next<T: Field>(&mut self, name: &'static str) -> Result<T, Refused> {
        T::read(self.value(), self.at(name))
    }

    /// A string; 0 reads as the empty one.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, Refused> {
        self.next::<Option<String>>(name).map(Option::unwrap_or_default)
    }

    /// A string, or 0 for none; a number reads as its digits.
    pub(crate) fn lax_text(&mut self, name: &'static str) -> Result<Option<String>, Refused> {
        match self.value() {
            Value::Int(n) if n != 0 => Ok(Some(n.to_string())),
            Value::Float(n) => Ok(Some(n.to_string())),
            other => Option::read(other, self.at(name)),
        }
    }

    /// An int; anything else reads as 0.
    pub(crate) fn loose_int(&mut self) -> i64 {
        self.value().as_int().unwrap_or(0)
    }

    /// A mapping of names to entries, and the keys of the entries that cannot be read.
    pub(crate) fn entries<V: Field>(&mut self, name: &'static str) -> Result<Entries<V>, Refused> {
        let mapping: Mapping = self.next(name)?;
        let at = self.at(name).part("a value");
        let (mut entries, mut unreadable) = (Vec::with_capacity(mapping.len()), Vec::new());
        for (key, value) in mapping {
            match (key, V::read(value, at)) {
                (Value::String(name), Ok(entry)) => entries.push((name, entry)),
                (key, _) => unreadable.push(key),
            }
        }
        Ok((entries, unreadable))
    }

    /// A field that may be missing at the end.
    pub(crate) fn trailing<T: Field>(&mut self, name: &'static str) -> Result<Option<T>, Refused> {
        if self.rest.len() == 0 { Ok(None) } else { self.next(name).map(Some) }
    }

    fn at(&self, name: &'static str) -> At<'k> {
        At { kind: self.kind, inside: self.inside, name, or_zero: false }
    }

    #[cold]
    pub(crate) fn wrong_count(&self, expected: usize) -> Refused {
        let place = self.at("").place();
        let expected = expected + self.header;
        Box::new(PacketError::FieldCount { kind: place, expected, found: self.elements })
    }
}
