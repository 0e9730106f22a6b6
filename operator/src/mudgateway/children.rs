//! The kinds of object that make up a gateway, and those of them that exist, as the watches last saw them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::DynamicResourceScope;
use kube::discovery::ApiResource;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::build::workload_name;
use super::drift::Mark;
use super::validate::is_owned;
use crate::index::Scope;
use crate::key::Key;
use crate::lock::lock;

/// A kind of object of which a gateway has one at most. Secrets are not among them: they are watched apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The gateway's configuration.
    ConfigMap,
    /// Where the mud connects to.
    Service,
    /// The pods.
    Deployment,
    /// Who may connect to the pods, and where to they may connect.
    NetworkPolicy,
    /// How many pods may be evicted at once.
    PodDisruptionBudget,
    /// The way in through an Ingress.
    Ingress,
    /// The way in through a Gateway, for WebSocket.
    HttpRoute,
    /// The way in through a Gateway, for TCP.
    TcpRoute,
    /// The way in through a Gateway, for TLS that is passed through.
    TlsRoute,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::ConfigMap,
        Self::Service,
        Self::Deployment,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::Ingress,
        Self::HttpRoute,
        Self::TcpRoute,
        Self::TlsRoute,
    ];

    /// Group, version, kind and plural.
    fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        const GATEWAY_API: &str = "gateway.networking.k8s.io";
        match self {
            Self::ConfigMap => ("", "v1", "ConfigMap", "configmaps"),
            Self::Service => ("", "v1", "Service", "services"),
            Self::Deployment => ("apps", "v1", "Deployment", "deployments"),
            Self::NetworkPolicy => ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
            Self::PodDisruptionBudget => ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
            Self::Ingress => ("networking.k8s.io", "v1", "Ingress", "ingresses"),
            Self::HttpRoute => (GATEWAY_API, "v1", "HTTPRoute", "httproutes"),
            Self::TcpRoute => (GATEWAY_API, "v1alpha2", "TCPRoute", "tcproutes"),
            Self::TlsRoute => (GATEWAY_API, "v1alpha2", "TLSRoute", "tlsroutes"),
        }
    }

    /// The kind as it stands in messages.
    pub fn as_str(self) -> &'static str {
        self.names().2
    }

    /// How the API server knows it.
    pub fn resource(self) -> ApiResource {
        let (group, version, kind, plural) = self.names();
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }

    /// The name of the object for the MudGateway of this name. The Service has its name, for that is what ends up in the
    /// configuration of the mud.
    pub fn name_for(self, gateway: &str) -> String {
        match self {
            Self::Service => gateway.to_owned(),
            // Contour takes routes of different kinds and one name for one, and reports on one of them only.
            Self::TcpRoute => format!("{}-tcp", workload_name(gateway)),
            Self::TlsRoute => format!("{}-tls", workload_name(gateway)),
            _ => workload_name(gateway),
        }
    }
}

/// What is kept of an object: whose it is, whether it is as it should be, and what the status says of it. There are
/// thousands, so it is read without the rest, and takes little room.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Whole")]
pub struct Child {
    /// Which object it is, and whose.
    pub metadata: ObjectMeta,
    /// What was applied last; none when we never applied it.
    pub mark: Option<Mark>,
    /// What we look at, as text: as a tree it takes ten times as much.
    pub parts: Box<str>,
}

impl Child {
    /// What is kept of it, as far as its type goes.
    ///
    /// # Errors
    /// When it is not of that type.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(&self.parts)
    }

    /// Whether a `MudGateway` of this uid is among its owners.
    pub fn is_owned(&self, uid: &str) -> bool {
        is_owned(&self.metadata, uid)
    }
}

/// An object as the API server sends it, of which all else is skipped.
#[derive(Deserialize, Serialize)]
struct Whole {
    #[serde(default, skip_serializing)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Value,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Spec {
    replicas: Value,
    ports: Value,
}

impl From<Whole> for Child {
    fn from(whole: Whole) -> Self {
        let mark = Mark::of(&whole.metadata);
        // It consists of JSON, so it can be written as such.
        let parts = serde_json::to_string(&whole).unwrap_or_default().into();
        // Most of it. The rest stays: without the resourceVersion, say, each event would begin the watch anew.
        let metadata = ObjectMeta { annotations: None, labels: None, managed_fields: None, ..whole.metadata };
        Self { metadata, mark, parts }
    }
}

impl Resource for Child {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The objects with our labels, as the watches last saw them.
#[derive(Debug, Default)]
pub struct Children {
    seen: Mutex<HashMap<Kind, Seen>>,
}

/// The objects of a kind.
#[derive(Debug, Default)]
struct Seen {
    objects: HashMap<Key, Child>,
    /// Their fields that are ours, of which there are few different ones.
    fields: HashSet<Arc<str>>,
}

impl Children {
    /// The object of a kind that the MudGateway of this key has, or that only has its name.
    pub fn get(&self, kind: Kind, gateway: &Key) -> Option<Child> {
        lock(&self.seen).get(&kind)?.objects.get(&key(kind, gateway)).cloned()
    }

    /// Whether there is one.
    pub fn has(&self, kind: Kind, gateway: &Key) -> bool {
        lock(&self.seen).get(&kind).is_some_and(|seen| seen.objects.contains_key(&key(kind, gateway)))
    }
}

fn key(kind: Kind, gateway: &Key) -> Key {
    Key::new(&gateway.namespace, kind.name_for(&gateway.name))
}

impl Seen {
    fn insert(&mut self, mut child: Child) {
        if let Some(mark) = &mut child.mark {
            mark.fields = self.shared(&mark.fields);
        }
        self.objects.insert(Key::of(&child), child);
    }

    fn shared(&mut self, fields: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.fields.get(fields) {
            return Arc::clone(known);
        }
        self.fields.retain(|known| Arc::strong_count(known) > 1);
        self.fields.insert(Arc::clone(fields));
        Arc::clone(fields)
    }
}

/// What a watch of a kind sees within a scope.
#[derive(Debug)]
pub struct Sight {
    children: Arc<Children>,
    kind: Kind,
    scope: Scope,
    /// What the list has that is being read.
    listed: HashSet<Key>,
}

impl Sight {
    /// What a watch sees goes to `children`.
    pub fn new(children: Arc<Children>, kind: Kind, scope: Scope) -> Self {
        Self { children, kind, scope, listed: HashSet::new() }
    }

    /// Takes in what it says.
    pub fn note(&mut self, event: &Event<Child>) {
        let mut seen = lock(&self.children.seen);
        let seen = seen.entry(self.kind).or_default();
        match event {
            Event::Apply(child) => seen.insert(child.clone()),
            Event::Delete(child) => drop(seen.objects.remove(&Key::of(child))),
            Event::Init => self.listed.clear(),
            Event::InitApply(child) => {
                self.listed.insert(Key::of(child));
                seen.insert(child.clone());
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let elsewhere = |key: &Key| self.scope.as_ref().is_some_and(|scope| *scope != key.namespace);
                seen.objects.retain(|key, _| listed.contains(key) || elsewhere(key));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::context::FIELD_MANAGER;

    fn child(namespace: &str, name: &str) -> Child {
        let fields = json!({
            "f:metadata": {"f:labels": {"f:a": {}}, "f:ownerReferences": {format!("k:{{\"uid\":\"of {name}\"}}"): {}}},
            "f:spec": {"f:replicas": {}},
        });
        let owner = json!({"apiVersion": "v1", "kind": "K", "name": name, "uid": format!("of {name}")});
        let object = json!({
            "metadata": {
                "name": Kind::Deployment.name_for(name), "namespace": namespace, "uid": "u", "resourceVersion": "7", "generation": 2,
                "labels": {"a": "b"}, "annotations": {"intermud.dev/applied-hash": name}, "ownerReferences": [owner],
                "managedFields": [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}],
            },
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "gateway"}]}}},
            "status": {"availableReplicas": 1},
        });
        // As it comes from the API server.
        serde_json::from_str(&object.to_string()).unwrap()
    }

    fn get(children: &Children, namespace: &str, name: &str) -> Option<Child> {
        children.get(Kind::Deployment, &Key::new(namespace, name))
    }

    #[test]
    fn of_an_object_what_is_looked_at_is_kept() {
        let child = child("ns", "a");
        assert!(child.is_owned("of a") && !child.is_owned("of b"));
        assert_eq!(child.metadata.generation, Some(2));
        assert_eq!(child.metadata.resource_version.as_deref(), Some("7"), "the watch needs it");
        assert_eq!(child.metadata.labels, None);
        let read: Value = child.read().unwrap();
        assert_eq!(read, json!({"spec": {"replicas": 1, "ports": null}, "status": {"availableReplicas": 1}}));
    }

    #[test]
    fn what_is_gone_after_a_list_is_forgotten_in_its_scope_only() {
        let children = Arc::new(Children::default());
        let sight = |scope: &str| Sight::new(Arc::clone(&children), Kind::Deployment, Some(scope.to_owned()));
        let (mut here, mut there) = (sight("ns"), sight("other"));
        there.note(&Event::Apply(child("other", "a")));
        here.note(&Event::Apply(child("ns", "a")));
        for event in [Event::Init, Event::InitApply(child("ns", "b")), Event::InitDone] {
            here.note(&event);
        }
        let seen =
            [("ns", "a"), ("ns", "b"), ("other", "a")].map(|(ns, name)| get(&children, ns, name).is_some());
        assert_eq!(seen, [false, true, true]);
        let has = |name: &str| children.has(Kind::Deployment, &Key::new("ns", name));
        assert!(!has("a") && has("b"));
        there.note(&Event::Delete(child("other", "a")));
        assert!(get(&children, "other", "a").is_none());
        assert!(children.get(Kind::Service, &Key::new("ns", "b")).is_none());
    }

    #[test]
    fn objects_that_were_made_alike_share_what_tells_so() {
        let children = Arc::new(Children::default());
        let mut sight = Sight::new(Arc::clone(&children), Kind::Deployment, None);
        for name in ["a", "b"] {
            sight.note(&Event::Apply(child("ns", name)));
        }
        let [a, b] = ["a", "b"].map(|name| get(&children, "ns", name).unwrap().mark.unwrap());
        assert!(Arc::ptr_eq(&a.fields, &b.fields));
        assert_ne!(a, b);
    }
}
