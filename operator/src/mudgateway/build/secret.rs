//! The Secrets we make: the API key when the spec names none, and the login for NATS.

use std::collections::BTreeMap;
use std::fmt::Write;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use mudgateway_crds::status::Endpoints;

use super::snippet::snippet;
use super::{API_KEY_ENTRY, SNIPPET_ENTRY, api_key_name, metadata, nats_login_name};
use crate::mudgateway::exposure::inside;
use crate::mudgateway::own_secrets::OwnSecret;
use crate::mudgateway::validate::{Gateway, Keys};

/// The Secret with an API key made of 256 random bits. It is created once and the key never written again.
pub fn api_key(gateway: &Gateway, random: &[u8; 32]) -> Secret {
    let mut token = String::with_capacity(64);
    for byte in random {
        // Writing to a String cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    let snippet = snippet(gateway, &inside(gateway), &token);
    let entries = [(API_KEY_ENTRY, token), (SNIPPET_ENTRY, snippet)];
    Secret {
        type_: Some("Opaque".to_owned()),
        data: Some(entries.map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes()))).into()),
        ..secret_of_api_key(gateway)
    }
}

/// What we keep in shape of that Secret, which is all but the key: that may be another by now. While there is no way in
/// from outside, the snippet tells of the one from inside. The uid makes the API server refuse to create a Secret
/// without a key in case it has been deleted since.
pub fn kept_of_api_key(gateway: &Gateway, endpoints: &Endpoints, existing: &OwnSecret) -> Option<Secret> {
    let Keys::Made { uid } = &gateway.keys else { return None };
    let inside = inside(gateway);
    let (tcp, tcp_tls) = match &endpoints.tcp {
        Some(_) => (endpoints.tcp.clone(), endpoints.tcp_tls),
        None => (inside.tcp, inside.tcp_tls),
    };
    let websocket = endpoints.websocket.clone().or(inside.websocket);
    let known = Endpoints { websocket, tcp, tcp_tls, oob: None };
    let snippet = existing.text(API_KEY_ENTRY).map(|key| snippet(gateway, &known, key.trim()));
    let mut secret = secret_of_api_key(gateway);
    secret.metadata.uid = Some(uid.clone());
    secret.data =
        snippet.map(|text| BTreeMap::from([(SNIPPET_ENTRY.to_owned(), ByteString(text.into_bytes()))]));
    Some(secret)
}

fn secret_of_api_key(gateway: &Gateway) -> Secret {
    Secret { metadata: metadata(gateway, api_key_name(&gateway.key.name)), ..Default::default() }
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
