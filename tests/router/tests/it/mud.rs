//! A mud that says and hears exactly what a test wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use i3_router::{Config, Event, Mark, Router, RunningRouter};
use intermud3::MudModeCodec;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::codec::Framed;

/// For what must happen.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// For what must not happen during a test.
pub(crate) const NEVER: Duration = Duration::from_secs(3_600);

pub(crate) const SERVICES: &str = r#"(["tell":1,"channel":1,])"#;

const INFO: &str = r#""Lib","Base","Drv","LP","open","a@b.c""#;

/// A router that tells no news of its own accord.
pub(crate) async fn router() -> RunningRouter {
    router_with(NEVER, NEVER).await
}

pub(crate) async fn router_with(up_delay: Duration, down_delay: Duration) -> RunningRouter {
    Router::start(Config { up_delay, down_delay, ..Config::default() }).await.unwrap()
}

pub(crate) struct Mud {
    frames: Framed<TcpStream, MudModeCodec>,
    pub(crate) name: String,
    pub(crate) password: i64,
}

impl Mud {
    pub(crate) async fn connect(router: &RunningRouter, name: &str) -> Self {
        Self::connect_from(router, name, [127, 0, 0, 1]).await
    }

    /// Connects from another of the loopback addresses.
    pub(crate) async fn connect_from(router: &RunningRouter, name: &str, address: [u8; 4]) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::from(address), 0))).unwrap();
        let stream = socket.connect(router.addr()).await.unwrap();
        Self { frames: Framed::new(stream, MudModeCodec::new()), name: name.to_owned(), password: 0 }
    }

    /// A mud that is registered, with everything read that comes at first.
    pub(crate) async fn up(router: &RunningRouter, name: &str) -> Self {
        let mut mud = Self::connect(router, name).await;
        mud.register().await;
        mud
    }

    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        self.frames.send(text.into().into()).await.unwrap();
    }

    pub(crate) async fn recv(&mut self) -> String {
        let frame = tokio::time::timeout(SOON, self.frames.next()).await.expect("no packet came");
        String::from_utf8(frame.expect("closed").unwrap().to_vec()).unwrap()
    }

    /// Everything that comes until the router closes.
    pub(crate) async fn rest(mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Some(frame) = tokio::time::timeout(SOON, self.frames.next()).await.expect("not closed") {
            // A reset counts as a close.
            let Ok(frame) = frame else { break };
            rest.push(String::from_utf8(frame.to_vec()).unwrap());
        }
        rest
    }

    /// The text of a startup request with everything as it should be.
    pub(crate) fn startup(&self) -> String {
        startup(&self.name, r#""*test""#, self.password, SERVICES)
    }

    pub(crate) async fn register(&mut self) {
        let startup = self.startup();
        self.register_with(&startup).await;
    }

    /// Sends a startup request that is accepted; reads to the end of the first lists.
    pub(crate) async fn register_with(&mut self, startup: &str) -> Vec<String> {
        self.send(startup).await;
        let reply = self.recv().await;
        assert!(reply.starts_with(r#"({"startup-reply",5,"*test",0,"#), "{reply}");
        self.password = password_in(&reply);
        // What this brings ends the lists, whether there is a chanlist or not.
        let mut lists = vec![];
        self.send(self.probe()).await;
        loop {
            let packet = self.recv().await;
            if packet == self.probe() {
                return lists;
            }
            lists.push(packet);
        }
    }

    /// A packet that comes back when the link is live.
    pub(crate) fn probe(&self) -> String {
        format!(r#"({{"auth-mud-req",5,"{0}",0,"{0}",0,}})"#, self.name)
    }

    /// Nothing has been sent to this registered mud that it has not read.
    pub(crate) async fn has_read_all(&mut self) {
        self.send(self.probe()).await;
        assert_eq!(self.recv().await, self.probe());
    }

    pub(crate) async fn listen(&mut self, channel: &str) {
        self.send(format!(r#"({{"channel-listen",5,"{}",0,0,0,"{channel}",1,}})"#, self.name)).await;
        self.has_read_all().await;
    }

    /// The next bytes, which need not be a frame.
    pub(crate) async fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = self.frames.read_buffer_mut().split().to_vec();
        while bytes.len() < len {
            let read = self.frames.get_mut().read_buf(&mut bytes);
            assert_ne!(tokio::time::timeout(SOON, read).await.expect("no bytes came").unwrap(), 0, "closed");
        }
        bytes
    }
}

pub(crate) fn startup(name: &str, router: &str, password: i64, services: &str) -> String {
    format!(
        r#"({{"startup-req-3",5,"{name}",0,{router},0,{password},0,0,4000,0,0,{INFO},{services},([]),}})"#
    )
}

/// The password in a `startup-reply`.
pub(crate) fn password_in(reply: &str) -> i64 {
    reply.trim_end_matches(",})").rsplit_once(',').unwrap().1.parse().unwrap()
}

/// A mudlist entry of a mud made here.
pub(crate) fn entry_at(name: &str, state: i64, address: &str) -> String {
    format!(r#""{name}":({{{state},"{address}",4000,0,0,{INFO},{SERVICES},([]),}}),"#)
}

pub(crate) async fn saw(router: &RunningRouter, since: Mark, wanted: impl Fn(&Event) -> bool) -> Event {
    router.wait_for(since, wanted, SOON).await.expect("the router never saw it")
}
