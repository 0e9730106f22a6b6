//! The keys and accounts of a NATS server of our own.
//!
//! The streams are in an account of their own, the store, and the gateways in another one that imports only what they
//! need. In the same account a gateway could have JetStream answer to any subject: NATS checks where a client publishes,
//! not where it wants the answer, and what the server itself then publishes is checked nowhere. So it could overwrite
//! the keys of others, or send JetStream the order to delete a stream. An answer that leaves the store for the account
//! of the muds reaches its users, but not the store again.

use mudgateway_crds::bus::{CHANNEL_STREAM_SUBJECTS, PERMIT_FILTER};

use nkeys::{KeyPair, KeyPairType};

use crate::claims::{self, Head, JwtError, Role};
use crate::credentials::Credentials;

/// What of the store can be reached from the account of the muds; each user's permissions say how much of it he may. (There
/// are consumers that send, not ones that are asked: to the latter NATS takes a message of nothing for the end of an
/// answer from another account, and so whoever says nothing would make all others deaf.)
pub const IMPORTS: &[&str] = &[
    "$KV.>",
    CHANNEL_STREAM_SUBJECTS,
    "$JS.API.DIRECT.GET.>",
    "$JS.API.CONSUMER.CREATE.>",
    "$JS.FC.>",
    // Of no use to us, but without it the server answers to all of the above too: that this account has no JetStream.
    "$JS.API.INFO",
    PERMIT_FILTER,
];

/// The random bytes that the keys are made of.
#[derive(Clone)]
pub struct Seeds {
    /// Of the operator, whom the server trusts.
    pub operator: [u8; 32],
    /// Of the account that has the streams.
    pub store: [u8; 32],
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

impl Seeds {
    /// Takes them from random bytes.
    pub fn new([operator, account, signing, user, system, system_user, route, store]: [[u8; 32]; 8]) -> Self {
        Self { operator, store, account, signing, user, system, system_user, route }
    }
}

/// Everything a NATS server and our operator need to know each other. All of it is secret but `server`'s parts that the
/// server tells anybody.
pub struct Authority {
    /// What the server's configuration includes.
    pub server: String,
    /// What the configuration of its cluster includes.
    pub cluster: String,
    /// The credentials file of our operator: it may do everything in the store.
    pub operator_credentials: String,
    /// The credentials file of the system account, for people who look after the server.
    pub system_credentials: String,
    /// The file of the key that signs the gateways' identities, as [`signing_key`] reads it.
    pub signing_key: String,
    /// The seed of the operator's key, which could sign the account anew.
    pub operator_seed: String,
    /// The seed of the key of the muds' account.
    pub account_seed: String,
    /// The seed of the store's key.
    pub store_seed: String,
}

impl Authority {
    /// Makes it, at a time in seconds since 1970, for a cluster of servers at these hosts.
    ///
    /// # Errors
    /// [`JwtError`] when a key cannot sign.
    pub fn new(seeds: &Seeds, now: i64, hosts: &[String]) -> Result<Self, JwtError> {
        let key = |kind, random| KeyPair::new_from_raw(kind, random);
        let operator = key(KeyPairType::Operator, seeds.operator)?;
        let store = key(KeyPairType::Account, seeds.store)?;
        let account = key(KeyPairType::Account, seeds.account)?;
        let signing = key(KeyPairType::Account, seeds.signing)?;
        let system = key(KeyPairType::Account, seeds.system)?;
        let (store_key, account_key, system_key) =
            (store.public_key(), account.public_key(), system.public_key());
        let credentials = |random, name, account: &KeyPair| {
            let user = key(KeyPairType::User, random)?;
            let jwt =
                claims::user(head(&user.public_key(), name, now), account, &account.public_key(), None)?;
            Ok::<_, JwtError>(Credentials::file(&jwt, &user.seed()?))
        };
        let operator_jwt =
            claims::operator(head(&operator.public_key(), "mudgateway", now), &operator, &system_key)?;
        let muds = Role::Muds { store: &store_key, signing_key: &signing.public_key(), imports: IMPORTS };
        let store_jwt = claims::account(head(&store_key, "store", now), &operator, Role::Store)?;
        let account_jwt = claims::account(head(&account_key, "muds", now), &operator, muds)?;
        let system_jwt = claims::account(head(&system_key, "system", now), &operator, Role::System)?;
        let server = format!(
            "operator: {operator_jwt}\nsystem_account: {system_key}\nresolver: MEMORY\nresolver_preload: {{\n  \
             {store_key}: {store_jwt}\n  {account_key}: {account_jwt}\n  {system_key}: {system_jwt}\n}}\n"
        );
        Ok(Self {
            server,
            cluster: cluster(&hex(&seeds.route), hosts),
            operator_credentials: credentials(seeds.user, "mudgateway-operator", &store)?,
            system_credentials: credentials(seeds.system_user, "system", &system)?,
            signing_key: format!("{}\n{account_key}\n", signing.seed()?),
            operator_seed: operator.seed()?,
            account_seed: account.seed()?,
            store_seed: store.seed()?,
        })
    }
}

/// The seed in the file of a signing key and, if a second line names it, the account whose users it signs.
pub fn signing_key(text: &str) -> (&str, Option<&str>) {
    let (seed, account) = text.trim().split_once('\n').unwrap_or((text, ""));
    (seed.trim(), Some(account.trim()).filter(|account| !account.is_empty()))
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
