//! What is known of users: of other muds' from what they broadcast, and which of ours were announced.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use intermud3::packet::UserInfo;

use super::presence::User;

/// The most users remembered; past it the one heard of least lately is forgotten.
const CAPACITY: usize = 5_000;

/// How long a user is remembered.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);

/// The longest name kept, in bytes.
const NAME: usize = 256;

/// Users of other muds; pure, with the time as a parameter.
#[derive(Debug, Default)]
pub struct UserCache {
    users: HashMap<Key, Cached>,
    /// In the order in which they were heard of.
    order: BTreeMap<u64, Key>,
    next: u64,
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
        if [mud, &info.username, &info.visname].iter().any(|name| name.len() > NAME) {
            return;
        }
        let key = (mud.to_owned(), info.username.to_lowercase());
        let cached = Cached { order: self.next, since: now, info: info.clone() };
        if let Some(before) = self.users.insert(key.clone(), cached) {
            self.order.remove(&before.order);
        }
        self.order.insert(self.next, key);
        self.next += 1;
        while self.users.len() > CAPACITY {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.users.remove(&oldest);
        }
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
    use crate::services::Gender;

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
        cache.put(now, "Flood", &info(&"x".repeat(NAME + 1), ""));
        assert_eq!((cache.users.len(), cache.order.len()), (CAPACITY, CAPACITY));
        assert!(cache.get(now, "Dusk", "first").is_some() && cache.get(now, "Dusk", "second").is_none());
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
