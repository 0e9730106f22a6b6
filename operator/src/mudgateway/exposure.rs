//! Where the mud connects to, from what the API server says of the objects that lead there. Pure.

use k8s_openapi::api::core::v1::Service;
use mudgateway_crds::mudgateway::{ExposeGateway, ExposeService, ServiceType};
use mudgateway_crds::status::{Endpoints, Reason};

use super::apply::RouteOutcome;
use super::build::{TCP_PORT, WEBSOCKET_PATH, WEBSOCKET_PORT};
use super::children::Kind;
use super::gateway_api::{Edge, Gateway as EdgeGateway, Listener, RouteState};
use super::validate::Gateway;

/// Where the mud connects to, and what is wrong with the way there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// The addresses, as far as they are known.
    pub endpoints: Endpoints,
    /// The first thing that is wrong.
    pub problem: Option<Problem>,
}

/// What is wrong with the way to the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Why, in one word.
    pub reason: Reason,
    /// Why, for a person, and what to do.
    pub message: String,
}

impl Problem {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The addresses of a gateway whose objects are applied.
pub fn exposure(gateway: &Gateway, service: &Service, routes: &[(Kind, RouteOutcome)]) -> Exposure {
    let expose = &gateway.spec.expose;
    let mut exposure = Exposure { endpoints: inside(gateway), problem: None };
    if let Some((endpoint, holder)) = &gateway.taken {
        let message = format!(
            "{endpoint} is that of the older MudGateway {holder}: choose another in spec.expose, or delete one of the two"
        );
        fail(&mut exposure, Problem::new(Reason::EndpointConflict, message));
    } else if let Some(exposed) = &expose.service {
        by_service(gateway, exposed, service, &mut exposure);
    } else if let Some(exposed) = &expose.gateway {
        by_gateway(gateway, exposed, routes, &mut exposure);
    } else if let Some(exposed) = &expose.ingress {
        let scheme = if exposed.tls_secret_name.is_some() { "wss" } else { "ws" };
        exposure.endpoints.websocket = Some(format!("{scheme}://{}{WEBSOCKET_PATH}", exposed.host));
        exposure.problem = by_ingress(gateway, routes);
    }
    exposure
}

/// What keeps an Ingress from leading to the API.
fn by_ingress(gateway: &Gateway, routes: &[(Kind, RouteOutcome)]) -> Option<Problem> {
    if let Some(secret) = &gateway.lacks.ingress_tls {
        let message = format!(
            "Secret {secret} has no entries \"tls.crt\" and \"tls.key\", or does not exist: create it in this \
             namespace, or change spec.expose.ingress.tlsSecretName"
        );
        return Some(Problem::new(Reason::SecretNotFound, message));
    }
    let taken = (Kind::Ingress, RouteOutcome::Applied(RouteState::Accepted));
    (!routes.contains(&taken)).then(|| {
        let message = format!(
            "Ingress {} has no address yet: see whether a controller runs that takes its class, and tells the addresses \
             of Ingresses in their status",
            Kind::Ingress.name_for(&gateway.key.name)
        );
        Problem::new(Reason::AddressPending, message)
    })
}

/// By the Service, from inside the cluster.
pub fn inside(gateway: &Gateway) -> Endpoints {
    let host = format!("{}.{}.svc", gateway.key.name, gateway.key.namespace);
    let oob = gateway.spec.oob.as_ref().map(|oob| format!("{host}:{}", oob.port));
    Endpoints { oob, ..at(gateway, &host, WEBSOCKET_PORT.into(), TCP_PORT.into()) }
}

/// At a host that leads to the ports as they are.
fn at(gateway: &Gateway, host: &str, websocket: i32, tcp: i32) -> Endpoints {
    let api = &gateway.spec.api;
    let scheme = if api.tls.is_some() { "wss" } else { "ws" };
    let host = bracketed(host);
    Endpoints {
        websocket: api.websocket.enabled.then(|| format!("{scheme}://{host}:{websocket}{WEBSOCKET_PATH}")),
        tcp: api.tcp.enabled.then(|| format!("{host}:{tcp}")),
        tcp_tls: api.tls.is_some(),
        oob: None,
    }
}

/// An IPv6 address needs brackets before a port.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn by_service(gateway: &Gateway, exposed: &ExposeService, service: &Service, exposure: &mut Exposure) {
    let node_ports = exposed.type_ == ServiceType::NodePort;
    let host = exposed.host.clone().or_else(|| balancer_address(service).filter(|_| !node_ports));
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
    let port = |name: &str| {
        let port = ports?.iter().find(|port| port.name.as_deref() == Some(name))?;
        if node_ports { port.node_port } else { Some(port.port) }
    };
    let oob = exposure.endpoints.oob.take();
    let Some(host) = host else {
        exposure.endpoints = Endpoints { oob, ..Endpoints::default() };
        exposure.problem = Some(Problem::new(
            Reason::AddressPending,
            "the load balancer of the Service has no address yet: see the events of the Service, or name the address in \
             spec.expose.service.host",
        ));
        return;
    };
    let mut found = at(gateway, &host, 0, 0);
    found.websocket = found.websocket.and_then(|_| at(gateway, &host, port("websocket")?, 0).websocket);
    found.tcp = found.tcp.and_then(|_| at(gateway, &host, 0, port("tcp")?).tcp);
    found.oob = port("oob").map(|port| format!("{}:{port}", bracketed(&host)));
    exposure.endpoints = found;
}

fn balancer_address(service: &Service) -> Option<String> {
    let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
    ingress.hostname.clone().or_else(|| ingress.ip.clone())
}

fn by_gateway(
    gateway: &Gateway,
    exposed: &ExposeGateway,
    routes: &[(Kind, RouteOutcome)],
    exposure: &mut Exposure,
) {
    let name = &exposed.parent_ref.name;
    let edge = match &gateway.edge {
        Edge::Found(edge) => edge,
        Edge::ApiMissing => return fail(exposure, gateway_api_missing("Gateway")),
        Edge::NotFound | Edge::NotAsked => {
            let message =
                format!("Gateway {name} does not exist: create it, or correct spec.expose.gateway.parentRef");
            return fail(exposure, Problem::new(Reason::GatewayNotFound, message));
        }
        Edge::Forbidden => {
            let message = format!(
                "the operator may not read Gateway {name}: let its ServiceAccount get gateways in that namespace"
            );
            return fail(exposure, Problem::new(Reason::GatewayNotFound, message));
        }
    };
    match addresses(gateway, exposed, edge) {
        Ok(endpoints) => exposure.endpoints = Endpoints { oob: exposure.endpoints.oob.take(), ..endpoints },
        Err(problem) => return fail(exposure, problem),
    }
    exposure.problem = routes.iter().find_map(|(kind, outcome)| refused(name, *kind, outcome));
}

fn fail(exposure: &mut Exposure, problem: Problem) {
    exposure.endpoints = Endpoints { oob: exposure.endpoints.oob.take(), ..Endpoints::default() };
    exposure.problem = Some(problem);
}

fn gateway_api_missing(kind: &str) -> Problem {
    let message = format!(
        "the cluster does not know the kind {kind} of the Gateway API: install the Gateway API's definitions, or expose \
         the MudGateway in another way"
    );
    Problem::new(Reason::GatewayApiMissing, message)
}

fn refused(gateway: &str, kind: Kind, outcome: &RouteOutcome) -> Option<Problem> {
    let kind = kind.as_str();
    match outcome {
        RouteOutcome::KindMissing => Some(gateway_api_missing(kind)),
        RouteOutcome::Applied(RouteState::Accepted) => None,
        RouteOutcome::Applied(RouteState::Pending) => Some(Problem::new(
            Reason::RouteNotAccepted,
            format!(
                "Gateway {gateway} has not taken the {kind} yet: see whether its controller runs and takes this kind"
            ),
        )),
        RouteOutcome::Applied(RouteState::Refused(why)) => Some(Problem::new(
            Reason::RouteNotAccepted,
            format!("Gateway {gateway} does not take the {kind}: {why}"),
        )),
    }
}

/// The addresses that lead through a Gateway.
fn addresses(gateway: &Gateway, exposed: &ExposeGateway, edge: &EdgeGateway) -> Result<Endpoints, Problem> {
    let api = &gateway.spec.api;
    let mut endpoints = Endpoints::default();
    if api.websocket.enabled {
        let listener = edge.http(exposed.hostname.as_deref(), exposed.section_name.as_deref());
        let listener =
            listener.ok_or_else(|| no_listener(exposed, "HTTP or HTTPS", exposed.section_name.as_deref()))?;
        let host = host(exposed, edge, listener)?;
        let (scheme, usual) = if listener.protocol == "HTTPS" { ("wss", 443) } else { ("ws", 80) };
        let port = if listener.port == usual { String::new() } else { format!(":{}", listener.port) };
        endpoints.websocket = Some(format!("{scheme}://{host}{port}{}", exposed.path));
    }
    let section = exposed.tcp_section.as_deref().or(exposed.tls_section.as_deref());
    if let Some(section) = section.filter(|_| api.tcp.enabled) {
        let listener =
            edge.listener(section).ok_or_else(|| no_listener(exposed, "TCP or TLS", Some(section)))?;
        endpoints.tcp = Some(format!("{}:{}", host(exposed, edge, listener)?, listener.port));
        endpoints.tcp_tls = listener.ends_tls() || api.tls.is_some();
    } else if api.tcp.enabled {
        let inside = inside(gateway);
        (endpoints.tcp, endpoints.tcp_tls) = (inside.tcp, inside.tcp_tls);
    }
    Ok(endpoints)
}

fn host(exposed: &ExposeGateway, edge: &EdgeGateway, listener: &Listener) -> Result<String, Problem> {
    let named = exposed.hostname.as_deref().or(listener.exact_hostname());
    named.or(edge.address.as_deref()).map(bracketed).ok_or_else(|| {
        let message = format!(
            "Gateway {} has no address yet: wait for it, or name the host in spec.expose.gateway.hostname",
            exposed.parent_ref.name
        );
        Problem::new(Reason::AddressPending, message)
    })
}

fn no_listener(exposed: &ExposeGateway, protocol: &str, section: Option<&str>) -> Problem {
    let named = section.map(|section| format!(" named {section}")).unwrap_or_default();
    let hostname = exposed.hostname.as_deref().map(|name| format!(" for {name}")).unwrap_or_default();
    let message = format!(
        "Gateway {} has no listener of protocol {protocol}{named}{hostname}: add it, or correct spec.expose.gateway",
        exposed.parent_ref.name
    );
    Problem::new(Reason::GatewayNotFound, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::key::Key;
    use crate::mudgateway::dereference::Facts;
    use crate::mudgateway::validate::validate;
    use crate::testing::{gateway, settings};

    fn exposed(expose: Value, edge: Edge) -> Gateway {
        let mut object = gateway("tenant-a", "luminari", "LuminariMUD");
        object.spec.expose = serde_json::from_value(expose).unwrap();
        let facts = Facts { edge, ..Facts::default() };
        validate(&Key::of(&object), &object, &facts, &settings()).unwrap()
    }

    fn service(status: Value) -> Service {
        serde_json::from_value(json!({
            "spec": {"ports": [
                {"name": "websocket", "port": 8080, "nodePort": 30080},
                {"name": "tcp", "port": 8081, "nodePort": 30081},
            ]},
            "status": status,
        }))
        .unwrap()
    }

    fn edge() -> Edge {
        Edge::Found(EdgeGateway::read(&json!({
            "spec": {"listeners": [
                {"name": "http", "port": 80, "protocol": "HTTP"},
                {"name": "https", "port": 8443, "protocol": "HTTPS", "hostname": "*.muds.example"},
                {"name": "mud", "port": 7001, "protocol": "TCP"},
                {"name": "tls", "port": 7443, "protocol": "TLS", "tls": {"mode": "Passthrough"}},
            ]},
            "status": {"addresses": [{"value": "2001:db8::9"}]},
        })))
    }

    fn both(exposure: &Exposure) -> (Option<&str>, Option<&str>) {
        (exposure.endpoints.websocket.as_deref(), exposure.endpoints.tcp.as_deref())
    }

    fn reason(exposure: &Exposure) -> Option<Reason> {
        exposure.problem.as_ref().map(|problem| problem.reason)
    }

    #[test]
    fn inside_the_cluster_by_the_service() {
        let exposure = exposure(&exposed(json!({}), Edge::NotAsked), &service(json!({})), &[]);
        let expected = (Some("ws://luminari.tenant-a.svc:8080/ws"), Some("luminari.tenant-a.svc:8081"));
        assert_eq!((both(&exposure), reason(&exposure)), (expected, None));
    }

    #[test]
    fn by_a_load_balancer_once_it_has_an_address() {
        let gateway = exposed(json!({"service": {"type": "LoadBalancer"}}), Edge::NotAsked);
        let pending = exposure(&gateway, &service(json!({})), &[]);
        assert_eq!((both(&pending), reason(&pending)), ((None, None), Some(Reason::AddressPending)));
        let given = |address: Value| service(json!({"loadBalancer": {"ingress": [address]}}));
        let by_ip = exposure(&gateway, &given(json!({"ip": "2001:db8::1"})), &[]);
        assert_eq!(both(&by_ip), (Some("ws://[2001:db8::1]:8080/ws"), Some("[2001:db8::1]:8081")));
        let by_name = exposure(&gateway, &given(json!({"hostname": "lb.example", "ip": "192.0.2.1"})), &[]);
        assert_eq!((both(&by_name).1, reason(&by_name)), (Some("lb.example:8081"), None));
    }

    #[test]
    fn by_the_ports_of_nodes() {
        let gateway =
            exposed(json!({"service": {"type": "NodePort", "host": "nodes.example"}}), Edge::NotAsked);
        let exposure = exposure(&gateway, &service(json!({})), &[]);
        assert_eq!(both(&exposure), (Some("ws://nodes.example:30080/ws"), Some("nodes.example:30081")));
    }

    #[test]
    fn by_an_ingress_for_websocket() {
        let ingress = |tls: Value| {
            let mut ingress = json!({"host": "mud.example"});
            ingress["tlsSecretName"] = tls;
            exposed(json!({"ingress": ingress}), Edge::NotAsked)
        };
        let with = |gateway: &Gateway, state: RouteState| {
            exposure(gateway, &service(json!({})), &[(Kind::Ingress, RouteOutcome::Applied(state))])
        };
        let plain = with(&ingress(json!(null)), RouteState::Accepted);
        let expected = (Some("ws://mud.example/ws"), Some("luminari.tenant-a.svc:8081"));
        assert_eq!((both(&plain), reason(&plain)), (expected, None));
        let pending = with(&ingress(json!(null)), RouteState::Pending);
        assert_eq!((both(&pending), reason(&pending)), (expected, Some(Reason::AddressPending)));
        let mut secure = ingress(json!("cert"));
        let lost = with(&secure, RouteState::Accepted);
        assert_eq!(
            (both(&lost).0, reason(&lost)),
            (Some("wss://mud.example/ws"), Some(Reason::SecretNotFound))
        );
        secure.lacks.ingress_tls = None;
        assert_eq!(reason(&with(&secure, RouteState::Accepted)), None);
    }

    #[test]
    fn a_way_in_that_another_has_is_not_published() {
        let mut object = gateway("tenant-a", "luminari", "LuminariMUD");
        object.spec.expose = serde_json::from_value(json!({"ingress": {"host": "mud.example"}})).unwrap();
        let (endpoint, _) = crate::mudgateway::endpoints("tenant-a", &object.spec).remove(0);
        let facts = Facts { taken: Some((endpoint, Key::new("tenant-b", "other"))), ..Facts::default() };
        let gateway = validate(&Key::of(&object), &object, &facts, &settings()).unwrap();
        assert!(!crate::mudgateway::build::kinds(&gateway.spec).contains(&Kind::Ingress));
        let exposure = exposure(&gateway, &service(json!({})), &[]);
        assert_eq!((both(&exposure), reason(&exposure)), ((None, None), Some(Reason::EndpointConflict)));
        let message = exposure.problem.unwrap().message;
        assert!(
            message
                .contains("the host mud.example of Ingresses is that of the older MudGateway tenant-b/other")
        );
    }

    #[test]
    fn by_a_gateway_as_its_listeners_say() {
        let by = |more: Value, routes: &[(Kind, RouteOutcome)]| {
            let mut expose = json!({"parentRef": {"name": "edge"}});
            expose.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            exposure(&exposed(json!({"gateway": expose}), edge()), &service(json!({})), routes)
        };
        let secure = by(json!({"hostname": "a.muds.example", "path": "/luminari"}), &[]);
        assert_eq!(
            both(&secure),
            (Some("wss://a.muds.example:8443/luminari"), Some("luminari.tenant-a.svc:8081"))
        );
        let plain = by(json!({"hostname": "mud.example", "tcpSection": "mud"}), &[]);
        assert_eq!(both(&plain), (Some("ws://mud.example/ws"), Some("mud.example:7001")));
        assert!(!plain.endpoints.tcp_tls);
        let address = by(json!({"sectionName": "http"}), &[]);
        assert_eq!(both(&address).0, Some("ws://[2001:db8::9]/ws"));
        let missing = by(json!({"hostname": "mud.example", "tcpSection": "none"}), &[]);
        assert_eq!((both(&missing), reason(&missing)), ((None, None), Some(Reason::GatewayNotFound)));
        let pending = by(json!({}), &[(Kind::HttpRoute, RouteOutcome::Applied(RouteState::Pending))]);
        assert_eq!(reason(&pending), Some(Reason::RouteNotAccepted));
        let refused = RouteOutcome::Applied(RouteState::Refused("no".to_owned()));
        assert_eq!(reason(&by(json!({}), &[(Kind::HttpRoute, refused)])), Some(Reason::RouteNotAccepted));
        let good = [(Kind::HttpRoute, RouteOutcome::Applied(RouteState::Accepted))];
        assert_eq!(reason(&by(json!({}), &good)), None);
        let none = by(json!({}), &[(Kind::TcpRoute, RouteOutcome::KindMissing)]);
        assert_eq!(reason(&none), Some(Reason::GatewayApiMissing));
    }

    #[test]
    fn a_gateway_that_is_not_there_is_explained() {
        let cases = [
            (Edge::ApiMissing, Reason::GatewayApiMissing),
            (Edge::NotFound, Reason::GatewayNotFound),
            (Edge::Forbidden, Reason::GatewayNotFound),
        ];
        for (edge, expected) in cases {
            let gateway = exposed(json!({"gateway": {"parentRef": {"name": "edge"}}}), edge);
            let exposure = exposure(&gateway, &service(json!({})), &[]);
            assert_eq!((both(&exposure), reason(&exposure)), ((None, None), Some(expected)));
        }
    }
}
