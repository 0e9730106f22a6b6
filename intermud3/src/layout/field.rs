//! One field of a packet, by its Rust type.

use super::Refused;
use crate::lpc::{Bracket, Sink};
use crate::{Mapping, PacketError, Value};

/// A type that a field of a packet can have.
///
/// | Rust | LPC |
/// |---|---|
/// | `i64` | int |
/// | `String` | string |
/// | `Option<T>` | `T`, or 0 for none |
/// | `Vec<T>` | array; 0 reads as an empty one, and elements that are 0 are passed over |
/// | `Vec<(K, V)>` | mapping, order kept; 0 reads as an empty one |
/// | `Mapping` | mapping; 0 reads as an empty one |
/// | `Value` | anything |
///
/// An element that is 0 is what an LPC driver makes of `({,})`, which the Python gateway writes for `({})`.
pub(crate) trait Field: Sized {
    fn read(value: Value, at: At<'_>) -> Result<Self, Refused>;
    fn write(&self, sink: &mut impl Sink);
}

/// Where a field is, for errors.
#[derive(Clone, Copy)]
pub(crate) struct At<'k> {
    /// The packet's type.
    pub(super) kind: &'k str,
    /// The field of the packet that holds the array this field is in.
    pub(super) inside: Option<&'static str>,
    pub(super) name: &'static str,
    /// Whether 0 may stand there, too.
    pub(super) or_zero: bool,
}

/// A peer chooses the type's name; errors are logged, so they must stay short.
const SHOWN: usize = 40;

impl At<'_> {
    #[cold]
    #[inline(never)]
    pub(crate) fn wrong_type(self, expected: &'static str, found: &Value) -> Refused {
        let found = found.type_name();
        let expected = match expected {
            "a string" if self.or_zero => "a string or 0",
            "an array" if self.or_zero => "an array or 0",
            "a mapping" if self.or_zero => "a mapping or 0",
            expected => expected,
        };
        Box::new(PacketError::Field { kind: self.place(), field: self.name, expected, found })
    }

    /// `mudlist`, or `mudlist muds` for what is inside a field.
    pub(super) fn place(self) -> String {
        let mut place: String = self.kind.chars().take(SHOWN).collect();
        if let Some(field) = self.inside {
            place.push(' ');
            place.push_str(field);
        }
        place
    }

    /// A part of this field.
    pub(super) fn part(self, name: &'static str) -> Self {
        Self { inside: Some(self.holder()), name, ..self }
    }

    /// The field of the packet that this is or is in.
    pub(super) fn holder(self) -> &'static str {
        self.inside.unwrap_or(self.name)
    }
}

impl Field for i64 {
    fn read(value: Value, at: At<'_>) -> Result<Self, Refused> {
        match value {
            Value::Int(n) => Ok(n),
            other => Err(at.wrong_type("an int", &other)),
        }
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.int(*self);
    }
}

impl Field for String {
    #[inline]
    fn read(value: Value, at: At<'_>) -> Result<Self, Refused> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(at.wrong_type("a string", &other)),
        }
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.string(self);
    }
}

impl Field for Value {
    fn read(value: Value, _at: At<'_>) -> Result<Self, Refused> {
        Ok(value)
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.value(self);
    }
}

impl Field for Mapping {
    fn read(value: Value, at: At<'_>) -> Result<Self, Refused> {
        match value {
            Value::Mapping(mapping) => Ok(mapping),
            Value::Int(0) => Ok(Mapping::new()),
            other => Err(at.wrong_type("a mapping", &other)),
        }
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.mapping(self);
    }
}

impl<T: Field> Field for Option<T> {
    fn read(value: Value, at: At<'_>) -> Result<Self, Refused> {
        match value {
            Value::Int(0) => Ok(None),
            value => T::read(value, At { or_zero: true, ..at }).map(Some),
        }
    }

    fn write(&self, sink: &mut impl Sink) {
        match self {
            Some(value) => value.write(sink),
            None => sink.int(0),
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(value: Value, at: At<'_>) -> Result<Self, Refused> {
        let items = match value {
            Value::Array(items) => items,
            Value::Int(0) => Vec::new(),
            other => return Err(at.wrong_type("an array", &other)),
        };
        let at = at.part("an element");
        let mut list = Vec::with_capacity(items.iter().filter(|item| !item.is_zero()).count());
        for item in items.into_iter().filter(|item| !item.is_zero()) {
            list.push(T::read(item, at)?);
        }
        Ok(list)
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.open(Bracket::Array, self.len());
        self.iter().for_each(|item| item.write(sink));
        sink.close(Bracket::Array);
    }
}

impl<K: Field, V: Field> Field for Vec<(K, V)> {
    fn read(value: Value, at: At<'_>) -> Result<Self, Refused> {
        let mapping = Mapping::read(value, at)?;
        let (key_at, value_at) = (at.part("a key"), at.part("a value"));
        let mut list = Vec::with_capacity(mapping.len());
        for (key, value) in mapping {
            list.push((K::read(key, key_at)?, V::read(value, value_at)?));
        }
        Ok(list)
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.open(Bracket::Mapping, self.len());
        for (key, value) in self {
            key.write(sink);
            sink.colon();
            value.write(sink);
        }
        sink.close(Bracket::Mapping);
    }
}
