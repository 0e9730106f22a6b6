//! Watches, at the router, who is logged in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use i3_router::core::Conn;
use i3_router::{LinkInfo, RunningRouter};
use tokio::time::sleep;

use crate::MUD;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(4);

/// What the router said of the mud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The links the mud is logged in on. More than one must never be.
    pub sessions: Vec<Conn>,
    /// The links on which somebody asked to be the mud, whether they are heard or not.
    pub open: usize,
}

/// Every change of what the router said, since the start.
#[derive(Clone, Default)]
pub struct Watcher(Arc<Mutex<Vec<(Instant, Sight)>>>);

impl Sight {
    fn of(links: &[LinkInfo]) -> Self {
        let ours = links.iter().filter(|link| link.mud.as_deref() == Some(MUD));
        let open = links.iter().filter(|link| link.asked.as_deref() == Some(MUD)).count();
        Self { sessions: ours.map(|link| link.conn).collect(), open }
    }
}

impl Watcher {
    /// Watches for ever.
    pub async fn watch(self, router: RunningRouter) {
        loop {
            self.see(Instant::now(), Sight::of(&router.links().await));
            sleep(EVERY).await;
        }
    }

    fn changes(&self) -> MutexGuard<'_, Vec<(Instant, Sight)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, now: Instant, sight: Sight) {
        let mut changes = self.changes();
        if changes.last().is_none_or(|(_, last)| *last != sight) {
            changes.push((now, sight));
        }
    }

    /// What it saw last.
    pub fn last(&self) -> Option<Sight> {
        self.changes().last().map(|(_, sight)| sight.clone())
    }

    /// How long nothing has changed.
    pub fn steady_for(&self, now: Instant) -> Duration {
        self.changes().last().map_or(Duration::ZERO, |(at, _)| now.saturating_duration_since(*at))
    }

    /// The most sessions of the mud at one time.
    pub fn most_sessions(&self) -> usize {
        self.changes().iter().map(|(_, sight)| sight.sessions.len()).max().unwrap_or_default()
    }

    /// The most connections of the mud, heard or not, between two moments.
    pub fn most_links(&self, from: Instant, to: Instant) -> usize {
        let changes = self.changes();
        let before = changes.iter().rev().find(|(at, _)| *at <= from);
        let within = changes.iter().filter(|(at, _)| *at > from && *at <= to);
        before.into_iter().chain(within).map(|(_, sight)| sight.open).max().unwrap_or_default()
    }

    /// The longest time without a session between two moments.
    pub fn gap(&self, from: Instant, to: Instant) -> Duration {
        let sights = self.between(from, to);
        let ends = sights.iter().skip(1).map(|(at, _)| *at).chain([to]);
        let gaps = sights.iter().zip(ends).filter(|((_, session), _)| session.is_none());
        gaps.map(|((start, _), end)| end - *start).max().unwrap_or_default()
    }

    /// The time from a moment at which the session ceased to work, though the router cannot know, to the next login.
    /// None: there was no other login.
    pub fn until_login(&self, from: Instant, to: Instant) -> Option<Duration> {
        let sights = self.between(from, to);
        let before = sights.first().and_then(|(_, session)| *session);
        let login = sights.iter().find(|(_, session)| session.is_some() && *session != before);
        login.map(|(at, _)| *at - from)
    }

    /// How often the mud logged in between two moments.
    pub fn logins(&self, from: Instant, to: Instant) -> usize {
        let sights = self.between(from, to);
        sights.windows(2).filter(|pair| pair[1].1.is_some() && pair[1].1 != pair[0].1).count()
    }

    /// The session at a moment and whenever it changed until another moment.
    fn between(&self, from: Instant, to: Instant) -> Vec<(Instant, Option<Conn>)> {
        let changes = self.changes();
        let session = |sight: &Sight| sight.sessions.first().copied();
        let before = changes.iter().rev().find(|(at, _)| *at <= from).and_then(|(_, sight)| session(sight));
        let mut sights = vec![(from, before)];
        for (at, sight) in changes.iter().filter(|(at, _)| *at > from && *at <= to) {
            if sights.last().is_some_and(|(_, last)| *last != session(sight)) {
                sights.push((*at, session(sight)));
            }
        }
        sights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A watcher that saw sessions at these milliseconds.
    fn watcher(start: Instant, sights: &[(u64, &[u64])]) -> Watcher {
        let watcher = Watcher::default();
        for (millis, conns) in sights {
            let sessions = conns.iter().map(|conn| Conn(*conn)).collect();
            watcher.see(start + Duration::from_millis(*millis), Sight { sessions, open: conns.len() });
        }
        watcher
    }

    #[test]
    fn a_gap_is_the_longest_time_without_a_session() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let watcher =
            watcher(start, &[(0, &[1]), (100, &[]), (150, &[2]), (300, &[]), (700, &[3]), (900, &[])]);
        assert_eq!(watcher.gap(at(50), at(800)), Duration::from_millis(400));
        assert_eq!(watcher.gap(at(120), at(200)), Duration::from_millis(30));
        assert_eq!(watcher.gap(at(800), at(1500)), Duration::from_millis(600));
        assert_eq!((watcher.gap(at(160), at(250)), watcher.logins(at(50), at(800))), (Duration::ZERO, 2));
    }

    #[test]
    fn a_session_the_router_believes_in_ends_with_the_next_login() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let watcher = watcher(start, &[(0, &[1]), (400, &[2])]);
        assert_eq!(watcher.until_login(at(100), at(900)), Some(Duration::from_millis(300)));
        assert_eq!(
            (watcher.until_login(at(500), at(900)), watcher.gap(at(100), at(900))),
            (None, Duration::ZERO)
        );
        assert_eq!(watcher.most_sessions(), 1);
        assert_eq!(
            (watcher.most_links(at(500), at(900)), Watcher::default().most_links(at(0), at(9))),
            (1, 0)
        );
        assert_eq!(watcher.steady_for(at(700)), Duration::from_millis(300));
    }
}
