//! TLS through a forwarded port.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::cli::CertificateArgs;
use crate::error::{Error, Result};

/// Who we are to a gateway that wants to know it before anything else.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// From the files that the command line names, if it does.
    ///
    /// # Errors
    /// When one of them does not hold what it should.
    pub fn read(args: &CertificateArgs) -> Result<Option<Self>> {
        let (Some(certificate), Some(key)) = (&args.client_certificate, &args.client_key) else {
            return Ok(None);
        };
        let failed = |flag: &str, path: &Path, why: &dyn Display| {
            Error::Other(format!("--{flag} {}: {why}", path.display()))
        };
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let chain: Vec<_> = chain.map_err(|error| failed("client-certificate", certificate, &error))?;
        if chain.is_empty() {
            return Err(failed("client-certificate", certificate, &"no certificate in PEM is in it"));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| failed("client-key", key, &error))?;
        Ok(Some(Self { chain, key }))
    }
}

/// Speaks TLS over a forwarded port.
///
/// The certificate is not looked at: the API server has led us into this very pod, which no certificate could prove
/// better, and the names in it are those of the way in from outside.
///
/// # Errors
/// When the handshake fails.
pub(crate) async fn over<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    identity: Option<&Identity>,
) -> std::io::Result<TlsStream<S>> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)));
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity { chain, key }) => config
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|error| std::io::Error::other(format!("the client certificate: {error}")))?,
    };
    let name = ServerName::try_from("gateway").map_err(std::io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    fn ca() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn read(certificate: &str, key: &str) -> Result<Option<Identity>> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let (client_certificate, client_key) = (write("any.crt", certificate), write("any.key", key));
        Identity::read(&CertificateArgs { client_certificate, client_key })
    }

    /// An identity of this CA, as it is read from files.
    fn identity(ca: &CertifiedIssuer<'static, KeyPair>) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["provider".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, ca).unwrap();
        read(&certificate.pem(), &key.serialize_pem()).unwrap().unwrap()
    }

    /// What a gateway says that knows clients by this CA.
    async fn said(
        ca: &CertifiedIssuer<'static, KeyPair>,
        identity: Option<&Identity>,
    ) -> std::io::Result<String> {
        let made = rcgen::generate_simple_self_signed(["gateway".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![made.cert.der().clone()], made.signing_key.into())
            .unwrap();
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(theirs).await {
                stream.write_all(b"welcome").await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        let mut text = String::new();
        over(ours, identity).await?.read_to_string(&mut text).await?;
        Ok(text)
    }

    #[tokio::test]
    async fn a_gateway_that_wants_a_certificate_is_shown_it() {
        let ca = ca();
        assert_eq!(said(&ca, Some(&identity(&ca))).await.unwrap(), "welcome");
        let error = said(&ca, None).await.unwrap_err().to_string();
        assert!(error.contains("CertificateRequired"), "{error}");
        let error = said(&ca, Some(&identity(&self::ca()))).await.unwrap_err().to_string();
        assert!(error.contains("alert"), "{error}");
    }

    #[test]
    fn a_file_that_holds_something_else_is_named() {
        let told = |certificate: &str, key: &str| read(certificate, key).unwrap_err().to_string();
        let error = told("nothing", "nothing");
        assert!(error.contains("any.crt: no certificate in PEM"), "{error}");
        let error = told(&ca().pem(), "nothing");
        assert!(error.contains("--client-key") && error.contains("any.key"), "{error}");
        assert!(Identity::read(&CertificateArgs::default()).unwrap().is_none());
    }
}
