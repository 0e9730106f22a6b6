//! The stream and the buckets on NATS. Only the operator creates them; the gateways find them there. Tests that have no operator
//! make the same.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamError, KeyValueError};
use async_nats::jetstream::stream::{DiscardPolicy, StorageType};
use async_nats::jetstream::{Context, kv, stream};
use mudgateway_crds::bus::{
    CHANNEL_STREAM, CHANNEL_STREAM_SUBJECTS, LOCK_BUCKET, REPORT_BUCKET, STATE_BUCKET, bucket_stream,
    bucket_subject,
};
use mudgateway_crds::report::REPORT_TTL_SECONDS;

/// How NATS keeps what must outlive it.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Where channel events and the muds' state are kept.
    pub storage: StorageType,
    /// How many servers of a NATS cluster keep each of them.
    pub replicas: usize,
    /// How much of the muds' state is kept.
    pub state_bytes: i64,
}

/// How many messages of one mud on one channel are kept: what the router's pace of 8 a second comes to in ten minutes, and a
/// little more. Who says more pushes out its own oldest, not what others said.
const OF_ONE_SPEAKER: i64 = 5_000;

/// A failure to create or update one of them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stream.
    #[error("stream {0}: {1}")]
    Stream(String, #[source] CreateStreamError),
    /// The bucket of the reports.
    #[error("bucket {REPORT_BUCKET}: {0}")]
    Bucket(#[source] KeyValueError),
}

impl Layout {
    /// Creates what is missing and puts back what has changed. Returns the bucket of the reports, and how much of the muds'
    /// state there is.
    ///
    /// # Errors
    /// When NATS refuses one of them, such as a stream that exists with another kind of storage.
    pub async fn ensure(&self, jetstream: &Context) -> Result<(kv::Store, u64), Error> {
        let mut state = 0;
        for config in self.streams() {
            let name = config.name.clone();
            let ensured = jetstream.create_or_update_stream(config).await;
            let info = ensured.map_err(|error| Error::Stream(name, error))?;
            if info.config.name == bucket_stream(STATE_BUCKET) {
                state = info.state.bytes;
            }
        }
        let reports = jetstream.get_key_value(REPORT_BUCKET).await.map_err(Error::Bucket)?;
        Ok((reports, state))
    }

    /// All of them. A bucket is a stream, too.
    pub fn streams(&self) -> [stream::Config; 4] {
        [self.channels(), self.state(), self.locks(), self.reports()]
    }

    /// Channel events, kept as long as a client may take to resume.
    fn channels(&self) -> stream::Config {
        stream::Config {
            name: CHANNEL_STREAM.to_owned(),
            description: Some("Channel events between the muds of one provider".to_owned()),
            subjects: vec![CHANNEL_STREAM_SUBJECTS.to_owned()],
            max_age: Duration::from_mins(10),
            max_bytes: 64 << 20,
            max_messages_per_subject: OF_ONE_SPEAKER,
            max_message_size: 256 << 10,
            duplicate_window: Duration::from_mins(2),
            discard: DiscardPolicy::Old,
            storage: self.storage,
            num_replicas: self.replicas,
            ..Default::default()
        }
    }

    /// The muds' router passwords and lists, which must not get lost.
    fn state(&self) -> stream::Config {
        stream::Config {
            max_message_size: 1 << 20,
            max_bytes: self.state_bytes,
            storage: self.storage,
            ..self.bucket(STATE_BUCKET, "State of each mud at its router")
        }
    }

    /// Who holds each router session. It is renewed each second, and a disk would only slow that down; a lock that is
    /// lost with a server is taken again by who held it.
    fn locks(&self) -> stream::Config {
        stream::Config {
            max_message_size: 1 << 10,
            max_bytes: 16 << 20,
            storage: StorageType::Memory,
            ..self.bucket(LOCK_BUCKET, "The process that holds each router session")
        }
    }

    /// What the gateways report. It is renewed all the time, so memory will do.
    fn reports(&self) -> stream::Config {
        let ttl = Duration::from_secs(REPORT_TTL_SECONDS);
        stream::Config {
            max_age: ttl,
            duplicate_window: ttl,
            max_message_size: 8 << 10,
            max_bytes: 16 << 20,
            storage: StorageType::Memory,
            ..self.bucket(REPORT_BUCKET, "State of each router session")
        }
    }

    /// A bucket. Not by the library's way, which lets who may write one key sweep all others away with it ("rollup").
    fn bucket(&self, bucket: &str, description: &str) -> stream::Config {
        stream::Config {
            name: bucket_stream(bucket),
            description: Some(description.to_owned()),
            subjects: vec![bucket_subject(bucket, ">")],
            max_messages_per_subject: 1,
            duplicate_window: Duration::from_mins(2),
            discard: DiscardPolicy::New,
            allow_direct: true,
            allow_rollup: false,
            deny_delete: true,
            num_replicas: self.replicas,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Without an operator nobody reports.
    #[test]
    fn compose_makes_the_same() {
        let layout = Layout { storage: StorageType::File, replicas: 1, state_bytes: 256 << 20 };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/compose/nats");
        let made = layout.streams().into_iter().filter(|stream| stream.name != bucket_stream(REPORT_BUCKET));
        for expected in made {
            // Their tool wants "no limit" said so.
            let expected = stream::Config { max_messages: -1, max_consumers: -1, ..expected };
            let json = std::fs::read(folder.join(format!("{}.json", expected.name))).unwrap();
            assert_eq!(serde_json::from_slice::<stream::Config>(&json).unwrap(), expected);
        }
    }
}
