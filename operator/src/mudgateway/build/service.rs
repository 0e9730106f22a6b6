//! The Service that the mud connects to.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use mudgateway_crds::mudgateway::ServiceType;

use super::{TCP_PORT, WEBSOCKET_PORT, metadata, selector_labels};
use crate::mudgateway::validate::Gateway;

/// Named like the MudGateway itself, for this is the name that ends up in the configuration of the mud.
pub(super) fn service(gateway: &Gateway) -> Service {
    let exposed = gateway.spec.expose.service.as_ref();
    let type_ = match exposed.map(|exposed| exposed.type_) {
        None => "ClusterIP",
        Some(ServiceType::NodePort) => "NodePort",
        Some(ServiceType::LoadBalancer) => "LoadBalancer",
    };
    let mut metadata = metadata(gateway, gateway.key.name.clone());
    if let Some(exposed) = exposed.filter(|exposed| !exposed.annotations.is_empty()) {
        let annotations = exposed.annotations.iter();
        metadata.annotations =
            Some(annotations.map(|(name, value)| (name.clone(), value.0.clone())).collect());
    }
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(type_.to_owned()),
            load_balancer_class: exposed.and_then(|exposed| exposed.load_balancer_class.clone()),
            selector: Some(selector_labels(gateway)),
            ports: Some(ports(gateway)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What is served, and nothing else.
fn ports(gateway: &Gateway) -> Vec<ServicePort> {
    let spec = &gateway.spec;
    let websocket = spec.api.websocket.enabled.then(|| port("websocket", WEBSOCKET_PORT.into()));
    let tcp = spec.api.tcp.enabled.then(|| port("tcp", TCP_PORT.into()));
    let oob = spec.oob.as_ref().map(|oob| port("oob", oob.port));
    [websocket, tcp, oob].into_iter().flatten().collect()
}

fn port(name: &str, port: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..Default::default()
    }
}
