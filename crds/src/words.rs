//! Enums whose variants are the words that stand for them everywhere.

/// Defines an enum of words: each as text, all of them, and the one that a text is. After the enum may stand one more
/// variant, which holds a word of another such enum.
macro_rules! words {
    (
        $(#[$about:meta])*
        pub enum $name:ident { $($(#[$doc:meta])* $word:ident,)+ }
        $($(#[$more:meta])* $outer:ident($inner:ty))?
    ) => {
        $(#[$about])*
        pub enum $name {
            $($(#[$doc])* $word,)+
            $($(#[$more])* $outer($inner),)?
        }

        impl $name {
            /// The word as it stands in conditions, events, metric labels and logs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => stringify!($word),)+
                    $(Self::$outer(inner) => <$inner>::as_str(inner),)?
                }
            }

            /// All of them.
            pub fn all() -> impl Iterator<Item = Self> {
                [$(Self::$word),+].into_iter()$(.chain(<$inner>::all().map(Self::$outer)))?
            }

            /// The one that a text is, unless it is a word of another version.
            pub fn of(text: &str) -> Option<Self> {
                Self::all().find(|word| word.as_str() == text)
            }
        }
    };
}

pub(crate) use words;
