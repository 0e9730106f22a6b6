//! Tasks that run as long as the gateway does.

use std::future::Future;

use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Starts tasks and notices when one ends too early, by itself or by a panic. A gateway without one of them would look
/// alive and be of no use, so that it ends and is started anew.
#[derive(Clone, Debug)]
pub struct Supervisor {
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// This task ended too early.
    Failed(&'static str),
    /// Tasks may end.
    Ending,
}

impl Supervisor {
    /// A supervisor without tasks.
    pub fn new() -> Self {
        Self { state: watch::Sender::new(State::Running) }
    }

    /// Starts a task, which must not end before [`Supervisor::end`].
    pub fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let supervised = Supervised { name, supervisor: self.clone() };
        tokio::spawn(async move {
            // Dropped however the task ends.
            let _supervised = supervised;
            task.await;
        })
    }

    /// Resolves once a task has ended too early, with its name.
    pub async fn failed(&self) -> &'static str {
        let mut state = self.state.subscribe();
        loop {
            if let State::Failed(name) = *state.borrow_and_update() {
                return name;
            }
            // The sender is ours, so that it is there.
            let _ = state.changed().await;
        }
    }

    /// From now on tasks may end.
    pub fn end(&self) {
        self.state.send_replace(State::Ending);
    }
}

struct Supervised {
    name: &'static str,
    supervisor: Supervisor,
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.supervisor.state.send_if_modified(|state| {
            let early = *state == State::Running;
            if early {
                tracing::error!(task = self.name, "a task ended while the gateway runs");
                *state = State::Failed(self.name);
            }
            early
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_is_noticed_by_its_name() {
        let ends = Supervisor::new();
        ends.spawn("other", std::future::pending());
        ends.spawn("ends", async {});
        assert_eq!(ends.failed().await, "ends");
        let panics = Supervisor::new();
        panics.spawn("panics", async { panic!("a fault") });
        assert_eq!(panics.failed().await, "panics");
        assert_eq!(panics.failed().await, "panics", "whoever asks later hears it, too");
    }

    #[tokio::test]
    async fn at_the_end_tasks_may_end() {
        let supervisor = Supervisor::new();
        let task = supervisor.spawn("task", tokio::task::yield_now());
        supervisor.end();
        task.await.unwrap();
        assert_eq!(supervisor.failed().now_or_never(), None);
    }
}
