//! The keys and accounts of a NATS server of our own.

use nkeys::{KeyPair, KeyPairType};

use crate::claims::{self, Head, JwtError};
use crate::credentials::Credentials;

/// The random bytes that the keys are made of.
#[derive(Clone)]
pub struct Seeds {
    /// Of the operator, whom the server trusts.
    pub operator: [u8; 32],
    /// Of the account of all muds.
    pub account: [u8; 32],
    /// Of the key that signs its users.
    pub signing: [u8; 32],
    /// Of the user that our operator is.
    pub user: [u8; 32],
    /// Of the account in which the server tells of itself.
    pub system: [u8; 32],
    /// Of a user of it, for people.
    pub system_user: [u8; 32],
    /// Of the password by which the servers of a cluster know each other.
    pub route: [u8; 32],
}

/// Everything a NATS server and our operator need to know each other. All of it is secret but `server`'s parts that the
/// server tells anybody.
pub struct Authority {
    /// What the server's configuration includes.
    pub server: String,
    /// What the configuration of its cluster includes.
    pub cluster: String,
    /// The credentials file of our operator: it may do everything in the account.
    pub operator_credentials: String,
    /// The credentials file of the system account, for people who look after the server.
    pub system_credentials: String,
    /// The seed of the key that signs the gateways' identities.
    pub signing_seed: String,
    /// The seed of the operator's key, which could sign the account anew.
    pub operator_seed: String,
    /// The seed of the account's key.
    pub account_seed: String,
}

impl Authority {
    /// Makes it, at a time in seconds since 1970, for a cluster of servers at these hosts.
    ///
    /// # Errors
    /// [`JwtError`] when a key cannot sign.
    pub fn new(seeds: &Seeds, now: i64, hosts: &[String]) -> Result<Self, JwtError> {
        let key = |kind, random| KeyPair::new_from_raw(kind, random);
        let operator = key(KeyPairType::Operator, seeds.operator)?;
        let account = key(KeyPairType::Account, seeds.account)?;
        let signing = key(KeyPairType::Account, seeds.signing)?;
        let system = key(KeyPairType::Account, seeds.system)?;
        let (account_key, system_key) = (account.public_key(), system.public_key());
        let credentials = |random, name, account: &KeyPair| {
            let user = key(KeyPairType::User, random)?;
            let jwt =
                claims::user(head(&user.public_key(), name, now), account, &account.public_key(), None)?;
            Ok::<_, JwtError>(Credentials::file(&jwt, &user.seed()?))
        };
        let operator_jwt =
            claims::operator(head(&operator.public_key(), "mudgateway", now), &operator, &system_key)?;
        let account_jwt =
            claims::account(head(&account_key, "muds", now), &operator, &[signing.public_key()], true)?;
        let system_jwt = claims::account(head(&system_key, "system", now), &operator, &[], false)?;
        let server = format!(
            "operator: {operator_jwt}\nsystem_account: {system_key}\nresolver: MEMORY\nresolver_preload: {{\n  \
             {account_key}: {account_jwt}\n  {system_key}: {system_jwt}\n}}\n"
        );
        Ok(Self {
            server,
            cluster: cluster(&hex(&seeds.route), hosts),
            operator_credentials: credentials(seeds.user, "mudgateway-operator", &account)?,
            system_credentials: credentials(seeds.system_user, "system", &system)?,
            signing_seed: signing.seed()?,
            operator_seed: operator.seed()?,
            account_seed: account.seed()?,
        })
    }
}

fn head<'a>(subject: &'a str, name: &'a str, now: i64) -> Head<'a> {
    Head { subject, name, issued_at: now, expires_at: None }
}

/// Without a password anybody who reaches the port could join the cluster, and see everything.
fn cluster(password: &str, hosts: &[String]) -> String {
    let routes: String =
        hosts.iter().map(|host| format!("  \"nats://route:{password}@{host}:6222\"\n")).collect();
    format!("authorization: {{user: route, password: \"{password}\"}}\nroutes: [\n{routes}]\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
