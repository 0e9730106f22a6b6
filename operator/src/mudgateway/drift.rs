//! Whether an object is still as we would apply it, so that nothing needs to be written. Pure.
//!
//! Two things must hold. What we applied last is what we would apply now: a hash of it stands in an annotation of the
//! object. And nobody has touched any of that since: the API server keeps for each field who set it, and takes a field
//! away from us when somebody else changes or removes it. So the object is as we applied it while every field of ours
//! is still ours. That holds whatever defaults the API server adds, for those are never ours; and where it cannot be
//! told, the object is applied, which changes nothing if there is nothing to change.

use std::fmt::Write;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::context::FIELD_MANAGER;

/// The annotation with the hash of what was applied last.
const APPLIED_HASH: &str = "intermud.dev/applied-hash";

/// Where the managed fields have the owners.
const OWNERS: &str = "f:ownerReferences";

/// The parts of the metadata that are applied and not only name the object.
const APPLIED_METADATA: [&str; 4] = ["annotations", "finalizers", "labels", "ownerReferences"];

/// An object as it is to be applied, with its hash in it.
///
/// # Errors
/// When it has no form in JSON.
pub fn sealed(object: &impl Serialize) -> Result<Value, serde_json::Error> {
    let mut object = serde_json::to_value(object)?;
    let hash = digest(&object.to_string());
    object["metadata"]["annotations"][APPLIED_HASH] = hash.into();
    Ok(object)
}

/// Tells one text from another.
pub fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(16).fold(String::with_capacity(32), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What an object bears of having been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The hash of what was applied last.
    hash: String,
    /// Which owners we set. They are named by their uids, so this differs from object to object.
    owners: Box<str>,
    /// Which other fields we set, in objects that were made alike the same. As text they take a tenth of what they take
    /// as a tree.
    pub fields: Arc<str>,
}

impl Mark {
    /// That of an object, if we applied it.
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        let hash = metadata.annotations.as_ref()?.get(APPLIED_HASH)?.clone();
        let entry = metadata.managed_fields.iter().flatten().find(|entry| is_ours(entry))?;
        let FieldsV1(mut fields) = entry.fields_v1.clone()?;
        let metadata = fields.get_mut("f:metadata").and_then(Value::as_object_mut);
        let owners = metadata.and_then(|metadata| metadata.remove(OWNERS));
        let owners = owners.unwrap_or_default().to_string().into();
        Some(Self { hash, owners, fields: fields.to_string().into() })
    }

    /// The fields that are ours.
    fn fields(&self) -> Option<Map<String, Value>> {
        let mut fields: Map<String, Value> = serde_json::from_str(&self.fields).ok()?;
        if let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_object_mut) {
            metadata.insert(OWNERS.to_owned(), serde_json::from_str(&self.owners).ok()?);
        }
        Some(fields)
    }
}

/// Whether the object with this mark is as applying this [`sealed`] one would make it.
pub fn is_applied(sealed: &Value, mark: &Mark) -> bool {
    sealed["metadata"]["annotations"][APPLIED_HASH].as_str() == Some(&mark.hash)
        && mark.fields().is_some_and(|fields| owns_object(&fields, sealed))
}

/// The same, where only metadata is applied, to an object that was created otherwise. All of it can be compared.
pub fn is_applied_metadata(sealed: &Value, metadata: &ObjectMeta) -> bool {
    let Ok(live) = serde_json::to_value(metadata) else { return false };
    APPLIED_METADATA.iter().all(|part| match &sealed["metadata"][part] {
        Value::Null => true,
        Value::Object(entries) => entries.iter().all(|(name, value)| live[part].get(name) == Some(value)),
        Value::Array(items) => {
            items.iter().all(|item| live[part].as_array().is_some_and(|live| live.contains(item)))
        }
        _ => false,
    })
}

/// Whether an entry is about what we apply, and not about a subresource such as the status. Other writes than applying
/// count the parents of fields, too, and then the loss of all fields looks like a field of its own.
fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

fn owns_object(fields: &Map<String, Value>, object: &Value) -> bool {
    let Some(object) = object.as_object() else { return false };
    object.iter().all(|(name, value)| match name.as_str() {
        "apiVersion" | "kind" => true,
        "metadata" => APPLIED_METADATA.iter().all(|part| {
            value.get(part).is_none_or(|value| {
                let metadata = fields.get("f:metadata").and_then(Value::as_object);
                metadata.is_some_and(|metadata| owns_field(metadata, part, value))
            })
        }),
        _ => owns_field(fields, name, value),
    })
}

fn owns_field(fields: &Map<String, Value>, name: &str, value: &Value) -> bool {
    fields.get(&format!("f:{name}")).is_some_and(|fields| owns(fields, value))
}

/// Whether all of a value is ours. Fields without parts of their own are one thing, such as a number or an atomic list.
fn owns(fields: &Value, value: &Value) -> bool {
    let Some(fields) = fields.as_object() else { return false };
    if fields.is_empty() {
        return true;
    }
    match value {
        Value::Object(parts) => parts.iter().all(|(name, value)| owns_field(fields, name, value)),
        Value::Array(items) => items.iter().all(|item| owns_item(fields, item)),
        _ => false,
    }
}

/// Whether an item of a list is ours: `k:{…}` names it by some of its fields, `v:…` by itself.
fn owns_item(fields: &Map<String, Value>, item: &Value) -> bool {
    if !item.is_object() {
        return fields.contains_key(&format!("v:{item}"));
    }
    let names = |key: &str| {
        let key = key.strip_prefix("k:").and_then(|key| serde_json::from_str::<Map<_, _>>(key).ok());
        key.is_some_and(|key| key.iter().all(|(name, value)| item.get(name) == Some(value)))
    };
    fields.iter().any(|(key, fields)| names(key) && owns(fields, item))
}

#[cfg(test)]
mod tests;
