//! The networks that the provider maintains: what they say, who is on them, and who may connect when.

pub mod desk;
mod effective;
pub mod permits;
mod status;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use mudgateway_crds::IntermudNetwork;
use tokio::sync::SetOnce;

use crate::context::Context;
use crate::lock::lock;
use crate::watch;

pub use effective::{Effective, effective};
pub use status::keep_statuses;

/// An `IntermudNetwork`, or what stands in its place when it cannot be decoded.
type Guarded = DeserializeGuard<IntermudNetwork>;

/// A network as it was last seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The last of its states that could be decoded: muds go on by it. None: there was none.
    pub network: Option<Arc<IntermudNetwork>>,
    /// Why it cannot be decoded now.
    pub error: Option<String>,
}

/// All `IntermudNetwork`s. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    listed: Arc<SetOnce<()>>,
}

impl Networks {
    /// A network by its name, once all are known.
    pub async fn get(&self, name: &str) -> Option<Arc<IntermudNetwork>> {
        self.listed.wait().await;
        self.known(name)
    }

    /// A network by its name, if it is known by now.
    pub fn known(&self, name: &str) -> Option<Arc<IntermudNetwork>> {
        lock(&self.seen).get(name)?.network.clone()
    }

    /// All that are there.
    pub fn all(&self) -> Vec<(String, Seen)> {
        lock(&self.seen).iter().map(|(name, seen)| (name.clone(), seen.clone())).collect()
    }

    /// The names of the networks whose proxy asks for what is in a Secret of this name.
    pub fn with_secret(&self, secret: &str) -> Vec<String> {
        let uses = |network: &IntermudNetwork| {
            let proxy = network.spec.egress.proxy.as_ref();
            proxy.and_then(|proxy| proxy.secret_ref.as_ref()).is_some_and(|found| found.name == secret)
        };
        let seen = lock(&self.seen);
        let using = seen.iter().filter(|(_, seen)| seen.network.as_deref().is_some_and(uses));
        using.map(|(name, _)| name.clone()).collect()
    }

    /// Takes in a network as it is now; true when that concerns the muds on it.
    fn apply(&self, object: Guarded) -> bool {
        let name = object.meta().name.clone().unwrap_or_default();
        let mut seen = lock(&self.seen);
        let before = seen.remove(&name);
        let last = before.and_then(|before| before.network);
        match object.0 {
            Ok(network) => {
                let same = last.is_some_and(|last| last.spec == network.spec);
                seen.insert(name, Seen { network: Some(Arc::new(network)), error: None });
                !same
            }
            Err(invalid) => {
                seen.insert(name, Seen { network: last, error: Some(invalid.error) });
                false
            }
        }
    }

    fn remove(&self, name: &str) {
        lock(&self.seen).remove(name);
    }

    /// Ends a list: what is not in it is gone. Returns what is gone.
    fn complete(&self, listed: &[String]) -> Vec<String> {
        let mut seen = lock(&self.seen);
        let gone = seen.extract_if(.., |name, _| !listed.contains(name)).map(|(name, _)| name).collect();
        // Fails only after the first time.
        let _ = self.listed.set(());
        gone
    }
}

/// Follows all networks, for ever, and has the muds on one reconciled when it changes.
pub async fn watch(context: Context) {
    let api: Api<Guarded> = Api::all(context.client.clone());
    let mut events = std::pin::pin!(watch::events(api, watch::config(), "IntermudNetwork", &context.metrics));
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                listed.push(object.name_any());
                note(&context, object);
            }
            Ok(Event::InitDone) => {
                for gone in context.networks.complete(&std::mem::take(&mut listed)) {
                    context.trigger_network(&gone);
                }
            }
            Ok(Event::Apply(object)) => note(&context, object),
            Ok(Event::Delete(object)) => {
                context.networks.remove(&object.name_any());
                context.trigger_network(&object.name_any());
            }
            // The watch says so itself, and comes back.
            Err(_) => {}
        }
    }
}

fn note(context: &Context, object: Guarded) {
    let name = object.name_any();
    if context.networks.apply(object) {
        context.trigger_network(&name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(spec: &Value) -> Guarded {
        serde_json::from_value(json!({"metadata": {"name": "i4"}, "spec": spec})).unwrap()
    }

    fn routers() -> Value {
        json!([{"name": "*i4", "host": "router.example", "port": 8080}])
    }

    #[tokio::test]
    async fn a_network_is_known_once_all_are_listed() {
        let networks = Networks::default();
        assert!(networks.apply(object(&json!({"routers": routers()}))));
        assert!(!networks.apply(object(&json!({"routers": routers()}))), "nothing new");
        assert!(networks.apply(object(&json!({"routers": routers(), "bans": ["*@SpamMUD"]}))));
        assert_eq!(networks.complete(&["i4".to_owned()]), [""; 0]);
        assert_eq!(networks.get("i4").await.unwrap().spec.bans, ["*@SpamMUD"]);
        assert_eq!(networks.complete(&[]), ["i4"]);
        assert!(networks.get("i4").await.is_none());
    }

    #[test]
    fn muds_go_on_by_what_could_be_read_last() {
        let networks = Networks::default();
        assert!(networks.apply(object(&json!({"routers": routers()}))));
        assert!(!networks.apply(object(&json!({"routers": 5}))));
        let (_, seen) = networks.all().pop().unwrap();
        assert!(seen.error.is_some() && seen.network.unwrap().spec.routers.len() == 1);
    }

    #[test]
    fn a_proxys_secret_leads_to_the_network() {
        let networks = Networks::default();
        let egress = json!({"proxy": {"host": "h", "secretRef": {"name": "proxy-login"}}});
        networks.apply(object(&json!({"routers": routers(), "egress": egress})));
        assert_eq!(networks.with_secret("proxy-login"), ["i4"]);
        assert_eq!(networks.with_secret("other"), [""; 0]);
    }
}
