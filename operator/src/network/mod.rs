//! The networks that the provider maintains: what they say, who is on them, and who may connect when.

pub mod desk;
mod effective;
pub mod permits;
mod status;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::{Api, ObjectMeta};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::runtime::watcher::Event;
use mudgateway_crds::{IntermudNetwork, IntermudNetworkSpec, IntermudNetworkStatus};
use tokio::sync::SetOnce;
use tracing::warn;

use crate::context::Context;
use crate::lock::lock;
use crate::watch;

pub use effective::{Effective, effective};
pub use status::keep_statuses;

/// A network as it was last seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its metadata, and its status; none: it has none, or one that cannot be decoded.
    pub metadata: ObjectMeta,
    status: Option<IntermudNetworkStatus>,
    /// Whether we wrote that status.
    is_ours: bool,
    /// The last of its states that could be decoded: muds go on by it. None: there was none.
    pub network: Option<Arc<IntermudNetwork>>,
    /// Why it cannot be decoded now.
    pub error: Option<String>,
}

/// Why nobody can say what a network is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The API server has not told of the networks there are.
    #[error(
        "the operator could not list IntermudNetworks: its log says why. Ask its admin for the right to list them; what runs \
         goes on"
    )]
    NotListed,
    /// It is there, and has never been what this version of the operator can decode.
    #[error(
        "IntermudNetwork {0} cannot be read by this version of the operator: its condition Accepted says why. Ask the \
         provider to correct it"
    )]
    Unreadable(String),
}

impl Seen {
    /// The object as it is now. What cannot be decoded goes on by what it was.
    fn read(mut object: DynamicObject, before: Option<&Self>) -> Self {
        object.metadata.managed_fields = None;
        let metadata = object.metadata.clone();
        // Apart: whatever it is, it is no reason not to carry out the spec.
        let status = object.data.as_object_mut().and_then(|fields| fields.remove("status"));
        let status: Option<IntermudNetworkStatus> =
            status.and_then(|status| serde_json::from_value(status).ok());
        let is_ours = before.is_some_and(|before| before.is_ours && before.status == status);
        let decoded = serde_json::to_value(object).and_then(serde_json::from_value::<IntermudNetwork>);
        let (network, error) = match decoded {
            Ok(network) => (Some(Arc::new(network)), None),
            Err(error) => (before.and_then(|before| before.network.clone()), Some(error.to_string())),
        };
        Self { metadata, status, is_ours, network, error }
    }

    /// The spec that the muds go by.
    fn spec(&self) -> Option<&IntermudNetworkSpec> {
        self.network.as_deref().map(|network| &network.spec)
    }
}

/// All `IntermudNetwork`s. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    listed: Arc<SetOnce<()>>,
}

impl Networks {
    /// Waits until all are known.
    pub async fn listed(&self) {
        self.listed.wait().await;
    }

    /// A network by its name, if there is one.
    ///
    /// # Errors
    /// When nobody can say.
    pub fn find(&self, name: &str) -> Result<Option<Arc<IntermudNetwork>>, Unknown> {
        match lock(&self.seen).get(name) {
            Some(Seen { network: Some(network), .. }) => Ok(Some(Arc::clone(network))),
            Some(_) => Err(Unknown::Unreadable(name.to_owned())),
            None if self.listed.get().is_some() => Ok(None),
            None => Err(Unknown::NotListed),
        }
    }

    /// A network by its name, if it is known by now.
    pub fn known(&self, name: &str) -> Option<Arc<IntermudNetwork>> {
        lock(&self.seen).get(name)?.network.clone()
    }

    /// All that are there.
    pub fn all(&self) -> Vec<(String, Seen)> {
        lock(&self.seen).iter().map(|(name, seen)| (name.clone(), seen.clone())).collect()
    }

    /// How many of them cannot be decoded.
    pub fn undecodable(&self) -> usize {
        lock(&self.seen).values().filter(|seen| seen.error.is_some()).count()
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
    fn apply(&self, object: DynamicObject) -> bool {
        let name = object.name_any();
        let mut seen = lock(&self.seen);
        let before = seen.remove(&name);
        let now = Seen::read(object, before.as_ref());
        let same = before.is_some_and(|before| before.spec() == now.spec());
        if let Some(error) = &now.error {
            warn!(reason = "InvalidSpec", network = name, error, "the object cannot be decoded");
        }
        seen.insert(name, now);
        !same
    }

    /// Takes note of a status that was written, which the watch may tell of later.
    fn wrote(&self, name: &str, status: IntermudNetworkStatus) {
        if let Some(seen) = lock(&self.seen).get_mut(name) {
            (seen.status, seen.is_ours) = (Some(status), true);
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
    // As it comes: one that cannot be decoded has metadata and a status all the same.
    let resource = ApiResource::erase::<IntermudNetwork>(&());
    let api: Api<DynamicObject> = Api::all_with(context.client.clone(), &resource);
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

fn note(context: &Context, object: DynamicObject) {
    let name = object.name_any();
    if context.networks.apply(object) {
        context.trigger_network(&name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(spec: &Value) -> DynamicObject {
        serde_json::from_value(json!({"metadata": {"name": "i4"}, "spec": spec})).unwrap()
    }

    fn routers() -> Value {
        json!([{"name": "*i4", "host": "router.example", "port": 8080}])
    }

    #[test]
    fn that_a_network_is_not_there_is_known_once_all_are_listed() {
        let networks = Networks::default();
        assert!(networks.apply(object(&json!({"routers": routers()}))));
        assert!(!networks.apply(object(&json!({"routers": routers()}))), "nothing new");
        assert!(networks.apply(object(&json!({"routers": routers(), "bans": ["*@SpamMUD"]}))));
        assert_eq!(networks.find("other"), Err(Unknown::NotListed));
        assert_eq!(networks.complete(&["i4".to_owned()]), [""; 0]);
        assert_eq!(networks.find("i4").unwrap().unwrap().spec.bans, ["*@SpamMUD"]);
        assert_eq!(networks.find("other"), Ok(None));
        assert_eq!(networks.complete(&[]), ["i4"]);
        assert_eq!(networks.find("i4"), Ok(None));
    }

    #[test]
    fn a_network_that_never_could_be_read_is_there_all_the_same() {
        let networks = Networks::default();
        assert!(networks.apply(object(&json!({"routers": 5}))), "it is no longer missing");
        assert!(!networks.apply(object(&json!({"routers": 6}))), "no news");
        assert_eq!(networks.find("i4"), Err(Unknown::Unreadable("i4".to_owned())));
        assert_eq!(networks.undecodable(), 1);
        assert!(networks.apply(object(&json!({"routers": routers()}))));
        assert_eq!(networks.undecodable(), 0);
    }

    #[test]
    fn a_status_of_another_version_is_no_reason_not_to_read_the_spec() {
        let networks = Networks::default();
        let mut odd = object(&json!({"routers": routers()}));
        odd.data["status"] = json!({"muds": "many"});
        networks.apply(odd);
        let (_, seen) = networks.all().pop().unwrap();
        assert_eq!((seen.status, seen.error), (None, None));
    }

    #[test]
    fn a_status_is_ours_until_another_writes_it() {
        let networks = Networks::default();
        let with = |muds: i32| {
            let mut object = object(&json!({"routers": routers()}));
            object.data["status"] = json!({"muds": muds});
            networks.apply(object);
            networks.all().pop().unwrap().1.is_ours
        };
        assert!(!with(1), "it was there before us");
        networks.wrote("i4", IntermudNetworkStatus { muds: 2, ..Default::default() });
        assert!(with(2) && with(2), "our own write comes back by the watch");
        assert!(!with(3) && !with(2));
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
