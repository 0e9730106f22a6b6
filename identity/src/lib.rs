//! How the programs of mudgateway log in to NATS, and what each may do there.
//!
//! All muds of a provider are in one NATS account, and the streams in another ([`Authority`]). The operator signs a user
//! JWT for each ([`issue`]) that allows just what the gateway of that mud needs ([`Permissions`]); gateways and operator
//! log in by [`Login`], which reads its files at each connection, so that new ones take effect without a restart.
//!
//! Everything but [`Login`] is pure: time and randomness are parameters.

mod authority;
mod claims;
mod credentials;
mod issue;
mod login;
mod permissions;
mod servers;
mod tls;

pub use authority::{Authority, IMPORTS, Seeds, signing_key};
pub use claims::{JwtError, Permissions};
pub use credentials::{Credentials, CredentialsError};
pub use issue::{Issuer, Subject, Validity, issue, renewal};
pub use login::{Login, LoginFiles, Trouble, Troubles};
pub use permissions::gateway_permissions;
pub use servers::{AddressError, parse_servers};

#[cfg(test)]
mod tests;
