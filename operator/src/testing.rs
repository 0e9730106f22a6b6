//! Objects for unit tests.

use clap::Parser;
use kube::core::DeserializeGuard;
use mudgateway_crds::MudGateway;
use serde_json::json;

use crate::key::Guarded;
use crate::settings::Settings;

/// A minimal valid `MudGateway` as the API server would hand it out.
pub(crate) fn gateway(namespace: &str, name: &str, mud: &str) -> MudGateway {
    serde_json::from_value(json!({
        "apiVersion": "intermud.dev/v1alpha1",
        "kind": "MudGateway",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": format!("uid-of-{name}"),
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "mud": {"name": mud},
            "routers": [{"name": "*demo", "host": "router.example", "port": 8787}],
        },
    }))
    .unwrap()
}

/// The settings of an operator that was told only what it must be.
pub(crate) fn settings() -> Settings {
    Settings::parse_from(["operator", "--gateway-image", "gateway:1", "--nats-url", "nats://nats:4222"])
}

/// The same, as the controller sees it.
pub(crate) fn guarded(gateway: MudGateway) -> Guarded {
    DeserializeGuard(Ok(gateway))
}

/// A `MudGateway` whose spec cannot be decoded.
pub(crate) fn undecodable(namespace: &str, name: &str) -> Guarded {
    serde_json::from_value(json!({
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"mud": 5},
    }))
    .unwrap()
}
