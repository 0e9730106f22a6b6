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

use crate::core::{Conn, Core, MudInfo, Output};
use crate::journal::Journal;
use crate::link::Link;
use crate::{Config, Event, Mark};

/// Connections at a time; more are closed at once.
const MAX_LINKS: usize = 8_192;

/// What may wait for the task that has the state. Readers wait when it is full.
const MAX_INPUTS: usize = 1_024;

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
            core: Core::new(&config),
            links: HashMap::new(),
            last: 0,
            inputs: inputs.clone(),
            journal: journal.clone(),
            stop: stop.clone(),
        };
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

    /// Closes a mud's link and lets it register no more: connections are accepted and meet silence. The mud
    /// need not be known.
    pub async fn cut(&self, mud: &str) {
        let mud = mud.to_owned();
        self.ask(|done| Input::Cut(mud, done)).await;
    }

    /// Lets a mud register again.
    pub async fn restore(&self, mud: &str) {
        let mud = mud.to_owned();
        self.ask(|done| Input::Restore(mud, done)).await;
    }

    /// The muds it knows, by name.
    pub async fn muds(&self) -> Vec<MudInfo> {
        self.ask(Input::Muds).await.unwrap_or_default()
    }

    /// A place in the sequence of events: now.
    pub fn mark(&self) -> Mark {
        self.shared.journal.mark()
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

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Input) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.shared.inputs.send(question(answer)).await.ok()?;
        answered.await.ok()
    }
}

/// What the task that has the state is told.
pub(crate) enum Input {
    Accepted(TcpStream, SocketAddr),
    Frame(Conn, Bytes),
    Closed(Conn),
    Cut(String, oneshot::Sender<()>),
    Restore(String, oneshot::Sender<()>),
    Muds(oneshot::Sender<Vec<MudInfo>>),
}

async fn accept(listener: TcpListener, inputs: mpsc::Sender<Input>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
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

struct State {
    core: Core,
    links: HashMap<Conn, Link>,
    /// The number of the last connection.
    last: u64,
    inputs: mpsc::Sender<Input>,
    journal: Arc<Journal>,
    stop: CancellationToken,
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
            Input::Frame(conn, text) => self.core.handle(now(), conn, text),
            Input::Closed(conn) => {
                self.links.remove(&conn);
                self.core.disconnected(now(), conn)
            }
            Input::Cut(mud, done) => {
                let outputs = self.core.cut(now(), &mud);
                // Nobody may be waiting any more.
                let _ = done.send(());
                outputs
            }
            Input::Restore(mud, done) => {
                self.core.restore(&mud);
                let _ = done.send(());
                Vec::new()
            }
            Input::Muds(answer) => {
                let _ = answer.send(self.core.muds());
                Vec::new()
            }
        }
    }

    /// Takes a new connection on; None when it is gone again, or there are too many.
    fn welcome(&mut self, stream: TcpStream, peer: SocketAddr) -> Option<Vec<Output>> {
        let local = stream.local_addr().ok().filter(|_| self.links.len() < MAX_LINKS)?;
        stream.set_nodelay(true).ok()?;
        self.last += 1;
        let conn = Conn(self.last);
        self.links.insert(conn, Link::start(conn, stream, self.inputs.clone(), &self.stop));
        Some(self.core.connected(conn, peer.ip(), local))
    }

    fn apply(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send { to, text } => {
                    if let Some(link) = self.links.get(&to) {
                        link.send(text);
                    }
                }
                Output::Close(conn) => {
                    self.links.remove(&conn);
                }
                Output::Note(event) => {
                    tracing::info!("{event}");
                    self.journal.write(event);
                }
            }
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
