//! Whether a message is from who may publish on its subject.
//!
//! Permissions say on which subjects a mud publishes. But who asks JetStream for something names the subject of the
//! answer, which NATS does not check. What comes that way bears a mark, or the subject under which it is stored.

use async_nats::{HeaderMap, Message};

/// A header that JetStream gives to a message that it was asked for.
const STORED: &str = "Nats-Stream";

/// Whether a message was published on this subject, and is no answer of JetStream's.
pub(crate) fn is_genuine(message: &Message, subject: &str) -> bool {
    *message.subject == *subject && !is_stored(message.headers.as_ref())
}

/// Whether the headers are those of a message that JetStream was asked for.
pub(super) fn is_stored(headers: Option<&HeaderMap>) -> bool {
    headers.is_some_and(|headers| headers.get(STORED).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jetstream_was_made_to_say_is_not_genuine() {
        let message = |subject: &'static str, headers| Message {
            subject: subject.into(),
            reply: None,
            payload: "x".into(),
            headers,
            status: None,
            description: None,
            length: 0,
        };
        let headers = |name: &str| Some(HeaderMap::from_iter([(name.parse().unwrap(), "x".into())]));
        assert!(is_genuine(&message("a.b", None), "a.b"));
        assert!(is_genuine(&message("a.b", headers("Other")), "a.b"));
        assert!(!is_genuine(&message("a.b", headers(STORED)), "a.b"));
        // A consumer brings it under the subject it was stored with.
        assert!(!is_genuine(&message("$KV.x", None), "a.b"));
    }
}
