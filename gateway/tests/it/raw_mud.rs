//! A mud that says on the network exactly what a test wants, and on out-of-band connections too.

use std::net::SocketAddr;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use i3_router::RunningRouter;
use intermud3::MudModeCodec;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::Framed;

use super::support::WITHIN;

/// A connection on which each frame is a packet.
pub struct Raw {
    frames: Framed<TcpStream, MudModeCodec>,
}

impl Raw {
    /// A connection that is open.
    pub fn new(stream: TcpStream) -> Self {
        Self { frames: Framed::new(stream, MudModeCodec::with_limits(1 << 22, 1 << 22)) }
    }

    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.unwrap())
    }

    /// Sends a packet.
    pub async fn send(&mut self, text: &str) {
        self.frames.send(Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
    }

    /// The next packet; none when the other end closes.
    pub async fn next(&mut self) -> Option<String> {
        let frame = timeout(WITHIN * 2, self.frames.next()).await.expect("nothing came, not even the end");
        frame.and_then(Result::ok).map(|text| String::from_utf8(text.to_vec()).unwrap())
    }

    /// Sends a packet and returns what is answered.
    pub async fn ask(&mut self, text: &str) -> String {
        self.send(text).await;
        self.next().await.unwrap_or_else(|| panic!("closed after {text}"))
    }

    /// The other end closes without another word.
    pub async fn ends(&mut self) {
        assert_eq!(self.next().await, None);
    }
}

/// A mud on a router.
pub struct RawMud {
    name: String,
    router: Raw,
}

impl RawMud {
    /// Registers a mud with these services, which waits for out-of-band connections at a port.
    pub async fn start(router: &RunningRouter, name: &str, tcp_port: u16, services: &str) -> Self {
        let mut mud = Self { name: name.to_owned(), router: Raw::connect(router.addr()).await };
        let startup = format!(
            r#"({{"startup-req-3",5,"{name}",0,"{}",0,0,0,0,4000,{tcp_port},0,"Lib","Base","Drv","LP","open","a@b.c",([{services}]),([]),}})"#,
            router.name()
        );
        mud.router.send(&startup).await;
        mud.expect("startup-reply").await;
        mud
    }

    /// Sends a packet of a type to another mud, without fields.
    pub async fn send(&mut self, kind: &str, to: &str) {
        self.router.send(&format!(r#"({{"{kind}",5,"{}",0,"{to}",0,}})"#, self.name)).await;
    }

    /// Says something on a channel.
    pub async fn say(&mut self, channel: &str, text: &str) {
        let name = &self.name;
        self.router
            .send(&format!(r#"({{"channel-m",5,"{name}","eve",0,0,"{channel}","Eve","{text}",}})"#))
            .await;
    }

    /// Sends a packet to all.
    pub async fn broadcast(&mut self, packet: &str) {
        self.router.send(packet).await;
    }

    /// Waits for a packet of a type.
    pub async fn expect(&mut self, kind: &str) -> String {
        loop {
            let text = self.router.next().await.unwrap_or_else(|| panic!("closed before a {kind} came"));
            if text.starts_with(&format!(r#"({{"{kind}","#)) {
                return text;
            }
        }
    }

    /// A key of another mud.
    pub async fn key(&mut self, of: &str) -> i64 {
        self.send("auth-mud-req", of).await;
        let reply = self.expect("auth-mud-reply").await;
        reply.trim_end_matches(",})").rsplit(',').next().unwrap().parse().unwrap()
    }

    /// Opens a conversation with a gateway.
    pub async fn begin(&mut self, of: &str, address: SocketAddr) -> Raw {
        let key = self.key(of).await;
        let mut raw = Raw::connect(address).await;
        let welcome = raw.ask(&format!(r#"({{"oob-begin","{}",1,{key},}})"#, self.name)).await;
        assert_eq!(welcome, format!(r#"({{"oob-begin","{of}",0,0,}})"#));
        raw
    }
}
