//! A TCP proxy that does to a link what networks do: delay, throttle, cut into pieces, swallow, reset, refuse.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::RngExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Read at once.
const CHUNK: usize = 16 * 1024;

/// Chunks that may be on their way in one direction; more make the sender wait, as a full window does.
const IN_FLIGHT: usize = 64;

/// Between two attempts to listen or to accept.
const RETRY: Duration = Duration::from_millis(20);

/// What is wrong with a link. The default is: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Everything comes so much later, in both directions.
    pub latency: Duration,
    /// And up to so much later again, at random; the order stays.
    pub jitter: Duration,
    /// The most bytes a second in each direction; 0 for no limit.
    pub bandwidth: u32,
    /// Everything is written so many bytes at a time; 0 for no such thing.
    pub slice: usize,
    /// Nothing comes from the one that connected, not even its end, until this is over.
    pub hole_up: bool,
    /// Nothing comes back to it.
    pub hole_down: bool,
    /// New connections are refused.
    pub refuse: bool,
}

impl Faults {
    /// Nothing is wrong.
    pub const NONE: Faults = Faults {
        latency: Duration::ZERO,
        jitter: Duration::ZERO,
        bandwidth: 0,
        slice: 0,
        hole_up: false,
        hole_down: false,
        refuse: false,
    };

    /// Nothing goes through in either direction, on no connection.
    pub const HOLE: Faults = Faults { hole_up: true, hole_down: true, ..Faults::NONE };

    fn swallows(&self, way: Way) -> bool {
        match way {
            Way::Up => self.hole_up,
            Way::Down => self.hole_down,
        }
    }
}

/// A direction.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// From the one that connected.
    Up,
    /// To it.
    Down,
}

/// What holds for the connections of a proxy.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    faults: Faults,
    /// Connections up to this one are half-open for good.
    frozen: u64,
    /// Connections up to this one are reset.
    reset: u64,
}

/// A proxy. It ends, and with it every connection, when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
    /// The number of the last connection.
    last: Arc<AtomicU64>,
    _stop: DropGuard,
}

impl Proxy {
    /// Listens on a free port of the loopback interface and passes on to a target.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        Self::start_from(Ipv4Addr::LOCALHOST, target).await
    }

    /// The same; the target sees connections from this address of the machine.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start_from(source: Ipv4Addr, target: SocketAddr) -> io::Result<Self> {
        let route = Route { source, target };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (orders, seen) = watch::channel(Orders::default());
        let (last, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let accepting = accept(listener, route, Arc::clone(&last), seen, stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        Ok(Self { address, orders, last, _stop: stop.drop_guard() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this is wrong with every connection.
    pub fn set(&self, faults: Faults) {
        self.orders.send_modify(|orders| orders.faults = faults);
    }

    /// Nothing goes through the connections there are any more, though they stay open; new ones work.
    pub fn freeze(&self) {
        let last = self.last.load(Ordering::SeqCst);
        self.orders.send_modify(|orders| orders.frozen = last);
    }

    /// Resets the connections there are (RST, at both ends).
    pub fn reset(&self) {
        let last = self.last.load(Ordering::SeqCst);
        self.orders.send_modify(|orders| orders.reset = last);
    }
}

/// From where to where.
#[derive(Clone, Copy, Debug)]
struct Route {
    source: Ipv4Addr,
    target: SocketAddr,
}

impl Route {
    async fn connect(self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((self.source, 0)))?;
        socket.connect(self.target).await
    }
}

/// Accepts for ever; while connections are to be refused it does not listen.
async fn accept(
    listener: TcpListener,
    route: Route,
    last: Arc<AtomicU64>,
    mut orders: watch::Receiver<Orders>,
    stop: CancellationToken,
) {
    let Ok(address) = listener.local_addr() else { return };
    let mut listener = Some(listener);
    loop {
        let Some(listening) = &listener else {
            // Fails only when the proxy has ended.
            let _ = orders.wait_for(|orders| !orders.faults.refuse).await;
            listener = TcpListener::bind(address).await.ok();
            sleep(RETRY).await;
            continue;
        };
        let accepted = tokio::select! {
            accepted = listening.accept() => accepted,
            _ = orders.wait_for(|orders| orders.faults.refuse) => {
                listener = None;
                continue;
            }
        };
        match accepted {
            Ok((inner, _)) => {
                let number = last.fetch_add(1, Ordering::SeqCst) + 1;
                let joined = join(inner, route, number, orders.clone());
                tokio::spawn(stop.clone().run_until_cancelled_owned(joined));
            }
            // Out of file descriptors, most likely: wait for some to be closed.
            Err(_) => sleep(RETRY).await,
        }
    }
}

/// Passes on until both directions have ended or one broke.
async fn join(mut inner: TcpStream, route: Route, number: u64, mut orders: watch::Receiver<Orders>) {
    // Whoever connected sees the end of the connection when the target cannot be reached.
    let Ok(mut outer) = route.connect().await else { return };
    let _ = (inner.set_nodelay(true), outer.set_nodelay(true));
    let gate = |way| Gate { way, number, orders: orders.clone() };
    let (up, down) = (gate(Way::Up), gate(Way::Down));
    let is_reset = {
        let (from_inner, to_inner) = inner.split();
        let (from_outer, to_outer) = outer.split();
        let both =
            async { tokio::try_join!(pass(from_inner, to_outer, up), pass(from_outer, to_inner, down)) };
        tokio::select! {
            _ = both => false,
            reset = orders.wait_for(|orders| orders.reset >= number) => reset.is_ok(),
        }
    };
    if is_reset {
        let _ = (inner.set_zero_linger(), outer.set_zero_linger());
    }
}

/// One direction of a connection.
async fn pass(from: ReadHalf<'_>, to: WriteHalf<'_>, gate: Gate) -> io::Result<()> {
    let (queue, queued) = mpsc::channel(IN_FLIGHT);
    tokio::try_join!(read(from, queue, gate.clone()), write(to, queued, gate)).map(|_| ())
}

/// Knows what holds for one direction of one connection.
#[derive(Clone)]
struct Gate {
    way: Way,
    number: u64,
    orders: watch::Receiver<Orders>,
}

impl Gate {
    fn faults(&self) -> Faults {
        self.orders.borrow().faults
    }

    /// Waits until something may go through.
    async fn open(&mut self) {
        let (way, number) = (self.way, self.number);
        let is_open = |orders: &Orders| !orders.faults.swallows(way) && number > orders.frozen;
        if self.orders.wait_for(is_open).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn read(
    mut from: ReadHalf<'_>,
    queue: mpsc::Sender<(Instant, Bytes)>,
    mut gate: Gate,
) -> io::Result<()> {
    let mut due = Instant::now();
    loop {
        gate.open().await;
        let mut chunk = BytesMut::with_capacity(CHUNK);
        if from.read_buf(&mut chunk).await? == 0 {
            return Ok(());
        }
        let Faults { latency, jitter, .. } = gate.faults();
        // Never before what came earlier.
        due = due.max(Instant::now() + latency + jitter.mul_f64(rand::rng().random()));
        if queue.send((due, chunk.freeze())).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut queued: mpsc::Receiver<(Instant, Bytes)>,
    mut gate: Gate,
) -> io::Result<()> {
    // When the link is free again.
    let mut free = Instant::now();
    while let Some((due, chunk)) = queued.recv().await {
        sleep_until(due).await;
        free = free.max(Instant::now());
        let Faults { slice, bandwidth, .. } = gate.faults();
        for piece in chunk.chunks(if slice == 0 { chunk.len() } else { slice }) {
            gate.open().await;
            to.write_all(piece).await?;
            if bandwidth > 0 {
                free += Duration::from_secs_f64(piece.len() as f64 / f64::from(bandwidth));
                sleep_until(free).await;
            } else if slice > 0 {
                tokio::task::yield_now().await;
            }
        }
    }
    // The end is swallowed like everything else.
    gate.open().await;
    to.shutdown().await
}
