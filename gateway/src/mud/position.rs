//! Places in the log that the processes of a mud share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place in the sequence of events. All of an earlier epoch come before those of a later one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Position {
    /// Whose sequence: it grows whenever another process begins to write the log.
    pub epoch: u64,
    /// The number of the last event received; 0 before the first.
    pub seq: u64,
}

impl Position {
    /// The next place of the same epoch.
    pub fn next(self) -> Self {
        Self { seq: self.seq + 1, ..self }
    }
}
