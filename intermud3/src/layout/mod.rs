//! How the fields of packets are read from values and written again.
//!
//! A packet type is declared once, by `layout!`, as its fields in the order of the wire; reading, writing and
//! `Debug` follow from that. The few types whose form varies implement [`Layout`] by hand.

mod field;
mod fields;
mod macros;

use std::ops::RangeInclusive;

use crate::lpc::{Bracket, Sink};
use crate::{PacketError, Value};
pub(crate) use field::{At, Field};
pub(crate) use fields::Fields;
pub(crate) use macros::{kinds, layout};

/// Why fields cannot be read. Boxed, because it is large and rare.
pub(crate) type Refused = Box<PacketError>;

/// The fields of a packet, or of an array inside one, in the order of the wire.
pub(crate) trait Layout: Sized {
    /// How many fields there may be, those of a header not counted.
    const FIELDS: RangeInclusive<usize>;

    /// Reads the fields; how many there are has been checked.
    fn read(fields: &mut Fields<'_>) -> Result<Self, Refused>;
    fn write(&self, sink: &mut impl Sink);
}

impl<L: Layout> Layout for Box<L> {
    const FIELDS: RangeInclusive<usize> = L::FIELDS;

    fn read(fields: &mut Fields<'_>) -> Result<Self, Refused> {
        L::read(fields).map(Box::new)
    }

    fn write(&self, sink: &mut impl Sink) {
        L::write(self, sink);
    }
}

/// An array inside a packet, such as a mud's entry in the mudlist.
impl<L: Layout> Field for L {
    fn read(value: Value, at: At<'_>) -> Result<Self, Refused> {
        match value {
            Value::Array(items) => Fields::nested(at, items).all(),
            other => Err(at.wrong_type("an array", &other)),
        }
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.open(Bracket::Array, *L::FIELDS.end());
        Layout::write(self, sink);
        sink.close(Bracket::Array);
    }
}
