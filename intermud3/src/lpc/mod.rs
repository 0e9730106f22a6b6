//! LPC text: the `save_variable` format that LPC drivers write and read.
//!
//! | value | text | remarks |
//! |---|---|---|
//! | int | `42`, `-7` | 64 bits; a number beyond them reads as the nearest one that fits |
//! | float | `1.500000` | written with digits on both sides of the point and no exponent; `1.5e3` is read too |
//! | string | `"text"` | `"`, `\` and CR are escaped with `\`; **a newline is written as a raw CR** |
//! | array | `({1,2,})`, `({})` | the comma after the last element is always written, and not needed to read |
//! | mapping | `(["key":1,])`, `([])` | keys of any type, order kept |
//! | class | `(/1,2,/)` | |
//!
//! Blanks between tokens (space, tab, CR, LF, NUL) are read, never written: Dead Souls drops a packet that
//! has one, CoffeeMud writes one. In a string `\` followed by any byte is that byte, so `\n` reads as the
//! letter n, as drivers have it; a raw LF reads as a newline, as a raw CR does.
//!
//! **Bytes and characters.** Each string is read as UTF-8, or, where it is not UTF-8, as Windows-1252,
//! in which every byte has a meaning (bytes the code page leaves out read as the C1 control of that number).
//! Only UTF-8 is written. NUL cannot be in a packet: it reads as a space and is left out on writing. Other
//! control characters pass unchanged, as they do through Dead Souls, so that what is passed on stays what it was;
//! [`text::clean`](crate::text::clean) takes the harmful ones out of a text that enters the network.
//!
//! Like FluffOS, [`decode`] reads `({,})` as `({0,})`, and ignores what follows a complete array, mapping or
//! class. After a number only blanks may follow, after a string nothing but NULs.

mod build;
mod read;
mod scan;
mod write;

use bytes::Bytes;

use crate::Value;
pub(crate) use build::{Bracket, Builder, Sink};
pub(crate) use write::Writer;

/// How much is read and written at most. The defaults fit the routers in use.
///
/// To read takes at most 50 bytes of memory for each byte of text (of which `([0:0,0:0,...])` needs most), and to
/// make a typed packet of it at most 105 (a `mudlist` of nothing but deleted muds). Packets in use take 2 to 10.
/// Nothing is allocated for what is only announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Levels of nesting, the packet itself included; both ways. Dead Souls takes 100 and drops the 101st,
    /// and an `error` that echoes a packet adds one. Never more than [`Limits::MAX_DEPTH`] is read.
    pub depth: usize,
    /// Bytes of text to read, without the NUL.
    pub input_bytes: usize,
    /// Elements (or pairs) of one container to read.
    pub input_elements: usize,
    /// Values to read in all, containers included.
    pub input_values: usize,
    /// Bytes of text to write, without the NUL. With it, 262,144 is the most Dead Souls takes.
    pub output_bytes: usize,
    /// Elements (or pairs) of one container to write. FluffOS dies of an array larger than its
    /// `maximum array size`, 15,000 by default.
    pub output_elements: usize,
}

impl Limits {
    /// The deepest nesting that can be asked for: a value is compared, copied and dropped by recursion, one
    /// call a level.
    pub const MAX_DEPTH: usize = 1000;

    /// The limits used where none are given.
    pub const DEFAULT: Limits = Limits {
        depth: 100,
        input_bytes: crate::frame::MAX_INPUT - 1,
        input_elements: 65_536,
        input_values: 262_144,
        output_bytes: crate::frame::MAX_OUTPUT - 1,
        output_elements: 14_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a text is no LPC value. Positions are byte offsets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is longer than [`Limits::input_bytes`].
    #[error("{len} bytes of text, over the limit of {limit}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// More levels than [`Limits::depth`].
    #[error("nested deeper than {limit} at byte {at}")]
    TooDeep {
        /// Where the first level too many opens.
        at: usize,
        /// The limit.
        limit: usize,
    },
    /// A container has more than [`Limits::input_elements`].
    #[error("more than {limit} elements at byte {at}")]
    TooManyElements {
        /// Where the first element too many ends.
        at: usize,
        /// The limit.
        limit: usize,
    },
    /// More than [`Limits::input_values`] in all.
    #[error("more than {limit} values at byte {at}")]
    TooManyValues {
        /// Where the first value too many ends.
        at: usize,
        /// The limit.
        limit: usize,
    },
    /// The text ends inside a value.
    #[error("the text ends inside a value, after {at} bytes")]
    UnexpectedEnd {
        /// Its length.
        at: usize,
    },
    /// A byte that cannot stand where it does.
    #[error("unexpected '{}' at byte {at}", byte.escape_ascii())]
    UnexpectedByte {
        /// Where it stands.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// A number without digits, or a float too large to hold.
    #[error("bad number at byte {at}")]
    BadNumber {
        /// Where it starts.
        at: usize,
    },
}

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The text would be longer than [`Limits::output_bytes`].
    #[error("the text is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The value is nested deeper than [`Limits::depth`].
    #[error("nested deeper than {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A container has more than [`Limits::output_elements`].
    #[error("{len} elements in one container, over the limit of {limit}")]
    TooManyElements {
        /// How many it has.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// LPC text has no form for an infinite float or for one that is not a number.
    #[error("a float that is not finite")]
    NotFinite,
}

/// Reads one value within the default [`Limits`].
pub fn decode(text: &[u8]) -> Result<Value, DecodeError> {
    decode_with(text, &Limits::DEFAULT)
}

/// Reads one value within limits of one's own.
pub fn decode_with(text: &[u8], limits: &Limits) -> Result<Value, DecodeError> {
    read::read(text, limits)
}

/// Writes one value within the default [`Limits`].
pub fn encode(value: &Value) -> Result<Bytes, EncodeError> {
    encode_with(value, &Limits::DEFAULT)
}

/// Writes one value within limits of one's own.
pub fn encode_with(value: &Value, limits: &Limits) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new(limits);
    writer.value(value);
    writer.finish()
}
