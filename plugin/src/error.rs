//! What can go wrong, in words for whoever typed the command.

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no usable kubeconfig.
    #[error("no way to the cluster: {0}")]
    Kubeconfig(String),
    /// The API server does not answer.
    #[error(
        "the API server does not answer: {0}\nIs the cluster up, and is this the right context? (`kubectl config current-context`)"
    )]
    Unreachable(String),
    /// The API server does not accept who we are.
    #[error("the API server does not accept the credentials: {0}\nLog in again, or use another context")]
    Unauthorized(String),
    /// The caller lacks a right.
    #[error("{0}")]
    Forbidden(#[from] crate::access::Forbidden),
    /// The cluster has no MudGateways.
    #[error(
        "this cluster does not know MudGateways: install the chart first (docs/QUICKSTART.md), or use another context"
    )]
    NoDefinition,
    /// There is no such object.
    #[error("there is no {kind} {name} in namespace {namespace}{hint}")]
    NotFound {
        /// What is missing.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where.
        namespace: String,
        /// What to do about it.
        hint: String,
    },
    /// The API server refuses for another reason.
    #[error("{doing}: {message}")]
    Api {
        /// What was tried.
        doing: String,
        /// In the API server's words.
        message: String,
    },
    /// A command needs one MudGateway, and it is not clear which.
    #[error("{0}")]
    WhichGateway(String),
    /// No pod can be talked to.
    #[error("no pod of MudGateway {0} is ready; `kubectl mudgw doctor {1}` says why")]
    NoPod(String, String),
    /// The gateway wants a certificate of us.
    #[error(
        "MudGateway {0} wants a certificate of its clients (spec.api.tls.requireClientCertificate): give one with \
         --client-certificate FILE and --client-key FILE, signed by the CA in the entry ca.crt of its TLS Secret"
    )]
    NoCertificate(String),
    /// The gateway could not be talked to.
    #[error("talking to the gateway: {0}")]
    Connect(#[from] mudclient::ConnectError),
    /// The gateway refused a request.
    #[error("{0}")]
    Call(#[from] mudclient::CallError),
    /// Anything else, in whole sentences.
    #[error("{0}")]
    Other(String),
    /// The output could not be written.
    #[error("writing the output: {0}")]
    Output(#[from] std::io::Error),
}

/// What commands return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
