//! HTTP connections, with bounds on what one may hold and for how long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Listener, Stream};

/// The largest head of a request, in bytes; a larger one is answered with status 431.
const HEAD_BYTES: usize = 16 * 1024;

/// The most header fields in it.
const HEADERS: usize = 64;

/// The most connections that are not WebSocket, or not yet. Past it the next ones wait to be accepted.
const CONNECTIONS: usize = 256;

/// How long a connection may go on without becoming a WebSocket; then the answer under way is its last.
const LIFETIME: Duration = Duration::from_secs(60);

/// From where a client connects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Serves HTTP/1.1 until `stop` fires. A client that takes longer than `head` to send the head of a request, or
/// to send the next one, is closed.
pub(crate) async fn serve(mut listener: Listener, router: Router, head: Duration, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (place, (stream, peer)) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.next().await)
            } => accepted,
        };
        let connection = converse(stream, Peer(peer), router.clone(), head, stop.clone());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
}

/// Answers the requests of one connection, until it ends or turns into another protocol.
async fn converse(stream: Stream, peer: Peer, router: Router, head: Duration, stop: CancellationToken) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request| {
        let extensions = hyper::Request::extensions_mut(&mut request);
        extensions.insert(ConnectInfo(peer));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => Ok(ended),
        () = async { tokio::select! { () = stop.cancelled() => {}, () = sleep(LIFETIME) => {} } } => {
            connection.as_mut().graceful_shutdown();
            timeout(head, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(peer = %peer.0, %error, "an HTTP connection failed"),
        Err(_) => tracing::debug!(peer = %peer.0, "an HTTP connection did not end in time"),
    }
}
