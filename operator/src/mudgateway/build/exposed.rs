//! The ways in from outside the cluster: an Ingress, or the routes of a Gateway.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};
use kube::core::DynamicObject;
use mudgateway_crds::mudgateway::ExposeGateway;
use serde_json::{Value, json};

use super::{TCP_PORT, WEBSOCKET_PATH, WEBSOCKET_PORT, metadata, workload_name};
use crate::mudgateway::children::Kind;
use crate::mudgateway::validate::Gateway;

/// Contour answers a WebSocket with 403 where the Ingress does not say that its path is one. To others it means nothing.
const CONTOUR_WEBSOCKET: (&str, &str) = ("projectcontour.io/websocket-routes", WEBSOCKET_PATH);

pub(super) fn ingress(gateway: &Gateway) -> Option<Ingress> {
    let exposed = gateway.spec.expose.ingress.as_ref()?;
    let mut metadata = metadata(gateway, workload_name(&gateway.key.name));
    let (name, path) = CONTOUR_WEBSOCKET;
    let mut annotations = BTreeMap::from([(name.to_owned(), path.to_owned())]);
    annotations.extend(exposed.annotations.iter().map(|(name, value)| (name.clone(), value.0.clone())));
    metadata.annotations = Some(annotations);
    let backend = IngressServiceBackend {
        name: gateway.key.name.clone(),
        port: Some(ServiceBackendPort { number: Some(WEBSOCKET_PORT.into()), name: None }),
    };
    let path = HTTPIngressPath {
        path: Some(WEBSOCKET_PATH.to_owned()),
        path_type: "Prefix".to_owned(),
        backend: IngressBackend { service: Some(backend), ..Default::default() },
    };
    let tls = exposed.tls_secret_name.as_ref().map(|secret| {
        vec![IngressTLS { hosts: Some(vec![exposed.host.clone()]), secret_name: Some(secret.clone()) }]
    });
    Some(Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: exposed.class_name.clone(),
            rules: Some(vec![IngressRule {
                host: Some(exposed.host.clone()),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls,
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// The WebSocket by an HTTPRoute.
pub(super) fn http_route(gateway: &Gateway) -> Option<DynamicObject> {
    let exposed = gateway.spec.expose.gateway.as_ref().filter(|_| gateway.spec.api.websocket.enabled)?;
    let mut rule = json!({
        "matches": [{"path": {"type": "Exact", "value": exposed.path}}],
        "backendRefs": [backend(gateway, WEBSOCKET_PORT)],
        // A WebSocket is one request that lasts for days.
        "timeouts": {"request": "0s"},
    });
    if exposed.path != WEBSOCKET_PATH {
        rule["filters"] = json!([{
            "type": "URLRewrite",
            "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": WEBSOCKET_PATH}},
        }]);
    }
    Some(route(
        gateway,
        Kind::HttpRoute,
        exposed,
        exposed.section_name.as_deref(),
        exposed.hostname.as_deref(),
        rule,
    ))
}

/// The TCP API by a TCPRoute from a listener of its own.
pub(super) fn tcp_route(gateway: &Gateway) -> Option<DynamicObject> {
    let exposed = gateway.spec.expose.gateway.as_ref()?;
    let section = exposed.tcp_section.as_deref().filter(|_| gateway.spec.api.tcp.enabled)?;
    let rule = json!({"backendRefs": [backend(gateway, TCP_PORT)]});
    Some(route(gateway, Kind::TcpRoute, exposed, Some(section), None, rule))
}

/// The TCP API under TLS, by the host name of its handshake, from a listener that many share.
pub(super) fn tls_route(gateway: &Gateway) -> Option<DynamicObject> {
    let exposed = gateway.spec.expose.gateway.as_ref()?;
    let section = exposed.tls_section.as_deref().filter(|_| gateway.spec.api.tcp.enabled)?;
    let rule = json!({"backendRefs": [backend(gateway, TCP_PORT)]});
    Some(route(gateway, Kind::TlsRoute, exposed, Some(section), exposed.hostname.as_deref(), rule))
}

fn route(
    gateway: &Gateway,
    kind: Kind,
    exposed: &ExposeGateway,
    section: Option<&str>,
    hostname: Option<&str>,
    rule: Value,
) -> DynamicObject {
    let mut parent = json!({"name": exposed.parent_ref.name});
    parent["namespace"] = exposed.parent_ref.namespace.as_deref().unwrap_or(&gateway.key.namespace).into();
    if let Some(section) = section {
        parent["sectionName"] = section.into();
    }
    let mut spec = json!({"parentRefs": [parent], "rules": [rule]});
    if let Some(hostname) = hostname {
        spec["hostnames"] = json!([hostname]);
    }
    let name = kind.name_for(&gateway.key.name);
    let mut object = DynamicObject::new(&name, &kind.resource()).data(json!({"spec": spec}));
    object.metadata = metadata(gateway, name);
    object
}

fn backend(gateway: &Gateway, port: u16) -> Value {
    json!({"name": gateway.key.name, "port": port})
}
