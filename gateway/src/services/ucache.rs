//! What is known of users: of other muds' from what they broadcast, and which of ours were announced.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use intermud3::packet::UserInfo;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::mud::{NAME_BYTES, User};

/// The most users remembered; past it the one heard of least lately is forgotten.
const CAPACITY: usize = 5_000;

/// How long a user is remembered.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);

/// The most that is written of it, in bytes: NATS takes no message over 1 MiB.
const KEPT_BYTES: usize = 512 * 1024;

/// Users of other muds; pure, with the time as a parameter.
#[derive(Debug, Default)]
pub struct UserCache {
    users: HashMap<Key, Cached>,
    /// In the order in which they were heard of.
    order: BTreeMap<u64, Key>,
    next: u64,
    /// Whether anything has changed since it was last kept.
    changed: bool,
}

/// A user of another mud as another process gets to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptUser {
    mud: String,
    user: String,
    visname: String,
    gender: i64,
    /// When it was heard of.
    at: Timestamp,
}

impl KeptUser {
    /// About how many bytes it takes as JSON.
    fn size(&self) -> usize {
        100 + 2 * (self.mud.len() + self.user.len() + self.visname.len())
    }
}

/// Mud, and user in lower case.
type Key = (String, String);

#[derive(Debug)]
struct Cached {
    order: u64,
    since: Instant,
    info: UserInfo,
}

impl UserCache {
    /// Takes what a mud tells of a user of its own.
    pub fn put(&mut self, now: Instant, mud: &str, info: &UserInfo) {
        if [mud, &info.username, &info.visname].iter().any(|name| name.len() > NAME_BYTES) {
            return;
        }
        let key = (mud.to_owned(), info.username.to_lowercase());
        let cached = Cached { order: self.next, since: now, info: info.clone() };
        if let Some(before) = self.users.insert(key.clone(), cached) {
            self.order.remove(&before.order);
        }
        self.order.insert(self.next, key);
        self.next += 1;
        self.changed = true;
        while self.users.len() > CAPACITY {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.users.remove(&oldest);
        }
    }

    /// Those heard of lately, the last first, to be kept; none when nothing has changed since the last call.
    pub fn take_changed(&mut self, now: Instant, clock: Timestamp) -> Option<Vec<KeptUser>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let users = self.order.values().rev().filter_map(|key| {
            let Cached { since, info, .. } = self.users.get(key)?;
            let age = now.duration_since(*since);
            let at = clock.checked_sub(SignedDuration::try_from(age).ok()?).ok()?;
            let (mud, user) = key.clone();
            (age < KEEP).then(|| KeptUser {
                mud,
                user,
                visname: info.visname.clone(),
                gender: info.gender,
                at,
            })
        });
        let mut room = KEPT_BYTES;
        let fits = |user: &KeptUser| {
            let left = room.checked_sub(user.size());
            room = left.unwrap_or_default();
            left.is_some()
        };
        Some(users.take_while(fits).collect())
    }

    /// What was taken to be kept is not.
    pub fn note_change(&mut self) {
        self.changed = true;
    }

    /// Takes what another process knew. What this one has heard itself is newer.
    pub fn restore(&mut self, now: Instant, clock: Timestamp, kept: Vec<KeptUser>) {
        let own = std::mem::take(self);
        for KeptUser { mud, user, visname, gender, at } in kept.into_iter().rev() {
            let age = Duration::try_from(clock.duration_since(at)).unwrap_or_default();
            if let Some(since) = now.checked_sub(age).filter(|_| age < KEEP) {
                self.put(since, &mud, &UserInfo { username: user, visname, gender });
            }
        }
        for key in own.order.values() {
            if let Some(Cached { since, info, .. }) = own.users.get(key) {
                self.put(*since, &key.0, info);
            }
        }
        self.changed = own.changed;
    }

    /// What is known of a user.
    pub fn get(&self, now: Instant, mud: &str, username: &str) -> Option<&UserInfo> {
        let cached = self.users.get(&(mud.to_owned(), username.to_lowercase()))?;
        (now.duration_since(cached.since) < KEEP).then_some(&cached.info)
    }
}

/// Which of our users the network has been told of, and how; pure.
#[derive(Debug, Default)]
pub struct Announced(HashMap<String, UserInfo>);

impl Announced {
    /// Offers to `announce` each user that is new or is called otherwise now; who is not announced then is offered
    /// again the next time.
    pub fn update(&mut self, users: &[User], mut announce: impl FnMut(&UserInfo) -> bool) {
        let mut before = std::mem::take(&mut self.0);
        for user in users {
            let info = user.info();
            let known = before.remove(&info.username);
            if known.as_ref() == Some(&info) || announce(&info) {
                self.0.insert(info.username.clone(), info);
            } else if let Some(known) = known {
                self.0.insert(known.username.clone(), known);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mud::Gender;

    fn info(name: &str, visname: &str) -> UserInfo {
        UserInfo { username: name.into(), visname: visname.into(), gender: UserInfo::FEMALE }
    }

    #[test]
    fn the_last_that_was_told_counts_for_a_week() {
        let now = Instant::now();
        let mut cache = UserCache::default();
        cache.put(now, "Dusk", &info("bob", "Bob"));
        cache.put(now, "Dusk", &info("Bob", "Sir Bob"));
        assert_eq!(cache.get(now, "Dusk", "BOB").unwrap().visname, "Sir Bob");
        assert!(cache.get(now, "Dawn", "bob").is_none());
        assert!(cache.get(now + KEEP, "Dusk", "bob").is_none());
    }

    #[test]
    fn it_is_bounded_and_who_was_heard_of_lately_stays() {
        let now = Instant::now();
        let mut cache = UserCache::default();
        cache.put(now, "Dusk", &info("first", "First"));
        cache.put(now, "Dusk", &info("second", "Second"));
        for index in 0..CAPACITY - 1 {
            cache.put(now, "Dusk", &info("first", "First"));
            cache.put(now, "Flood", &info(&index.to_string(), ""));
        }
        cache.put(now, "Flood", &info(&"x".repeat(NAME_BYTES + 1), ""));
        assert_eq!((cache.users.len(), cache.order.len()), (CAPACITY, CAPACITY));
        assert!(cache.get(now, "Dusk", "first").is_some() && cache.get(now, "Dusk", "second").is_none());
    }

    #[test]
    fn another_process_goes_on_with_what_was_known_and_what_it_heard_itself_counts_more() {
        let (now, clock) = (Instant::now(), Timestamp::now());
        let (mut cache, mut other) = (UserCache::default(), UserCache::default());
        assert_eq!(cache.take_changed(now, clock), None);
        cache.put(now, "Dusk", &info("bob", "Bob"));
        cache.put(now, "Dusk", &info("zoe", "Zoe"));
        let hour = Duration::from_secs(3600);
        let kept = cache.take_changed(now + hour, clock).unwrap();
        assert_eq!(cache.take_changed(now + hour, clock), None, "no news");
        let text = serde_json::to_vec(&kept).unwrap();
        assert!(text.len() <= kept.iter().map(KeptUser::size).sum());
        other.put(now, "Dusk", &info("zoe", "Lady Zoe"));
        other.restore(now + hour, clock, serde_json::from_slice(&text).unwrap());
        assert_eq!(other.get(now, "Dusk", "bob").unwrap(), &info("bob", "Bob"));
        assert_eq!(other.get(now, "Dusk", "zoe").unwrap().visname, "Lady Zoe");
        assert!(other.get(now + KEEP, "Dusk", "bob").is_none(), "it is as old as it was");
        assert!(other.take_changed(now, clock).is_some());
    }

    #[test]
    fn what_is_kept_is_bounded_and_is_what_was_heard_last() {
        let (now, clock) = (Instant::now(), Timestamp::now());
        let mut cache = UserCache::default();
        for index in 0..CAPACITY {
            cache.put(now, &"m".repeat(200), &info(&index.to_string(), &"\u{1F600}".repeat(60)));
        }
        let kept = cache.take_changed(now, clock).unwrap();
        assert!(serde_json::to_vec(&kept).unwrap().len() <= KEPT_BYTES && kept.len() > 400);
        assert_eq!(kept[0].user, (CAPACITY - 1).to_string());
    }

    #[test]
    fn users_are_announced_once_and_again_when_they_change() {
        let user = |name: &str, gender| User { name: name.into(), gender, ..User::default() };
        let mut announced = Announced::default();
        let mut told = |users: &[User], room: usize| {
            let mut told = Vec::new();
            announced.update(users, |info| {
                let fits = told.len() < room;
                if fits {
                    told.push((info.username.clone(), info.gender));
                }
                fits
            });
            told
        };
        let (ann, bob) = (user("Ann", Gender::Female), user("Bob", Gender::Neuter));
        assert_eq!(told(&[ann.clone(), bob.clone()], 1), [("ann".to_owned(), UserInfo::FEMALE)]);
        assert_eq!(told(&[ann.clone(), bob.clone()], 9), [("bob".to_owned(), UserInfo::NEUTER)]);
        assert!(told(&[ann.clone(), bob], 9).is_empty());
        let changed = user("Ann", Gender::Male);
        assert!(told(std::slice::from_ref(&changed), 0).is_empty());
        assert_eq!(told(&[changed], 9), [("ann".to_owned(), UserInfo::MALE)]);
        assert_eq!(told(&[ann], 9).len(), 1);
    }
}
