//! Identities and TLS for NATS, as the operator and its chart set them up: each mud has a user of its own, that may do
//! what its gateway needs.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use mudgateway_identity::{
    Authority, Credentials, Issuer, JwtError, Login, LoginFiles, Seeds, Subject, Validity, issue, signing_key,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::Error;

/// For how long an identity is good, in seconds: longer than any world lasts.
const LASTS: i64 = 24 * 3600;

/// What a NATS server and all who log in to it know each other by.
pub struct Security {
    authority: Authority,
    issuer: Issuer,
    /// Certificates and the server's key.
    files: TempDir,
}

/// By what a gateway logs in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The text of its credentials file.
    pub credentials: String,
    /// The certificate that has signed the server's.
    pub ca: PathBuf,
}

impl Security {
    /// Makes keys, accounts and certificates.
    ///
    /// # Errors
    /// When they cannot be made or stored.
    pub fn new() -> Result<Self, Error> {
        let authority = Authority::new(&Seeds::new(rand::random()), now(), &[])?;
        let (seed, account) = signing_key(&authority.signing_key);
        let issuer = Issuer::new(seed, account.ok_or(JwtError::Malformed)?)?;
        let security = Self { authority, issuer, files: tempfile::tempdir()? };
        security.certify()?;
        Ok(security)
    }

    fn certify(&self) -> Result<(), Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &ca)?;
        for (name, pem) in
            [("ca.crt", ca.pem()), ("server.crt", server.pem()), ("server.key", key.serialize_pem())]
        {
            std::fs::write(self.file(name), pem)?;
        }
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// What belongs into the server's configuration.
    pub fn config(&self) -> String {
        let [certificate, key] =
            ["server.crt", "server.key"].map(|name| self.file(name).display().to_string());
        // What makes a consumer is longer than NATS expects a line to be where permissions are checked.
        let limit = "max_control_line: 64KB";
        format!("{limit}\ntls {{cert_file: {certificate:?}, key_file: {key:?}}}\n{}", self.authority.server)
    }

    /// How our operator logs in, who may do everything.
    ///
    /// # Errors
    /// When its credentials are none.
    pub fn admin(&self) -> Result<Login, Error> {
        let credentials = Credentials::parse(&self.authority.operator_credentials)?;
        let files = LoginFiles { ca: Some(self.file("ca.crt")), ..LoginFiles::default() };
        Ok(Login::new(files).with_credentials(credentials))
    }

    /// The identity of a mud's gateway.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn identity(&self, network: &str, mud: &str) -> Result<Identity, Error> {
        let subject = Subject { network, mud, namespace: "chaos", name: mud };
        let validity = Validity { now: now(), lasts: LASTS };
        let credentials = issue(&self.issuer, &subject, validity, rand::random())?;
        Ok(Identity { credentials, ca: self.file("ca.crt") })
    }
}

/// In seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().try_into().unwrap_or(i64::MAX)
}
