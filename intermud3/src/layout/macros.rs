//! Packet types declared by their fields.

/// Declares a struct and its [`Layout`](super::Layout): the fields in the order of the wire, each with its
/// type and, where the type does not say enough, how it is treated:
///
/// - `text`: a `String` for which 0 may stand; it reads as the empty one.
/// - `lax`: an `Option<String>` for which a number may stand; it reads as its digits.
/// - `loose`: an `i64` for which anything may stand; it reads as 0.
/// - `trailing`: an `Option` that is missing at the end where it is `None`.
/// - `secret`: not shown by `Debug`.
/// - `packet`: a `Value` that holds a packet; `Debug` shows its type only, since it may hold a secret.
macro_rules! layout {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$doc:meta])* $field:ident: $type:ty $(= $how:ident)?,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)+
        }

        impl $crate::layout::Layout for $name {
            const FIELDS: std::ops::RangeInclusive<usize> = {
                let all = [$(stringify!($field)),+].len();
                let trailing = 0 $(+ $crate::layout::layout!(@trailing $($how)?))+;
                all - trailing..=all
            };

            fn read(fields: &mut $crate::layout::Fields<'_>) -> Result<Self, $crate::layout::Refused> {
                Ok(Self { $($field: $crate::layout::layout!(@read fields, $field $(, $how)?),)+ })
            }

            fn write(&self, sink: &mut impl $crate::lpc::Sink) {
                $($crate::layout::layout!(@write sink, &self.$field $(, $how)?);)+
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($field), $crate::layout::layout!(@show &self.$field $(, $how)?)))+
                    .finish()
            }
        }
    };

    (@trailing trailing) => { 1 };
    (@trailing $($how:ident)?) => { 0 };

    (@read $fields:ident, $field:ident, text) => { $fields.text(stringify!($field))? };
    (@read $fields:ident, $field:ident, lax) => { $fields.lax_text(stringify!($field))? };
    (@read $fields:ident, $field:ident, loose) => { $fields.loose_int() };
    (@read $fields:ident, $field:ident, trailing) => { $fields.trailing(stringify!($field))? };
    (@read $fields:ident, $field:ident $(, $how:ident)?) => { $fields.next(stringify!($field))? };

    (@write $sink:ident, $value:expr, trailing) => {
        if let Some(value) = $value {
            $crate::layout::Field::write(value, $sink);
        }
    };
    (@write $sink:ident, $value:expr $(, $how:ident)?) => { $crate::layout::Field::write($value, $sink) };

    (@show $value:expr, secret) => { &"***" };
    (@show $value:expr, packet) => { &$crate::packet::kind_or_type($value) };
    (@show $value:expr $(, $how:ident)?) => { $value };
}

/// Declares an enum of packets by their names on the wire: `typed` ones with fields, `bare` ones without, and
/// what `other` there is. Reading compares the names in the order in which they are listed.
macro_rules! kinds {
    ($(#[$meta:meta])* pub enum $name:ident {
        typed { $($(#[$typed_doc:meta])* $typed:ident($type:ty) = $kind:literal,)+ }
        bare { $($(#[$bare_doc:meta])* $bare:ident = $bare_kind:literal,)+ }
        other { $($(#[$other_doc:meta])* $other:ident($other_type:ty),)+ }
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $(#[doc = concat!("`", $kind, "`.")] $(#[$typed_doc])* $typed($type),)+
            $(#[doc = concat!("`", $bare_kind, "`, without fields.")] $(#[$bare_doc])* $bare,)+
            $($(#[$other_doc])* $other($other_type),)+
        }

        impl $name {
            /// The names on the wire of all packet types that have a variant of their own.
            pub const KINDS: &'static [&'static str] = &[$($kind,)+ $($bare_kind,)+];

            /// The packet's type as one of a fixed set of names, fit for the label of a metric: that on the
            /// wire if it is one of [`KINDS`](Self::KINDS), else `other`.
            pub fn label(&self) -> &'static str {
                match self {
                    $(Self::$typed(_) => $kind,)+
                    $(Self::$bare => $bare_kind,)+
                    $(Self::$other(_) => "other",)+
                }
            }

            /// Reads a packet of a type that has a variant; `None` if it has not.
            fn read_known(
                kind: &str,
                fields: &mut $crate::layout::Fields<'_>,
            ) -> Result<Option<Self>, $crate::layout::Refused> {
                Ok(Some(match kind {
                    $($kind => Self::$typed(fields.all()?),)+
                    $($bare_kind => {
                        fields.none()?;
                        Self::$bare
                    })+
                    _ => return Ok(None),
                }))
            }

            /// Writes the fields of a packet of a type that has a variant.
            fn write_known(&self, sink: &mut impl $crate::lpc::Sink) {
                match self {
                    $(Self::$typed(typed) => $crate::layout::Layout::write(typed, sink),)+
                    $(Self::$bare => {})+
                    $(Self::$other(_) => {})+
                }
            }
        }
    };
}

pub(crate) use {kinds, layout};
