//! What the operator must know of all `MudGateway`s at once: who claims which mud, and who uses which Secret.
//!
//! Fed by the watch, in memory, synchronous. Every change returns the objects that it concerns besides the
//! changed one, so that they are reconciled too. What a Gateway's listeners make of a spec no watch tells, so whoever
//! looked at them notes it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use mudgateway_crds::MudGateway;
use mudgateway_crds::status::ConditionType;

use crate::key::{Guarded, Key};
use crate::mudgateway::{Endpoint, Section, endpoints, published, secrets};

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
    /// What its spec says: its name first.
    claims: Vec<(Claim, Section)>,
    /// What is more, by the listeners of its Gateway.
    implied: Vec<(Claim, Section)>,
    created: Timestamp,
    secrets: BTreeSet<String>,
}

impl Entry {
    fn all_claims(&self) -> impl Iterator<Item = &(Claim, Section)> {
        self.claims.iter().chain(&self.implied)
    }

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
        self.entries.get(key)?.all_claims().find_map(|(claim, section)| match claim {
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
        let before = self.entries.get(&key);
        let entry = match &object.0 {
            Ok(gateway) => Entry { created: created(object), ..entry(&key.namespace, gateway, before) },
            // Its pods may run: it keeps the claims it had while it could be read.
            Err(_) => Entry { undecodable: true, ..before.cloned().unwrap_or_default() },
        };
        self.replace(&key, entry)
    }

    /// Notes what the listeners of its Gateway add to the ways in that an object asks for, and returns the others whom
    /// that concerns.
    pub fn imply(&mut self, key: &Key, ways: Vec<(Endpoint, Section)>) -> Vec<Key> {
        let implied = as_claims(ways);
        let Some(entry) = self.entries.get(key).filter(|entry| entry.implied != implied) else {
            return Vec::new();
        };
        let entry = Entry { implied, ..entry.clone() };
        self.replace(key, entry)
    }

    fn replace(&mut self, key: &Key, entry: Entry) -> Vec<Key> {
        let same =
            |before: &Entry| before.all_claims().eq(entry.all_claims()) && before.created == entry.created;
        let same = self.entries.get(key).is_some_and(same);
        let concerned = self.detach(key).into_iter().chain(self.attach(key, entry));
        let others: BTreeSet<Key> = concerned.filter(|other| other != key).collect();
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
        for (claim, section) in entry.all_claims() {
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
        for secret in &entry.secrets {
            let secret = Key::new(&key.namespace, secret);
            if let Some(users) = self.secrets.get_mut(&secret) {
                users.remove(key);
                if users.is_empty() {
                    self.secrets.remove(&secret);
                }
            }
        }
        let claimant = (entry.created, key.clone());
        let mut concerned = Vec::new();
        for (claim, section) in entry.all_claims() {
            let Some(claimants) = self.claims.get_mut(claim) else { continue };
            let had_it = who_has(claimants, section) == Some(&claimant);
            claimants.remove(&claimant);
            if had_it {
                concerned.extend(claimants.keys().map(|(_, key)| key.clone()));
            }
            if claimants.is_empty() {
                self.claims.remove(claim);
            }
        }
        concerned
    }
}

/// The entry of an object, but for the time of its creation.
fn entry(namespace: &str, gateway: &MudGateway, before: Option<&Entry>) -> Entry {
    let claims = claims(namespace, gateway);
    let noted = before.filter(|before| before.claims == claims).map(|before| before.implied.clone());
    Entry {
        undecodable: false,
        conditions: conditions(gateway),
        without_standby: lacks_standby(gateway),
        // Until its Gateway is looked at it is as its status tells.
        implied: noted.unwrap_or_else(|| as_claims(published(namespace, gateway))),
        claims,
        created: Timestamp::default(),
        secrets: secrets(&gateway.spec),
    }
}

fn claims(namespace: &str, gateway: &MudGateway) -> Vec<(Claim, Section)> {
    let (network, mud) = (gateway.spec.network().to_owned(), gateway.spec.mud.name.clone());
    let name = (Claim::Name { network, mud }, None);
    [name].into_iter().chain(as_claims(endpoints(namespace, &gateway.spec))).collect()
}

fn as_claims(ways: Vec<(Endpoint, Section)>) -> Vec<(Claim, Section)> {
    ways.into_iter().map(|(endpoint, section)| (Claim::Endpoint(endpoint), section)).collect()
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
mod tests;
