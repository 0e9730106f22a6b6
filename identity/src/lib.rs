//! How the programs of mudgateway log in to NATS, and what each may do there.
//!
//! All muds of a provider share one NATS account. The operator signs a user JWT for each ([`issue`]) that allows just
//! what the gateway of that mud needs ([`Permissions`]); gateways and operator log in by [`Login`], which reads its files
//! at each connection, so that new ones take effect without a restart. [`Authority`] makes the keys of a NATS server of
//! our own.
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

pub use authority::{Authority, Seeds};
pub use claims::{JwtError, Permissions};
pub use credentials::{Credentials, CredentialsError};
pub use issue::{Issuer, Subject, Validity, issue, renewal};
pub use login::{Login, LoginFiles, Trouble, Troubles};
pub use permissions::gateway_permissions;
pub use servers::{AddressError, parse_servers};

#[cfg(test)]
mod tests;
