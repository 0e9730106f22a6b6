//! Who is on our mud, as the mud tells us: what who, finger and locate of others are answered from.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::mud::User;

/// The most users in one snapshot.
pub const USERS: usize = 512;

/// How long a snapshot is good for. A mud that has not told for longer may be gone.
pub const CURRENT: Duration = Duration::from_secs(30);

/// Why a snapshot is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Too many users.
    #[error("users must hold at most {USERS} entries")]
    TooMany,
    /// Two of one name.
    #[error("users[{index}].name: {name:?} is there twice")]
    Twice {
        /// Which entry.
        index: usize,
        /// The name.
        name: String,
    },
    /// A field that is not what it should be.
    #[error("users[{index}].{field} must be {expected}")]
    Field {
        /// Which entry.
        index: usize,
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: String,
    },
}

/// The last snapshot; pure, with the time as a parameter.
#[derive(Debug, Default)]
pub struct Presence {
    snapshot: Option<(Instant, Vec<User>)>,
}

impl Presence {
    /// Takes a snapshot in place of the last one.
    ///
    /// # Errors
    /// [`Rejected`] when anything is wrong with it; then the last one stays.
    pub fn replace(&mut self, now: Instant, mut users: Vec<User>) -> Result<usize, Rejected> {
        if users.len() > USERS {
            return Err(Rejected::TooMany);
        }
        let mut names = HashSet::new();
        for (index, user) in users.iter_mut().enumerate() {
            check(index, user)?;
            if !names.insert(user.name.to_lowercase()) {
                return Err(Rejected::Twice { index, name: user.name.clone() });
            }
        }
        let count = users.len();
        self.snapshot = Some((now, users));
        Ok(count)
    }

    /// What another process was told some time ago.
    pub fn of(now: Instant, age: Duration, users: Vec<User>) -> Self {
        Self { snapshot: now.checked_sub(age).map(|since| (since, users)) }
    }

    /// How long ago the mud told, and of whom, if that was lately.
    pub fn told(&self, now: Instant) -> Option<(Duration, Vec<User>)> {
        let (since, users) = self.snapshot.as_ref()?;
        let age = now.duration_since(*since);
        (age < CURRENT).then(|| (age, users.clone()))
    }

    /// The users, if the mud has told lately.
    pub fn users(&self, now: Instant) -> Option<&[User]> {
        let (since, users) = self.snapshot.as_ref()?;
        (now.duration_since(*since) < CURRENT).then_some(users)
    }
}

/// Checks one user; texts lose the blanks around them.
fn check(index: usize, user: &mut User) -> Result<(), Rejected> {
    let rejected = |field, expected: String| Err(Rejected::Field { index, field, expected });
    let texts = [
        ("name", &mut user.name, 128),
        ("title", &mut user.title, 256),
        ("race", &mut user.race, 128),
        ("guild", &mut user.guild, 128),
        ("location", &mut user.location, 256),
        ("status", &mut user.status, 256),
        ("login_time", &mut user.login_time, 64),
    ];
    for (field, text, length) in texts {
        *text = text.trim().to_owned();
        if text.chars().count() > length || text.chars().any(char::is_control) {
            return rejected(field, format!("at most {length} printable characters"));
        }
    }
    if user.name.is_empty() {
        return rejected("name", "a name".to_owned());
    }
    if !(0..=1000).contains(&user.level) {
        return rejected("level", "0 to 1000".to_owned());
    }
    if !(0..=31_536_000).contains(&user.idle) {
        return rejected("idle", "0 to 31536000 seconds".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn replace(users: Value) -> Result<usize, Rejected> {
        Presence::default().replace(Instant::now(), serde_json::from_value(users).unwrap())
    }

    #[test]
    fn a_snapshot_is_good_for_a_while() {
        let now = Instant::now();
        let mut presence = Presence::default();
        assert_eq!(presence.users(now), None);
        let users = json!([{"name": " Ann ", "level": 5, "login_time": 1000}, {"name": "Bob"}]);
        assert_eq!(presence.replace(now, serde_json::from_value(users).unwrap()), Ok(2));
        let ann = &presence.users(now).unwrap()[0];
        assert_eq!((ann.name.as_str(), ann.level, ann.login_time.as_str()), ("Ann", 5, "1000"));
        assert!(presence.users(now + CURRENT).is_none());
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_changes() {
        let cases = [
            (json!([{"name": ""}]), "users[0].name must be a name"),
            (json!([{"name": "A"}, {"name": "a"}]), "users[1].name: \"a\" is there twice"),
            (json!([{"name": "A", "level": 1001}]), "users[0].level must be 0 to 1000"),
            (json!([{"name": "A", "idle": -1}]), "users[0].idle must be 0 to 31536000 seconds"),
            (json!([{"name": "A\u{7}"}]), "users[0].name must be at most 128 printable characters"),
            (
                json!([{"name": "A", "title": "x".repeat(257)}]),
                "users[0].title must be at most 256 printable characters",
            ),
            (json!(vec![json!({"name": "A"}); USERS + 1]), "users must hold at most 512 entries"),
        ];
        for (users, expected) in cases {
            assert_eq!(replace(users).unwrap_err().to_string(), expected);
        }
    }
}
