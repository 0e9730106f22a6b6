//! Why a spec cannot be carried out, in words for whoever wrote it.

use mudgateway_crds::status::Reason;

use crate::key::Key;
use crate::network::Unknown;

/// Why a spec cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The API server lets through only what the schema allows, so the definition it has is another version's.
    #[error("{0}: install the CustomResourceDefinition of this operator's version and correct the spec")]
    InvalidSpec(&'static str),
    /// Another has the name.
    #[error(
        "MudGateway {holder} is older and has the mud name {mud:?} on the network {network}: \
         use another name, or delete one of the two"
    )]
    NameConflict {
        /// The name both claim.
        mud: String,
        /// The network both claim it on.
        network: String,
        /// The older one.
        holder: Key,
    },
    /// Another namespace has the name, and no MudGateway that we see.
    #[error(
        "the mud name {mud:?} on the network {network} is of the namespace {namespace}: use another name, or have it \
         given up there: a MudGateway of that mud on that network gives it up that is deleted, or moved to another \
         network, with spec.deletionPolicy: Delete"
    )]
    NameKept {
        /// The name.
        mud: String,
        /// The network.
        network: String,
        /// Who has it.
        namespace: String,
    },
    /// The network does not exist.
    #[error("IntermudNetwork {0} does not exist: ask the provider to create it, or correct spec.networkRef")]
    NetworkNotFound(String),
    /// Nobody can say what the network is.
    #[error(transparent)]
    NetworkUnavailable(Unknown),
    /// The login for the proxy is not where the network, or the spec, says.
    #[error(
        "Secret {0} has no entries \"username\" and \"password\", or does not exist: create it in this namespace, \
         for the proxy asks for them"
    )]
    ProxyLoginNotFound(String),
    /// A Secret is not what the spec says.
    #[error(
        "Secret {name} has no entry {entry:?}, or does not exist: create it in this namespace, or change {field}"
    )]
    SecretNotFound {
        /// The name of the Secret.
        name: String,
        /// What it should hold.
        entry: String,
        /// Where the spec refers to it.
        field: &'static str,
    },
    /// The API key we made is gone from its Secret.
    #[error("Secret {0} has lost its entry \"token\": delete the Secret, and the operator makes a new one")]
    ApiKeyLost(String),
    /// The image is not one that we may run.
    #[error(
        "the image {0} is not allowed: remove spec.image to use the operator's own, \
         or have the operator's admin allow it (gateway.allowedImages in the chart)"
    )]
    ImageNotAllowed(String),
    /// An object of a name we need belongs to someone else.
    #[error(
        "{kind} {name} exists and does not belong to this MudGateway: remove it, or rename the MudGateway"
    )]
    ObjectExists {
        /// The kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

impl Rejection {
    /// The reason as it stands in conditions, events and logs.
    pub fn reason(&self) -> Reason {
        match self {
            Self::InvalidSpec(_) => Reason::InvalidSpec,
            Self::NameConflict { .. } | Self::NameKept { .. } => Reason::NameConflict,
            Self::NetworkNotFound(_) => Reason::NetworkNotFound,
            Self::NetworkUnavailable(_) => Reason::NetworkUnavailable,
            Self::SecretNotFound { .. } | Self::ApiKeyLost(_) | Self::ProxyLoginNotFound(_) => {
                Reason::SecretNotFound
            }
            Self::ImageNotAllowed(_) => Reason::ImageNotAllowed,
            Self::ObjectExists { .. } => Reason::ObjectExists,
        }
    }
}
