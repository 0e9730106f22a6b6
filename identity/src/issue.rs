//! The identity of one gateway: when it is made, and when again.

use nkeys::{KeyPair, KeyPairType};

use crate::claims::{self, Head, JwtError, Permissions, Subjects, UserClaims};
use crate::credentials::Credentials;
use crate::permissions::gateway_permissions;

/// Whom an identity is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The network's name.
    pub network: &'a str,
    /// The mud's name.
    pub mud: &'a str,
    /// The namespace of its `MudGateway`.
    pub namespace: &'a str,
    /// The name of its `MudGateway`.
    pub name: &'a str,
}

/// Who signs identities.
pub struct Issuer {
    key: KeyPair,
    account: String,
}

/// From when, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Now, in seconds since 1970.
    pub now: i64,
    /// How long an identity lasts, in seconds. It is renewed at half of that.
    pub lasts: i64,
}

impl Issuer {
    /// Who signs with this seed for users of this account (its public key).
    ///
    /// # Errors
    /// [`JwtError`] when the seed is none of an account.
    pub fn new(seed: &str, account: &str) -> Result<Self, JwtError> {
        let key = KeyPair::from_seed(seed.trim())?;
        let account = KeyPair::from_public_key(account)?;
        if key.key_pair_type() != KeyPairType::Account || account.key_pair_type() != KeyPairType::Account {
            return Err(JwtError::Malformed);
        }
        Ok(Self { key, account: account.public_key() })
    }

    /// The public key of the account whose users it signs.
    pub fn account(&self) -> &str {
        &self.account
    }
}

/// Makes an identity: the text of a credentials file.
///
/// # Errors
/// [`JwtError`] when the issuer's key cannot sign.
pub fn issue(
    issuer: &Issuer,
    subject: &Subject<'_>,
    validity: Validity,
    random: [u8; 32],
) -> Result<String, JwtError> {
    let user = KeyPair::new_from_raw(KeyPairType::User, random)?;
    let head = Head {
        subject: &user.public_key(),
        name: &format!("{}/{}", subject.namespace, subject.name),
        issued_at: validity.now,
        expires_at: Some(validity.now.saturating_add(validity.lasts)),
    };
    let jwt = claims::user(head, &issuer.key, &issuer.account, Some(&gateway_permissions(subject)))?;
    Ok(Credentials::file(&jwt, &user.seed()?))
}

/// In how many seconds an identity is to be made anew; none: now, for there is none, or it is not what would be made.
pub fn renewal(
    current: Option<&str>,
    issuer: &Issuer,
    subject: &Subject<'_>,
    validity: Validity,
) -> Option<i64> {
    let Ok(Credentials::Jwt { jwt, .. }) = Credentials::parse(current?) else { return None };
    let claims = UserClaims::read(&jwt).ok()?;
    let Permissions { publish, subscribe } = gateway_permissions(subject);
    let as_wanted = claims.iss == issuer.key.public_key()
        && claims.account() == issuer.account
        && claims.nats.publish == Subjects { allow: publish }
        && claims.nats.subscribe == Subjects { allow: subscribe };
    // One that was made for longer, or by a clock that was wrong, is not kept either.
    let Validity { now, lasts } = validity;
    let (until, since) = (claims.exp?, claims.iat);
    let left = until.saturating_sub(lasts / 2).saturating_sub(now);
    (as_wanted && since <= now && until - since <= lasts && left > 0).then_some(left)
}
