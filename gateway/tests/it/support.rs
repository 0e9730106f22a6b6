//! Starts the gateway and a nats-server as processes, and talks to them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::{self, stream::StorageType};
use i3_router::{Config, Event, RunningRouter};
use mudclient::Client;
use mudgateway_identity::Login;
use mudgateway_layout::Layout;
use serde_json::{Value, json};
use tempfile::TempDir;
use testnats::{NatsServer, Options};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

pub const KEY: &str = "a key that must never be logged";
pub const CHANNEL: &str = "imud_gossip";
pub const WITHIN: Duration = Duration::from_secs(10);

/// A gateway that offers mail, files and news at a port the system chose, and does not slow a test down.
pub const OFFERING: &[(&str, &str)] = &[
    ("API_REQUESTS_PER_MINUTE", "100000"),
    ("OOB_ENABLED", "true"),
    ("OOB_HOST", "127.0.0.1"),
    ("OOB_PORT", "0"),
    ("OOB_ALLOW_PRIVATE", "true"),
    ("ENABLE_OOB_MAIL", "1"),
    ("ENABLE_OOB_NEWS", "1"),
    ("ENABLE_OOB_FILE", "1"),
];

/// A gateway process. It is killed when dropped.
pub struct Gateway {
    child: Child,
    log: Arc<Log>,
    state: TempDir,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    changed: Notify,
}

impl Gateway {
    /// Starts a gateway for a mud and waits until it listens.
    pub async fn start(mud: &str, router: &RunningRouter, environment: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), mud, router, environment).await
    }

    /// The same, with flags, and without the key of the environment.
    pub async fn start_with(mud: &str, router: &RunningRouter, flags: &[&str]) -> Self {
        let mut command = Self::command(mud, router);
        command.args(flags).env_remove("I3_GATEWAY_SECRET");
        Self::spawn(command, tempfile::tempdir().unwrap()).await
    }

    /// The same, with the state another gateway left.
    pub async fn start_in(
        state: TempDir,
        mud: &str,
        router: &RunningRouter,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Self::command(mud, router);
        command.envs(environment.iter().copied());
        Self::spawn(command, state).await
    }

    /// The same, with a configuration file.
    pub async fn start_with_file(
        mud: &str,
        router: &RunningRouter,
        file: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("config.yaml");
        std::fs::write(&path, file).unwrap();
        let mut command = Self::command(mud, router);
        command.arg("--config").arg(path).envs(environment.iter().copied());
        Self::spawn(command, state).await
    }

    fn command(mud: &str, router: &RunningRouter) -> Command {
        let address = router.addr();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mudgateway"));
        command
            .env_clear()
            .env("MUD_NAME", mud)
            .env("I3_ROUTER_NAME", router.name())
            .env("I3_ROUTER_HOST", address.ip().to_string())
            .env("I3_ROUTER_PORT", address.port().to_string())
            .env("I3_GATEWAY_SECRET", KEY)
            .env("API_WS_HOST", "127.0.0.1")
            .env("API_WS_PORT", "0")
            .env("API_TCP_PORT", "0")
            .env("METRICS_PORT", "0")
            .env("LOG_LEVEL", "trace");
        command
    }

    async fn spawn(mut command: Command, state: TempDir) -> Self {
        command.env("STATE_DIR", state.path()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Log::default());
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let writer = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                writer.lines.lock().unwrap().push(line);
                writer.changed.notify_waiters();
            }
        });
        let gateway = Self { child, log, state };
        gateway.logged("\"what\":\"metrics\"").await;
        gateway
    }

    /// Waits for a log line that holds a text, and returns it.
    pub async fn logged(&self, text: &str) -> Value {
        let find = async {
            loop {
                let changed = self.log.changed.notified();
                let found = self.log.lines.lock().unwrap().iter().find(|line| line.contains(text)).cloned();
                match found {
                    Some(line) => return line,
                    None => changed.await,
                }
            }
        };
        let line = timeout(Duration::from_secs(30), find).await;
        let line = line.unwrap_or_else(|_| panic!("{text:?} was not logged:\n{}", self.whole_log()));
        serde_json::from_str(&line).unwrap_or_else(|_| json!({"text": line}))
    }

    /// All that was logged so far.
    pub fn whole_log(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// Where it listens for something.
    pub async fn address(&self, what: &str) -> SocketAddr {
        let line = self.logged(&format!("\"what\":\"{what}\"")).await;
        line["address"].as_str().unwrap().parse().unwrap()
    }

    pub async fn websocket(&self) -> String {
        format!("ws://{}/ws", self.address("WebSocket and health").await)
    }

    pub async fn tcp(&self) -> String {
        format!("tcp://{}", self.address("TCP lines").await)
    }

    /// A client that is authenticated, by WebSocket.
    pub async fn client(&self) -> Client {
        let client = Client::connect(&self.websocket().await).await.unwrap();
        client.authenticate(KEY).await.unwrap();
        client
    }

    /// A client that is authenticated and on the channel.
    pub async fn listener(&self) -> Client {
        let client = self.client().await;
        client.call("channel_join", json!({"channel": CHANNEL})).await.unwrap();
        client
    }

    /// Status and body of a GET.
    pub async fn get(&self, what: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address(what).await).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// How much memory it has, in bytes (`VmRSS`).
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Where its configuration file is, if it has one.
    pub fn file(&self) -> PathBuf {
        self.state.path().join("config.yaml")
    }

    /// Sends SIGTERM.
    pub async fn terminate(&self) {
        self.signal("-TERM").await;
    }

    /// Sends a signal, such as `-STOP`.
    pub async fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
    }

    /// Waits for the end; returns how it ended and the state it leaves.
    pub async fn ended(mut self) -> (ExitStatus, TempDir) {
        let status = timeout(Duration::from_secs(15), self.child.wait()).await;
        (status.expect("it ends in time").unwrap(), self.state)
    }

    /// Kills it, as a crash would.
    pub async fn killed(mut self) -> TempDir {
        self.child.kill().await.unwrap();
        self.state
    }
}

/// A router on loopback.
pub async fn router() -> RunningRouter {
    i3_router::Router::start(Config::default()).await.unwrap()
}

/// Waits until a mud has registered, from the start of the router on.
pub async fn registered(router: &RunningRouter, mud: &str) {
    registered_since(router, i3_router::Mark::START, mud).await;
}

/// Waits until a mud has registered since a mark.
pub async fn registered_since(router: &RunningRouter, mark: i3_router::Mark, mud: &str) {
    let wanted = |event: &Event| event.registered() == Some(mud);
    assert!(router.wait_for(mark, wanted, Duration::from_secs(30)).await.is_some(), "{mud} did not register");
}

/// Waits until the router got a packet that is printed like this since a mark.
pub async fn received(router: &RunningRouter, mark: i3_router::Mark, text: &str) {
    let wanted = |event: &Event| event.packet().is_some_and(|packet| packet.to_string().contains(text));
    assert!(router.wait_for(mark, wanted, WITHIN).await.is_some(), "the router did not get {text:?}");
}

/// Says texts on the channel.
pub async fn say(client: &Client, texts: &[&str]) {
    for text in texts {
        let params = json!({"channel": CHANNEL, "message": text, "from_user": "ann"});
        client.call("channel_send", params).await.unwrap();
    }
}

/// Hears exactly these texts on the channel, in order.
pub async fn hear(client: &Client, texts: &[&str]) {
    for text in texts {
        let event = client.wait_event(is("channel_message"), WITHIN).await;
        let event = event.unwrap_or_else(|error| panic!("did not hear {text:?}: {error}"));
        assert_eq!(event["params"]["message"], *text);
    }
}

/// Whether a message is an event of a kind.
pub fn is(kind: &str) -> impl Fn(&Value) -> bool {
    move |event| event["method"] == kind
}

/// A nats-server with what the operator makes on it.
pub struct Nats {
    server: NatsServer,
    admin: Login,
}

impl Nats {
    /// Starts a server on a free port.
    pub async fn start() -> Self {
        Self::start_with("", Login::default()).await
    }

    /// The same, with more in its configuration, and how to log in as one who may do everything.
    pub async fn start_with(config: &str, admin: Login) -> Self {
        let nats = Self::bare(config, admin).await;
        nats.prepare().await;
        nats
    }

    /// The same, with nothing made on it.
    pub async fn bare(config: &str, admin: Login) -> Self {
        let program = std::env::var_os("NATS_SERVER").map_or_else(|| "nats-server".into(), PathBuf::from);
        let options = Options { config: config.to_owned(), ..Options::default() };
        let server = NatsServer::start(program, options).await.unwrap_or_else(|error| panic!("{error}"));
        Self { server, admin }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Sends it a signal, such as `-STOP`.
    pub async fn signal(&self, signal: &str) {
        self.server.signal(signal).await.unwrap();
    }

    /// Kills the server.
    pub async fn stop(&mut self) {
        self.server.kill().await.unwrap();
    }

    /// Starts it again, with its data and on its port. The operator would make anew what was in memory.
    pub async fn restart(&mut self) {
        self.server.restart().await.unwrap_or_else(|error| panic!("{error}"));
        self.prepare().await;
    }

    pub async fn context(&self) -> jetstream::Context {
        jetstream::new(self.admin.options().connect(self.url()).await.unwrap())
    }

    /// Makes what the operator makes.
    async fn prepare(&self) {
        LAYOUT.ensure(&self.context().await).await.unwrap();
    }
}

/// What the operator makes where there is one server.
pub const LAYOUT: Layout = Layout { storage: StorageType::File, replicas: 1, state_bytes: 64 << 20 };

/// Calls a method until its result is as wanted, and returns that.
pub async fn until(client: &Client, method: &str, params: Value, wanted: impl Fn(&Value) -> bool) -> Value {
    let call = async {
        loop {
            let result = client.call(method, params.clone()).await.unwrap();
            if wanted(&result) {
                return result;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(WITHIN, call).await.unwrap_or_else(|_| panic!("{method} never is as wanted"))
}
