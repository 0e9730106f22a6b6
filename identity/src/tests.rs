use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::{KeyPair, KeyPairType};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;
const LUMINARI: Subject<'static> =
    Subject { network: "*i4", mud: "Luminari MUD", namespace: "tenant-a", name: "luminari" };

fn key(kind: KeyPairType, byte: u8) -> KeyPair {
    KeyPair::new_from_raw(kind, [byte; 32]).unwrap()
}

fn issuer() -> Issuer {
    let account = key(KeyPairType::Account, 1).public_key();
    Issuer::new(&key(KeyPairType::Account, 2).seed().unwrap(), &account).unwrap()
}

fn made(lasts: i64) -> String {
    issue(&issuer(), &LUMINARI, Validity { now: NOW, lasts }, [3; 32]).unwrap()
}

/// The claims of a JWT that is signed as it says.
fn claims(jwt: &str) -> Value {
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let signer = KeyPair::from_public_key(claims["iss"].as_str().unwrap()).unwrap();
    signer.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    claims
}

fn jwt(credentials: &str) -> (String, String) {
    match Credentials::parse(credentials).unwrap() {
        Credentials::Jwt { jwt, seed } => (jwt, seed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_identity_is_a_signed_user_of_the_account_with_an_end() {
    let (jwt, seed) = jwt(&made(DAY));
    let claims = claims(&jwt);
    assert_eq!(claims["sub"], KeyPair::from_seed(&seed).unwrap().public_key());
    assert_eq!(claims["nats"]["issuer_account"], key(KeyPairType::Account, 1).public_key());
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW), &json!(NOW + DAY)));
    assert_eq!(claims["name"], "tenant-a/luminari");
    let credentials = Credentials::parse(&made(DAY)).unwrap();
    assert_eq!(credentials.expires_at(), Some(NOW + DAY));
    assert_eq!(credentials.account(), Some(key(KeyPairType::Account, 1).public_key()));
    assert_eq!(format!("{credentials:?}"), "Jwt");
}

#[test]
fn what_a_gateway_may_do_is_this_and_no_more() {
    let Permissions { publish, subscribe } = gateway_permissions(&LUMINARI);
    insta::assert_yaml_snapshot!((publish, subscribe));
}

#[test]
fn an_identity_is_kept_for_half_its_time_and_only_while_it_is_what_would_be_made() {
    let at = |now, lasts| renewal(Some(&made(DAY)), &issuer(), &LUMINARI, Validity { now, lasts });
    assert_eq!(at(NOW, DAY), Some(DAY / 2));
    assert_eq!(at(NOW + DAY / 2 - 1, DAY), Some(1));
    assert_eq!(at(NOW + DAY / 2, DAY), None);
    assert_eq!(at(NOW, DAY / 2), None, "it is to last less now");
    assert_eq!(at(NOW - 1, DAY), None, "made in the future");
    let validity = Validity { now: NOW, lasts: DAY };
    let other = Subject { mud: "Other", ..LUMINARI };
    assert_eq!(renewal(Some(&made(DAY)), &issuer(), &other, validity), None);
    let account = key(KeyPairType::Account, 1);
    let resigned = Issuer::new(&account.seed().unwrap(), &account.public_key()).unwrap();
    assert_eq!(renewal(Some(&made(DAY)), &resigned, &LUMINARI, validity), None);
    for broken in [None, Some(""), Some("user:password"), Some("gibberish\nof two lines")] {
        assert_eq!(renewal(broken, &issuer(), &LUMINARI, validity), None);
    }
}

#[test]
fn the_file_of_a_signing_key_may_name_the_account() {
    for (text, expected) in [
        ("SEED", ("SEED", None)),
        (" SEED\r\n\n", ("SEED", None)),
        ("SEED\nACCOUNT", ("SEED", Some("ACCOUNT"))),
        ("SEED\r\nACCOUNT\r\n", ("SEED", Some("ACCOUNT"))),
    ] {
        assert_eq!(signing_key(text), expected);
    }
}

#[test]
fn only_an_account_signs() {
    let account = key(KeyPairType::Account, 1).public_key();
    for (seed, account) in [
        (key(KeyPairType::User, 2).seed().unwrap(), account.clone()),
        (key(KeyPairType::Account, 2).seed().unwrap(), key(KeyPairType::User, 1).public_key()),
        ("SANONSENSE".to_owned(), account),
    ] {
        assert!(Issuer::new(&seed, &account).is_err());
    }
}

#[test]
fn credentials_are_read_in_each_form_and_never_shown() {
    let password = Credentials::Password { user: "ann".to_owned(), password: "a:b".to_owned() };
    assert_eq!(Credentials::parse(" ann:a:b\n").as_ref(), Ok(&password));
    assert_eq!(format!("{password:?}"), "Password");
    assert_eq!(Credentials::parse("token\n"), Ok(Credentials::Token("token".to_owned())));
    let whole = made(DAY);
    // With Windows' line ends, and the text that NATS' own tools put between.
    let decorated =
        whole.replace("\n\n", "\n\n**** IMPORTANT ****\nNKEYs are sensitive.\n\n").replace('\n', "\r\n");
    assert_eq!(Credentials::parse(&decorated), Credentials::parse(&whole));
    let (jwt, seed) = jwt(&whole);
    for (text, expected) in [
        ("", CredentialsError::Empty),
        (" \n", CredentialsError::Empty),
        ("two words", CredentialsError::Form),
        (&whole.replace("END NATS", "LOST"), CredentialsError::Form),
        (&whole.replace(&jwt, "no.j.wt"), CredentialsError::Jwt),
        (&whole.replace(&seed, "SUNONE"), CredentialsError::Seed),
    ] {
        let error = Credentials::parse(text).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().contains("no.j.wt") && !error.to_string().contains("two words"));
    }
}

#[test]
fn an_authority_signs_what_its_server_trusts_and_is_the_same_for_the_same_seeds() {
    let seeds = Seeds::new([1, 2, 3, 4, 5, 6, 7, 8].map(|byte| [byte; 32]));
    let hosts = ["nats-0.nats".to_owned(), "nats-1.nats".to_owned()];
    let authority = Authority::new(&seeds, NOW, &hosts).unwrap();
    let account = key(KeyPairType::Account, 2).public_key();
    let jwts: Vec<_> = authority.server.split_whitespace().filter(|word| word.starts_with("eyJ")).collect();
    let [operator, store_jwt, account_jwt, system] = jwts[..] else { panic!("{}", authority.server) };
    assert_eq!(claims(operator)["iss"], claims(account_jwt)["iss"]);
    assert_eq!(claims(operator)["nats"]["system_account"], claims(system)["sub"]);
    assert_eq!(claims(account_jwt)["sub"], account);
    let (signing, named) = signing_key(&authority.signing_key);
    assert_eq!(named, Some(account.as_str()));
    assert!(Issuer::new(signing, &account).is_ok());
    let signing = KeyPair::from_seed(signing).unwrap().public_key();
    assert_eq!(claims(account_jwt)["nats"]["signing_keys"], json!([signing]));
    // Only the store has streams, our operator is in it, and who is not comes by what the account of the muds imports.
    let store = key(KeyPairType::Account, 8).public_key();
    assert_eq!(Credentials::parse(&authority.operator_credentials).unwrap().account(), Some(store.clone()));
    let of = |jwt| claims(jwt)["nats"].clone();
    assert_eq!(claims(store_jwt)["sub"], store);
    assert_eq!(of(store_jwt)["limits"]["streams"], -1);
    assert_eq!(of(account_jwt)["limits"]["streams"], 0);
    let imports: Vec<_> = of(account_jwt)["imports"].as_array().unwrap().clone();
    assert!(imports.iter().all(|import| import["account"] == store));
    let of_type = |wanted: &str| -> Vec<_> {
        let found = imports.iter().filter(|import| import["type"] == wanted);
        found.map(|import| import["subject"].as_str().unwrap()).collect()
    };
    assert_eq!(of_type("service"), IMPORTS);
    assert_eq!(of_type("stream"), ["_INBOX.>"]);
    assert_eq!(authority.cluster.matches("nats://route:0707").count(), 2);
    let again = Authority::new(&seeds, NOW, &hosts).unwrap();
    assert_eq!((again.server, again.cluster), (authority.server, authority.cluster));
}
