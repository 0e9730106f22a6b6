//! The Secret with the API key that we make.

use super::*;
use crate::mudgateway::exposure::inside;

#[test]
fn a_made_key_is_all_of_the_randomness() {
    let secret = api_key(&minimal(), &[0xa5; 32]);
    assert_eq!(secret.data.unwrap()[API_KEY_ENTRY].0, "a5".repeat(32).into_bytes());
    assert_eq!(secret.metadata.name.as_deref(), Some("luminari-api-key"));
}

/// What is kept of the Secret with the API key, at these endpoints.
pub(super) fn kept(gateway: &Gateway, endpoints: &Endpoints) -> Option<Secret> {
    kept_of_api_key(gateway, endpoints, &made().api_key.unwrap())
}

fn snippet(secret: &Secret) -> &str {
    std::str::from_utf8(&secret.data.as_ref().unwrap()[SNIPPET_ENTRY].0).unwrap()
}

#[test]
fn of_the_made_key_everything_but_the_key_is_kept_in_shape() {
    let kept_now = kept(&minimal(), &Endpoints::default()).unwrap();
    assert_eq!(kept_now.metadata.uid.as_deref(), Some("secret-uid"));
    assert_eq!(kept_now.data.as_ref().unwrap().keys().collect::<Vec<_>>(), [SNIPPET_ENTRY]);
    assert!(kept(&valid(&full(), &given()), &Endpoints::default()).is_none());
    let unreadable = OwnSecret {
        data: [(API_KEY_ENTRY.to_owned(), ByteString(vec![0xff]))].into(),
        ..OwnSecret::default()
    };
    assert_eq!(kept_of_api_key(&minimal(), &Endpoints::default(), &unreadable).unwrap().data, None);
}

#[test]
fn the_snippet_has_the_key_and_the_endpoints() {
    let outside = Endpoints {
        websocket: Some("wss://luminari.muds.example/ws".to_owned()),
        tcp: Some("[2001:db8::5]:7001".to_owned()),
        tcp_tls: true,
        oob: None,
    };
    insta::assert_snapshot!("snippet_for_the_outside", snippet(&kept(&minimal(), &outside).unwrap()));
    let lines_only = with(json!({"api": {"websocket": {"enabled": false}}}));
    insta::assert_snapshot!(
        "snippet_without_websocket",
        snippet(&kept(&lines_only, &inside(&lines_only)).unwrap())
    );
}

#[test]
fn until_there_is_a_way_in_from_outside_the_snippet_tells_of_the_one_from_inside() {
    let gateway = minimal();
    let unknown = kept(&gateway, &Endpoints::default()).unwrap();
    assert_eq!(unknown, kept(&gateway, &inside(&gateway)).unwrap());
    let created = api_key(&gateway, &[0xa5; 32]);
    assert_eq!(snippet(&created).replace(&"a5".repeat(32), "the-key"), snippet(&unknown), "no write follows");
}
