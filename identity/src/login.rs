//! How a program connects to NATS: with which files, and what went wrong.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use async_nats::{Auth, AuthError, ClientError, ConnectErrorKind, ConnectOptions, Event, ServerError};
use nkeys::KeyPair;

use crate::credentials::Credentials;
use crate::tls;

/// The files, all of which may be replaced while the program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginFiles {
    /// Credentials: NATS' own form, or one line with `user:password` or a token.
    pub credentials: Option<PathBuf>,
    /// The certificates of which one must have signed the server's, PEM. With it, TLS is required.
    pub ca: Option<PathBuf>,
    /// Our own certificate and those above it, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
}

/// Why there is no connection to NATS, or something was refused on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// No server answers.
    Unreachable,
    /// The credentials file cannot be read, or holds no credentials.
    CredentialsUnreadable,
    /// The server does not let us in.
    AuthorizationViolation,
    /// The server let us in until now: our credentials have ended.
    CredentialsExpired,
    /// The server refused a subject.
    PermissionViolation,
    /// The server's certificate is not signed by one of ours, is not for its name, or has ended.
    CertificateUntrusted,
    /// The files for TLS cannot be used.
    TlsFilesUnusable,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::CredentialsUnreadable,
        Self::AuthorizationViolation,
        Self::CredentialsExpired,
        Self::PermissionViolation,
        Self::CertificateUntrusted,
        Self::TlsFilesUnusable,
    ];

    /// The reason as it stands in metric labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::CredentialsUnreadable => "CredentialsUnreadable",
            Self::AuthorizationViolation => "AuthorizationViolation",
            Self::CredentialsExpired => "CredentialsExpired",
            Self::PermissionViolation => "PermissionViolation",
            Self::CertificateUntrusted => "CertificateUntrusted",
            Self::TlsFilesUnusable => "TlsFilesUnusable",
        }
    }

    /// What a person may do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Unreachable => "no NATS server answers: see whether it runs, and the address",
            Self::CredentialsUnreadable => "the NATS credentials file cannot be read or holds none",
            Self::AuthorizationViolation => {
                "NATS does not accept our credentials, or wants some and we have none"
            }
            Self::CredentialsExpired => {
                "our NATS credentials have ended; new ones are read as soon as they are there"
            }
            Self::PermissionViolation => {
                "NATS does not let us use a subject: our credentials may be an older version's"
            }
            Self::CertificateUntrusted => {
                "the certificate of NATS is not signed by the CA file's, is not for this host name, or has ended"
            }
            Self::TlsFilesUnusable => "the files for TLS to NATS cannot be used",
        }
    }
}

/// What TLS found out while a connection was made, which the client library does not tell.
#[derive(Clone, Debug, Default)]
pub struct Troubles(Arc<Mutex<Option<Trouble>>>);

impl Troubles {
    pub(crate) fn note(&self, trouble: Trouble) {
        *self.lock() = Some(trouble);
    }

    fn take(&self) -> Option<Trouble> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a program connects to NATS. Clones know of each other's connections.
#[derive(Clone, Debug, Default)]
pub struct Login {
    files: LoginFiles,
    /// Credentials that are in no file.
    given: Option<Credentials>,
    /// What the files held when the last connection was made.
    used: Arc<Mutex<Vec<Option<Vec<u8>>>>>,
    troubles: Troubles,
}

impl Login {
    /// By files.
    pub fn new(files: LoginFiles) -> Self {
        Self { files, ..Self::default() }
    }

    /// With credentials that are in no file.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { given: Some(credentials), ..self }
    }

    /// The options of a connection. The files are read each time one is made.
    pub fn options(&self) -> ConnectOptions {
        let login = self.clone();
        let mut options = if self.files.credentials.is_some() || self.given.is_some() {
            ConnectOptions::with_auth_callback(move |nonce| std::future::ready(login.auth(&nonce)))
        } else {
            ConnectOptions::new()
        };
        if let Some(config) = tls::config(&self.files, &self.troubles) {
            // Servers tell of each other by address, and certificates are for names.
            options = options.require_tls(true).tls_client_config(config).ignore_discovered_servers();
        }
        options
    }

    /// The credentials as they are now; none when there are none to have.
    ///
    /// # Errors
    /// What is wrong with the file. Nothing of its text is in it.
    pub fn credentials(&self) -> Result<Option<Credentials>, String> {
        let Some(path) = &self.files.credentials else { return Ok(self.given.clone()) };
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        Credentials::parse(&text).map(Some).map_err(|error| error.to_string())
    }

    /// Whether files have changed since the last connection was made.
    pub fn has_changed(&self) -> bool {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        !used.is_empty() && *used != self.content()
    }

    /// What an event tells of trouble.
    pub fn trouble(&self, event: &Event) -> Option<Trouble> {
        match event {
            Event::ServerError(ServerError::AuthorizationViolation) => Some(self.denied()),
            Event::ServerError(ServerError::Other(error)) => refused(error),
            Event::ClientError(ClientError::Other(error)) => Some(self.of_attempt(attempt(error))),
            _ => None,
        }
    }

    /// What a failed attempt to connect tells.
    pub fn of_attempt(&self, kind: ConnectErrorKind) -> Trouble {
        let by_tls = self.troubles.take();
        match kind {
            ConnectErrorKind::AuthorizationViolation => self.denied(),
            ConnectErrorKind::Authentication => Trouble::CredentialsUnreadable,
            ConnectErrorKind::Tls => by_tls.unwrap_or(Trouble::TlsFilesUnusable),
            _ => by_tls.unwrap_or(Trouble::Unreachable),
        }
    }

    /// Why the server does not let us in: it does not say.
    fn denied(&self) -> Trouble {
        let expiry = self.credentials().ok().flatten().and_then(|credentials| credentials.expires_at());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let is_over = expiry.is_some_and(|expiry| u64::try_from(expiry).is_ok_and(|expiry| expiry <= now));
        if is_over { Trouble::CredentialsExpired } else { Trouble::AuthorizationViolation }
    }

    fn auth(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = self.content();
        let mut auth = Auth::new();
        match self.credentials().map_err(AuthError::new)? {
            Some(Credentials::Jwt { jwt, seed }) => {
                let key = KeyPair::from_seed(&seed).map_err(|_| AuthError::new("the nkey seed is none"))?;
                auth.signature = Some(key.sign(nonce).map_err(AuthError::new)?);
                auth.jwt = Some(jwt);
            }
            Some(Credentials::Password { user, password }) => {
                (auth.username, auth.password) = (Some(user), Some(password));
            }
            Some(Credentials::Token(token)) => auth.token = Some(token),
            None => {}
        }
        Ok(auth)
    }

    fn content(&self) -> Vec<Option<Vec<u8>>> {
        let LoginFiles { credentials, ca, certificate, key } = &self.files;
        [credentials, ca, certificate, key].map(|path| std::fs::read(path.as_ref()?).ok()).into()
    }
}

/// What the server says while we are connected.
fn refused(error: &str) -> Option<Trouble> {
    let error = error.to_ascii_lowercase();
    if error.contains("permissions violation") {
        Some(Trouble::PermissionViolation)
    } else if error.contains("expired") {
        Some(Trouble::CredentialsExpired)
    } else if error.contains("authentication") || error.contains("authorization") {
        Some(Trouble::AuthorizationViolation)
    } else {
        None
    }
}

/// The kind of a failed attempt, of which the client library tells only the text.
fn attempt(error: &str) -> ConnectErrorKind {
    use ConnectErrorKind::{Authentication, AuthorizationViolation, Io, Tls};
    let kinds = [AuthorizationViolation, Authentication, Tls];
    kinds.into_iter().find(|kind| kind.to_string() == error).unwrap_or(Io)
}
