//! The keys of our own NATS, in a Secret that the operator makes before NATS can start, once and for all.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use mudgateway_identity::{Authority, Credentials, Seeds};
use rand::TryRng;
use tracing::info;

use super::Error;
use crate::context::FIELD_MANAGER;

const OPERATOR: &str = "operator.creds";
const SIGNING: &str = "signing.seed";

/// What the operator needs of the keys.
pub(super) struct Keys {
    pub(super) operator: Credentials,
    pub(super) signing_key: String,
}

/// Reads the keys, or makes them. They are never made anew: NATS knows its stores by them.
pub(super) async fn keys(client: &Client, name: &str, hosts: &[String], now: i64) -> Result<Keys, Error> {
    let failed = |why: String| Error::Secret { name: name.to_owned(), why };
    let secrets = Api::<Secret>::default_namespaced(client.clone());
    let found = secrets.get_opt(name).await.map_err(|error| failed(error.to_string()))?;
    let secret = match found {
        Some(secret) => secret,
        None => {
            let made = secret(name, &Authority::new(&seeds()?, now, hosts)?);
            let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() };
            match secrets.create(&params, &made).await {
                Ok(secret) => {
                    info!(secret = name, "made the keys of NATS; keep this Secret as long as its volumes");
                    secret
                }
                // Another was first.
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    secrets.get(name).await.map_err(|error| failed(error.to_string()))?
                }
                Err(error) => return Err(failed(error.to_string())),
            }
        }
    };
    let entry = |entry: &str| {
        let value = secret.data.as_ref().and_then(|data| data.get(entry));
        let text = value.and_then(|value| String::from_utf8(value.0.clone()).ok());
        text.ok_or_else(|| failed(format!("it has no entry {entry:?}")))
    };
    let operator = Credentials::parse(&entry(OPERATOR)?).map_err(|error| failed(error.to_string()))?;
    Ok(Keys { operator, signing_key: entry(SIGNING)? })
}

/// The Secret as it is made. It belongs to nobody, so that it outlives the chart as the volumes of NATS do.
fn secret(name: &str, authority: &Authority) -> Secret {
    let Authority {
        server,
        cluster,
        operator_credentials,
        system_credentials,
        signing_key,
        operator_seed,
        account_seed,
        store_seed,
    } = authority;
    let entries = [
        ("auth.conf", server),
        ("cluster.conf", cluster),
        (OPERATOR, operator_credentials),
        ("system.creds", system_credentials),
        (SIGNING, signing_key),
        ("operator.seed", operator_seed),
        ("account.seed", account_seed),
        ("store.seed", store_seed),
    ];
    let entries = entries.map(|(entry, text)| (entry.to_owned(), ByteString(text.clone().into_bytes())));
    let labels = [("app.kubernetes.io/part-of", "mudgateway"), ("app.kubernetes.io/component", "bus")];
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels.map(|(label, value)| (label.to_owned(), value.to_owned())).into()),
            ..Default::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from(entries)),
        ..Default::default()
    }
}

fn seeds() -> Result<Seeds, Error> {
    let mut random = [[0; 32]; 8];
    for seed in &mut random {
        rand::rngs::SysRng.try_fill_bytes(seed)?;
    }
    Ok(Seeds::new(random))
}
