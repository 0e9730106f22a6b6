//! Many MudGateways, and how long the operator takes with them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use mudgateway_crds::MudGateway;
use serde_json::{Value, json};

use crate::{Error, Result};

/// How many requests are under way at the same time: as many as a busy provider's tools make.
const AT_ONCE: usize = 16;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// Namespace and name.
type Key = (String, String);

/// Many MudGateways.
pub struct Fleet {
    client: Client,
    count: usize,
    namespaces: usize,
    took: OnceLock<Duration>,
}

impl Fleet {
    /// So many in so many namespaces, none of which exist yet.
    pub fn new(client: Client, count: usize, namespaces: usize) -> Self {
        Self { client, count, namespaces: namespaces.clamp(1, count.max(1)), took: OnceLock::new() }
    }

    /// From the first creation to the last that was Ready.
    pub fn took(&self) -> Duration {
        self.took.get().copied().unwrap_or_default()
    }

    fn key(&self, index: usize) -> Key {
        (namespace(index % self.namespaces), format!("mud-{index}"))
    }

    /// Makes the namespaces, and waits until pods can be made in them.
    pub async fn prepare(&self) -> Result<()> {
        let spaces: Api<Namespace> = Api::all(self.client.clone());
        for index in 0..self.namespaces {
            let object = serde_json::from_value(json!({"metadata": {"name": namespace(index)}}));
            let object: Namespace = object.map_err(kube::Error::SerdeError)?;
            spaces.create(&PostParams::default(), &object).await?;
        }
        let began = Instant::now();
        for index in 0..self.namespaces {
            let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &namespace(index));
            while accounts.get_opt("default").await?.is_none() {
                if began.elapsed() > PATIENCE {
                    let last = format!("there is none in {}", namespace(index));
                    return Err(Error::Timeout { what: "a default ServiceAccount", within: PATIENCE, last });
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// Creates all, and returns how long each took from the request to its creation until it was Ready.
    pub async fn create(&self) -> Result<Vec<Duration>> {
        let started: Arc<Mutex<HashMap<Key, Instant>>> = Arc::default();
        let gateways = self.gateways();
        let mut ready = HashMap::new();
        let events = watcher(gateways.clone(), watcher::Config::default()).boxed();
        let began = Instant::now();
        let creating = stream::iter(0..self.count).map(Ok).try_for_each_concurrent(AT_ONCE, async |index| {
            let key = self.key(index);
            let api = self.in_namespace(&key.0);
            let object = object(&key, index)?;
            started.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Instant::now());
            api.create(&PostParams::default(), &object).await.map(drop).map_err(Error::from)
        });
        let waiting = collect(events, self.count, &mut ready, |gateway: &DynamicObject| is_ready(gateway));
        let waiting = async {
            let within = tokio::time::timeout(PATIENCE, waiting).await;
            within.map_err(|_| Error::Timeout {
                what: "all were Ready",
                within: PATIENCE,
                last: "see kubectl get mudgateways -A".to_owned(),
            })?
        };
        futures::try_join!(creating, waiting)?;
        let _ = self.took.set(began.elapsed());
        let started = started.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ready.iter().filter_map(|(key, at)| Some(at.duration_since(*started.get(key)?))).collect())
    }

    /// Changes some, a few at a time, and returns how long each took from the request until the gateway's
    /// configuration had it.
    pub async fn update(&self, count: usize) -> Result<Vec<Duration>> {
        let step = (self.count / count.max(1)).max(1);
        stream::iter((0..count).map(|index| index * step))
            .map(|index| self.update_one(index))
            .buffer_unordered(4)
            .try_collect()
            .await
    }

    async fn update_one(&self, index: usize) -> Result<Duration> {
        let (space, name) = self.key(index);
        let changed = format!("changed-{index}");
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &space);
        let only = watcher::Config::default().fields(&format!("metadata.name={name}-gateway"));
        let mut events = watcher(maps, only).boxed();
        // The watch stands before the change is made.
        while !matches!(events.try_next().await?, Some(Event::InitDone) | None) {}
        let began = Instant::now();
        let patch = Patch::Merge(json!({"spec": {"mud": {"driver": changed}}}));
        self.in_namespace(&space).patch(&name, &PatchParams::default(), &patch).await?;
        let seen = async {
            while let Some(event) = events.try_next().await? {
                if let Event::Apply(map) = event
                    && map.data.iter().flatten().any(|(_, text)| text.contains(&changed))
                {
                    break;
                }
            }
            Ok(began.elapsed())
        };
        tokio::time::timeout(PATIENCE, seen).await.map_err(|_| Error::Timeout {
            what: "a change reached its child",
            within: PATIENCE,
            last: format!("{space}/{name}"),
        })?
    }

    fn gateways(&self) -> Api<MudView> {
        Api::all_with(self.client.clone(), &ApiResource::erase::<MudGateway>(&()))
    }

    fn in_namespace(&self, namespace: &str) -> Api<MudView> {
        Api::namespaced_with(self.client.clone(), namespace, &ApiResource::erase::<MudGateway>(&()))
    }
}

type MudView = DynamicObject;

fn namespace(index: usize) -> String {
    format!("tenant-{index}")
}

fn object((namespace, name): &Key, index: usize) -> Result<DynamicObject> {
    let object = json!({
        "apiVersion": "intermud.dev/v1alpha1",
        "kind": "MudGateway",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "mud": {"name": format!("Mud {index}"), "port": 4000, "adminEmail": "admin@mud.example", "driver": "FluffOS"},
            "routers": [{"name": "*scale", "host": "router.example", "port": 8080}],
            "channels": [{"name": "imud_gossip"}, {"name": "imud_code"}],
        },
    });
    Ok(serde_json::from_value(object).map_err(kube::Error::SerdeError)?)
}

fn is_ready(gateway: &DynamicObject) -> bool {
    let conditions = gateway.data["status"]["conditions"].as_array();
    let holds = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    conditions.is_some_and(|conditions| conditions.iter().any(holds))
}

/// Notes when each object was first as it should be, until so many are.
async fn collect(
    mut events: impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Unpin,
    count: usize,
    seen: &mut HashMap<Key, Instant>,
    is: impl Fn(&DynamicObject) -> bool,
) -> Result<()> {
    while seen.len() < count {
        if let Some(Event::Apply(object) | Event::InitApply(object)) = events.try_next().await?
            && is(&object)
        {
            let key = (object.namespace().unwrap_or_default(), object.name_any());
            seen.entry(key).or_insert_with(Instant::now);
        }
    }
    Ok(())
}
