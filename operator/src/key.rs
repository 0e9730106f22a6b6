//! Namespace and name of an object.

use std::fmt;

use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use mudgateway_crds::MudGateway;

/// A `MudGateway`, or what stands in its place when it cannot be decoded.
pub type Guarded = DeserializeGuard<MudGateway>;

/// Namespace and name of a namespaced object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// A key of its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object.
    pub fn of(object: &impl Resource) -> Self {
        let meta = object.meta();
        Self::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    }

    /// The key in a reference.
    pub fn of_ref(reference: &ObjectRef<Guarded>) -> Self {
        Self::new(reference.namespace.clone().unwrap_or_default(), &reference.name)
    }

    /// The reference under which the store knows the `MudGateway` of this key.
    pub fn to_ref(&self) -> ObjectRef<Guarded> {
        ObjectRef::new(&self.name).within(&self.namespace)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
