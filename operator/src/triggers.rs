//! Requests to reconcile a `MudGateway` that come from elsewhere than its own watch.

use futures::stream::{self, BoxStream, StreamExt};
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::key::{Guarded, Key};

/// How many requests may wait for a slow controller. What overflows becomes one request for everything.
const CAPACITY: usize = 4096;

/// Sends requests to every controller of this process; each drops those for objects it does not have.
#[derive(Clone, Debug)]
pub struct Triggers {
    sender: broadcast::Sender<Key>,
}

impl Default for Triggers {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY) }
    }
}

impl Triggers {
    /// Requests the reconciliation of these objects.
    pub fn send(&self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            // Without a controller there is nothing to reconcile, and that is the only error.
            let _ = self.sender.send(key);
        }
    }

    /// The requests from now on, for the objects in a store.
    pub fn requests(&self, store: Store<Guarded>) -> BoxStream<'static, ObjectRef<Guarded>> {
        let receiver = self.sender.subscribe();
        stream::unfold((receiver, store), |(mut receiver, store)| async {
            let refs = match receiver.recv().await {
                Ok(key) => known(&store, &key).into_iter().collect(),
                Err(RecvError::Lagged(_)) => all(&store),
                Err(RecvError::Closed) => return None,
            };
            Some((stream::iter(refs), (receiver, store)))
        })
        .flatten()
        .boxed()
    }
}

fn known(store: &Store<Guarded>, key: &Key) -> Option<ObjectRef<Guarded>> {
    let object = key.to_ref();
    store.get(&object).map(|_| object)
}

fn all(store: &Store<Guarded>) -> Vec<ObjectRef<Guarded>> {
    store.state().iter().map(|object| Key::of(object.as_ref()).to_ref()).collect()
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector::store;
    use kube::runtime::watcher::Event;

    use super::*;
    use crate::testing::{gateway, guarded};

    #[tokio::test]
    async fn a_request_reaches_the_controller_that_has_the_object() {
        let (reader, mut writer) = store();
        writer.apply_watcher_event(&Event::Apply(guarded(gateway("ns", "mine", "Mud"))));
        let triggers = Triggers::default();
        let mut requests = triggers.requests(reader);
        triggers.send([Key::new("elsewhere", "other"), Key::new("ns", "mine")]);
        assert_eq!(requests.next().await, Some(Key::new("ns", "mine").to_ref()));
    }

    #[tokio::test]
    async fn too_many_requests_become_one_for_everything() {
        let (reader, mut writer) = store();
        writer.apply_watcher_event(&Event::Apply(guarded(gateway("ns", "mine", "Mud"))));
        let triggers = Triggers::default();
        let mut requests = triggers.requests(reader);
        triggers.send(std::iter::repeat_n(Key::new("elsewhere", "other"), CAPACITY + 1));
        assert_eq!(requests.next().await, Some(Key::new("ns", "mine").to_ref()));
    }
}
