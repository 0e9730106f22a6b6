//! Keys of the buckets, by requests that a mud may be allowed for its own keys alone.
//!
//! The library's own store asks for the whole stream of a bucket first, and so can only be allowed to see the keys of
//! all muds. Everything here names the key in the subject, where NATS' permissions look.

use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::{Ordered, OrderedConfig};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::DirectGetErrorKind;
use async_nats::jetstream::{self, ErrorCode, Message};
use async_nats::{Error, HeaderMap};
use bytes::Bytes;
use futures::StreamExt;
use mudgateway_crds::bus::{bucket_stream, bucket_subject};
use tokio::time::sleep;

use super::WriteTrouble;
use super::writes::error_code;

/// What tells of an entry that a key was deleted.
const OPERATION: &str = "KV-Operation";

/// And that it was.
const DELETED: &str = "DEL";

/// Between two attempts to read what is certainly the last.
const AGAIN: Duration = Duration::from_millis(50);

/// A bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    context: jetstream::Context,
    name: &'static str,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The number of its last change.
    pub(crate) revision: u64,
    /// The value; none when the key was deleted.
    pub(crate) value: Option<Bytes>,
}

/// A value that is not known to be stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    /// The key has changed since.
    #[error("the key has changed since")]
    Conflict,
    /// Anything else.
    #[error(transparent)]
    Other(PublishError),
}

/// The changes of a key, in order.
pub(crate) struct Watch {
    messages: Ordered,
}

impl Bucket {
    /// A bucket that the operator makes.
    pub(crate) fn new(context: &jetstream::Context, name: &'static str) -> Self {
        Self { context: context.clone(), name }
    }

    /// What a key holds; none when it never held anything.
    pub(crate) async fn entry(&self, key: &str) -> Result<Option<Entry>, Error> {
        let stream = self.context.get_stream_no_info(bucket_stream(self.name)).await?;
        match stream.direct_get_last_for_subject(bucket_subject(self.name, key)).await {
            Ok(message) => Ok(Some(Entry {
                revision: message.sequence,
                value: value(&message.headers, message.payload),
            })),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The value of a key, if it has one.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.entry(key).await?.and_then(|entry| entry.value))
    }

    /// Stores a value.
    pub(crate) async fn put(&self, key: &str, value: Bytes) -> Result<(), PublishError> {
        let publish = PublishMessage::build().payload(value).expected_stream(bucket_stream(self.name));
        self.context.send_publish(bucket_subject(self.name, key), publish).await?.await?;
        Ok(())
    }

    /// The value of a key, if it has one, and certainly the last one. A read is answered by any server of a cluster, also by one
    /// that is behind the others; so what it says is written back on the condition that it is the last change, which only
    /// the leader can tell. (The leader's own read names its key where NATS' permissions do not look.)
    pub(crate) async fn current(&self, key: &str) -> Result<Option<Bytes>, Error> {
        loop {
            let (revision, value) = match self.entry(key).await? {
                Some(Entry { revision, value }) => (revision, value),
                None => (0, None),
            };
            if is_last(self.write(key, value.clone(), revision).await) {
                return Ok(value);
            }
            sleep(AGAIN).await;
        }
    }

    /// Stores a value if the last change of the key is this one, 0 for a key that never had a value; returns the number
    /// of the change.
    pub(crate) async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<u64, PutError> {
        self.write(key, Some(value), revision).await
    }

    /// The same; no value deletes the key.
    async fn write(&self, key: &str, value: Option<Bytes>, revision: u64) -> Result<u64, PutError> {
        let mut publish = PublishMessage::build().expected_last_subject_sequence(revision);
        publish = match value {
            Some(value) => publish.payload(value),
            None => publish.header(OPERATION, DELETED),
        };
        let sent = self.context.send_publish(bucket_subject(self.name, key), publish).await;
        let stored = match sent {
            Ok(stored) => stored.await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(stored) => Ok(stored.sequence),
            Err(error) if is_conflict(&error) => Err(PutError::Conflict),
            Err(error) => Err(PutError::Other(error)),
        }
    }

    /// Watches a key from now on.
    pub(crate) async fn watch(&self, key: &str) -> Result<Watch, Error> {
        let client = self.context.client();
        let config = OrderedConfig {
            // With a name the filter stands in the subject of the request.
            name: Some(uuid::Uuid::new_v4().simple().to_string()),
            deliver_subject: client.new_inbox(),
            filter_subject: bucket_subject(self.name, key),
            deliver_policy: DeliverPolicy::New,
            ..OrderedConfig::default()
        };
        let stream = self.context.get_stream_no_info(bucket_stream(self.name)).await?;
        Ok(Watch { messages: stream.create_consumer(config).await?.messages().await? })
    }
}

impl Watch {
    /// The next change; none when there will be no more.
    pub(crate) async fn next(&mut self) -> Option<Result<Entry, Error>> {
        let message = self.messages.next().await?;
        Some(message.map_err(Error::from).and_then(entry))
    }
}

/// Whether what was read is the last, by what became of writing it back. A bucket that stores nothing, such as for want of room,
/// does not say; but then nothing newer is stored either, but for a moment ago, and what was read is believed.
fn is_last(written_back: Result<u64, PutError>) -> bool {
    match written_back {
        Ok(_) => true,
        Err(PutError::Conflict) => false,
        Err(PutError::Other(error)) => {
            tracing::debug!(%error, "cannot make sure that what was read is the last");
            stores_nothing(&error)
        }
    }
}

/// Whether the last change is another one. Three servers also say so while one is on its way.
fn is_conflict(error: &PublishError) -> bool {
    error.kind() == PublishErrorKind::WrongLastSequence
        || error_code(error) == Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

fn stores_nothing(error: &PublishError) -> bool {
    WriteTrouble::from(error) == WriteTrouble::StorageFailed
        || error_code(error) == Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}

fn entry(message: Message) -> Result<Entry, Error> {
    let revision = message.info()?.stream_sequence;
    let headers = message.headers.clone().unwrap_or_default();
    Ok(Entry { revision, value: value(&headers, message.payload.clone()) })
}

fn value(headers: &HeaderMap, payload: Bytes) -> Option<Bytes> {
    headers.get(OPERATION).is_none().then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u64) -> PublishError {
        let error = serde_json::json!({"code": 400, "err_code": code, "description": "no"});
        let error: jetstream::Error = serde_json::from_value(error).unwrap();
        PublishError::with_source(PublishErrorKind::Other, error)
    }

    #[test]
    fn what_cannot_be_written_back_is_not_the_last_but_where_nothing_is_stored_at_all() {
        assert!(is_last(Ok(8)) && !is_last(Err(PutError::Conflict)));
        for (error, is_believed) in [
            (said(10047), true),
            (said(10077), true),
            (said(10054), true),
            (said(10163), false),
            (PublishError::new(PublishErrorKind::StreamNotFound), false),
            (PublishError::new(PublishErrorKind::TimedOut), false),
        ] {
            let text = error.to_string();
            assert_eq!(is_last(Err(PutError::Other(error))), is_believed, "{text}");
        }
        for (error, conflicts) in [
            (PublishError::new(PublishErrorKind::WrongLastSequence), true),
            (said(10164), true),
            (said(10163), false),
        ] {
            assert_eq!(is_conflict(&error), conflicts, "{error}");
        }
    }
}
