//! The Service that the mud connects to.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{TCP_PORT, WEBSOCKET_PORT, metadata, selector_labels};
use crate::mudgateway::validate::Gateway;

/// Named like the MudGateway itself, for this is the name that ends up in the configuration of the mud.
pub(super) fn service(gateway: &Gateway) -> Service {
    Service {
        metadata: metadata(gateway, gateway.key.name.clone()),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(selector_labels(gateway)),
            ports: Some(vec![port("websocket", WEBSOCKET_PORT), port("tcp", TCP_PORT)]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn port(name: &str, port: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: port.into(),
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..Default::default()
    }
}
