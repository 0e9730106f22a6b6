//! What a request is about, by its path.

use std::collections::BTreeMap;

use serde_json::Value;

/// An object, a part of one, or a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    /// The API group and version, such as `apps/v1`.
    pub(crate) group: String,
    /// Empty: all, or none.
    pub(crate) namespace: String,
    pub(crate) resource: String,
    /// Empty: a collection.
    pub(crate) name: String,
    /// A subresource; empty: the object itself.
    pub(crate) part: String,
}

impl Target {
    /// An object in a namespace.
    pub(crate) fn new(group: &str, namespace: &str, resource: &str, name: &str) -> Self {
        let [group, namespace, resource, name] = [group, namespace, resource, name].map(str::to_owned);
        Self { group, namespace, resource, name, part: String::new() }
    }

    /// What a path is about.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let mut parts = path.trim_matches('/').split('/');
        let group = match parts.next()? {
            "api" => parts.next()?.to_owned(),
            "apis" => format!("{}/{}", parts.next()?, parts.next()?),
            _ => return None,
        };
        let mut target = Self { group, ..Self::default() };
        let mut next = || parts.next().unwrap_or_default().to_owned();
        target.resource = next();
        if target.resource == "namespaces" {
            target.namespace = next();
            target.resource = next();
        }
        (target.name, target.part) = (next(), next());
        Some(target)
    }

    /// The object that this is, or is a part of.
    pub(crate) fn whole(&self) -> Self {
        Self { part: String::new(), ..self.clone() }
    }

    /// Such as `mudgateways/status`.
    pub(crate) fn resource_and_part(&self) -> String {
        if self.part.is_empty() { self.resource.clone() } else { format!("{}/{}", self.resource, self.part) }
    }

    /// Nobody installed that here, unless there is a Gateway.
    pub(crate) fn is_gateway_api(&self) -> bool {
        self.group.starts_with("gateway.networking.k8s.io")
    }
}

/// The labels of an object.
pub(crate) fn labels_of(object: &Value) -> BTreeMap<String, String> {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// Whether labels are what a selector of equalities asks for.
pub(crate) fn matches(selector: &str, labels: &BTreeMap<String, String>) -> bool {
    selector.split(',').filter(|part| !part.is_empty()).all(|part| match part.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|found| found == value.trim_start_matches('=')),
        None => labels.contains_key(part),
    })
}
