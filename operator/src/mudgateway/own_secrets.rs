//! The Secrets that we make, as the API server has them.
//!
//! Most MudGateways lack one or another of them. One that was not there is not asked for again at each look, for the watch
//! tells when it appears.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, Patch, PostParams};
use kube::{Client, Resource};

use super::apply::params;
use crate::context::FIELD_MANAGER;
use crate::key::Key;
use crate::lock::lock;

/// For how long a Secret that was not there is taken not to be: the watch may be away.
const ABSENT: Duration = Duration::from_secs(60);

/// A Secret that we made, with what is in it. That is never shown.
#[derive(Clone, Default)]
pub struct OwnSecret {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its entries.
    pub data: BTreeMap<String, ByteString>,
}

impl OwnSecret {
    /// An entry, if it is there and text.
    pub fn text(&self, entry: &str) -> Option<&str> {
        std::str::from_utf8(&self.data.get(entry)?.0).ok()
    }
}

impl fmt::Debug for OwnSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSecret").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

impl From<Secret> for OwnSecret {
    fn from(mut secret: Secret) -> Self {
        let metadata = std::mem::take(secret.meta_mut());
        Self { metadata, data: secret.data.unwrap_or_default() }
    }
}

/// The Secrets that we make. Clones share what is known of them.
#[derive(Clone)]
pub struct OwnSecrets {
    client: Client,
    absent: Arc<Mutex<Absent>>,
}

impl OwnSecrets {
    /// Those of a cluster, of which nothing is known.
    pub fn new(client: Client) -> Self {
        Self { client, absent: Arc::default() }
    }

    /// One of them, or what has its name.
    pub async fn get(&self, key: &Key) -> kube::Result<Option<OwnSecret>> {
        if lock(&self.absent).is_known(key, Instant::now()) {
            return Ok(None);
        }
        // Before it is asked, so that what the watch tells meanwhile counts.
        lock(&self.absent).asked(key);
        let found = self.api(&key.namespace).get_opt(&key.name).await?;
        match &found {
            Some(_) => self.changed(key),
            None => lock(&self.absent).not_found(key, Instant::now()),
        }
        Ok(found.map(OwnSecret::from))
    }

    /// Creates one, which must not exist.
    pub async fn create(&self, namespace: &str, secret: &Secret) -> kube::Result<OwnSecret> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() };
        self.changed(&key(namespace, secret));
        self.api(namespace).create(&params, secret).await.map(OwnSecret::from)
    }

    /// Applies one.
    pub async fn apply(&self, namespace: &str, secret: &Secret) -> kube::Result<()> {
        let key = key(namespace, secret);
        self.changed(&key);
        self.api(namespace).patch(&key.name, &params(), &Patch::Apply(secret)).await.map(drop)
    }

    /// Takes note that a Secret may be there now.
    pub fn changed(&self, key: &Key) {
        lock(&self.absent).forget(key);
    }

    fn api(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

fn key(namespace: &str, secret: &Secret) -> Key {
    Key { namespace: namespace.to_owned(), ..Key::of(secret) }
}

/// The Secrets that were not there, each with the time at which that was said; none: it is asked for.
#[derive(Debug, Default)]
struct Absent(HashMap<Key, Option<Instant>>);

impl Absent {
    fn is_known(&self, key: &Key, now: Instant) -> bool {
        let said = self.0.get(key).copied().flatten();
        said.is_some_and(|said| now.duration_since(said) < ABSENT)
    }

    fn asked(&mut self, key: &Key) {
        self.0.insert(key.clone(), None);
    }

    /// It was not there when it was asked for. If it has changed since, it may be.
    fn not_found(&mut self, key: &Key, now: Instant) {
        if let Some(said) = self.0.get_mut(key) {
            *said = Some(now);
        }
    }

    fn forget(&mut self, key: &Key) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_there_is_not_asked_for_again_until_it_changes_or_a_minute_is_over() {
        let (mut absent, key, start) = (Absent::default(), Key::new("ns", "a-api-key"), Instant::now());
        absent.asked(&key);
        assert!(!absent.is_known(&key, start), "nobody has said so");
        absent.not_found(&key, start);
        assert!(absent.is_known(&key, start));
        assert!(!absent.is_known(&Key::new("ns", "b-api-key"), start));
        assert!(!absent.is_known(&key, start + ABSENT));
        absent.forget(&key);
        assert!(!absent.is_known(&key, start));
    }

    #[test]
    fn what_appears_while_it_is_asked_for_may_be_there() {
        let (mut absent, key, now) = (Absent::default(), Key::new("ns", "a-api-key"), Instant::now());
        absent.asked(&key);
        absent.forget(&key);
        absent.not_found(&key, now);
        assert!(!absent.is_known(&key, now));
    }
}
