//! The stream and the buckets on NATS. Only the operator creates them; the gateways find them there.

use std::time::Duration;

use async_nats::jetstream::context::{CreateKeyValueError, CreateStreamError};
use async_nats::jetstream::stream::{DiscardPolicy, StorageType};
use async_nats::jetstream::{Context, kv, stream};
use mudgateway_crds::bus::{
    CHANNEL_STREAM, CHANNEL_STREAM_SUBJECTS, LOCK_BUCKET, REPORT_BUCKET, STATE_BUCKET,
};
use mudgateway_crds::report::REPORT_TTL_SECONDS;

/// How NATS keeps what must outlive it.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Where channel events and the muds' state are kept.
    pub storage: StorageType,
    /// How many servers of a NATS cluster keep each of them.
    pub replicas: usize,
}

/// A failure to create or update one of them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stream.
    #[error("stream {0}: {1}")]
    Stream(&'static str, #[source] CreateStreamError),
    /// A bucket.
    #[error("bucket {0}: {1}")]
    Bucket(&'static str, #[source] CreateKeyValueError),
}

impl Layout {
    /// Creates what is missing and puts back what has changed. Returns the bucket of the reports.
    ///
    /// # Errors
    /// When NATS refuses one of them, such as a stream that exists with another kind of storage.
    pub async fn ensure(&self, jetstream: &Context) -> Result<kv::Store, Error> {
        jetstream
            .create_or_update_stream(self.channels())
            .await
            .map_err(|error| Error::Stream(CHANNEL_STREAM, error))?;
        jetstream
            .create_or_update_key_value(self.state())
            .await
            .map_err(|error| Error::Bucket(STATE_BUCKET, error))?;
        jetstream
            .create_or_update_key_value(self.locks())
            .await
            .map_err(|error| Error::Bucket(LOCK_BUCKET, error))?;
        jetstream
            .create_or_update_key_value(self.reports())
            .await
            .map_err(|error| Error::Bucket(REPORT_BUCKET, error))
    }

    /// Channel events, kept as long as a client may take to resume.
    fn channels(&self) -> stream::Config {
        stream::Config {
            name: CHANNEL_STREAM.to_owned(),
            description: Some("Channel events between the muds of one provider".to_owned()),
            subjects: vec![CHANNEL_STREAM_SUBJECTS.to_owned()],
            max_age: Duration::from_mins(10),
            max_bytes: 64 << 20,
            max_message_size: 256 << 10,
            duplicate_window: Duration::from_mins(2),
            discard: DiscardPolicy::Old,
            storage: self.storage,
            num_replicas: self.replicas,
            ..Default::default()
        }
    }

    /// The muds' router passwords and lists, which must not get lost.
    fn state(&self) -> kv::Config {
        kv::Config {
            bucket: STATE_BUCKET.to_owned(),
            description: "State of each mud at its router".to_owned(),
            history: 1,
            max_value_size: 1 << 20,
            max_bytes: 256 << 20,
            storage: self.storage,
            num_replicas: self.replicas,
            ..Default::default()
        }
    }

    /// Who holds each router session. It is renewed each second, and a disk would only slow that down; a lock that is
    /// lost with a server is taken again by who held it.
    fn locks(&self) -> kv::Config {
        kv::Config {
            bucket: LOCK_BUCKET.to_owned(),
            description: "The process that holds each router session".to_owned(),
            history: 1,
            max_value_size: 1 << 10,
            max_bytes: 16 << 20,
            storage: StorageType::Memory,
            num_replicas: self.replicas,
            ..Default::default()
        }
    }

    /// What the gateways report. It is renewed all the time, so memory will do.
    fn reports(&self) -> kv::Config {
        kv::Config {
            bucket: REPORT_BUCKET.to_owned(),
            description: "State of each router session".to_owned(),
            history: 1,
            max_age: Duration::from_secs(REPORT_TTL_SECONDS),
            max_value_size: 8 << 10,
            max_bytes: 16 << 20,
            storage: StorageType::Memory,
            num_replicas: self.replicas,
            ..Default::default()
        }
    }
}
