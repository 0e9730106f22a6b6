//! What is wrong about the ways in.

use serde_json::{Value, json};

use super::{OBJECT_NAME, Row, row};
use crate::harness::merge;

const DNS_NAME: &str = "write a host name in lower case, such as luminari.muds.example: no wildcard";

/// Each with its correct twin, in a MudGateway.
pub(super) fn rows() -> Vec<Row> {
    let service = |wrong: Value, field, words| {
        row("/expose/service", wrong, json!({"type": "NodePort", "host": "muds.example"}), field, words)
    };
    let ingress = |wrong: Value, field, words| {
        row("/expose/ingress", wrong, json!({"host": "mud.example", "className": "edge"}), field, words)
    };
    let gateway = |more: Value, field, words| {
        let parent = json!({"parentRef": {"name": "edge", "namespace": "infra"}});
        let (mut wrong, mut right) = (parent.clone(), parent);
        merge(&mut wrong, more);
        merge(&mut right, json!({"hostname": "mud.example", "path": "/a/b", "tcpSection": "muds"}));
        row("/expose/gateway", wrong, right, field, words)
    };
    let at_ingress = json!({"expose": {"ingress": {"host": "a.example"}}});
    let at_gateway = json!({"expose": {"gateway": {"parentRef": {"name": "edge"}, "tcpSection": "muds"}}});
    let tls = json!({"secretName": "cert"});
    vec![
        row(
            "/expose",
            json!({"ingress": {"host": "a.example"}, "service": {"type": "LoadBalancer"}}),
            json!({"service": {"type": "LoadBalancer", "loadBalancerClass": "example.net/inside"}}),
            "spec.expose",
            "takes one of service, gateway and ingress: remove the others",
        ),
        service(json!({"type": "ClusterIP"}), "spec.expose.service.type", "supported values: \"NodePort\""),
        service(
            json!({"type": "NodePort"}),
            "spec.expose.service.host",
            "name the address under which clients reach your nodes",
        ),
        service(
            json!({"type": "NodePort", "host": "muds example"}),
            "spec.expose.service.host",
            "write a host name or an IP address alone, such as muds.example",
        ),
        service(
            json!({"type": "NodePort", "host": "h", "loadBalancerClass": "x"}),
            "spec.expose.service.loadBalancerClass",
            "is for type LoadBalancer only: remove it, or change the type",
        ),
        service(
            json!({"type": "LoadBalancer", "loadBalancerClass": "X"}),
            "spec.expose.service.loadBalancerClass",
            "write the class as its provider documents it",
        ),
        ingress(json!({}), "spec.expose.ingress.host", "Required value"),
        ingress(json!({"host": "A.example"}), "spec.expose.ingress.host", DNS_NAME),
        ingress(json!({"host": "a.example", "className": "E"}), "spec.expose.ingress.className", OBJECT_NAME),
        ingress(
            json!({"host": "a.example", "tlsSecretName": "E"}),
            "spec.expose.ingress.tlsSecretName",
            OBJECT_NAME,
        ),
        row(
            "/expose/gateway",
            json!({}),
            json!({"parentRef": {"name": "edge"}}),
            "spec.expose.gateway.parentRef",
            "Required value",
        ),
        gateway(json!({"parentRef": {"name": "E"}}), "spec.expose.gateway.parentRef.name", OBJECT_NAME),
        gateway(
            json!({"parentRef": {"namespace": "a.b"}}),
            "spec.expose.gateway.parentRef.namespace",
            "write the name of the namespace",
        ),
        gateway(json!({"path": "ws"}), "spec.expose.gateway.path", "begin the path with '/'"),
        gateway(json!({"path": "/ws/"}), "spec.expose.gateway.path", "do not end it with one"),
        gateway(json!({"hostname": "*.example"}), "spec.expose.gateway.hostname", DNS_NAME),
        gateway(json!({"sectionName": "Web"}), "spec.expose.gateway.sectionName", OBJECT_NAME),
        gateway(
            json!({"tcpSection": "a", "tlsSection": "b"}),
            "spec.expose.gateway",
            "takes tcpSection or tlsSection, not both",
        ),
        gateway(
            json!({"tlsSection": "b"}),
            "spec.expose.gateway.tlsSection",
            "set spec.api.tls and expose.gateway.hostname",
        ),
        row(
            "/api/tcp",
            json!({"enabled": false}),
            json!({"enabled": true}),
            "spec.expose.gateway",
            "set spec.api.tcp.enabled to true, or remove tcpSection and tlsSection",
        )
        .beside(at_gateway.clone()),
        row(
            "/api/tls",
            tls.clone(),
            Value::Null,
            "spec.api.tls",
            "remove spec.api.tls, or set spec.api.websocket.enabled to false",
        )
        .beside(at_gateway),
        row(
            "/api/tls",
            tls,
            Value::Null,
            "spec.api.tls",
            "remove spec.api.tls, and give the certificate to spec.expose.ingress.tlsSecretName",
        )
        .beside(at_ingress.clone()),
        row(
            "/api/websocket",
            json!({"enabled": false}),
            json!({"enabled": true}),
            "spec.expose.ingress",
            "set spec.api.websocket.enabled to true, or expose the TCP API by a service or gateway",
        )
        .beside(at_ingress),
    ]
}
