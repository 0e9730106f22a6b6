//! A listener for clients, with or without TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mudgateway_telemetry::listen;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::tls::Tls;
use super::tune::tune_client;

/// A client's connection, as it came or under TLS.
pub type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// How many TLS handshakes may be under way at once, and how many connections may wait to be served.
const HANDSHAKES: usize = 256;

/// Accepts clients.
pub struct Listener {
    address: SocketAddr,
    source: Source,
}

enum Source {
    Plain(TcpListener),
    /// Handshakes are made aside, so that a slow one does not keep others waiting.
    Tls(mpsc::Receiver<(Stream, SocketAddr)>),
}

impl Listener {
    /// Listens; at `[::]` for IPv4, too. With TLS a client that takes longer than `handshake` for its handshake is closed.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(address: SocketAddr, tls: Option<Arc<Tls>>, handshake: Duration) -> io::Result<Self> {
        let listener = listen::listen(address).await?;
        let address = listener.local_addr()?;
        let source = match tls {
            None => Source::Plain(listener),
            Some(tls) => {
                let (sender, receiver) = mpsc::channel(HANDSHAKES);
                tokio::spawn(accept_tls(listener, tls, handshake, sender));
                Source::Tls(receiver)
            }
        };
        Ok(Self { address, source })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next client.
    pub async fn next(&mut self) -> (Stream, SocketAddr) {
        match &mut self.source {
            Source::Plain(listener) => {
                let (stream, peer) = accept(listener).await;
                (Either::Left(stream), peer)
            }
            Source::Tls(streams) => match streams.recv().await {
                Some(accepted) => accepted,
                // The task that accepts never ends before us.
                None => std::future::pending().await,
            },
        }
    }
}

/// Accepts until the receiver is gone.
async fn accept_tls(
    listener: TcpListener,
    tls: Arc<Tls>,
    handshake: Duration,
    ready: mpsc::Sender<(Stream, SocketAddr)>,
) {
    loop {
        let Ok(place) = ready.clone().reserve_owned().await else { return };
        let (stream, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = ready.closed() => return,
        };
        let acceptor = tls.acceptor();
        tokio::spawn(async move {
            match timeout(handshake, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    place.send((Either::Right(Box::new(stream)), peer));
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
            }
        });
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = tune_client(&stream) {
                    tracing::debug!(%peer, %error, "cannot set options of a client socket");
                }
                // Who comes by IPv4 to a socket of both has an address of IPv6 that says so.
                return (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: give others time to close theirs.
                tracing::warn!(%error, "cannot accept a client");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
