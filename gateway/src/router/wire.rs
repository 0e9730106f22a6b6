//! The connection to a router: packets in and out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use intermud3::Packet;
use intermud3::frame::MudModeCodec;
use mudgateway_crds::report::SessionReason;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::Framed;

use super::ended::{Ended, ended};
use super::proxy;
use super::rules::Egress;
use crate::metrics::{Direction, Metrics};
use crate::router::RouterAddress;

/// How long a TCP connection to a router may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one write to the router may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a router may leave a packet unfinished.
const FRAME_TIMEOUT: Duration = Duration::from_secs(15);

/// How often [`Wire::check_stall`] is to be called.
pub(super) const STALL_CHECK: Duration = Duration::from_millis(2500);

/// Undecodable packets are logged once in this time.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A connection. What it counts and logs is all it keeps.
pub(super) struct Wire {
    framed: Framed<TcpStream, MudModeCodec>,
    router: String,
    metrics: Arc<Metrics>,
    logged: Option<Instant>,
}

impl Wire {
    /// Connects to a router.
    pub(super) async fn connect(
        router: &RouterAddress,
        egress: &Egress,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Failed> {
        let late = || Failed {
            ended: unreachable(router, &format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())),
            seen: true,
        };
        let stream = timeout(CONNECT_TIMEOUT, open(router, egress)).await.unwrap_or_else(|_| Err(late()))?;
        if let Err(error) = crate::net::tune_router(&stream) {
            tracing::debug!(%error, "cannot set options of the router socket");
        }
        let framed = Framed::new(stream, MudModeCodec::new());
        Ok(Self { framed, router: router.name.clone(), metrics: Arc::clone(metrics), logged: None })
    }

    /// The next packet. One that cannot be read never ends the session. It may be cancelled.
    pub(super) async fn receive(&mut self) -> Result<Packet, Ended> {
        loop {
            let frame = match self.framed.next().await {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    let message = format!("{} broke the framing: {error}", self.router);
                    return Err(ended(SessionReason::ProtocolError, message));
                }
                None => {
                    let message = format!("{} closed the connection", self.router);
                    return Err(ended(SessionReason::SessionLost, message));
                }
            };
            match Packet::decode(&frame) {
                Ok(packet) => {
                    self.metrics.router.packet(Direction::In, &packet, frame.len());
                    return Ok(packet);
                }
                Err(error) => self.unreadable(&frame, &error),
            }
        }
    }

    /// Sends a packet.
    pub(super) async fn send(&mut self, packet: &Packet) -> Result<(), Ended> {
        match packet.encode() {
            Ok(text) => self.send_text(packet, text).await,
            Err(error) => {
                // It can never be sent, and waiting would not change that.
                tracing::warn!(%error, kind = packet.kind(), "dropped a packet that cannot be written");
                Ok(())
            }
        }
    }

    /// Sends a packet that is encoded already.
    pub(super) async fn send_text(&mut self, packet: &Packet, text: Bytes) -> Result<(), Ended> {
        self.metrics.router.packet(Direction::Out, packet, text.len());
        match timeout(WRITE_TIMEOUT, self.framed.send(text)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                Err(ended(SessionReason::SessionLost, format!("cannot write to the router: {error}")))
            }
            Err(_) => Err(ended(SessionReason::RouterSilent, "the router does not read")),
        }
    }

    /// Ends a connection whose router does not go on with a packet it began.
    pub(super) fn check_stall(&mut self) -> Result<(), Ended> {
        self.framed.codec_mut().check_stall(Instant::now(), FRAME_TIMEOUT).map_err(|error| {
            ended(SessionReason::ProtocolError, format!("{} left a packet unfinished: {error}", self.router))
        })
    }

    fn unreadable(&mut self, frame: &[u8], error: &intermud3::PacketError) {
        self.metrics.router.undecodable();
        if self.logged.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
            self.logged = Some(Instant::now());
            tracing::warn!(%error, sample = %hex_sample(frame), "dropped a packet that cannot be read");
        }
    }
}

/// No connection.
pub(super) struct Failed {
    /// Why.
    pub(super) ended: Ended,
    /// Whether the router may have accepted a connection all the same.
    pub(super) seen: bool,
}

async fn open(router: &RouterAddress, egress: &Egress) -> Result<TcpStream, Failed> {
    let Some(proxy) = &egress.proxy else {
        let connected = TcpStream::connect((router.host.as_str(), router.port)).await;
        return connected.map_err(|error| Failed { ended: unreachable(router, &error), seen: false });
    };
    proxy::connect(proxy, &router.host, router.port).await.map_err(|error| match error {
        proxy::Error::Router(_) => Failed { ended: unreachable(router, &error), seen: false },
        proxy::Error::Login(_) | proxy::Error::Proxy(_) => {
            let message = format!("the SOCKS5 proxy {proxy} gives no connection to {router}: {error}");
            Failed { ended: ended(SessionReason::ProxyFailed, message), seen: false }
        }
    })
}

fn unreachable(router: &RouterAddress, why: &dyn std::fmt::Display) -> Ended {
    ended(SessionReason::RouterUnreachable, format!("cannot connect to {router}: {why}"))
}

fn hex_sample(frame: &[u8]) -> String {
    frame.iter().take(64).map(|byte| format!("{byte:02x}")).collect()
}
