//! Secrets, made and read as text.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::harness::Space;

/// Makes one.
pub async fn add(space: &Space, name: &str, entries: Value) {
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": name}, "stringData": entries})).unwrap();
    space.api().create(&PostParams::default(), &secret).await.unwrap();
}

/// What is in one.
pub fn text(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.clone().unwrap();
    data.into_iter().map(|(entry, text)| (entry, String::from_utf8(text.0).unwrap())).collect()
}
