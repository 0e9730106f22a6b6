//! The client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::inbox::Inbox;
use crate::transport::{self, Incoming, Outgoing, Target};
use crate::{CallError, Closed, ConnectError, RpcError, WaitError};

/// Messages that may wait to be sent; more make the sender wait.
const MAX_UNSENT: usize = 256;

/// How long what is still to be sent may take once nobody uses the client any more.
const GRACE: Duration = Duration::from_secs(1);

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// Sent in the header `X-API-Key`. WebSocket only.
    pub api_key: Option<String>,
    /// How long connecting may take, the server's `welcome` included.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub call_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let (connect_timeout, call_timeout) = (Duration::from_secs(10), Duration::from_secs(30));
        Self { api_key: None, connect_timeout, call_timeout }
    }
}

/// A connection to a gateway. Clones share it; when the last one is dropped it closes.
#[derive(Clone)]
pub struct Client {
    url: Arc<str>,
    outgoing: mpsc::Sender<String>,
    inbox: Arc<Inbox>,
    last_id: Arc<AtomicU64>,
    call_timeout: Duration,
    _stop: Arc<DropGuard>,
}

impl Client {
    /// Connects to `ws://host:port/path` or `tcp://host:port`; over TCP waits for the server's `welcome`.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::connect_with(url, Options::default()).await
    }

    /// The same with options.
    pub async fn connect_with(url: &str, options: Options) -> Result<Self, ConnectError> {
        let after = options.connect_timeout;
        match timeout(after, Self::open(url, &options)).await {
            Ok(done) => done,
            Err(_) => Err(ConnectError::TimedOut { url: url.to_owned(), after }),
        }
    }

    async fn open(url: &str, options: &Options) -> Result<Self, ConnectError> {
        match Target::of(url)? {
            Target::WebSocket => {
                let (outgoing, incoming) = transport::web_socket(url, options.api_key.as_deref()).await?;
                Ok(Self::start(url, options, outgoing, incoming))
            }
            Target::Tcp(_) if options.api_key.is_some() => Err(ConnectError::Header { url: url.to_owned() }),
            Target::Tcp(address) => {
                let (outgoing, incoming) = transport::tcp(url, address).await?;
                Self::welcomed(url, options, outgoing, incoming).await
            }
        }
    }

    /// Speaks the line protocol over a stream that is there already, such as a forwarded port; `name` stands for it in
    /// errors. Waits for the server's `welcome`.
    pub async fn over(
        name: &str,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        options: Options,
    ) -> Result<Self, ConnectError> {
        let (outgoing, incoming) = transport::lines(stream);
        let after = options.connect_timeout;
        match timeout(after, Self::welcomed(name, &options, outgoing, incoming)).await {
            Ok(done) => done,
            Err(_) => Err(ConnectError::TimedOut { url: name.to_owned(), after }),
        }
    }

    /// The same with WebSocket, which has no `welcome`. Where `name` is a URL, its host and path are asked for.
    pub async fn over_web_socket(
        name: &str,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        options: Options,
    ) -> Result<Self, ConnectError> {
        let after = options.connect_timeout;
        match timeout(after, transport::web_socket_over(name, stream)).await {
            Ok(opened) => opened.map(|(outgoing, incoming)| Self::start(name, &options, outgoing, incoming)),
            Err(_) => Err(ConnectError::TimedOut { url: name.to_owned(), after }),
        }
    }

    async fn welcomed(
        url: &str,
        options: &Options,
        outgoing: Outgoing,
        incoming: Incoming,
    ) -> Result<Self, ConnectError> {
        let client = Self::start(url, options, outgoing, incoming);
        let welcomed = client.inbox.event(|event| event["method"] == "welcome").await;
        welcomed.map_err(|closed| ConnectError::Closed { url: url.to_owned(), closed })?;
        Ok(client)
    }

    fn start(url: &str, options: &Options, outgoing: Outgoing, incoming: Incoming) -> Self {
        let inbox = Arc::new(Inbox::new());
        let stop = CancellationToken::new();
        let (queue, queued) = mpsc::channel(MAX_UNSENT);
        tokio::spawn(stop.clone().run_until_cancelled_owned(receive(incoming, inbox.clone())));
        let leave = stop.clone();
        let sending = send(outgoing, queued, inbox.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = sending => {}
                // What was queued when the last client went still goes out, unless the server does not read.
                () = async { leave.cancelled().await; tokio::time::sleep(GRACE).await } => {}
            }
        });
        Self {
            url: url.into(),
            outgoing: queue,
            inbox,
            last_id: Arc::default(),
            call_timeout: options.call_timeout,
            _stop: Arc::new(stop.drop_guard()),
        }
    }

    /// The URL it is connected to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Says who we are. The result has `status` and `mud_name`.
    pub async fn authenticate(&self, key: &str) -> Result<Value, CallError> {
        self.call("authenticate", json!({ "api_key": key })).await
    }

    /// Calls a method and waits for its result.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, CallError> {
        let id = self.next_id();
        self.request(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await
    }

    /// Sends a request that is already an object, with its id if it has one, and waits for the result.
    pub async fn request(&self, mut request: Value) -> Result<Value, CallError> {
        if request.get("id").is_none_or(Value::is_null) {
            request["id"] = self.next_id();
        }
        let (id, method) = (request["id"].clone(), request["method"].as_str().unwrap_or_default().to_owned());
        let answered = self.inbox.expect(&id);
        let exchange = async {
            self.send_raw(&request.to_string()).await;
            answered.await
        };
        match timeout(self.call_timeout, exchange).await {
            Ok(Ok(answer)) => self.result(method, answer),
            Ok(Err(_)) => Err(CallError::Closed {
                url: self.url.to_string(),
                method,
                closed: self.inbox.wait_closed().await,
            }),
            Err(_) => {
                self.inbox.give_up(&id);
                Err(CallError::TimedOut { url: self.url.to_string(), method, after: self.call_timeout })
            }
        }
    }

    fn result(&self, method: String, mut answer: Value) -> Result<Value, CallError> {
        let Some(error) = answer.get_mut("error").map(Value::take) else {
            return Ok(answer["result"].take());
        };
        let error = RpcError {
            code: error["code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
            data: error.get("data").cloned(),
            id: answer["id"].take(),
        };
        Err(CallError::Rpc { url: self.url.to_string(), method, error: Box::new(error) })
    }

    fn next_id(&self) -> Value {
        (self.last_id.fetch_add(1, Ordering::Relaxed) + 1).into()
    }

    /// Sends a text as it is: one WebSocket message, or one line. Of a connection that has ended other calls
    /// tell.
    pub async fn send_raw(&self, text: &str) {
        let _ = self.outgoing.send(text.to_owned()).await;
    }

    /// The next event: a message without an id, whole.
    pub async fn next_event(&self, within: Duration) -> Result<Value, WaitError> {
        self.wait_event(|_| true, within).await
    }

    /// The first event as wanted, one of those that have come or the next to come. Others stay for later.
    pub async fn wait_event(
        &self,
        wanted: impl Fn(&Value) -> bool,
        within: Duration,
    ) -> Result<Value, WaitError> {
        self.wait(self.inbox.event(wanted), within).await
    }

    /// The next message of any kind, as it came. Independent of events and answers: those are here as well.
    pub async fn next_raw(&self, within: Duration) -> Result<String, WaitError> {
        self.wait(self.inbox.raw(), within).await
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self, within: Duration) -> Result<Closed, WaitError> {
        self.wait(async { Ok(self.inbox.wait_closed().await) }, within).await
    }

    /// How many events gave way because nobody took them.
    pub fn lost_events(&self) -> u64 {
        self.inbox.lost()
    }

    async fn wait<T>(
        &self,
        what: impl Future<Output = Result<T, Closed>>,
        within: Duration,
    ) -> Result<T, WaitError> {
        match timeout(within, what).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(closed)) => Err(WaitError::Closed { url: self.url.to_string(), closed }),
            Err(_) => Err(WaitError::TimedOut { url: self.url.to_string(), after: within }),
        }
    }
}

async fn receive(mut incoming: Incoming, inbox: Arc<Inbox>) {
    while let Some(message) = incoming.next().await {
        match message {
            Ok(text) => inbox.put(text),
            Err(closed) => return inbox.close(closed),
        }
    }
    inbox.close(Closed::default());
}

/// Sends until the last client is gone, then says good-bye.
async fn send(mut outgoing: Outgoing, mut queued: mpsc::Receiver<String>, inbox: Arc<Inbox>) {
    while let Some(text) = queued.recv().await {
        if let Err(error) = outgoing.send(text).await {
            return inbox.close(Closed { code: None, reason: error.to_string() });
        }
    }
    // The other end may be gone already.
    let _ = outgoing.close().await;
}
