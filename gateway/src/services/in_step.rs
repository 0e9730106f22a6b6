//! In which order the copies of a hosted mud's messages are decided about: pure, with the time as a parameter.
//!
//! The bus brings all of them, in order. A session with the router begins somewhere among them, and the bus may be behind: a
//! speaker's gateway waits for acknowledgements. So what a new session brings of a mud waits for its twin by the bus. From the
//! first on that met its twin nothing is missing between the two ways, and whichever copy comes first is in order.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::bus::{ChannelMessage, EchoFilter, Path};

/// How long the router's copy waits: the mud's gateway may have lost the bus. Who is known to be a hosted mud has told so by the
/// bus lately.
const WAIT: Duration = Duration::from_secs(10);

/// The most copies that wait, and the most muds remembered. Past it they do not wait.
const MOST: usize = 500;

/// The copies that wait, and who is in step.
#[derive(Debug, Default)]
pub(super) struct InStep {
    /// Which session it is.
    session: u64,
    /// The muds of which a copy by the present session has met its twin.
    muds: HashSet<String>,
    /// What the router brought, oldest first.
    waiting: VecDeque<Waiting>,
}

/// A copy that waits for its twin.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    session: u64,
    message: ChannelMessage,
}

impl InStep {
    /// Takes a copy of a hosted mud's message; returns what is to be decided about now, in this order.
    pub fn take(
        &mut self,
        now: Instant,
        echoes: &EchoFilter,
        path: Path,
        message: ChannelMessage,
    ) -> Vec<(Path, ChannelMessage)> {
        if path == Path::Router {
            if echoes.awaits(now, path, &message) {
                self.is_in_step(self.session, &message.mud);
            }
            if !self.muds.contains(&message.mud) && self.waiting.len() < MOST {
                self.waiting.push_back(Waiting { since: now, session: self.session, message });
                return Vec::new();
            }
        } else if let Some(session) = self.awaited_by(&message) {
            self.is_in_step(session, &message.mud);
            let mut due = self.release(|one| one.mud == message.mud, |of| of == session);
            let twin = due.iter().position(|(_, one)| *one == message).unwrap_or_default();
            due.insert(twin, (path, message));
            return due;
        }
        vec![(path, message)]
    }

    /// What has waited for too long, and what came of the same muds after it.
    pub fn late(&mut self, now: Instant) -> Vec<(Path, ChannelMessage)> {
        let late = self.waiting.iter().take_while(|one| now.duration_since(one.since) >= WAIT);
        let muds: HashSet<_> = late.map(|one| one.message.mud.clone()).collect();
        muds.iter().for_each(|mud| self.is_in_step(self.session, mud));
        self.release(|one| muds.contains(&one.mud), |_| true)
    }

    /// The session has ended: the next one begins somewhere else.
    pub fn restart(&mut self) {
        self.session += 1;
        self.muds.clear();
    }

    fn is_in_step(&mut self, session: u64, mud: &str) {
        if session == self.session && self.muds.len() < MOST {
            self.muds.insert(mud.to_owned());
        }
    }

    /// The session that brought a message which waits for this copy.
    fn awaited_by(&self, message: &ChannelMessage) -> Option<u64> {
        self.waiting.iter().find(|one| one.message == *message).map(|one| one.session)
    }

    /// Takes out what waits no longer.
    fn release(
        &mut self,
        is_due: impl Fn(&ChannelMessage) -> bool,
        of_session: impl Fn(u64) -> bool,
    ) -> Vec<(Path, ChannelMessage)> {
        let (due, waiting): (VecDeque<_>, _) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|one| is_due(&one.message) && of_session(one.session));
        self.waiting = waiting;
        due.into_iter().map(|one| (Path::Router, one.message)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bus::ChannelKind;

    fn said(mud: &str, number: usize) -> ChannelMessage {
        ChannelMessage {
            mud: mud.into(),
            user: "ann".into(),
            channel: "c".into(),
            kind: ChannelKind::Message,
            visname: "Ann".into(),
            message: number.to_string(),
            target: None,
        }
    }

    /// A holder that hears.
    struct Holder {
        now: Instant,
        echoes: EchoFilter,
        in_step: InStep,
        heard: Vec<usize>,
    }

    impl Holder {
        fn new() -> Self {
            let (echoes, in_step) = (EchoFilter::default(), InStep::default());
            Self { now: Instant::now(), echoes, in_step, heard: Vec::new() }
        }

        fn takes(&mut self, path: Path, message: ChannelMessage) {
            let due = self.in_step.take(self.now, &self.echoes, path, message);
            self.decide(due);
        }

        fn decide(&mut self, due: Vec<(Path, ChannelMessage)>) {
            for (path, message) in due {
                if self.echoes.admit(self.now, path, &message) {
                    self.heard.push(message.message.parse().unwrap());
                }
            }
        }
    }

    #[test]
    fn a_session_that_begins_ahead_of_the_bus_waits_for_it_and_not_for_ever() {
        let mut holder = Holder::new();
        for (path, number) in [
            (Path::Bus, 0),
            (Path::Router, 2),
            (Path::Router, 3),
            (Path::Bus, 1),
            (Path::Bus, 2),
            (Path::Router, 4),
            (Path::Bus, 3),
        ] {
            holder.takes(path, said("Dusk", number));
        }
        assert_eq!(holder.heard, [0, 1, 2, 3, 4], "4 in step, at once");
        holder.in_step.restart();
        holder.takes(Path::Router, said("Dusk", 5));
        holder.takes(Path::Router, said("Noon", 6));
        holder.now += WAIT;
        holder.takes(Path::Router, said("Dusk", 7));
        assert_eq!(holder.heard.len(), 5);
        let due = holder.in_step.late(holder.now);
        holder.decide(due);
        holder.takes(Path::Bus, said("Dusk", 5));
        holder.takes(Path::Router, said("Dusk", 8));
        assert_eq!(holder.heard[5..], [5, 6, 7, 8]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut holder = Holder::new();
        for number in 0..MOST + 3 {
            holder.takes(Path::Router, said("Dusk", number));
        }
        assert_eq!((holder.heard.len(), holder.in_step.waiting.len()), (3, MOST));
    }

    proptest! {
        /// However bus and router interleave, and wherever among what is said the sessions begin: all is heard that the bus
        /// brings, once and in order.
        #[test]
        fn what_bus_and_router_bring_is_heard_in_order(
            steps in proptest::collection::vec((0u8..10, 0usize..4), 0..80),
        ) {
            let mut holder = Holder::new();
            let (mut bus, mut router) = (0, 0);
            for (step, skipped) in steps {
                match step {
                    0 => {
                        holder.in_step.restart();
                        router += skipped;
                    }
                    1..=4 => {
                        holder.takes(Path::Router, said("Dusk", router));
                        router += 1;
                    }
                    _ => {
                        holder.takes(Path::Bus, said("Dusk", bus));
                        bus += 1;
                    }
                }
            }
            for number in bus..router.max(bus) {
                holder.takes(Path::Bus, said("Dusk", number));
            }
            let said: Vec<_> = (0..router.max(bus)).collect();
            prop_assert_eq!(holder.heard, said);
        }
    }
}
