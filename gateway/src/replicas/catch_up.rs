//! How a process that misses something of the log gets it.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::{StatusCode, Subject};
use futures::StreamExt;
use mudgateway_crds::bus::{own_answer_subject, own_snapshot_subject};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{FromProcess, Replicas, read};
use crate::mud::Position;
use crate::services::replica::Part;

/// How long it may take.
const WITHIN: Duration = Duration::from_secs(2);

/// The most parts; more than the state of a process can have.
const PARTS: usize = 1000;

impl Replicas {
    /// Asks the writer for all that the log amounts to, and takes it. When nobody answers, the next entry or beat of
    /// the log is the occasion for another try. Something is missing up to a place; none: nobody can say what.
    pub(super) async fn catch_up(&self, up_to: Option<Position>) {
        self.services.hub.miss(up_to);
        match self.ask().await {
            Some(parts) => {
                let taken = self.services.restore(parts);
                tracing::debug!(taken, position = ?self.services.hub.position(), "caught up with the log");
            }
            None => tracing::debug!("no process of the mud tells what the log amounts to"),
        }
    }

    async fn ask(&self) -> Option<Vec<Part>> {
        let inbox = own_answer_subject(&self.network, &self.mud, &Uuid::new_v4().to_string());
        let mut answers = self.client.subscribe(inbox.clone()).await.ok()?;
        let subject = own_snapshot_subject(&self.network, &self.mud);
        self.client.publish_with_reply(subject, inbox.clone(), "".into()).await.ok()?;
        let until = Instant::now() + WITHIN;
        // One that was paused may take itself for the writer still, and answer too.
        let mut told: HashMap<String, Vec<Part>> = HashMap::new();
        while let Ok(Some(message)) = timeout_at(until, answers.next()).await {
            if message.status == Some(StatusCode::NO_RESPONDERS) {
                return None;
            }
            let FromProcess::<Part> { from, news: part } = read(&message, &inbox)?;
            let parts = told.entry(from.clone()).or_default();
            if let Part::End = part {
                let parts = told.remove(&from).unwrap_or_default();
                if is_new(&parts, self.services.hub.position().epoch) {
                    return Some(parts);
                }
            } else if parts.len() < PARTS {
                parts.push(part);
            }
        }
        None
    }

    pub(super) async fn send_snapshot(&self, to: &Subject) {
        for part in self.services.snapshot() {
            let part = FromProcess { from: self.me.clone(), news: part };
            if !self.publish(to.to_string(), &part).await {
                tracing::warn!("another process cannot be told all that the log amounts to");
            }
        }
    }
}

/// Whether it is not of the past.
fn is_new(parts: &[Part], epoch: u64) -> bool {
    matches!(parts.first(), Some(Part::Start { position, .. }) if position.epoch >= epoch)
}
