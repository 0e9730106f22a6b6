//! What came and has not been asked for yet.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{oneshot, watch};

use crate::Closed;

/// Messages kept in each queue; the oldest give way.
const MAX_KEPT: usize = 16_384;

pub(crate) struct Inbox {
    state: Mutex<State>,
    /// Moves with every change of the state.
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// Every message, as it came.
    raw: VecDeque<String>,
    /// Those without an id.
    events: VecDeque<Value>,
    lost: u64,
    /// Calls without an answer, by id.
    calls: HashMap<String, oneshot::Sender<Value>>,
    closed: Option<Closed>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), changes: watch::Sender::new(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message in. What is not JSON is to be had raw only.
    pub(crate) fn put(&self, text: String) {
        let message = serde_json::from_str::<Value>(&text);
        let mut state = self.state();
        state.keep_raw(text);
        if let Ok(message) = message {
            match message.get("id").filter(|id| !id.is_null()) {
                None => state.keep_event(message),
                Some(id) => {
                    let call = state.calls.remove(&id.to_string());
                    // Nobody waits any more when the call has timed out.
                    let _ = call.map(|call| call.send(message));
                }
            }
        }
        drop(state);
        self.changes.send_replace(());
    }

    /// The connection ended: calls in progress fail.
    pub(crate) fn close(&self, closed: Closed) {
        let mut state = self.state();
        state.closed.get_or_insert(closed);
        state.calls.clear();
        drop(state);
        self.changes.send_replace(());
    }

    /// What will get the answer with this id. Its sender is dropped when the connection ends.
    pub(crate) fn expect(&self, id: &Value) -> oneshot::Receiver<Value> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        if state.closed.is_none() {
            state.calls.insert(id.to_string(), answer);
        }
        answered
    }

    /// Takes back [`Inbox::expect`].
    pub(crate) fn give_up(&self, id: &Value) {
        self.state().calls.remove(&id.to_string());
    }

    pub(crate) fn lost(&self) -> u64 {
        self.state().lost
    }

    /// The first event as wanted, taken out of the queue.
    pub(crate) async fn event(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value, Closed> {
        self.take(|state| {
            let at = state.events.iter().position(&wanted)?;
            state.events.remove(at)
        })
        .await
    }

    pub(crate) async fn raw(&self) -> Result<String, Closed> {
        self.take(|state| state.raw.pop_front()).await
    }

    pub(crate) async fn wait_closed(&self) -> Closed {
        self.take(|state| state.closed.clone()).await.unwrap_or_else(|closed| closed)
    }

    /// Waits until there is something to take, or there never will be.
    async fn take<T>(&self, mut take: impl FnMut(&mut State) -> Option<T>) -> Result<T, Closed> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            {
                let mut state = self.state();
                if let Some(taken) = take(&mut state) {
                    return Ok(taken);
                }
                if let Some(closed) = &state.closed {
                    return Err(closed.clone());
                }
            }
            // Fails only when the sender is gone, which is in self.
            let _ = changes.changed().await;
        }
    }
}

impl State {
    fn keep_raw(&mut self, text: String) {
        if self.raw.len() == MAX_KEPT {
            self.raw.pop_front();
        }
        self.raw.push_back(text);
    }

    fn keep_event(&mut self, event: Value) {
        if self.events.len() == MAX_KEPT {
            self.events.pop_front();
            self.lost += 1;
        }
        self.events.push_back(event);
    }
}
