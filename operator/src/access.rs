//! How the operator and the gateways get into NATS: the files and Secrets that say so, and what each gateway is given.

mod authority;
mod files;

use std::path::Path;

use async_nats::ServerAddr;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use mudgateway_identity::{
    AddressError, Credentials, Issuer, JwtError, Login, LoginFiles, Validity, parse_servers, signing_key,
};
use tracing::warn;

use crate::settings::Settings;

pub use files::{CA, CERTIFICATE, CREDENTIALS, GatewayFiles, KEY, Materials, gateway_files};

/// Why there is no way into NATS, or no login for a gateway.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address.
    #[error("the setting {0} {1}")]
    Address(&'static str, #[source] AddressError),
    /// A file.
    #[error("{what} in {path} cannot be used: {why}")]
    File {
        /// What it should hold.
        what: &'static str,
        /// Which file.
        path: String,
        /// Why. Nothing of the file's text is in it.
        why: String,
    },
    /// A key that signs nothing.
    #[error("the NATS account signing key cannot be used: {0}")]
    Key(#[from] JwtError),
    /// Nobody says for which account to sign.
    #[error(
        "the NATS account signing key must name its account on a second line, or the operator's own credentials do"
    )]
    NoAccount,
    /// The Secret with the keys of our own NATS.
    #[error("the Secret {name} with the keys of NATS: {why}")]
    Secret {
        /// Its name.
        name: String,
        /// What the API server said, or what is missing.
        why: String,
    },
    /// The operating system has no random numbers for a key.
    #[error("the operating system gave no random numbers: {0}")]
    Random(#[from] rand::rngs::SysError),
}

/// The way into NATS.
pub struct Access {
    /// The servers.
    pub servers: Vec<ServerAddr>,
    /// How the operator logs in.
    pub login: Login,
    /// The signing key, when it is in no file.
    signing_key: Option<String>,
    settings: Settings,
}

impl Access {
    /// Finds the way into NATS. The keys of our own NATS are made when they are not there yet.
    ///
    /// # Errors
    /// [`Error`] when the settings lead nowhere.
    pub async fn find(client: &Client, settings: &Settings) -> Result<Self, Error> {
        let address = |setting| move |error| Error::Address(setting, error);
        let servers = parse_servers(&settings.nats_url).map_err(address("--nats-url"))?;
        if let Some(theirs) = &settings.gateway_nats_url {
            parse_servers(theirs).map_err(address("--gateway-nats-url"))?;
        }
        let files = LoginFiles {
            credentials: settings.nats_credentials_file.clone(),
            ca: settings.nats_ca_file.clone(),
            certificate: settings.nats_certificate_file.clone(),
            key: settings.nats_key_file.clone(),
        };
        let mut access =
            Self { servers, login: Login::new(files), signing_key: None, settings: settings.clone() };
        if let Some(name) = &settings.nats_auth_secret {
            let keys = authority::keys(client, name, &settings.nats_route_hosts, now()).await?;
            access.login = access.login.with_credentials(keys.operator);
            access.signing_key = Some(keys.signing_key);
        }
        // Better now than when the first gateway is made.
        let issuer = access.materials()?.issuer;
        if issuer
            .is_some_and(|issuer| access.own_account().ok().flatten().as_deref() == Some(issuer.account()))
        {
            warn!(
                reason = "SharedAccount",
                "the gateways are in the NATS account that has the streams: one that was taken over could delete them; \
                 give the streams an account of their own (docs/NATS.md)"
            );
        }
        Ok(access)
    }

    /// What the files of gateways are made of, read anew: files may have been replaced.
    ///
    /// # Errors
    /// [`Error`] when a file cannot be used.
    pub fn materials(&self) -> Result<Materials, Error> {
        let settings = &self.settings;
        let text = |what, path: &Option<_>| path.as_deref().map(|path| read(what, path)).transpose();
        let key = match &self.signing_key {
            Some(key) => Some(key.clone()),
            None => text("the NATS account signing key", &settings.nats_signing_key_file)?,
        };
        let shared = text("the NATS credentials for gateways", &settings.gateway_nats_credentials_file)?;
        Ok(Materials {
            issuer: key.map(|key| self.issuer(&key)).transpose()?,
            shared,
            ca: text("the CA for NATS", &settings.nats_ca_file)?,
            certificate: text("the certificate for gateways", &settings.gateway_nats_certificate_file)?,
            key: text("the key of the certificate for gateways", &settings.gateway_nats_key_file)?,
            validity: Validity { now: now(), lasts: settings.nats_identity_seconds.into() },
        })
    }

    fn issuer(&self, key: &str) -> Result<Issuer, Error> {
        let (seed, named) = signing_key(key);
        if let Some(account) = named {
            return Ok(Issuer::new(seed, account)?);
        }
        let account = self.own_account()?.ok_or(Error::NoAccount)?;
        Ok(Issuer::new(seed, &account)?)
    }

    /// The account that the operator is in, if its credentials say.
    fn own_account(&self) -> Result<Option<String>, Error> {
        let own = self.login.credentials().map_err(|why| Error::File {
            what: "the operator's NATS credentials",
            path: self
                .settings
                .nats_credentials_file
                .as_deref()
                .unwrap_or(Path::new(""))
                .display()
                .to_string(),
            why,
        })?;
        Ok(own.as_ref().and_then(Credentials::account))
    }
}

fn read(what: &'static str, path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::File {
        what,
        path: path.display().to_string(),
        why: error.to_string(),
    })
}

/// Seconds since 1970.
fn now() -> i64 {
    Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// A client that reaches nobody: no test here needs to.
    async fn find(extra: &[&str]) -> Result<Access, Error> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(kube::Config::new("http://127.0.0.1:9".parse().unwrap())).unwrap();
        let args = [&["operator", "--gateway-image", "gateway:1"], extra].concat();
        Access::find(&client, &Settings::parse_from(args)).await
    }

    #[tokio::test]
    async fn a_password_in_an_address_is_refused_and_not_shown() {
        for args in [
            &["--nats-url", "nats://ann:hunter2@nats:4222"][..],
            &["--nats-url", "nats://nats", "--gateway-nats-url", "nats://hunter2@nats:4222"],
        ] {
            let error = find(args).await.err().unwrap();
            assert!(matches!(error, Error::Address(_, AddressError::Secret)));
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_cannot_sign_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (login, seed) = (write("login", "ann:hunter2"), write("seed", "SANONSENSE"));
        let with = async |credentials: &str, seed: &str| {
            let args = ["--nats-url", "nats://nats", "--nats-credentials-file", credentials];
            find(&[&args[..], &["--nats-signing-key-file", seed]].concat()).await.err().unwrap()
        };
        assert!(matches!(with(&login, &seed).await, Error::NoAccount));
        assert!(matches!(with(&login, "/nowhere").await, Error::File { .. }));
        assert!(matches!(with("/nowhere", &seed).await, Error::File { .. }));
    }
}
