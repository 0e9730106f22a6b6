//! TLS for clients: certificates from files, read again when the files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::sync::lock;

/// The files TLS needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those above it, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// When given, clients must show a certificate that one of these has signed, PEM.
    pub client_ca: Option<PathBuf>,
}

/// Files that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM of the kind it should be.
    #[error("the TLS file {path} cannot be used: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A file of certificates has none.
    #[error("the TLS file {path} holds no certificate")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The files do not fit together.
    #[error("the TLS files do not fit together: {0}")]
    Mismatch(#[from] rustls::Error),
    /// The certificates for clients cannot be used.
    #[error("the TLS client certificates cannot be used: {0}")]
    ClientCa(#[from] rustls::server::VerifierBuilderError),
}

/// TLS as it is configured now.
pub struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    /// What the files held, to see whether they changed.
    content: Vec<Vec<u8>>,
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let current = Current { content: content(&files), config: config(&files)? };
        Ok(Self { files, current: Mutex::new(current) })
    }

    /// Reads the files again if they have changed; true when they had. Connections that are open stay as they are.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used; then nothing changes.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let content = content(&self.files);
        if lock(&self.current).content == content {
            return Ok(false);
        }
        let config = config(&self.files)?;
        *lock(&self.current) = Current { content, config };
        Ok(true)
    }

    /// What accepts the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&lock(&self.current).config))
    }
}

fn content(files: &TlsFiles) -> Vec<Vec<u8>> {
    let paths = [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()];
    paths.into_iter().flatten().map(|path| std::fs::read(path).unwrap_or_default()).collect()
}

fn config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|source| TlsError::File { path: files.key.clone(), source })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    Ok(Arc::new(builder.with_single_cert(chain, key)?))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |source| TlsError::File { path: path.to_owned(), source };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(fail)?.collect();
    let certificates = certificates.map_err(fail)?;
    if certificates.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned() });
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(files: &TlsFiles) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn changed_files_take_effect_and_broken_ones_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let files = TlsFiles { certificate: path("tls.crt"), key: path("tls.key"), client_ca: None };
        assert!(matches!(Tls::load(files.clone()), Err(TlsError::File { .. })));
        write(&files);
        let tls = Tls::load(files.clone()).unwrap();
        let first = Arc::clone(&lock(&tls.current).config);
        assert!(!tls.reload().unwrap());
        write(&files);
        assert!(tls.reload().unwrap());
        let second = Arc::clone(&lock(&tls.current).config);
        assert!(!Arc::ptr_eq(&first, &second));
        std::fs::write(&files.certificate, "no certificate").unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::Empty { .. })));
        assert!(Arc::ptr_eq(&second, &lock(&tls.current).config), "what worked stays");
        let other = TlsFiles { certificate: path("other.crt"), key: path("other.key"), client_ca: None };
        write(&other);
        let mixed = TlsFiles { certificate: other.certificate, key: files.key, client_ca: None };
        assert!(matches!(Tls::load(mixed), Err(TlsError::Mismatch(_))));
    }
}
