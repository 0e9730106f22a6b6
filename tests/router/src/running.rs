//! The rules on a network: one task has the state, two more serve each connection.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::core::{ChannelInfo, Conn, Core, LinkInfo, MudInfo, Output};
use crate::journal::Journal;
use crate::link::{Faults, Link, Setup};
use crate::{Config, Event, Mark, Peer};

/// Connections at a time; more are closed at once.
const MAX_LINKS: usize = 8_192;

/// What may wait for the task that has the state. Readers wait when it is full.
const MAX_INPUTS: usize = 1_024;

/// Between two attempts to reach a peer.
const REDIAL: Duration = Duration::from_millis(500);

/// Starts routers.
pub struct Router;

impl Router {
    /// Listens and serves until the result is dropped.
    pub async fn start(config: Config) -> io::Result<RunningRouter> {
        let listener = TcpListener::bind(config.listen).await?;
        let addr = listener.local_addr()?;
        let (inputs, inbox) = mpsc::channel(MAX_INPUTS);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let journal = Arc::new(Journal::new());
        let state = State {
            core: Core::new(&config, now()),
            links: HashMap::new(),
            dialled: HashMap::new(),
            faults: HashMap::new(),
            last: 0,
            inputs: inputs.clone(),
            journal: journal.clone(),
            stop: stop.clone(),
            send_buffer: config.send_buffer,
            nul: config.ways.nul,
        };
        config.peers.into_iter().for_each(|peer| state.dial(peer, Duration::ZERO));
        tasks.spawn(stop.clone().run_until_cancelled_owned(accept(listener, inputs.clone())));
        tasks.spawn(stop.clone().run_until_cancelled_owned(state.run(inbox)));
        tasks.close();
        let shared = Shared { name: config.name, addr, inputs, journal, stop: stop.clone(), tasks };
        Ok(RunningRouter { shared: Arc::new(shared), _stop: Arc::new(stop.drop_guard()) })
    }
}

/// A router at work. Clones are the same router; when the last one is dropped it closes every connection and
/// ends.
#[derive(Clone)]
pub struct RunningRouter {
    shared: Arc<Shared>,
    _stop: Arc<DropGuard>,
}

struct Shared {
    name: String,
    addr: SocketAddr,
    inputs: mpsc::Sender<Input>,
    journal: Arc<Journal>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl RunningRouter {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The muds it knows, by name.
    pub async fn muds(&self) -> Vec<MudInfo> {
        self.run(|state| state.core.muds()).await.unwrap_or_default()
    }

    /// The channels it knows, by name.
    pub async fn channels(&self) -> Vec<ChannelInfo> {
        self.run(|state| state.core.channels()).await.unwrap_or_default()
    }

    /// The connections there are, the oldest first.
    pub async fn links(&self) -> Vec<LinkInfo> {
        self.run(|state| state.core.links()).await.unwrap_or_default()
    }

    /// Closes a mud's link and lets it register no more: connections are accepted and meet silence. The mud
    /// need not be known.
    pub async fn cut(&self, mud: &str) {
        let mud = mud.to_owned();
        self.run(move |state| {
            let outputs = state.core.cut(now(), &mud);
            state.apply(outputs);
        })
        .await;
    }

    /// Lets a mud register again.
    pub async fn restore(&self, mud: &str) {
        let mud = mud.to_owned();
        self.run(move |state| state.core.restore(&mud)).await;
    }

    /// Stops reading from and writing to a mud's link, and leaves it open, like a link whose other end is
    /// gone without a word. Whether there is such a link; a mud that is not registered has the one on which it
    /// asked last.
    pub async fn half_open(&self, mud: &str) -> bool {
        self.change_faults(mud, |faults| faults.frozen = true).await
    }

    /// Reads and writes again.
    pub async fn resume(&self, mud: &str) -> bool {
        self.change_faults(mud, |faults| faults.frozen = false).await
    }

    /// From now on writes everything to a mud so much later, on its later links, too.
    pub async fn delay(&self, mud: &str, delay: Duration) {
        self.change_lasting_faults(mud, move |faults| faults.delay = delay).await;
    }

    /// From now on writes to a mud so many bytes at a time, on its later links, too; 0 for no such thing.
    pub async fn slice(&self, mud: &str, size: usize) {
        self.change_lasting_faults(mud, move |faults| faults.slice = size).await;
    }

    /// Sends bytes to a mud as they are, without a header. Whether there is a link.
    pub async fn send_raw(&self, mud: &str, bytes: impl Into<Bytes>) -> bool {
        let bytes = bytes.into();
        self.on_link(mud, move |link| link.send_raw(bytes)).await
    }

    /// Sends a text to a mud as a frame. Whether there is a link.
    pub async fn send_packet(&self, mud: &str, text: impl Into<Bytes>) -> bool {
        let text = text.into();
        self.on_link(mud, move |link| link.send(&text)).await
    }

    /// Closes every link and goes on with what the real router saves: muds, passwords, channels, and who
    /// listens to them.
    pub async fn restart(&self) {
        self.run(|state| {
            let outputs = state.core.restart(now());
            state.apply(outputs);
        })
        .await;
    }

    /// A place in the sequence of events: now.
    pub fn mark(&self) -> Mark {
        self.shared.journal.mark()
    }

    /// How many events since the mark are as wanted, and the mark to go on counting from. The oldest of many events are
    /// forgotten, so who counts for long asks often.
    pub fn count(&self, since: Mark, wanted: impl Fn(&Event) -> bool) -> (usize, Mark) {
        self.shared.journal.count(since, wanted)
    }

    /// The first event since the mark that is as wanted, or `None` if there is none in time. Events of the
    /// past count, so nothing is missed between an action and this call.
    pub async fn wait_for(
        &self,
        since: Mark,
        wanted: impl Fn(&Event) -> bool,
        timeout: Duration,
    ) -> Option<Event> {
        tokio::time::timeout(timeout, self.shared.journal.find(since, wanted)).await.ok()
    }

    /// Ends: closes every connection and waits until the port is free.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.wait().await;
    }

    /// Has the task that has the state do something. None: the router has ended.
    async fn run<T: Send + 'static>(&self, job: impl FnOnce(&mut State) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |state: &mut State| {
            // Nobody may be waiting any more.
            let _ = answer.send(job(state));
        });
        self.shared.inputs.send(Input::Run(job)).await.ok()?;
        answered.await.ok()
    }

    async fn on_link(&self, mud: &str, job: impl FnOnce(&Link) + Send + 'static) -> bool {
        let mud = mud.to_owned();
        let done = self.run(move |state| state.link_of(&mud).map(job).is_some()).await;
        done.unwrap_or_default()
    }

    async fn change_faults(&self, mud: &str, change: impl FnOnce(&mut Faults) + Send + 'static) -> bool {
        self.on_link(mud, |link| link.change_faults(change)).await
    }

    async fn change_lasting_faults(&self, mud: &str, change: impl FnOnce(&mut Faults) + Send + 'static) {
        let mud = mud.to_owned();
        self.run(move |state| state.change_lasting_faults(mud, change)).await;
    }
}

/// What the task that has the state is told.
pub(crate) enum Input {
    Accepted(TcpStream, SocketAddr),
    Dialled(TcpStream, SocketAddr, Peer),
    Frame(Conn, Bytes),
    Closed(Conn),
    Run(Box<dyn FnOnce(&mut State) + Send>),
}

async fn accept(listener: TcpListener, inputs: mpsc::Sender<Input>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // At once; until then tokio takes it for blocked.
                let _ = stream.writable().await;
                if inputs.send(Input::Accepted(stream, peer)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                // Out of file descriptors, most likely: wait for some to be closed.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Connects to a peer that has an address, however often it takes.
async fn dial(peer: Peer, wait: Duration, inputs: mpsc::Sender<Input>) {
    let Some(address) = peer.address else { return };
    tokio::time::sleep(wait).await;
    loop {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let _ = stream.writable().await;
                // Fails only when the router has ended.
                let _ = inputs.send(Input::Dialled(stream, address, peer)).await;
                return;
            }
            Err(error) => tracing::debug!(%error, router = peer.name, "cannot reach a peer"),
        }
        tokio::time::sleep(REDIAL).await;
    }
}

pub(crate) struct State {
    core: Core,
    links: HashMap<Conn, Link>,
    /// Links to peers, which are made again when they end.
    dialled: HashMap<Conn, Peer>,
    /// Faults for a mud's links to come.
    faults: HashMap<String, Faults>,
    /// The number of the last connection.
    last: u64,
    inputs: mpsc::Sender<Input>,
    journal: Arc<Journal>,
    stop: CancellationToken,
    send_buffer: usize,
    nul: bool,
}

impl State {
    async fn run(mut self, mut inbox: mpsc::Receiver<Input>) {
        loop {
            let due = self.core.next_tick();
            let tick = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let outputs = tokio::select! {
                Some(input) = inbox.recv() => self.take(input),
                () = tick => self.core.tick(now()),
            };
            self.apply(outputs);
        }
    }

    fn take(&mut self, input: Input) -> Vec<Output> {
        match input {
            Input::Accepted(stream, peer) => self.welcome(stream, peer).unwrap_or_default(),
            Input::Dialled(stream, address, peer) => self.join(stream, address, peer).unwrap_or_default(),
            Input::Frame(conn, body) => self.core.handle(now(), conn, body),
            Input::Closed(conn) => {
                self.links.remove(&conn);
                if let Some(peer) = self.dialled.remove(&conn) {
                    self.dial(peer, REDIAL);
                }
                self.core.disconnected(now(), conn)
            }
            Input::Run(job) => {
                job(self);
                Vec::new()
            }
        }
    }

    /// Takes a new connection on; None when it is gone again, or there are too many.
    fn welcome(&mut self, stream: TcpStream, peer: SocketAddr) -> Option<Vec<Output>> {
        let local = stream.local_addr().ok()?;
        let conn = self.start_link(stream)?;
        Some(self.core.connected(now(), conn, peer.ip(), local))
    }

    fn join(&mut self, stream: TcpStream, address: SocketAddr, peer: Peer) -> Option<Vec<Output>> {
        let local = stream.local_addr().ok()?;
        let conn = self.start_link(stream)?;
        let outputs = self.core.dialled(now(), conn, &peer.name, address, local);
        self.dialled.insert(conn, peer);
        Some(outputs)
    }

    fn start_link(&mut self, stream: TcpStream) -> Option<Conn> {
        if self.links.len() >= MAX_LINKS {
            return None;
        }
        stream.set_nodelay(true).ok()?;
        self.last += 1;
        let conn = Conn(self.last);
        let (inputs, stop) = (self.inputs.clone(), self.stop.clone());
        let setup = Setup { conn, inputs, stop, send_buffer: self.send_buffer, nul: self.nul };
        self.links.insert(conn, Link::start(stream, setup));
        Some(conn)
    }

    fn dial(&self, peer: Peer, wait: Duration) {
        let dial = dial(peer, wait, self.inputs.clone());
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(dial));
    }

    fn apply(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send { to, text } => {
                    if let Some(link) = self.links.get(&to) {
                        link.send(&text);
                    }
                }
                Output::Close(conn) => {
                    self.links.remove(&conn);
                }
                Output::Note(event) => {
                    tracing::info!("{event}");
                    self.make_lasting_faults(&event);
                    self.journal.write(event);
                }
            }
        }
    }

    fn link_of(&self, mud: &str) -> Option<&Link> {
        self.links.get(&self.core.link_of(mud)?)
    }

    fn change_lasting_faults(&mut self, mud: String, change: impl FnOnce(&mut Faults)) {
        let mut faults = self.faults.get(&mud).copied().unwrap_or_default();
        change(&mut faults);
        if let Some(link) = self.link_of(&mud) {
            link.change_faults(|now| *now = Faults { frozen: now.frozen, ..faults });
        }
        if faults == Faults::default() {
            self.faults.remove(&mud);
        } else if self.faults.len() < MAX_LINKS {
            self.faults.insert(mud, faults);
        }
    }

    /// A mud that comes back finds the faults it had.
    fn make_lasting_faults(&self, event: &Event) {
        let Event::Registered { conn, mud } = event else { return };
        if let (Some(faults), Some(link)) = (self.faults.get(mud), self.links.get(conn)) {
            link.change_faults(|now| *now = *faults);
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
