//! The Kubernetes API of mudgateway, and the plain types that gateway and operator share.
//!
//! With the default feature `kube` this is the custom resource itself ([`MudGateway`]). Without it only
//! [`bus`] and [`report`] remain, which is all the gateway needs to know of the operator.

pub mod bus;
pub mod report;

#[cfg(feature = "kube")]
pub mod mudgateway;
#[cfg(feature = "kube")]
pub mod status;
#[cfg(feature = "kube")]
pub use mudgateway::{MudGateway, MudGatewaySpec};
#[cfg(feature = "kube")]
pub use status::MudGatewayStatus;
