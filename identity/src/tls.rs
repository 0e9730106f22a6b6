//! TLS to NATS, by files that are read at each connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::login::{LoginFiles, Trouble, Troubles};

/// TLS by these files, if there are any. With none it is the client library's affair.
pub(crate) fn config(files: &LoginFiles, troubles: &Troubles) -> Option<ClientConfig> {
    let ca = files.ca.clone()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let own = files.certificate.clone().zip(files.key.clone());
    let verifier = Verifier { ca, provider: Arc::clone(&provider), troubles: troubles.clone() };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    // The provider has what the default versions need.
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Some(builder.with_client_cert_resolver(Arc::new(OwnCertificate {
        own,
        provider,
        troubles: troubles.clone(),
    })))
}

/// Verifies as ever, with the certificates that the file holds now, and notes why not.
#[derive(Debug)]
struct Verifier {
    ca: PathBuf,
    provider: Arc<CryptoProvider>,
    troubles: Troubles,
}

impl Verifier {
    fn roots(&self) -> Option<Arc<WebPkiServerVerifier>> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots.add(certificate).ok()?;
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider)).build().ok()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(roots) = self.roots() else {
            self.troubles.note(Trouble::TlsFilesUnusable);
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        let verified = roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if verified.is_err() {
            self.troubles.note(Trouble::CertificateUntrusted);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Shows our certificate, as the files hold it now, to a server that asks.
#[derive(Debug)]
struct OwnCertificate {
    own: Option<(PathBuf, PathBuf)>,
    provider: Arc<CryptoProvider>,
    troubles: Troubles,
}

impl ResolvesClientCert for OwnCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let (certificate, key) = self.own.as_ref()?;
        let read = || {
            let key = PrivateKeyDer::from_pem_file(key).ok()?;
            CertifiedKey::from_der(certificates(certificate)?, key, &self.provider).ok()
        };
        let found = read();
        if found.is_none() {
            self.troubles.note(Trouble::TlsFilesUnusable);
        }
        found.map(Arc::new)
    }

    fn has_certs(&self) -> bool {
        self.own.is_some()
    }
}

/// The certificates in a file; none when it cannot be read or holds none.
fn certificates(path: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path).ok()?.collect::<Result<_, _>>().ok()?;
    (!certificates.is_empty()).then_some(certificates)
}
