//! The clients. All are served by one thread of their own, which does little more than read.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::error::Error;
use crate::stamp::{Clock, StampFinder};
use crate::wire::{Cutter, Item, Transport, client_frame};

/// The key that clients show.
pub const KEY: &str = "benchmark";

/// The channel that all join.
pub const CHANNEL: &str = "imud_gossip";

/// How many clients connect at a time.
const CONNECTING: usize = 50;

/// How long all of them together may take to be ready.
const READY: Duration = Duration::from_secs(20);

/// What one read takes at most.
const READ: usize = 64 * 1024;

thread_local! {
    /// One buffer for all clients stays in the processor's cache.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// The thread that serves the clients. It ends when this is dropped.
pub struct Driver {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Driver {
    /// Starts the thread.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start() -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new().name("clients".to_owned()).spawn(move || {
            // It is never sent; that its sender is dropped is the sign.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, _stop: stop })
    }

    /// Does something on that thread.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.handle.spawn(task)
    }
}

/// Where clients connect, and how they behave.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// The address.
    pub address: SocketAddr,
    /// How to speak to it.
    pub transport: Transport,
    /// Whether the client stops reading once it is on the channel.
    pub stalls: bool,
}

/// Some clients that are connected, and on the channel.
pub struct Swarm {
    /// What they have heard.
    pub tally: Arc<Tally>,
    _tasks: JoinSet<()>,
}

impl Swarm {
    /// Connects clients and waits until all of them are on the channel.
    ///
    /// # Errors
    /// When one fails, or they are not ready in time.
    pub async fn connect(
        driver: &Driver,
        endpoint: Endpoint,
        count: usize,
        clock: Clock,
    ) -> Result<Self, Error> {
        let tally = Arc::new(Tally::new(count, clock)?);
        let (ready, mut is_ready) = mpsc::unbounded_channel();
        let turns = Arc::new(Semaphore::new(CONNECTING));
        let mut tasks = JoinSet::new();
        for index in 0..count {
            let (tally, ready, turns) = (Arc::clone(&tally), ready.clone(), Arc::clone(&turns));
            let client = async move {
                if let Err(error) = serve(index, endpoint, &tally, ready, &turns).await {
                    tally.fail(index, &error);
                }
            };
            tasks.spawn_on(client, &driver.handle);
        }
        drop(ready);
        let mut waiting = count;
        let all = async {
            while waiting > 0 && is_ready.recv().await.is_some() {
                waiting -= 1;
            }
        };
        // Too late or failed: the difference is seen below.
        let _ = timeout(READY, all).await;
        tally.check()?;
        if waiting > 0 {
            return Err(Error::NotReady { ready: count - waiting, wanted: count });
        }
        Ok(Self { tally, _tasks: tasks })
    }

    /// Waits until every client has heard so many messages.
    ///
    /// # Errors
    /// When one has failed, or has not heard them in time.
    pub async fn heard(&self, expected: u64, within: Duration) -> Result<(), Error> {
        let until = Instant::now() + within;
        loop {
            self.tally.check()?;
            let received = self.tally.slowest();
            if received >= expected {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Error::Lost { received, expected });
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What the clients of a swarm have heard.
pub struct Tally {
    clock: Clock,
    received: Box<[AtomicU64]>,
    /// Nanoseconds from when a message was due until a client had it.
    latencies: Mutex<Histogram<u64>>,
    failed: Mutex<Option<(usize, String)>>,
    message_bytes: AtomicU64,
}

impl Tally {
    fn new(count: usize, clock: Clock) -> Result<Self, Error> {
        // From a microsecond to a minute, three digits.
        let histogram = Histogram::new_with_bounds(1_000, 60_000_000_000, 3);
        let histogram = histogram.map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self {
            clock,
            received: (0..count).map(|_| AtomicU64::new(0)).collect(),
            latencies: Mutex::new(histogram),
            failed: Mutex::default(),
            message_bytes: AtomicU64::new(0),
        })
    }

    /// How many messages the client that is furthest behind has heard.
    pub fn slowest(&self) -> u64 {
        self.received.iter().map(|received| received.load(Ordering::Relaxed)).min().unwrap_or(0)
    }

    /// How many clients have heard so many messages.
    pub fn with(&self, expected: u64) -> usize {
        self.received.iter().filter(|received| received.load(Ordering::Relaxed) >= expected).count()
    }

    /// How many messages all have heard together.
    pub fn total(&self) -> u64 {
        self.received.iter().map(|received| received.load(Ordering::Relaxed)).sum()
    }

    /// How long a message is as a client gets it, in bytes, without a frame's header or a line's end.
    pub fn message_bytes(&self) -> u64 {
        self.message_bytes.load(Ordering::Relaxed)
    }

    /// How late messages were, in nanoseconds.
    pub fn latencies(&self) -> MutexGuard<'_, Histogram<u64>> {
        lock(&self.latencies)
    }

    /// Whether all is well.
    ///
    /// # Errors
    /// [`Error::Client`] for the first client that failed.
    pub fn check(&self) -> Result<(), Error> {
        match &*lock(&self.failed) {
            Some((client, what)) => Err(Error::Client { client: *client, what: what.clone() }),
            None => Ok(()),
        }
    }

    fn fail(&self, client: usize, error: &Error) {
        lock(&self.failed).get_or_insert_with(|| (client, error.to_string()));
    }
}

async fn serve(
    index: usize,
    endpoint: Endpoint,
    tally: &Tally,
    ready: mpsc::UnboundedSender<()>,
    turns: &Semaphore,
) -> Result<(), Error> {
    let mut client = {
        let _turn = turns.acquire().await;
        Client::connect(endpoint).await?
    };
    // Nobody waits any more when another client has failed.
    let _ = ready.send(());
    drop(ready);
    if endpoint.stalls {
        std::future::pending::<()>().await;
    }
    client.listen(&tally.received[index], tally).await
}

struct Client {
    stream: TcpStream,
    cutter: Cutter,
    closed: bool,
}

impl Client {
    async fn connect(endpoint: Endpoint) -> Result<Self, Error> {
        let stream = TcpStream::connect(endpoint.address).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, cutter: Cutter::new(endpoint.transport), closed: false };
        match endpoint.transport {
            Transport::Bare => return Ok(client),
            Transport::WebSocket => client.upgrade(endpoint.address).await?,
            Transport::Tcp => {
                let request = request(1, "authenticate", &format!("{{\"api_key\":\"{KEY}\"}}"));
                client.stream.write_all(format!("{request}\n").as_bytes()).await?;
            }
        }
        client.join(endpoint.transport).await?;
        Ok(client)
    }

    /// The WebSocket handshake.
    async fn upgrade(&mut self, address: SocketAddr) -> Result<(), Error> {
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-API-Key: {KEY}\r\n\r\n"
        );
        self.stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        loop {
            let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                if !answer.starts_with(b"HTTP/1.1 101 ") {
                    return Err(Error::Protocol("a refusal of the WebSocket handshake"));
                }
                // Nothing that follows is of interest yet, but it may be the first part of a frame.
                return self.cutter.feed(&answer[end + 4..], &mut |_| {});
            }
            self.stream.readable().await?;
            match self.stream.try_read_buf(&mut answer) {
                Ok(0) => return Err(Error::Protocol("the end of the connection in the handshake")),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Joins the channel, and waits for the answer.
    async fn join(&mut self, transport: Transport) -> Result<(), Error> {
        let request = request(2, "channel_join", &format!("{{\"channel\":\"{CHANNEL}\"}}"));
        let bytes = match transport {
            Transport::Tcp => format!("{request}\n").into_bytes(),
            Transport::WebSocket | Transport::Bare => client_frame(1, request.as_bytes()),
        };
        self.stream.write_all(&bytes).await?;
        let mut joined = false;
        while !joined {
            self.read(&mut |message| joined |= contains(message, b"\"joined\"")).await?;
        }
        Ok(())
    }

    /// Counts messages for ever.
    async fn listen(&mut self, received: &AtomicU64, tally: &Tally) -> Result<(), Error> {
        let mut finder = StampFinder::default();
        let (mut expected, mut wrong) = (0, None);
        loop {
            // When the kernel had it is not known, so that is when it is read, the others before it too.
            let mut now = 0;
            self.read(&mut |message| {
                let Some(stamp) = finder.find(message) else { return };
                if stamp.sequence != expected {
                    wrong.get_or_insert((stamp.sequence, expected));
                }
                expected += 1;
                if stamp.due != 0 {
                    now = if now == 0 { tally.clock.nanos() } else { now };
                    tally.latencies().saturating_record(now.saturating_sub(stamp.due));
                    tally.message_bytes.store(message.len() as u64, Ordering::Relaxed);
                }
            })
            .await?;
            if let Some((came, expected)) = wrong {
                let what = format!("message {came} came where {expected} was expected");
                return Err(std::io::Error::other(what).into());
            }
            received.store(expected, Ordering::Relaxed);
        }
    }

    /// Waits until something comes, and takes it.
    async fn read(&mut self, take: &mut impl FnMut(&[u8])) -> Result<(), Error> {
        self.stream.readable().await?;
        let mut pongs = Vec::new();
        BUFFER.with_borrow_mut(|buffer| {
            let len = match self.stream.try_read(buffer) {
                Ok(0) => return Err(Error::Protocol("the end of the connection")),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.cutter.feed(&buffer[..len], &mut |item| match item {
                Item::Message(message) => take(message),
                Item::Ping(payload) => pongs.extend(client_frame(10, payload)),
                Item::Close => self.closed = true,
            })
        })?;
        if !pongs.is_empty() {
            self.stream.write_all(&pongs).await?;
        }
        if self.closed { Err(Error::Protocol("a close frame")) } else { Ok(()) }
    }
}

fn request(id: u32, method: &str, params: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Locks a mutex. No holder can leave the data broken, so one that panicked does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
