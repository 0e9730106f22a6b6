//! The sessions that clients have with the other processes of the mud.
//!
//! Each process tells what its sessions want: at each change, and all of them now and then, so that who has just come,
//! or missed something, knows too.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::event::Event;
use super::session::{Subscription, Wishes};
use crate::mud::Position;

/// How often a process tells of all its sessions.
pub const TOLD_EVERY: Duration = Duration::from_secs(2);

/// How long a process that tells nothing more is taken to be there.
pub const GONE_AFTER: Duration = Duration::from_secs(7);

/// The most processes remembered, and sessions of each: more than a mud can have.
const PROCESSES: usize = 8;
const SESSIONS: usize = 2000;

/// A session of another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Remote {
    /// The session.
    pub id: Uuid,
    /// The last event it has.
    pub after: Position,
    /// What it wants and may have.
    pub wishes: Wishes,
}

/// What a process tells of its sessions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// A session has come, or wants something else.
    Session {
        /// The session.
        session: Box<Remote>,
        /// A channel that is to be switched on for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listen: Option<String>,
    },
    /// A session has ended.
    Ended(Uuid),
    /// The client of a session, wherever that was, has come to us.
    Moved(Uuid),
    /// Some of all sessions.
    Round {
        /// Which time it tells of all.
        number: u64,
        /// Whether these are the last.
        last: bool,
        /// These.
        sessions: Vec<Remote>,
    },
    /// The process has just come, and wants to be told of all sessions.
    Hello,
    /// The process ends.
    Gone,
}

/// The channels that may have to be switched on or off.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Somebody wants these.
    pub joined: HashSet<String>,
    /// Somebody no longer wants these.
    pub left: HashSet<String>,
    /// Who has come.
    pub came: Vec<Uuid>,
    /// What the sessions wanted that have ended.
    pub ended: Vec<(Uuid, Subscription)>,
}

#[derive(Debug)]
struct Process {
    heard: Instant,
    sessions: HashMap<Uuid, Known>,
}

#[derive(Debug)]
struct Known {
    remote: Remote,
    round: u64,
}

/// The sessions of the other processes; pure, with the time as a parameter.
#[derive(Debug, Default)]
pub struct Others {
    processes: HashMap<String, Process>,
}

impl Others {
    /// Takes what a process tells.
    pub fn hear(&mut self, now: Instant, from: &str, news: News) -> Changed {
        let mut changed = Changed::default();
        if self.processes.len() >= PROCESSES && !self.processes.contains_key(from) {
            return changed;
        }
        if let News::Gone = news {
            self.forget(from, &mut changed);
            return changed;
        }
        let process = self
            .processes
            .entry(from.to_owned())
            .or_insert_with(|| Process { heard: now, sessions: HashMap::new() });
        process.heard = now;
        match news {
            News::Session { session, listen } => {
                process.put(*session, None, &mut changed);
                if changed.came.is_empty() {
                    // Whether it is to be switched on is said.
                    changed.joined = listen.into_iter().collect();
                }
            }
            News::Ended(id) => process.end(id, &mut changed),
            News::Moved(id) => {
                for process in self.processes.values_mut() {
                    process.sessions.remove(&id);
                }
            }
            News::Round { number, last, sessions } => {
                for session in sessions {
                    process.put(session, Some(number), &mut changed);
                }
                if last {
                    let past = process.sessions.iter().filter(|(_, known)| known.round < number);
                    for id in past.map(|(id, _)| *id).collect::<Vec<_>>() {
                        process.end(id, &mut changed);
                    }
                }
            }
            News::Hello | News::Gone => {}
        }
        changed
    }

    /// Forgets the processes that have told nothing for long.
    pub fn forget_silent(&mut self, now: Instant) -> Changed {
        let mut changed = Changed::default();
        let silent = self.processes.iter().filter(|(_, one)| now.duration_since(one.heard) >= GONE_AFTER);
        for name in silent.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.forget(&name, &mut changed);
        }
        changed
    }

    /// The client of a session has come to us: what it wanted.
    pub fn take_over(&mut self, id: Uuid) -> Option<Subscription> {
        self.processes.values_mut().find_map(|process| process.sessions.remove(&id)).map(Known::subscription)
    }

    /// Whether any session is to get an event.
    pub fn want(&self, event: &Event, own_mud: &str) -> bool {
        self.all().any(|remote| remote.wishes.want(event, own_mud))
    }

    /// Whether any session is on a channel.
    pub fn are_on(&self, channel: &str) -> bool {
        self.all().any(|remote| remote.wishes.subscription.channels.contains(channel))
    }

    /// All sessions.
    pub fn all(&self) -> impl Iterator<Item = &Remote> {
        self.processes.values().flat_map(|process| process.sessions.values()).map(|known| &known.remote)
    }

    fn forget(&mut self, name: &str, changed: &mut Changed) {
        let Some(process) = self.processes.remove(name) else { return };
        for (id, known) in process.sessions {
            changed.left.extend(known.remote.wishes.subscription.channels.iter().cloned());
            changed.ended.push((id, known.subscription()));
        }
    }
}

impl Known {
    fn subscription(self) -> Subscription {
        self.remote.wishes.subscription
    }
}

impl Process {
    fn put(&mut self, remote: Remote, round: Option<u64>, changed: &mut Changed) {
        if self.sessions.len() >= SESSIONS && !self.sessions.contains_key(&remote.id) {
            return;
        }
        let id = remote.id;
        let channels = remote.wishes.subscription.channels.clone();
        // One that is told of between two rounds is not missing in the first of them.
        let latest = || self.sessions.values().map(|known| known.round).max().unwrap_or_default();
        let round = round.unwrap_or_else(|| latest() + 1);
        let before = self.sessions.insert(id, Known { remote, round });
        if before.is_none() {
            changed.came.push(id);
        }
        let before = before.map(|known| known.subscription().channels).unwrap_or_default();
        changed.left.extend(before.difference(&channels).cloned());
        changed.joined.extend(channels.difference(&before).cloned());
    }

    fn end(&mut self, id: Uuid, changed: &mut Changed) {
        if let Some(known) = self.sessions.remove(&id) {
            let subscription = known.subscription();
            changed.left.extend(subscription.channels.iter().cloned());
            changed.ended.push((id, subscription));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::{chat, tell};
    use super::*;
    use crate::keys::Permissions;

    fn remote(id: u128, channels: &[&str]) -> Remote {
        let channels = channels.iter().map(|channel| (*channel).to_owned()).collect();
        let subscription = Subscription { channels, ..Subscription::default() };
        let wishes = Wishes { permissions: Permissions::parse(["channels"]).unwrap(), subscription };
        Remote { id: Uuid::from_u128(id), after: Position::default(), wishes }
    }

    fn session(id: u128, channels: &[&str], listen: Option<&str>) -> News {
        News::Session { session: Box::new(remote(id, channels)), listen: listen.map(str::to_owned) }
    }

    fn set(values: &[&str]) -> HashSet<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn what_sessions_elsewhere_want_is_known() {
        let now = Instant::now();
        let mut others = Others::default();
        let changed = others.hear(now, "a", session(1, &["old"], None));
        assert_eq!((changed.joined, changed.came), (set(&["old"]), vec![Uuid::from_u128(1)]));
        let changed = others.hear(now, "a", session(1, &["old", "c"], Some("c")));
        assert_eq!((changed.joined, changed.came), (set(&["c"]), vec![]));
        let changed = others.hear(now, "a", session(1, &["c", "quiet"], None));
        assert_eq!((changed.joined, changed.left), (set(&[]), set(&["old"])));
        assert!(others.are_on("c") && others.are_on("quiet") && !others.are_on("C"));
        assert!(others.want(&chat("c"), "Dusk") && !others.want(&chat("other"), "Dusk"));
        assert!(!others.want(&tell("hi"), "Dusk"), "its key does not allow that");
        let changed = others.hear(now, "a", session(1, &["quiet"], None));
        assert_eq!((changed.left, changed.came), (set(&["c"]), vec![]));
        let changed = others.hear(now, "a", News::Ended(Uuid::from_u128(1)));
        assert_eq!((changed.left, changed.ended.len()), (set(&["quiet"]), 1));
        assert!(!others.are_on("quiet"));
    }

    #[test]
    fn a_round_mends_what_was_missed() {
        let now = Instant::now();
        let mut others = Others::default();
        let round = |number, last, sessions| News::Round { number, last, sessions };
        others.hear(now, "a", round(1, false, vec![remote(1, &["c"])]));
        let changed = others.hear(now, "a", round(1, true, vec![remote(2, &[])]));
        assert_eq!((changed.came.len(), changed.ended.len(), others.all().count()), (1, 0, 2));
        // 3 comes while the second round, which does not have it yet, is on its way; the end of 1 was missed.
        others.hear(now, "a", session(3, &[], None));
        let changed = others.hear(now, "a", round(2, true, vec![remote(2, &["d"])]));
        assert_eq!((changed.joined, changed.left), (set(&["d"]), set(&["c"])));
        let ids: HashSet<_> = others.all().map(|remote| remote.id.as_u128()).collect();
        assert_eq!(ids, HashSet::from([2, 3]));
        let changed = others.hear(now, "a", round(3, true, vec![]));
        assert_eq!((changed.ended.len(), others.all().count()), (2, 0));
    }

    #[test]
    fn the_sessions_of_a_process_that_is_gone_have_ended() {
        let now = Instant::now();
        let mut others = Others::default();
        others.hear(now, "a", session(1, &["c"], None));
        others.hear(now, "b", session(2, &[], None));
        others.hear(now + GONE_AFTER / 2, "b", session(2, &[], None));
        assert_eq!(others.forget_silent(now + GONE_AFTER / 2), Changed::default());
        let changed = others.forget_silent(now + GONE_AFTER);
        assert_eq!((changed.left, changed.ended[0].0), (set(&["c"]), Uuid::from_u128(1)));
        assert_eq!(others.hear(now, "b", News::Gone).ended.len(), 1);
    }

    #[test]
    fn a_client_that_moves_takes_its_session_along() {
        let now = Instant::now();
        let mut others = Others::default();
        others.hear(now, "a", session(1, &["c"], None));
        others.hear(now, "a", session(2, &["d"], None));
        assert_eq!(others.take_over(Uuid::from_u128(1)).unwrap().channels, set(&["c"]));
        assert!(others.take_over(Uuid::from_u128(1)).is_none());
        others.hear(now, "b", News::Moved(Uuid::from_u128(2)));
        assert!(others.take_over(Uuid::from_u128(2)).is_none());
    }

    #[test]
    fn processes_are_bounded() {
        let now = Instant::now();
        let mut others = Others::default();
        for index in 0..PROCESSES as u128 + 5 {
            others.hear(now, &index.to_string(), session(index, &[], None));
        }
        assert_eq!(others.all().count(), PROCESSES);
    }
}
