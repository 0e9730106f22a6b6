//! The JWTs of NATS: claims of an operator, an account or a user, signed with an nkey.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What NATS calls the signature.
const HEADER: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;

/// The version of the claims.
const VERSION: u32 = 2;

/// How long the store may take to answer.
const RESPONSE_NANOSECONDS: u64 = 60_000_000_000;

/// Where the store's consumers send to.
const INBOXES: &str = "_INBOX.>";

/// A limit that there is none.
const UNLIMITED: i64 = -1;

/// The subjects a user may publish on and subscribe to; everything else is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// What may be published on.
    pub publish: Vec<String>,
    /// What may be subscribed to.
    pub subscribe: Vec<String>,
}

/// A JWT that cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// A key that is no key, or not of the kind it should be.
    #[error("a NATS key cannot be used: {0}")]
    Key(#[from] nkeys::error::Error),
    /// A text that is no JWT.
    #[error("this is no JWT of a NATS user")]
    Malformed,
}

/// What we read of a user's JWT.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct UserClaims {
    /// Who signed it: the account, or a signing key of it.
    pub(crate) iss: String,
    /// When it was made, in seconds since 1970.
    pub(crate) iat: i64,
    /// When it ends; none: never.
    #[serde(default)]
    pub(crate) exp: Option<i64>,
    pub(crate) nats: UserNats,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct UserNats {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) issuer_account: String,
    #[serde(default, rename = "pub")]
    pub(crate) publish: Subjects,
    #[serde(default, rename = "sub")]
    pub(crate) subscribe: Subjects,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subjects {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow: Vec<String>,
}

impl UserClaims {
    /// The account that the user belongs to.
    pub(crate) fn account(&self) -> &str {
        if self.nats.issuer_account.is_empty() { &self.iss } else { &self.nats.issuer_account }
    }

    /// Reads the claims of a user. The signature is the server's to check.
    pub(crate) fn read(jwt: &str) -> Result<Self, JwtError> {
        let claims = jwt.split('.').nth(1).ok_or(JwtError::Malformed)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| JwtError::Malformed)?;
        let claims: Self = serde_json::from_slice(&claims).map_err(|_| JwtError::Malformed)?;
        if claims.nats.kind == "user" { Ok(claims) } else { Err(JwtError::Malformed) }
    }
}

/// Whose claims, and from when to when, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) subject: &'a str,
    pub(crate) name: &'a str,
    pub(crate) issued_at: i64,
    pub(crate) expires_at: Option<i64>,
}

/// A user of an account. Without permissions it may do everything in the account.
pub(crate) fn user(
    head: Head<'_>,
    signer: &KeyPair,
    account: &str,
    permissions: Option<&Permissions>,
) -> Result<String, JwtError> {
    let mut nats = json!({"subs": UNLIMITED, "data": UNLIMITED, "payload": UNLIMITED});
    if signer.public_key() != account {
        nats["issuer_account"] = json!(account);
    }
    if let Some(Permissions { publish, subscribe }) = permissions {
        nats["pub"] = json!({"allow": publish});
        nats["sub"] = json!({"allow": subscribe});
    }
    sign(head, signer, "user", nats)
}

/// What an account is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role<'a> {
    /// It has the streams, and serves those who import them.
    Store,
    /// Its users talk to each other, and reach some subjects of the store.
    Muds {
        /// The account of the store.
        store: &'a str,
        /// Who may sign users.
        signing_key: &'a str,
        /// The subjects.
        imports: &'a [&'a str],
    },
    /// The server tells of itself in it.
    System,
}

/// An account.
pub(crate) fn account(head: Head<'_>, signer: &KeyPair, role: Role<'_>) -> Result<String, JwtError> {
    let store = if let Role::Store = role { UNLIMITED } else { 0 };
    let mut nats = json!({
        "limits": {
            "subs": UNLIMITED, "data": UNLIMITED, "payload": UNLIMITED, "conn": UNLIMITED, "imports": UNLIMITED,
            "exports": UNLIMITED, "wildcards": true, "leaf": 0, "mem_storage": store, "disk_storage": store,
            "streams": store, "consumer": store,
        },
        "default_permissions": {"pub": {}, "sub": {}},
    });
    match role {
        Role::Store => {
            // One export for everything: NATS does not let an answer out of an export in by the same one again.
            nats["exports"] = json!([{
                "name": "store", "subject": ">", "type": "service", "response_type": "Stream",
                "response_threshold": RESPONSE_NANOSECONDS,
            }, {"name": "consumers", "subject": INBOXES, "type": "stream"}]);
        }
        Role::Muds { store, signing_key, imports } => {
            nats["signing_keys"] = json!([signing_key]);
            let import = |subject: &&str| json!({"name": subject, "subject": subject, "account": store, "type": "service"});
            let consumers =
                json!({"name": "consumers", "subject": INBOXES, "account": store, "type": "stream"});
            nats["imports"] = imports.iter().map(import).chain([consumers]).collect();
        }
        Role::System => {}
    }
    sign(head, signer, "account", nats)
}

/// An operator, whom a server trusts.
pub(crate) fn operator(head: Head<'_>, signer: &KeyPair, system_account: &str) -> Result<String, JwtError> {
    sign(head, signer, "operator", json!({"system_account": system_account}))
}

fn sign(head: Head<'_>, signer: &KeyPair, kind: &str, mut nats: Value) -> Result<String, JwtError> {
    nats["type"] = json!(kind);
    nats["version"] = json!(VERSION);
    let mut claims = json!({
        "iat": head.issued_at,
        "iss": signer.public_key(),
        "name": head.name,
        "nats": nats,
        "sub": head.subject,
    });
    if let Some(expires_at) = head.expires_at {
        claims["exp"] = json!(expires_at);
    }
    claims["jti"] = json!(URL_SAFE_NO_PAD.encode(Sha256::digest(claims.to_string())));
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = signer.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
