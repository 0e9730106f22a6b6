//! The Kubernetes API of mudgateway, and the plain types that gateway and operator share.
//!
//! With the default feature `kube` these are the custom resources themselves ([`MudGateway`], [`IntermudNetwork`]). Without it only
//! [`api_key`], [`bus`], [`permit`] and [`report`] remain, which is all the gateway needs to know of the operator.

pub mod api_key;
pub mod bus;
pub mod permit;
pub mod report;
mod words;

#[cfg(feature = "kube")]
mod bound;
#[cfg(feature = "kube")]
pub mod mudgateway;
#[cfg(feature = "kube")]
pub mod network;
#[cfg(feature = "kube")]
mod rule;
#[cfg(feature = "kube")]
pub mod status;
#[cfg(feature = "kube")]
pub use mudgateway::{MudGateway, MudGatewaySpec};
#[cfg(feature = "kube")]
pub use network::{IntermudNetwork, IntermudNetworkSpec, IntermudNetworkStatus};
#[cfg(feature = "kube")]
pub use status::MudGatewayStatus;
