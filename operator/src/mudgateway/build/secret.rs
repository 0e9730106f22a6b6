//! The Secrets we make: the API key when the spec names none, and the login for NATS.

use std::collections::BTreeMap;
use std::fmt::Write;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{PartialObjectMeta, PartialObjectMetaExt};

use super::{API_KEY_ENTRY, api_key_name, metadata, nats_login_name};
use crate::mudgateway::drift::{self, APPLIED_HASH};
use crate::mudgateway::validate::{Gateway, Keys};

/// The Secret with an API key made of 256 random bits. It is created once and its data never written again.
pub fn api_key(gateway: &Gateway, random: &[u8; 32]) -> Secret {
    let mut token = String::with_capacity(64);
    for byte in random {
        // Writing to a String cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    let applied = serde_json::json!(metadata_of_api_key(gateway).into_request_partial::<Secret>());
    Secret {
        metadata: ObjectMeta {
            // What is applied to it later is in it from the start.
            annotations: Some(BTreeMap::from([(APPLIED_HASH.to_owned(), drift::hash(&applied))])),
            ..metadata_of_api_key(gateway)
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(API_KEY_ENTRY.to_owned(), ByteString(token.into_bytes()))])),
        ..Default::default()
    }
}

/// What we keep in shape of that Secret. The uid makes the API server refuse to create an empty one in case it
/// has been deleted since.
pub(super) fn api_key_metadata(gateway: &Gateway) -> Option<PartialObjectMeta<Secret>> {
    let Keys::Made { uid } = &gateway.keys else { return None };
    Some(ObjectMeta { uid: Some(uid.clone()), ..metadata_of_api_key(gateway) }.into_request_partial())
}

fn metadata_of_api_key(gateway: &Gateway) -> ObjectMeta {
    metadata(gateway, api_key_name(&gateway.key.name))
}

/// The files by which the gateway logs in to NATS.
pub(super) fn nats_login(gateway: &Gateway) -> Option<Secret> {
    let files = &gateway.nats.texts;
    let entries =
        files.iter().map(|(name, text)| ((*name).to_owned(), ByteString(text.clone().into_bytes())));
    (!files.is_empty()).then(|| Secret {
        metadata: metadata(gateway, nats_login_name(&gateway.key.name)),
        type_: Some("Opaque".to_owned()),
        data: Some(entries.collect()),
        ..Default::default()
    })
}
