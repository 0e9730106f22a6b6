//! Which object is reconciled next. Pure: what time it is, and what the objects are like, others say.
//!
//! An object that is asked for is due some time later, waits for its turn, and then has one of the places until its
//! reconciliation has ended. What is asked for meanwhile makes it due again.
//!
//! A tenant whose thousand objects each hang until their time is up must not hold up another's only one: a namespace has a
//! quarter of the places at most. Neither must what is short wait for what is long. To carry a new object out takes some
//! twenty requests, and to tell in its status that its pod runs two: behind a thousand new ones the first would be told to be
//! ready when the last had begun.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::lane::Lane;
use super::pace::Pace;
use crate::key::Key;

/// A namespace may have one of so many places, and new objects leave one of so many to the others.
const SHARE: usize = 4;

/// What is to be done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Its end. It has places of its own.
    End,
    /// What has changed.
    Keep,
    /// All of it: it is new.
    Create,
}

impl Work {
    /// All, those first that have the turn before others.
    const ALL: [Self; 3] = [Self::End, Self::Keep, Self::Create];

    /// Whether it takes its places from the same ones.
    fn shares_places(self, other: Self) -> bool {
        (self == Self::End) == (other == Self::End)
    }
}

/// Who is reconciled, who waits for that, and who will. It keeps of an object only what is to be done.
#[derive(Debug)]
pub struct Queue {
    places: usize,
    later: BTreeSet<(Instant, Key)>,
    due: HashMap<Key, Instant>,
    waiting: HashMap<Key, Waiting>,
    /// In the order of [`Work::ALL`]. Who waits for other work now is still in the lane of before.
    lanes: [Lane; Work::ALL.len()],
    running: HashMap<Key, Running>,
    /// Whether the last place went to one that runs, and not to a new one.
    kept_last: bool,
    pace: Pace,
}

#[derive(Debug)]
struct Waiting {
    work: Work,
    since: Instant,
}

#[derive(Debug)]
struct Running {
    work: Work,
    /// It was asked for meanwhile.
    again: bool,
}

impl Queue {
    /// With so many places, and as many for those that end.
    pub fn new(places: usize) -> Self {
        Self {
            places,
            later: BTreeSet::new(),
            due: HashMap::new(),
            waiting: HashMap::new(),
            lanes: Default::default(),
            running: HashMap::new(),
            kept_last: false,
            pace: Pace::default(),
        }
    }

    /// Asks for an object. It is due then, or earlier if it was asked for before.
    pub fn request(&mut self, key: Key, at: Instant) {
        match self.due.get(&key) {
            Some(due) if *due <= at => return,
            Some(due) => drop(self.later.remove(&(*due, key.clone()))),
            None => {}
        }
        self.due.insert(key.clone(), at);
        self.later.insert((at, key));
    }

    /// Forgets what was asked for of an object that is gone.
    pub fn forget(&mut self, key: &Key) {
        if let Some(at) = self.due.remove(key) {
            self.later.remove(&(at, key.clone()));
        }
    }

    /// When the next object is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    /// Takes out an object that is due. Who asked for it is answered by [`Self::enter`], or by nothing if it is gone.
    pub fn pop_due(&mut self, now: Instant) -> Option<Key> {
        while self.next_due()? <= now {
            let (_, key) = self.later.pop_first()?;
            self.due.remove(&key);
            match self.running.get_mut(&key) {
                Some(running) => running.again = true,
                None => return Some(key),
            }
        }
        None
    }

    /// An object that is due waits for its turn. In a hurry or not: one that goes on as before rests for a while
    /// when it was looked at just now.
    pub fn enter(&mut self, key: Key, work: Work, hurries: bool, now: Instant) {
        let rests_until = self.pace.rests_until(&key).filter(|until| *until > now);
        match rests_until.filter(|_| work == Work::Keep && !hurries) {
            Some(until) => self.request(key, until),
            None => self.wait(key, work, now),
        }
    }

    fn wait(&mut self, key: Key, work: Work, now: Instant) {
        let before = self.waiting.get(&key);
        if before.is_none_or(|before| before.work != work) {
            let since = before.map_or(now, |before| before.since);
            self.waiting.insert(key.clone(), Waiting { work, since });
            self.lanes[work as usize].push(key);
        }
    }

    /// Gives a place to whose turn it is, if there is one.
    pub fn start(&mut self) -> Option<Key> {
        let mut order = Work::ALL;
        // With so few places there is no part of them to leave to new ones, so they take turns.
        if self.places < SHARE && self.kept_last {
            order.swap(Work::Keep as usize, Work::Create as usize);
        }
        order.into_iter().find_map(|work| self.start_one(work))
    }

    fn start_one(&mut self, work: Work) -> Option<Key> {
        while self.has_place(work) {
            let (running, places) = (&self.running, self.places);
            let key =
                self.lanes[work as usize].pop(|namespace| has_share(running, places, work, namespace))?;
            if self.waiting.get(&key).is_some_and(|waiting| waiting.work == work) {
                self.waiting.remove(&key);
                self.running.insert(key.clone(), Running { work, again: false });
                if work != Work::End {
                    self.kept_last = work == Work::Keep;
                }
                return Some(key);
            }
        }
        None
    }

    /// Whether there is a place for such work, whoever wants it.
    fn has_place(&self, work: Work) -> bool {
        let most = match work {
            Work::End => self.places,
            // Those that run do not keep new ones out either.
            Work::Keep if self.lanes[Work::Create as usize].is_empty() => self.places,
            Work::Keep | Work::Create => all_but_a_share(self.places),
        };
        let running = || self.running.values();
        running().filter(|running| running.work.shares_places(work)).count() < self.places
            && running().filter(|running| running.work == work).count() < most
    }

    /// The reconciliation of an object has ended. It is looked at again after that time, if any. It rests only when
    /// it is `settled`: what failed is tried again.
    pub fn done(&mut self, key: Key, again: Option<Duration>, settled: bool, now: Instant) {
        let asked_for = self.running.remove(&key).is_some_and(|running| running.again);
        if let Some(after) = again {
            self.request(key.clone(), now + after);
        }
        if asked_for {
            self.request(key.clone(), now);
        }
        if settled {
            self.pace.looked(key, now);
        }
    }

    /// How many wait, and for how long the one that came first does.
    pub fn look(&self, now: Instant) -> (usize, Duration) {
        let due = self.later.iter().map(|(at, _)| *at).take_while(|at| *at <= now);
        let since = self.waiting.values().map(|waiting| waiting.since).chain(due.clone());
        let oldest = since.min().map(|since| now.saturating_duration_since(since));
        (self.waiting.len() + due.count(), oldest.unwrap_or_default())
    }
}

/// How many of the places new objects, or those that run, may have when there are both.
fn all_but_a_share(places: usize) -> usize {
    places - places / SHARE
}

/// Whether a namespace may have one more place for such work: a share of all of them, and of those for new objects.
fn has_share(running: &HashMap<Key, Running>, places: usize, work: Work, namespace: &str) -> bool {
    let own =
        || running.iter().filter(|(key, _)| key.namespace == namespace).map(|(_, running)| running.work);
    let share = (places / SHARE).max(1);
    let of_new = (all_but_a_share(places) / SHARE).max(1);
    own().filter(|other| other.shares_places(work)).count() < share
        && (work != Work::Create || own().filter(|other| *other == Work::Create).count() < of_new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(namespace: &str, name: usize) -> Key {
        Key::new(namespace, name.to_string())
    }

    /// Starts all that may start.
    fn started(queue: &mut Queue) -> Vec<Key> {
        std::iter::from_fn(|| queue.start()).collect()
    }

    /// So many objects of each namespace wait for work.
    fn fill(queue: &mut Queue, namespaces: &[&str], count: usize, work: Work) {
        for (namespace, name) in
            namespaces.iter().flat_map(|namespace| (0..count).map(move |name| (namespace, name)))
        {
            queue.enter(Key::new(*namespace, format!("{work:?}-{name}")), work, true, Instant::now());
        }
    }

    #[test]
    fn what_is_asked_for_several_times_is_due_once_and_as_early_as_anybody_asked() {
        let (mut queue, now) = (Queue::new(4), Instant::now());
        for after in [3, 1, 2] {
            queue.request(key("ns", 1), now + SECOND * after);
        }
        assert_eq!(queue.next_due(), Some(now + SECOND));
        assert_eq!(queue.pop_due(now), None);
        assert_eq!(queue.pop_due(now + SECOND), Some(key("ns", 1)));
        assert_eq!((queue.next_due(), queue.pop_due(now + SECOND * 9)), (None, None));
    }

    #[test]
    fn of_one_that_is_gone_nothing_is_kept() {
        let (mut queue, now) = (Queue::new(4), Instant::now());
        queue.request(key("ns", 1), now);
        queue.forget(&key("ns", 1));
        assert_eq!((queue.next_due(), queue.due.len()), (None, 0));
    }

    #[test]
    fn what_is_asked_for_while_it_is_reconciled_comes_after_that_and_never_twice_at_a_time() {
        let (mut queue, now) = (Queue::new(4), Instant::now());
        queue.enter(key("ns", 1), Work::Create, false, now);
        assert_eq!(queue.start(), Some(key("ns", 1)));
        queue.request(key("ns", 1), now);
        assert_eq!((queue.pop_due(now), queue.next_due()), (None, None));
        queue.done(key("ns", 1), Some(SECOND * 60), false, now);
        assert_eq!(queue.pop_due(now), Some(key("ns", 1)), "at once, though it asks for later itself");
        assert_eq!(queue.next_due(), None, "whoever looks at it says anew when to look again");
    }

    #[test]
    fn what_nobody_asked_for_comes_when_it_says_so_itself() {
        let (mut queue, now) = (Queue::new(4), Instant::now());
        queue.enter(key("ns", 1), Work::Create, false, now);
        queue.start();
        queue.done(key("ns", 1), Some(SECOND), false, now);
        assert_eq!(queue.next_due(), Some(now + SECOND));
    }

    #[test]
    fn one_that_runs_rests_after_a_look_at_it_unless_it_hurries_or_ends_or_failed() {
        let (mut queue, now) = (Queue::new(9), Instant::now());
        for (name, settled) in [(1, true), (2, true), (3, true), (4, false)] {
            queue.done(key("ns", name), None, settled, now);
        }
        for (name, work, hurries) in
            [(1, Work::Keep, false), (2, Work::Keep, true), (3, Work::End, false), (4, Work::Keep, false)]
        {
            queue.enter(key("ns", name), work, hurries, now + SECOND);
        }
        let mut started = started(&mut queue);
        started.sort();
        assert_eq!(started, [2, 3, 4].map(|name| key("ns", name)));
        assert_eq!(queue.next_due(), Some(now + SECOND * 2));
    }

    #[test]
    fn one_namespace_gets_its_share_and_leaves_the_rest_to_others() {
        let mut queue = Queue::new(8);
        fill(&mut queue, &["noisy"], 1000, Work::Keep);
        assert_eq!(started(&mut queue).len(), 2);
        fill(&mut queue, &["quiet"], 1, Work::Keep);
        assert_eq!(started(&mut queue), [Key::new("quiet", "Keep-0")]);
    }

    #[test]
    fn all_namespaces_together_get_all_places_and_no_more() {
        let mut queue = Queue::new(4);
        fill(&mut queue, &["a", "b", "c", "d", "e"], 2, Work::Keep);
        let first = started(&mut queue);
        assert_eq!(first.len(), 4);
        queue.done(first[0].clone(), None, true, Instant::now());
        assert_eq!(started(&mut queue), [Key::new("e", "Keep-0")], "whose turn it is");
    }

    #[test]
    fn what_is_short_does_not_wait_for_what_is_long() {
        let mut queue = Queue::new(16);
        let all = ["a", "b", "c", "d", "e"];
        fill(&mut queue, &all, 5, Work::Create);
        let new = started(&mut queue);
        assert_eq!(new.len(), 12);
        fill(&mut queue, &all, 5, Work::Keep);
        assert_eq!(started(&mut queue).len(), 4);
        fill(&mut queue, &all, 5, Work::End);
        assert_eq!(started(&mut queue).len(), 16, "those that end wait for nobody else");
        for key in new {
            queue.done(key, None, true, Instant::now());
        }
        let next = started(&mut queue);
        let of = |work: &str| next.iter().filter(|key| key.name.starts_with(work)).count();
        assert_eq!((of("Keep"), of("Create")), (8, 4), "nor does what is long wait for ever");
    }

    #[test]
    fn those_that_run_may_have_all_places_when_nobody_is_new() {
        let mut queue = Queue::new(16);
        fill(&mut queue, &["a", "b", "c", "d"], 9, Work::Keep);
        assert_eq!(started(&mut queue).len(), 16);
    }

    #[test]
    fn who_is_deleted_while_waiting_waits_for_its_end_only() {
        let (mut queue, now) = (Queue::new(1), Instant::now());
        queue.enter(key("ns", 1), Work::Create, false, now);
        queue.enter(key("ns", 1), Work::Create, false, now);
        queue.enter(key("ns", 1), Work::End, false, now + SECOND);
        assert_eq!(queue.look(now + SECOND), (1, SECOND));
        assert_eq!(started(&mut queue), [key("ns", 1)]);
        queue.done(key("ns", 1), None, true, now);
        assert_eq!(started(&mut queue), []);
        assert!(queue.lanes.iter().all(Lane::is_empty));
    }

    #[test]
    fn with_one_place_what_is_new_and_what_runs_take_turns() {
        let mut queue = Queue::new(1);
        fill(&mut queue, &["new"], 3, Work::Create);
        fill(&mut queue, &["runs"], 3, Work::Keep);
        let turns = std::iter::from_fn(|| {
            let key = queue.start()?;
            assert_eq!(queue.start(), None);
            queue.done(key.clone(), None, true, Instant::now());
            Some(key.namespace)
        });
        assert_eq!(turns.collect::<Vec<_>>(), ["runs", "new", "runs", "new", "runs", "new"]);
    }

    #[test]
    fn the_one_that_came_first_tells_how_long_they_wait() {
        let (mut queue, now) = (Queue::new(1), Instant::now());
        assert_eq!(queue.look(now), (0, Duration::ZERO));
        queue.request(key("ns", 1), now);
        queue.request(key("ns", 2), now + SECOND * 60);
        assert_eq!(queue.look(now + SECOND * 5), (1, SECOND * 5), "due, and nobody has taken it in");
        let due = queue.pop_due(now + SECOND * 5).unwrap();
        queue.enter(due, Work::Create, false, now + SECOND * 5);
        assert_eq!(queue.look(now + SECOND * 7), (1, SECOND * 2));
        queue.start();
        assert_eq!(queue.look(now + SECOND * 7), (0, Duration::ZERO));
    }
}
