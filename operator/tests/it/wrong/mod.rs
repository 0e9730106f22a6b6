//! Wrong objects on a real API server: each is refused with the field and what to do, and its correct twin is accepted.

mod api;
mod connections;
mod muds;
mod pods;
mod ways_in;

use std::collections::BTreeSet;
use std::fmt::Debug;

use futures::{StreamExt, stream};
use kube::api::{Api, Patch, PatchParams};
use kube::{CustomResourceExt, Resource};
use mudgateway_crds::{IntermudNetwork, MudGateway};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::harness::{Space, merge};

/// How many objects are tried at the same time.
const AT_ONCE: usize = 16;

/// A wrong value, and what would be right in its place.
struct Row {
    /// Where it is in the spec, as a JSON pointer that leads through objects.
    at: &'static str,
    wrong: Value,
    /// Null: nothing at all.
    right: Value,
    /// What the spec has besides, in both cases.
    beside: Value,
    /// The field that the API server must name.
    field: &'static str,
    /// The words that must tell what to do, or what it should be.
    words: &'static str,
}

fn row(at: &'static str, wrong: Value, right: Value, field: &'static str, words: &'static str) -> Row {
    Row { at, wrong, right, beside: json!({}), field, words }
}

impl Row {
    fn beside(self, beside: Value) -> Self {
        Self { beside, ..self }
    }

    /// A spec with this value in its place.
    fn spec(&self, minimal: &Value, value: &Value) -> Value {
        let mut spec = minimal.clone();
        merge(&mut spec, self.beside.clone());
        let names = self.at.trim_start_matches('/').rsplit('/');
        merge(&mut spec, names.fold(value.clone(), |inner, name| json!({name: inner})));
        spec
    }
}

const OBJECT_NAME: &str = "write the name of the object as Kubernetes has it: lower case letters";

fn router(name: &str) -> Value {
    json!({"name": name, "host": "h", "port": 1})
}

fn long(length: usize) -> Value {
    json!("x".repeat(length))
}

/// Tries one spec, without making anything. The error is what the user reads.
async fn try_spec<K>(api: &Api<K>, spec: Value) -> Result<(), String>
where
    K: Resource<DynamicType = ()> + CustomResourceExt + Clone + DeserializeOwned + Debug,
{
    let object = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": "trial"},
        "spec": spec,
    });
    match api.patch("trial", &PatchParams::apply("it").dry_run(), &Patch::Apply(object)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(error) => panic!("{error}"),
    }
}

/// What is not as it should be about a row.
async fn faults<K>(api: &Api<K>, minimal: &Value, row: &Row) -> Vec<String>
where
    K: Resource<DynamicType = ()> + CustomResourceExt + Clone + DeserializeOwned + Debug,
{
    let mut faults = Vec::new();
    match try_spec(api, row.spec(minimal, &row.wrong)).await {
        Ok(()) => faults.push(format!("{} = {} was accepted", row.at, row.wrong)),
        Err(message) if message.contains(&format!("{}:", row.field)) && message.contains(row.words) => {}
        Err(message) => faults.push(format!(
            "{} = {} was refused with {message:?}, which lacks {:?} or {:?}",
            row.at, row.wrong, row.field, row.words
        )),
    }
    if let Err(message) = try_spec(api, row.spec(minimal, &row.right)).await {
        faults.push(format!("{} = {} is right, but was refused with {message:?}", row.at, row.right));
    }
    faults
}

async fn all_faults<K>(api: &Api<K>, minimal: &Value, rows: &[Row]) -> Vec<String>
where
    K: Resource<DynamicType = ()> + CustomResourceExt + Clone + DeserializeOwned + Debug,
{
    let found = stream::iter(rows).map(|row| faults(api, minimal, row)).buffered(AT_ONCE);
    found.collect::<Vec<_>>().await.concat()
}

#[tokio::test]
async fn each_is_refused_with_the_field_and_the_way_out_and_its_twin_is_accepted() {
    let space = Space::new().await;
    let of_gateways: Vec<Row> =
        [muds::rows(), connections::rows(), api::rows(), pods::rows(), ways_in::rows()]
            .into_iter()
            .flatten()
            .collect();
    let of_networks = connections::of_networks();
    let rules: BTreeSet<_> =
        of_gateways.iter().chain(&of_networks).map(|row| (row.field, row.words)).collect();
    assert!(rules.len() >= 100, "{} rules only", rules.len());

    let gateway = json!({"mud": {"name": "Mud"}, "routers": [router("*it")]});
    let mut faults = all_faults::<MudGateway>(&space.api(), &gateway, &of_gateways).await;
    let network = json!({"routers": [router("*it")]});
    faults
        .extend(all_faults::<IntermudNetwork>(&Api::all(space.client.clone()), &network, &of_networks).await);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
