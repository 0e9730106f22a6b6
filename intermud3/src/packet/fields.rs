//! The elements of a packet, taken one after the other.

use std::borrow::Cow;

use super::{PacketError, Unknown, header};
use crate::lpc::Sink;
use crate::{Mapping, Value};

/// A packet type: how its fields are read and written.
pub(super) trait Layout: Sized {
    /// The type's name on the wire.
    const KIND: &'static str;
    /// How many elements a packet of this type has, header included.
    const ELEMENTS: usize;
    /// The least that is read; fields missing at the end read as 0.
    const AT_LEAST: usize = Self::ELEMENTS;

    fn read(fields: &mut Fields) -> Result<Self, PacketError>;
    fn write(&self, sink: &mut impl Sink);
}

impl<L: Layout> Layout for Box<L> {
    const KIND: &'static str = L::KIND;
    const ELEMENTS: usize = L::ELEMENTS;
    const AT_LEAST: usize = L::AT_LEAST;

    fn read(fields: &mut Fields) -> Result<Self, PacketError> {
        L::read(fields).map(Box::new)
    }

    fn write(&self, sink: &mut impl Sink) {
        L::write(self, sink);
    }
}

/// What is left of an array, and the name of the packet it belongs to, for errors.
pub(super) struct Fields {
    kind: Cow<'static, str>,
    elements: usize,
    rest: std::vec::IntoIter<Value>,
}

impl Fields {
    /// The elements behind the type name.
    pub(super) fn new(packet: Value) -> Result<Self, PacketError> {
        let Value::Array(items) = packet else {
            return Err(PacketError::NoHeader);
        };
        let elements = items.len();
        let mut rest = items.into_iter();
        match rest.next() {
            Some(Value::String(kind)) if elements >= header::ELEMENTS => {
                Ok(Self { kind: kind.into(), elements, rest })
            }
            _ => Err(PacketError::NoHeader),
        }
    }

    /// The elements of an array inside a packet.
    pub(super) fn nested(kind: &'static str, items: Vec<Value>) -> Self {
        Self { kind: kind.into(), elements: items.len(), rest: items.into_iter() }
    }

    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn elements(&self) -> usize {
        self.elements
    }

    /// Reads all that follows the header.
    pub(super) fn all<L: Layout>(mut self) -> Result<L, PacketError> {
        if !(L::AT_LEAST..=L::ELEMENTS).contains(&self.elements) {
            return Err(self.wrong_count(L::ELEMENTS));
        }
        L::read(&mut self)
    }

    pub(super) fn rest(self) -> Unknown {
        Unknown { kind: self.kind.into_owned(), fields: self.rest.collect() }
    }

    /// Any value; 0 when none is left.
    pub(super) fn value(&mut self) -> Value {
        self.rest.next().unwrap_or(Value::ZERO)
    }

    pub(super) fn int(&mut self, field: &'static str) -> Result<i64, PacketError> {
        match self.value() {
            Value::Int(n) => Ok(n),
            other => Err(self.wrong_type(field, "an int", &other)),
        }
    }

    pub(super) fn string(&mut self, field: &'static str) -> Result<String, PacketError> {
        match self.value() {
            Value::String(text) => Ok(text),
            other => Err(self.wrong_type(field, "a string", &other)),
        }
    }

    /// A string, or 0 for none.
    pub(super) fn optional(&mut self, field: &'static str) -> Result<Option<String>, PacketError> {
        match self.value() {
            Value::String(text) => Ok(Some(text)),
            Value::Int(0) => Ok(None),
            other => Err(self.wrong_type(field, "a string or 0", &other)),
        }
    }

    /// A string; 0 reads as the empty one.
    pub(super) fn text(&mut self, field: &'static str) -> Result<String, PacketError> {
        self.optional(field).map(Option::unwrap_or_default)
    }

    pub(super) fn array(&mut self, field: &'static str) -> Result<Vec<Value>, PacketError> {
        match self.value() {
            Value::Array(items) => Ok(items),
            other => Err(self.wrong_type(field, "an array", &other)),
        }
    }

    pub(super) fn mapping(&mut self, field: &'static str) -> Result<Mapping, PacketError> {
        match self.value() {
            Value::Mapping(mapping) => Ok(mapping),
            other => Err(self.wrong_type(field, "a mapping", &other)),
        }
    }

    pub(super) fn wrong_count(&self, expected: usize) -> PacketError {
        PacketError::FieldCount { kind: self.short_kind(), expected, found: self.elements }
    }

    pub(super) fn wrong_type(
        &self,
        field: &'static str,
        expected: &'static str,
        found: &Value,
    ) -> PacketError {
        PacketError::Field { kind: self.short_kind(), field, expected, found: found.type_name() }
    }

    /// A peer chooses the name; errors are logged, so they must stay short.
    fn short_kind(&self) -> String {
        self.kind.chars().take(40).collect()
    }
}
