//! Mail, files and news.

use mudgateway_telemetry::metrics::{Book, By, Counter};

use crate::oob::conversation::End;

/// Who was called in an out-of-band conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// Another mud called us.
    Us,
    /// We called another mud.
    Them,
}

/// Mail, files and news.
#[derive(Debug)]
pub struct OobMetrics {
    conversations: By<Counter, 2>,
}

impl OobMetrics {
    pub(super) fn new(book: &mut Book) -> Self {
        Self {
            conversations: book.counters(
                "i3_oob_conversations",
                "Out-of-band conversations with other muds, by direction and outcome",
                &["direction", "outcome"],
            ),
        }
    }

    /// Counts an out-of-band conversation that has ended.
    pub fn conversation(&self, called: Called, end: End) {
        let direction = match called {
            Called::Us => "in",
            Called::Them => "out",
        };
        self.conversations.of([direction, end.as_str()]).inc();
    }
}
