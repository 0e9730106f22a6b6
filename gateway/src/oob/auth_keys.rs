//! The rights of other muds to open a conversation with us: session keys, and permissions of muds without one.
//!
//! A mud asks for a key by `auth-mud-req` and shows it in its `oob-begin`; one that cannot announces itself by `oob-req`
//! and shows nothing. Either lasts ten minutes and is good for one conversation; a new one replaces the last.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use intermud3::oob::OobBegin;
use rand::{Rng, RngExt};

/// How long a right lasts (OOB specification: ten minutes).
pub const LIFETIME: Duration = Duration::from_secs(600);

/// The most muds that have a right of one kind at a time; past it the one that ends first gives way.
const MUDS: usize = 1000;

/// A key that was guessed wrong this often is no longer good, so that nobody can try them all.
const WRONG_GUESSES: u32 = 3;

/// The rights handed out; pure, with the time and the chance as parameters.
#[derive(Debug, Default)]
pub struct AuthKeys {
    keys: HashMap<String, Key>,
    expected: HashMap<String, Instant>,
}

struct Key {
    token: i64,
    expires: Instant,
    wrong_guesses: u32,
}

impl std::fmt::Debug for Key {
    /// Without the token, which is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl AuthKeys {
    /// A new key for a mud, in place of the one it had: from 1 to the largest 32-bit integer, as LPC drivers have them.
    pub fn hand_out(&mut self, now: Instant, mud: &str, rng: &mut impl Rng) -> i64 {
        make_room(&mut self.keys, now, mud, |key| key.expires);
        let token = i64::from(rng.random_range(1..=i32::MAX));
        let key = Key { token, expires: now + LIFETIME, wrong_guesses: 0 };
        self.keys.insert(mud.to_owned(), key);
        token
    }

    /// A mud has announced by `oob-req` that it will come without a key.
    pub fn expect(&mut self, now: Instant, mud: &str) {
        make_room(&mut self.expected, now, mud, |expires| *expires);
        self.expected.insert(mud.to_owned(), now + LIFETIME);
    }

    /// Whether a mud may open a conversation, which uses its right up. `from_its_address`: whether it comes from the
    /// address that the mudlist has for it, without which a mud that shows no key is nobody.
    pub fn redeem(&mut self, now: Instant, begin: &OobBegin, from_its_address: bool) -> bool {
        match begin.auth_type {
            OobBegin::BY_KEY => self.redeem_key(now, begin),
            OobBegin::UNAUTHENTICATED if from_its_address => {
                self.expected.remove(&begin.mud).is_some_and(|expires| now < expires)
            }
            _ => false,
        }
    }

    fn redeem_key(&mut self, now: Instant, begin: &OobBegin) -> bool {
        let Some(key) = self.keys.get_mut(&begin.mud) else { return false };
        let right = key.token == begin.auth_token && now < key.expires;
        key.wrong_guesses += u32::from(!right);
        if right || key.wrong_guesses >= WRONG_GUESSES || now >= key.expires {
            self.keys.remove(&begin.mud);
        }
        right
    }
}

/// Makes room for one more mud: those whose time is over go, and if that is not enough the next to go.
fn make_room<T>(rights: &mut HashMap<String, T>, now: Instant, mud: &str, expires: impl Fn(&T) -> Instant) {
    if rights.len() < MUDS || rights.contains_key(mud) {
        return;
    }
    rights.retain(|_, right| now < expires(right));
    if rights.len() >= MUDS
        && let Some(first) = rights.iter().min_by_key(|(_, right)| expires(right)).map(|(mud, _)| mud.clone())
    {
        rights.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(mud: &str, auth_type: i64, auth_token: i64) -> OobBegin {
        OobBegin { mud: mud.into(), auth_type, auth_token }
    }

    #[test]
    fn a_key_is_good_once_from_anywhere() {
        let (now, mut keys) = (Instant::now(), AuthKeys::default());
        let token = keys.hand_out(now, "Dusk", &mut rand::rng());
        assert!((1..=i64::from(i32::MAX)).contains(&token));
        assert!(!keys.redeem(now, &begin("Dusk", 1, token + 1), true), "a wrong key");
        assert!(!keys.redeem(now, &begin("Dawn", 1, token), true), "the key of another mud");
        assert!(!keys.redeem(now, &begin("Dusk", 0, token), true), "no key is asked for in this way");
        assert!(!keys.redeem(now, &begin("Dusk", 2, token), true), "an unknown way");
        assert!(keys.redeem(now, &begin("Dusk", 1, token), false));
        assert!(!keys.redeem(now, &begin("Dusk", 1, token), false), "used before");
    }

    #[test]
    fn the_last_key_counts_and_it_ends_after_ten_minutes() {
        let (now, mut keys) = (Instant::now(), AuthKeys::default());
        let first = keys.hand_out(now, "Dusk", &mut rand::rng());
        let second = keys.hand_out(now, "Dusk", &mut rand::rng());
        assert!(first == second || !keys.redeem(now, &begin("Dusk", 1, first), true));
        assert!(keys.redeem(now + LIFETIME - Duration::from_secs(1), &begin("Dusk", 1, second), true));
        let late = keys.hand_out(now, "Dusk", &mut rand::rng());
        assert!(!keys.redeem(now + LIFETIME, &begin("Dusk", 1, late), true));
        assert!(!keys.redeem(now, &begin("Dusk", 1, late), true), "gone for good");
    }

    #[test]
    fn a_key_cannot_be_found_by_trying() {
        let (now, mut keys) = (Instant::now(), AuthKeys::default());
        let token = keys.hand_out(now, "Dusk", &mut rand::rng());
        for _ in 0..WRONG_GUESSES {
            assert!(!keys.redeem(now, &begin("Dusk", 1, token - 1), true));
        }
        assert!(!keys.redeem(now, &begin("Dusk", 1, token), true));
    }

    #[test]
    fn without_a_key_a_mud_comes_once_and_from_its_address() {
        let (now, mut keys) = (Instant::now(), AuthKeys::default());
        assert!(!keys.redeem(now, &begin("Dusk", 0, 0), true), "not announced");
        keys.expect(now, "Dusk");
        assert!(!keys.redeem(now, &begin("Dusk", 0, 0), false), "from elsewhere");
        assert!(keys.redeem(now, &begin("Dusk", 0, 0), true));
        assert!(!keys.redeem(now, &begin("Dusk", 0, 0), true), "used before");
        keys.expect(now, "Dusk");
        assert!(!keys.redeem(now + LIFETIME, &begin("Dusk", 0, 0), true), "too late");
    }

    #[test]
    fn the_muds_are_bounded_and_the_oldest_right_gives_way() {
        let (now, mut keys) = (Instant::now(), AuthKeys::default());
        let mut tokens = Vec::new();
        for index in 0..=MUDS {
            let at = now + Duration::from_millis(index as u64);
            tokens.push(keys.hand_out(at, &index.to_string(), &mut rand::rng()));
            keys.expect(at, &index.to_string());
        }
        assert_eq!((keys.keys.len(), keys.expected.len()), (MUDS, MUDS));
        assert!(
            !keys.redeem(now, &begin("0", 1, tokens[0]), true) && !keys.redeem(now, &begin("0", 0, 0), true)
        );
        assert!(
            keys.redeem(now, &begin("1", 1, tokens[1]), true) && keys.redeem(now, &begin("1", 0, 0), true)
        );
        for mud in ["new", "newer"] {
            keys.hand_out(now + 2 * LIFETIME, mud, &mut rand::rng());
        }
        assert_eq!(keys.keys.len(), 2, "what is over goes when room is needed");
    }
}
