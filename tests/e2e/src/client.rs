//! A MUD's connection to its gateway, from a pod inside the cluster or from outside of all pods.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kubectl::wait;
use crate::{Error, Result};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(15);

/// The most messages kept that nobody has asked for yet.
const BACKLOG: usize = 10_000;

/// How long a connection is tried.
const PATIENCE: Duration = Duration::from_secs(10);

/// The client program in a pod, and where the tests themselves run.
const IN_A_POD: &[&str] = &["kubectl", "exec", "-i", "-n", "i3-demo", "deploy/i3-router", "--", "/mudclient"];
const OUTSIDE: &[&str] = &["mudclient"];

/// One connection, authenticated.
pub struct Client {
    url: String,
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
    /// What the client program says when something is wrong.
    complaint: Option<JoinHandle<String>>,
    events: VecDeque<Value>,
}

impl Client {
    /// Connects to an endpoint (`ws://…` or `tcp://…`) and authenticates. A node's proxy learns of a pod that is ready up
    /// to a second later; until then it refuses, and clients try again.
    ///
    /// # Errors
    /// When the connection or the key is refused for 10 s.
    pub fn connect(url: &str, key: &str) -> Result<Self> {
        Self::connect_by(IN_A_POD, url, key)
    }

    /// The same from outside of all pods, where a customer's machine would be.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_from_outside(url: &str, key: &str) -> Result<Self> {
        Self::connect_by(OUTSIDE, url, key)
    }

    fn connect_by(program: &[&str], url: &str, key: &str) -> Result<Self> {
        wait(&format!("a connection to {url}"), PATIENCE, || {
            Ok(Self::attempt(program, url, key).map_err(|error| error.to_string()))
        })
    }

    fn attempt(program: &[&str], url: &str, key: &str) -> Result<Self> {
        let mut child = Command::new(program[0])
            .args(&program[1..])
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| Error::Missing { program: program[0].to_owned(), source })?;
        let (Some(input), Some(stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three were asked for")
        };
        let complaint = std::thread::spawn(move || {
            let mut text = String::new();
            // What cannot be read cannot be told either.
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let (sender, output) = sync_channel(BACKLOG);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let complaint = Some(complaint);
        let mut client =
            Self { url: url.to_owned(), child, input, output, complaint, events: VecDeque::new() };
        // The key goes through standard input, so that no list of processes shows it.
        client.call("authenticate", &json!({"api_key": key}))?;
        Ok(client)
    }

    /// Calls a method and returns its result.
    ///
    /// # Errors
    /// When the gateway answers with an error, or not in time.
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        let request = json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params});
        let sent = writeln!(self.input, "{request}").and_then(|()| self.input.flush());
        let what = format!("the answer to {method} from {}", self.url);
        if let Err(error) = sent {
            return Err(Error::Unexpected {
                what,
                expected: "a connection".into(),
                found: error.to_string(),
            });
        }
        let deadline = Instant::now() + ANSWER;
        loop {
            let message = self.receive(&what, deadline)?;
            if message["id"] == method {
                return match message.get("result") {
                    Some(result) => Ok(result.clone()),
                    None => {
                        let found = message["error"].to_string();
                        Err(Error::Unexpected { what, expected: "a result".into(), found })
                    }
                };
            }
            self.events.push_back(message);
        }
    }

    /// The next event of a kind, in the order they came.
    ///
    /// # Errors
    /// [`Error::Timeout`] when none comes in time.
    pub fn event(&mut self, kind: &str, within: Duration) -> Result<Value> {
        let what = format!("{kind} from {}", self.url);
        let deadline = Instant::now() + within;
        loop {
            if let Some(index) = self.events.iter().position(|event| event["method"] == kind) {
                let event = self.events.remove(index).unwrap_or_default();
                return Ok(event["params"].clone());
            }
            let message = self.receive(&what, deadline)?;
            self.events.push_back(message);
        }
    }

    fn receive(&mut self, what: &str, deadline: Instant) -> Result<Value> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.output.recv_timeout(left) {
            Ok(line) => Ok(serde_json::from_str(&line).unwrap_or_else(|_| json!({"text": line}))),
            Err(RecvTimeoutError::Timeout) => Err(Error::Timeout {
                what: what.to_owned(),
                within: ANSWER,
                last: format!("{} other events", self.events.len()),
            }),
            Err(RecvTimeoutError::Disconnected) => Err(Error::Unexpected {
                what: what.to_owned(),
                expected: "a connection".to_owned(),
                found: self.complaint.take().and_then(|text| text.join().ok()).unwrap_or_default(),
            }),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
