//! A connection by a SOCKS5 proxy, which resolves the router's name.

use std::path::Path;

use tokio::net::TcpStream;
use tokio_socks::tcp::Socks5Stream;

use super::rules::{Login, Proxy};

/// Why a proxy gives no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The login cannot be read.
    #[error("cannot read the login for the proxy: {0}")]
    Login(String),
    /// The proxy cannot be reached, or is no proxy, or does not want us.
    #[error("{0}")]
    Proxy(tokio_socks::Error),
    /// The proxy cannot reach the router.
    #[error("the proxy cannot reach the router: {0}")]
    Router(tokio_socks::Error),
}

/// Connects to a host and port by a proxy.
pub(super) async fn connect(proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, Error> {
    let (at, to) = ((proxy.host.as_str(), proxy.port), (host, port));
    let login = match &proxy.login {
        Login::None => None,
        Login::Given(username, password) => Some((username.clone(), password.clone())),
        Login::Folder(folder) => Some((read(folder, "username").await?, read(folder, "password").await?)),
    };
    let connected = match &login {
        None => Socks5Stream::connect(at, to).await,
        Some((username, password)) => Socks5Stream::connect_with_password(at, to, username, password).await,
    };
    connected.map(Socks5Stream::into_inner).map_err(said)
}

/// A file of the login. Its line end, as editors leave it, is no part of it.
async fn read(folder: &Path, name: &str) -> Result<String, Error> {
    let path = folder.join(name);
    let text = tokio::fs::read_to_string(&path).await;
    let text = text.map_err(|error| Error::Login(format!("{}: {error}", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Tells what the proxy says of the router from what is wrong with the proxy.
fn said(error: tokio_socks::Error) -> Error {
    use tokio_socks::Error as Said;
    match error {
        Said::HostUnreachable
        | Said::NetworkUnreachable
        | Said::ConnectionRefused
        | Said::TtlExpired
        | Said::GeneralSocksServerFailure => Error::Router(error),
        _ => Error::Proxy(error),
    }
}
