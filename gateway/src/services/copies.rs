//! The copies of what is said on channels, of which one comes by the router and one by the bus or a relay: pure, with the
//! time as a parameter.

use std::time::Instant;

use super::in_step::InStep;
use super::relay::Brought;
use crate::bus::{ChannelMessage, EchoFilter, Path, Remembered};

/// Which copies are decided about, in which order, and which of them is the first.
#[derive(Debug, Default)]
pub(super) struct Copies {
    echoes: EchoFilter,
    /// What the present session with the router has brought talk of.
    brought: Brought,
    /// What waits for its twin by the bus.
    in_step: InStep,
}

impl Copies {
    /// Takes a copy; returns what is to be decided about now, in this order. What a hosted mud says comes by the bus, too.
    pub fn take(
        &mut self,
        now: Instant,
        path: Path,
        message: ChannelMessage,
        hosted: bool,
    ) -> Vec<(Path, ChannelMessage)> {
        if !self.brought.takes(path, &message.channel) {
            Vec::new()
        } else if hosted {
            self.in_step.take(now, &self.echoes, path, message)
        } else {
            vec![(path, message)]
        }
    }

    /// What has waited in vain for its twin by the bus.
    pub fn late(&mut self, now: Instant) -> Vec<(Path, ChannelMessage)> {
        self.in_step.late(now)
    }

    /// Decides about a copy: whether it is the first.
    pub fn admit(&mut self, now: Instant, path: Path, message: &ChannelMessage) -> bool {
        self.echoes.admit(now, path, message)
    }

    /// Whether a session with the router brought talk of a channel after this moment.
    pub fn brought_after(&self, moment: Instant, channel: &str) -> bool {
        self.echoes.brought_after(moment, channel)
    }

    /// The session with the router has ended: the next one begins somewhere else.
    pub fn restart(&mut self) {
        self.brought = Brought::default();
        self.in_step.restart();
    }

    /// The copies whose twins may still come.
    pub fn remembered(&self, now: Instant) -> Vec<Remembered> {
        self.echoes.remembered(now)
    }

    /// Takes what another process remembers, in place of what is remembered here.
    pub fn restore(&mut self, now: Instant, remembered: Vec<Remembered>) {
        self.echoes = EchoFilter::of(now, remembered);
    }
}
