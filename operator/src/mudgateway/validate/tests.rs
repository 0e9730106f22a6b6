use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::ByteString;
use mudgateway_crds::status::Reason;
use serde_json::json;

use super::*;
use crate::mudgateway::children::{Child, Kind};
use crate::mudgateway::dereference::SecretFacts;
use crate::mudgateway::own_secrets::OwnSecret;
use crate::testing::{gateway, settings};

const UID: &str = "uid-of-luminari";

fn key() -> Key {
    Key::new("tenant-a", "luminari")
}

fn object() -> MudGateway {
    gateway("tenant-a", "luminari", "LuminariMUD")
}

fn owned_by(uid: &str) -> ObjectMeta {
    let owner = OwnerReference { uid: uid.to_owned(), ..Default::default() };
    ObjectMeta { owner_references: Some(vec![owner]), ..Default::default() }
}

fn api_key(metadata: ObjectMeta, entry: &str) -> OwnSecret {
    let metadata = ObjectMeta { uid: Some("secret-uid".to_owned()), ..metadata };
    OwnSecret { metadata, data: BTreeMap::from([(entry.to_owned(), ByteString(b"key".to_vec()))]) }
}

fn with_secret(name: &str, entries: &[&str]) -> Facts {
    let secret = SecretFacts { entries: entries.iter().map(|&entry| entry.to_owned()).collect() };
    let secrets = BTreeMap::from([(name.to_owned(), secret)]);
    Facts { secrets, ..Facts::default() }
}

fn decide(object: &MudGateway, facts: &Facts) -> Result<Gateway, Rejection> {
    validate(&key(), object, facts, &settings())
}

fn rejection(object: &MudGateway, facts: &Facts) -> Rejection {
    decide(object, facts).expect_err("accepted")
}

#[test]
fn a_new_gateway_gets_a_key_made() {
    let gateway = decide(&object(), &Facts::default()).unwrap();
    assert_eq!(gateway.keys, Keys::Missing);
    assert_eq!(gateway.owner.uid, UID);
    assert_eq!(gateway.owner.controller, Some(true));
}

#[test]
fn the_key_made_before_is_kept() {
    let facts = Facts { api_key: Some(api_key(owned_by(UID), "token")), ..Facts::default() };
    let gateway = decide(&object(), &facts).unwrap();
    assert_eq!(gateway.keys, Keys::Made { uid: "secret-uid".to_owned() });
}

#[test]
fn a_made_secret_without_its_key_is_not_filled_again() {
    let facts = Facts { api_key: Some(api_key(owned_by(UID), "other")), ..Facts::default() };
    assert_eq!(rejection(&object(), &facts), Rejection::ApiKeyLost("luminari-api-key".to_owned()));
}

#[test]
fn given_keys_must_exist_with_their_entry() {
    let mut object = object();
    object.spec.api.keys = serde_json::from_str(r#"[{"secretRef": {"name": "bot", "key": "key"}}]"#).unwrap();
    for facts in [Facts::default(), with_secret("bot", &["another"])] {
        let rejection = rejection(&object, &facts);
        assert_eq!(rejection.reason(), Reason::SecretNotFound);
        insta::allow_duplicates! {
            insta::assert_snapshot!(rejection, @r#"Secret bot has no entry "key", or does not exist: create it in this namespace, or change spec.api.keys"#);
        }
    }
    assert_eq!(decide(&object, &with_secret("bot", &["key"])).unwrap().keys, Keys::Given);
}

#[test]
fn a_certificate_must_be_whole() {
    let mut object = object();
    object.spec.api.tls = serde_json::from_value(json!({"secretName": "cert"})).unwrap();
    for facts in [Facts::default(), with_secret("cert", &["tls.crt"])] {
        assert_eq!(rejection(&object, &facts).reason(), Reason::SecretNotFound);
    }
    let whole = with_secret("cert", &["tls.crt", "tls.key"]);
    assert!(decide(&object, &whole).is_ok());
    object.spec.api.tls.as_mut().unwrap().require_client_certificate = true;
    insta::assert_snapshot!(rejection(&object, &whole), @r#"Secret cert has no entry "ca.crt", or does not exist: create it in this namespace, or change spec.api.tls"#);
}

#[test]
fn only_known_images_are_run() {
    let mut object = object();
    for (image, allowed) in [("gateway:2", true), ("mirror.example/x/gateway:1", false)] {
        object.spec.image = Some(image.to_owned());
        assert_eq!(decide(&object, &Facts::default()).is_ok(), allowed, "{image}");
    }
    assert_eq!(rejection(&object, &Facts::default()).reason(), Reason::ImageNotAllowed);
}

#[test]
fn the_older_claimant_is_named() {
    let facts = Facts { senior: Some(Key::new("tenant-b", "other")), ..Facts::default() };
    let rejection = rejection(&object(), &facts);
    assert_eq!(rejection.reason(), Reason::NameConflict);
    insta::assert_snapshot!(rejection, @r#"MudGateway tenant-b/other is older and has the mud name "LuminariMUD" on the network *demo: use another name, or delete one of the two"#);
}

#[test]
fn objects_of_others_are_never_taken_over() {
    let found = |kind: Kind, metadata| {
        let child = Child { metadata, ..Child::default() };
        Facts { found: BTreeMap::from([(kind, child)]), ..Facts::default() }
    };
    for owner in [ObjectMeta::default(), owned_by("the uid of one deleted before")] {
        let rejection = rejection(&object(), &found(Kind::Service, owner));
        let expected = Rejection::ObjectExists { kind: "Service", name: "luminari".to_owned() };
        assert_eq!(rejection, expected);
    }
    let facts = Facts { api_key: Some(api_key(ObjectMeta::default(), "token")), ..Facts::default() };
    assert_eq!(
        rejection(&object(), &facts),
        Rejection::ObjectExists { kind: "Secret", name: "luminari-api-key".to_owned() }
    );
    assert!(decide(&object(), &found(Kind::Deployment, owned_by(UID))).is_ok());
    assert!(decide(&object(), &found(Kind::Ingress, ObjectMeta::default())).is_ok(), "none is needed");
}

#[test]
fn secrets_from_a_backup_are_taken_up() {
    let labels = |instance: &str| {
        let labels = [("managed-by", "mudgateway-operator"), ("instance", instance)];
        Some(labels.map(|(name, value)| (format!("app.kubernetes.io/{name}"), value.to_owned())).into())
    };
    let made_for = |instance: &str| ObjectMeta { labels: labels(instance), ..ObjectMeta::default() };
    let with = |metadata: &ObjectMeta| Facts {
        api_key: Some(api_key(metadata.clone(), "token")),
        router_password: Some(OwnSecret { metadata: metadata.clone(), ..OwnSecret::default() }),
        ..Facts::default()
    };
    assert!(decide(&object(), &with(&made_for("luminari"))).is_ok());
    for other in [made_for("other"), ObjectMeta::default()] {
        assert_eq!(rejection(&object(), &with(&other)).reason(), Reason::ObjectExists);
    }
    let facts = Facts { api_key: None, ..with(&ObjectMeta::default()) };
    let expected = Rejection::ObjectExists { kind: "Secret", name: "luminari-router-password".to_owned() };
    assert_eq!(rejection(&object(), &facts), expected);
}

#[test]
fn a_network_must_exist_with_the_login_for_its_proxy() {
    let mut object = object();
    object.spec.routers.clear();
    object.spec.network_ref = serde_json::from_str(r#"{"name": "i4"}"#).unwrap();
    let lost = rejection(&object, &Facts::default());
    assert_eq!(lost.reason(), Reason::NetworkNotFound);
    insta::assert_snapshot!(lost, @"IntermudNetwork i4 does not exist: ask the provider to create it, or correct spec.networkRef");

    let network = json!({"metadata": {"name": "i4"}, "spec": {
        "routers": [{"name": "*i4", "host": "h", "port": 1}],
        "egress": {"proxy": {"host": "proxy.example", "secretRef": {"name": "login"}}},
    }});
    let network = Arc::new(serde_json::from_value(network).unwrap());
    let with = |facts: Facts| Facts { network: Some(Arc::clone(&network)), ..facts };
    for facts in [Facts::default(), with_secret("login", &["username"])] {
        let rejection = rejection(&object, &with(facts));
        assert_eq!(rejection, Rejection::ProxyLoginNotFound("login".to_owned()));
        assert_eq!(rejection.reason(), Reason::SecretNotFound);
    }
    let gateway = decide(&object, &with(with_secret("login", &["username", "password"]))).unwrap();
    assert_eq!((gateway.network.name.as_str(), gateway.network.routers.len()), ("i4", 1));
}

#[test]
fn what_an_older_schema_lets_through_is_refused_here() {
    let mut many = object();
    many.spec.replicas = 4;
    let mut nowhere = object();
    nowhere.spec.routers.clear();
    let mut bell = object();
    bell.spec.mud.name.push('\u{7}');
    let taken = [WEBSOCKET_PORT, TCP_PORT, METRICS_PORT].map(|port| {
        let mut taken = object();
        taken.spec.oob = serde_json::from_value(json!({"mail": true, "port": port})).unwrap();
        taken
    });
    for object in [many, nowhere, bell].into_iter().chain(taken) {
        assert_eq!(rejection(&object, &Facts::default()).reason(), Reason::InvalidSpec);
    }
}
