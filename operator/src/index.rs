//! What the operator must know of all `MudGateway`s at once: who claims which mud, and who uses which Secret.
//!
//! Fed by the watch, in memory, synchronous. Every change returns the objects that it concerns besides the
//! changed one, so that they are reconciled too.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use mudgateway_crds::MudGateway;
use mudgateway_crds::status::ConditionType;

use crate::key::{Guarded, Key};
use crate::mudgateway::{Endpoint, Section, endpoints, secrets};

/// The conditions that are counted.
const CONDITIONS: [ConditionType; 4] =
    [ConditionType::Accepted, ConditionType::Programmed, ConditionType::Connected, ConditionType::Ready];

/// What a condition's status can be; the first one stands for none too.
const STATUSES: [&str; 3] = ["Unknown", "True", "False"];

/// A namespace that is watched, or all of them.
pub type Scope = Option<String>;

/// What only one MudGateway can have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Claim {
    /// A mud name on a network.
    Name { network: String, mud: String },
    /// A way in from outside.
    Endpoint(Endpoint),
}

/// Who claims it: the least in this order comes first.
type Claimant = (Timestamp, Key);

/// All who claim it, and by which listener of a Gateway.
type Claimants = BTreeMap<Claimant, Section>;

/// Who has it by a listener, or by all of them. Whoever comes first and names no listener has it by all of them; where whoever
/// comes first names one, the first by each has it, and nobody has it by all.
fn who_has<'c>(claimants: &'c Claimants, section: &Section) -> Option<&'c Claimant> {
    let (first, by) = claimants.first_key_value()?;
    match (by, section) {
        (Some(_), Some(_)) => claimants.iter().find(|(_, by)| *by == section).map(|(claimant, _)| claimant),
        _ => Some(first),
    }
}

#[derive(Clone, Debug, Default)]
struct Entry {
    undecodable: bool,
    /// The status of each condition, in the order of [`CONDITIONS`].
    conditions: [usize; CONDITIONS.len()],
    /// Whether it asks for standbys and has none.
    without_standby: bool,
    /// Its name first.
    claims: Vec<(Claim, Section)>,
    created: Timestamp,
    secrets: BTreeSet<String>,
}

impl Entry {
    /// Network and mud.
    fn name(&self) -> Option<(&str, &str)> {
        self.claims.iter().find_map(|(claim, _)| match claim {
            Claim::Name { network, mud } => Some((network.as_str(), mud.as_str())),
            Claim::Endpoint(_) => None,
        })
    }
}

/// The index over all watched `MudGateway`s.
#[derive(Debug, Default)]
pub struct Index {
    /// Scopes whose first list is not complete. Until it is, nobody can know who came first.
    pending: HashSet<Scope>,
    entries: HashMap<Key, Entry>,
    claims: HashMap<Claim, Claimants>,
    /// By namespace and name of the Secret.
    secrets: HashMap<Key, BTreeSet<Key>>,
}

impl Index {
    /// An empty index that waits for the first list of each scope.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self { pending: scopes.into_iter().collect(), ..Self::default() }
    }

    /// Whether the first list of every scope is complete.
    pub fn is_complete(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether such a `MudGateway` exists.
    pub fn contains(&self, key: &Key) -> bool {
        self.entries.contains_key(key)
    }

    /// How many `MudGateway`s exist.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no `MudGateway` exists.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many of them cannot be decoded.
    pub fn undecodable(&self) -> usize {
        self.entries.values().filter(|entry| entry.undecodable).count()
    }

    /// How many of them ask for standbys and have none.
    pub fn without_standby(&self) -> usize {
        self.entries.values().filter(|entry| entry.without_standby).count()
    }

    /// How many there are of each type and status of condition, those of which there are none too.
    pub fn conditions(&self) -> impl Iterator<Item = ([&'static str; 2], usize)> {
        let mut counts = [[0; STATUSES.len()]; CONDITIONS.len()];
        for entry in self.entries.values() {
            for (counts, status) in counts.iter_mut().zip(entry.conditions) {
                counts[status] += 1;
            }
        }
        CONDITIONS.into_iter().zip(counts).flat_map(|(type_, counts)| {
            STATUSES.into_iter().zip(counts).map(move |(status, count)| ([type_.as_str(), status], count))
        })
    }

    /// All `MudGateway`s.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.entries.keys()
    }

    /// The older `MudGateway` that has the mud name which this one claims.
    pub fn senior(&self, key: &Key) -> Option<Key> {
        let (network, mud) = self.entries.get(key)?.name()?;
        self.holder(network, mud).filter(|holder| holder != key)
    }

    /// A way in that this one asks for, and the older `MudGateway` that has it.
    pub fn taken_endpoint(&self, key: &Key) -> Option<(Endpoint, Key)> {
        self.entries.get(key)?.claims.iter().find_map(|(claim, section)| match claim {
            Claim::Endpoint(endpoint) => {
                let (_, holder) = who_has(self.claims.get(claim)?, section)?;
                (holder != key).then(|| (endpoint.clone(), holder.clone()))
            }
            Claim::Name { .. } => None,
        })
    }

    /// The `MudGateway` that has a mud name on a network.
    pub fn holder(&self, network: &str, mud: &str) -> Option<Key> {
        let claim = Claim::Name { network: network.to_owned(), mud: mud.to_owned() };
        who_has(self.claims.get(&claim)?, &None).map(|(_, key)| key.clone())
    }

    /// The `MudGateway`s on a network.
    pub fn on_network(&self, network: &str) -> Vec<Key> {
        let on_it = |entry: &Entry| entry.name().is_some_and(|(own, _)| own == network);
        self.entries.iter().filter(|(_, entry)| on_it(entry)).map(|(key, _)| key.clone()).collect()
    }

    /// The network and the mud name that a `MudGateway` claims.
    pub fn mud_of(&self, key: &Key) -> Option<(&str, &str)> {
        self.entries.get(key)?.name()
    }

    /// Whether a `MudGateway` claims a mud name on a network.
    pub fn is_claimed(&self, network: &str, mud: &str) -> bool {
        self.claims.contains_key(&Claim::Name { network: network.to_owned(), mud: mud.to_owned() })
    }

    /// The `MudGateway`s that use a Secret.
    pub fn users_of(&self, secret: &Key) -> Vec<Key> {
        self.secrets.get(secret).into_iter().flatten().cloned().collect()
    }

    /// Takes in an object as it is now, and returns the others whose right to a name or a way in has changed, or that have to name
    /// another as its holder. Only who comes first matters to the others: of a thousand that claim one name, each would
    /// else concern all at each of its changes.
    pub fn apply(&mut self, object: &Guarded) -> Vec<Key> {
        let key = Key::of(object);
        let entry = match &object.0 {
            Ok(gateway) => Entry {
                undecodable: false,
                conditions: conditions(gateway),
                without_standby: lacks_standby(gateway),
                claims: claims(&key.namespace, gateway),
                created: created(object),
                secrets: secrets(&gateway.spec),
            },
            // Its pods may run: it keeps the claims it had while it could be read.
            Err(_) => Entry { undecodable: true, ..self.entries.get(&key).cloned().unwrap_or_default() },
        };
        let same = |before: &Entry| before.claims == entry.claims && before.created == entry.created;
        let same = self.entries.get(&key).is_some_and(same);
        let concerned = self.detach(&key).into_iter().chain(self.attach(&key, entry));
        let others: BTreeSet<Key> = concerned.filter(|other| *other != key).collect();
        if same { Vec::new() } else { others.into_iter().collect() }
    }

    /// Takes out an object, and returns those whose right to a name has changed, or that have to name another holder.
    pub fn remove(&mut self, key: &Key) -> Vec<Key> {
        self.detach(key)
    }

    /// Ends a list of a scope: what is not in it is gone. Returns what is gone, and those whom that concerns as with
    /// [`Self::remove`].
    pub fn complete(&mut self, scope: &Scope, listed: &HashSet<Key>) -> (Vec<Key>, Vec<Key>) {
        self.pending.remove(scope);
        let in_scope = |key: &Key| scope.as_ref().is_none_or(|namespace| *namespace == key.namespace);
        let gone: Vec<Key> =
            self.entries.keys().filter(|key| in_scope(key) && !listed.contains(key)).cloned().collect();
        let concerned = gone.iter().flat_map(|key| self.detach(key)).collect();
        (gone, concerned)
    }

    /// Adds an entry, and returns its rivals if it comes before them.
    fn attach(&mut self, key: &Key, entry: Entry) -> Vec<Key> {
        for secret in &entry.secrets {
            self.secrets.entry(Key::new(&key.namespace, secret)).or_default().insert(key.clone());
        }
        let mut rivals = Vec::new();
        let claimant = (entry.created, key.clone());
        for (claim, section) in &entry.claims {
            let claimants = self.claims.entry(claim.clone()).or_default();
            claimants.insert(claimant.clone(), section.clone());
            if who_has(claimants, section) == Some(&claimant) {
                rivals.extend(claimants.keys().map(|(_, key)| key.clone()));
            }
        }
        self.entries.insert(key.clone(), entry);
        rivals
    }

    /// Takes out an entry, and returns its rivals if it came before them.
    fn detach(&mut self, key: &Key) -> Vec<Key> {
        let Some(entry) = self.entries.remove(key) else { return Vec::new() };
        for secret in entry.secrets {
            let secret = Key::new(&key.namespace, &secret);
            if let Some(users) = self.secrets.get_mut(&secret) {
                users.remove(key);
                if users.is_empty() {
                    self.secrets.remove(&secret);
                }
            }
        }
        let claimant = (entry.created, key.clone());
        let mut concerned = Vec::new();
        for (claim, section) in entry.claims {
            let Some(claimants) = self.claims.get_mut(&claim) else { continue };
            let had_it = who_has(claimants, &section) == Some(&claimant);
            claimants.remove(&claimant);
            if had_it {
                concerned.extend(claimants.keys().map(|(_, key)| key.clone()));
            }
            if claimants.is_empty() {
                self.claims.remove(&claim);
            }
        }
        concerned
    }
}

fn claims(namespace: &str, gateway: &MudGateway) -> Vec<(Claim, Section)> {
    let (network, mud) = (gateway.spec.network().to_owned(), gateway.spec.mud.name.clone());
    let endpoints = endpoints(namespace, &gateway.spec).into_iter();
    let endpoints = endpoints.map(|(endpoint, section)| (Claim::Endpoint(endpoint), section));
    [(Claim::Name { network, mud }, None)].into_iter().chain(endpoints).collect()
}

fn lacks_standby(gateway: &MudGateway) -> bool {
    let standbys = gateway.status.as_ref().map_or(0, |status| status.standbys);
    gateway.spec.replicas > 1 && !gateway.spec.paused && standbys == 0
}

fn conditions(gateway: &MudGateway) -> [usize; CONDITIONS.len()] {
    CONDITIONS.map(|type_| {
        let condition = gateway.status.as_ref().and_then(|status| status.condition(type_));
        condition
            .and_then(|condition| STATUSES.iter().position(|known| *known == condition.status))
            .unwrap_or(0)
    })
}

/// When an object was created. Every object from the API server has the time; one without is the youngest.
fn created(object: &impl Resource) -> Timestamp {
    object.meta().creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gateway, guarded, undecodable};

    fn key(name: &str) -> Key {
        Key::new("ns", name)
    }

    /// A MudGateway `ns/<name>` that claims `mud`, created `second` seconds after the epoch.
    fn claiming(name: &str, mud: &str, second: i64) -> Guarded {
        let mut gateway = gateway("ns", name, mud);
        gateway.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            Timestamp::from_second(second).unwrap(),
        ));
        guarded(gateway)
    }

    #[test]
    fn the_older_has_the_name_and_the_younger_gets_it_after_it() {
        let mut index = Index::default();
        assert_eq!(index.apply(&claiming("young", "Mud", 20)), []);
        assert_eq!(index.apply(&claiming("old", "Mud", 10)), [key("young")]);
        assert_eq!(index.senior(&key("young")), Some(key("old")));
        assert_eq!(index.senior(&key("old")), None);

        assert_eq!(index.remove(&key("old")), [key("young")]);
        assert_eq!(index.senior(&key("young")), None);
    }

    #[test]
    fn only_who_comes_first_concerns_the_others() {
        let mut index = Index::default();
        index.apply(&claiming("a", "Mud", 10));
        index.apply(&claiming("b", "Mud", 20));
        assert_eq!(index.apply(&claiming("c", "Mud", 30)), [], "it has nothing to take from them");
        assert_eq!(index.apply(&claiming("a", "Mud", 10)), [], "nothing new");
        assert_eq!(index.remove(&key("b")), []);
        assert_eq!(index.remove(&key("a")), [key("c")]);
    }

    #[test]
    fn of_two_of_one_second_the_first_by_name_has_it() {
        let mut index = Index::default();
        index.apply(&claiming("b", "Mud", 10));
        index.apply(&claiming("a", "Mud", 10));
        assert_eq!(index.senior(&key("b")), Some(key("a")));
    }

    #[test]
    fn names_are_claimed_on_one_network_only() {
        let mut index = Index::default();
        index.apply(&claiming("a", "Mud", 10));
        let mut elsewhere = gateway("ns", "b", "Mud");
        elsewhere.spec.routers[0].name = "*other".to_owned();
        index.apply(&guarded(elsewhere));
        assert_eq!(index.senior(&key("b")), None);
    }

    #[test]
    fn moving_to_another_network_frees_the_name() {
        let mut index = Index::default();
        index.apply(&claiming("a", "Mud", 10));
        index.apply(&claiming("b", "Mud", 20));
        let Guarded { 0: Ok(mut moved) } = claiming("a", "Mud", 10) else { panic!() };
        moved.spec.routers[0].name = "*other".to_owned();
        assert_eq!(index.apply(&guarded(moved)), [key("b")]);
        assert_eq!(index.senior(&key("b")), None);
    }

    #[test]
    fn an_object_that_became_undecodable_keeps_its_claim() {
        let mut index = Index::default();
        index.apply(&claiming("a", "Mud", 10));
        index.apply(&claiming("b", "Mud", 20));
        index.apply(&undecodable("ns", "a"));
        assert_eq!(index.senior(&key("b")), Some(key("a")));
        assert_eq!(index.undecodable(), 1);
    }

    /// The same, and it asks for a path at a Gateway, by a listener if that is named.
    fn exposed(name: &str, mud: &str, second: i64, path: &str, section: Section) -> Guarded {
        let Guarded { 0: Ok(mut gateway) } = claiming(name, mud, second) else { panic!() };
        let parent = serde_json::json!({"name": "edge"});
        let way = serde_json::json!({"parentRef": parent, "path": path, "sectionName": section});
        gateway.spec.expose = serde_json::from_value(serde_json::json!({"gateway": way})).unwrap();
        guarded(gateway)
    }

    #[test]
    fn the_older_has_the_way_in_and_the_younger_gets_it_after_it() {
        let at = |name: &str, mud: &str, second: i64, path: &str| exposed(name, mud, second, path, None);
        let mut index = Index::default();
        index.apply(&at("young", "Young", 20, "/ws"));
        assert_eq!(index.apply(&at("old", "Old", 10, "/ws")), [key("young")]);
        let (endpoint, holder) = index.taken_endpoint(&key("young")).unwrap();
        assert_eq!((endpoint.to_string().as_str(), holder), ("the path /ws at Gateway ns/edge", key("old")));
        assert_eq!((index.taken_endpoint(&key("old")), index.senior(&key("young"))), (None, None));

        assert_eq!(index.apply(&at("old", "Old", 10, "/old")), [key("young")]);
        assert_eq!(index.taken_endpoint(&key("young")), None);
        index.apply(&at("old", "Old", 10, "/ws"));
        assert_eq!(index.remove(&key("old")), [key("young")]);
        assert_eq!(index.taken_endpoint(&key("young")), None);
    }

    #[test]
    fn who_names_no_listener_asks_for_all_of_them() {
        let at = |name: &str, second: i64, section: &str| {
            let section = (section != "all").then(|| section.to_owned());
            exposed(name, name, second, "/ws", section)
        };
        let taken = |index: &Index, name: &str| index.taken_endpoint(&key(name)).map(|(_, holder)| holder);
        for [older, younger] in [["all", "http"], ["http", "all"], ["all", "all"], ["http", "http"]] {
            let mut index = Index::default();
            index.apply(&at("young", 20, younger));
            assert_eq!(index.apply(&at("old", 10, older)), [key("young")], "{older} {younger}");
            assert_eq!(taken(&index, "young"), Some(key("old")), "{older} {younger}");
            assert_eq!(index.remove(&key("old")), [key("young")]);
            assert_eq!(taken(&index, "young"), None);
        }

        // Who has nothing takes nothing from others, until it has.
        let mut index = Index::default();
        for (name, second, section) in
            [("a", 1, "http"), ("b", 2, "all"), ("c", 3, "https"), ("d", 4, "https")]
        {
            index.apply(&at(name, second, section));
        }
        let all = |index: &Index| ["a", "b", "c", "d"].map(|name| taken(index, name));
        assert_eq!(all(&index), [None, Some(key("a")), None, Some(key("c"))]);
        assert_eq!(index.remove(&key("a")), ["b", "c", "d"].map(key));
        assert_eq!(all(&index), [None, None, Some(key("b")), Some(key("b"))]);
    }

    #[test]
    fn who_asks_for_standbys_and_has_none_is_counted() {
        let mut index = Index::default();
        for (name, replicas, standbys) in [("a", 1, 0), ("b", 2, 0), ("c", 2, 1)] {
            let mut gateway = gateway("ns", name, name);
            gateway.spec.replicas = replicas;
            let status = format!(r#"{{"standbys": {standbys}}}"#);
            gateway.status = serde_json::from_str(&status).unwrap();
            index.apply(&guarded(gateway));
        }
        assert_eq!(index.without_standby(), 1);
    }

    #[test]
    fn secrets_lead_to_their_users() {
        let mut index = Index::default();
        let mut user = gateway("ns", "a", "Mud");
        user.spec.api.keys = serde_json::from_str(r#"[{"secretRef": {"name": "bot"}}]"#).unwrap();
        index.apply(&guarded(user));
        assert_eq!(index.users_of(&key("bot")), [key("a")]);
        assert_eq!(index.users_of(&Key::new("other", "bot")), []);

        index.apply(&claiming("a", "Mud", 10));
        assert_eq!(index.users_of(&key("bot")), []);
        assert!(index.secrets.is_empty());
    }

    #[test]
    fn a_network_leads_to_its_muds() {
        let mut index = Index::default();
        let mut on_it = gateway("ns", "a", "First");
        on_it.spec.routers.clear();
        on_it.spec.network_ref = serde_json::from_str(r#"{"name": "i4"}"#).unwrap();
        on_it.spec.egress =
            serde_json::from_str(r#"{"proxy": {"host": "h", "secretRef": {"name": "login"}}}"#).unwrap();
        index.apply(&guarded(on_it));
        index.apply(&claiming("b", "Second", 10));
        assert_eq!(index.on_network("i4"), [key("a")]);
        assert_eq!(index.mud_of(&key("a")), Some(("i4", "First")));
        assert!(index.is_claimed("i4", "First") && !index.is_claimed("i4", "Second"));
        assert_eq!(index.users_of(&key("login")), [key("a")]);
    }

    #[test]
    fn what_a_new_list_lacks_is_gone() {
        let mut index = Index::new([Some("ns".to_owned()), Some("other".to_owned())]);
        index.apply(&claiming("a", "Mud", 10));
        index.apply(&claiming("b", "Mud", 20));
        index.apply(&guarded(gateway("other", "c", "Third")));
        assert!(!index.is_complete());

        let (gone, concerned) = index.complete(&Some("ns".to_owned()), &HashSet::from([key("b")]));
        assert_eq!((gone, concerned), (vec![key("a")], vec![key("b")]));
        assert!(!index.is_complete());
        index.complete(&Some("other".to_owned()), &HashSet::from([Key::new("other", "c")]));
        assert!(index.is_complete());
        assert_eq!(index.len(), 2);
    }
}
