//! Which router to connect to: those that are configured, then those that routers named.

use std::time::{Duration, Instant};

use intermud3::packet::RouterEntry;
use serde::{Deserialize, Serialize};

use crate::router::RouterAddress;

/// The most routers taken from a list. Real lists have five.
const LEARNED: usize = 10;

/// Two routers that prefer each other must not send us to and fro: a preference is obeyed once in this time.
const REDIRECT_INTERVAL: Duration = Duration::from_secs(600);

/// The routers in the order in which they are tried; pure, with the time as a parameter.
#[derive(Debug)]
pub struct Routers {
    configured: Vec<RouterAddress>,
    learned: Vec<RouterAddress>,
    current: usize,
    redirected: Option<Instant>,
}

/// A router as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    host: String,
    port: u16,
}

impl Routers {
    /// The configured routers, of which there is at least one.
    pub fn new(configured: Vec<RouterAddress>) -> Self {
        Self { configured, learned: Vec::new(), current: 0, redirected: None }
    }

    /// Takes other configured routers; the current one stays if it is still there.
    pub fn configure(&mut self, configured: Vec<RouterAddress>) {
        if configured == self.configured || configured.is_empty() {
            return;
        }
        let current = self.current().clone();
        self.learned.retain(|router| configured.iter().all(|one| one.name != router.name));
        self.configured = configured;
        let mut all = self.configured.iter().chain(&self.learned);
        self.current = all.position(|router| *router == current).unwrap_or(0);
    }

    /// The one to connect to.
    pub fn current(&self) -> &RouterAddress {
        let all = self.configured.len() + self.learned.len();
        let index = self.current % all;
        self.configured.get(index).unwrap_or_else(|| &self.learned[index - self.configured.len()])
    }

    /// Goes on to the next one.
    pub fn advance(&mut self) {
        self.current = (self.current + 1) % (self.configured.len() + self.learned.len());
    }

    /// Goes back to the first one.
    pub fn restart(&mut self) {
        self.current = 0;
    }

    /// Takes the list of a startup-reply in place of the last one; true when it has changed. What is configured
    /// wins: there an address may lead through a proxy of the provider's.
    pub fn learn(&mut self, list: &[RouterEntry]) -> bool {
        let learned = list.iter().filter_map(|entry| {
            let (host, port) = entry.host_and_port()?;
            let known = self.configured.iter().any(|router| router.name == entry.name);
            let router = RouterAddress { name: entry.name.clone(), host: host.to_owned(), port };
            (!known && !entry.name.is_empty() && port != 0).then_some(router)
        });
        self.replace(learned.take(LEARNED).collect())
    }

    /// Goes to the router of this name, if it is known, is not the current one, and we were not sent elsewhere
    /// only a moment ago.
    pub fn redirect(&mut self, now: Instant, name: &str) -> bool {
        let mut all = self.configured.iter().chain(&self.learned);
        let Some(index) = all.position(|router| router.name == name) else { return false };
        let lately = self.redirected.is_some_and(|then| now.duration_since(then) < REDIRECT_INTERVAL);
        if lately || self.current().name == name {
            return false;
        }
        self.redirected = Some(now);
        self.current = index;
        true
    }

    /// What was learned, as it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        let stored: Vec<_> = self
            .learned
            .iter()
            .map(|RouterAddress { name, host, port }| Stored {
                name: name.clone(),
                host: host.clone(),
                port: *port,
            })
            .collect();
        // Texts and numbers can always be written.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Takes what was stored.
    pub fn restore(&mut self, stored: Vec<RouterAddress>) {
        let configured = |router: &RouterAddress| self.configured.iter().any(|one| one.name == router.name);
        self.replace(stored.into_iter().filter(|router| !configured(router)).take(LEARNED).collect());
    }

    /// Puts new routers behind the configured ones; the current one stays.
    fn replace(&mut self, learned: Vec<RouterAddress>) -> bool {
        if learned == self.learned {
            return false;
        }
        let current = self.current().clone();
        self.learned = learned;
        let mut all = self.configured.iter().chain(&self.learned);
        self.current = all.position(|router| *router == current).unwrap_or(0);
        true
    }
}

/// Reads what [`Routers::to_json`] wrote.
pub fn parse(json: &[u8]) -> Option<Vec<RouterAddress>> {
    let stored: Vec<Stored> = serde_json::from_slice(json).ok()?;
    Some(stored.into_iter().map(|Stored { name, host, port }| RouterAddress { name, host, port }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(name: &str) -> RouterAddress {
        RouterAddress { name: name.into(), host: "127.0.0.1".into(), port: 8080 }
    }

    fn entry(name: &str, address: &str) -> RouterEntry {
        RouterEntry { name: name.into(), address: address.into() }
    }

    fn routers() -> Routers {
        Routers::new(vec![router("*a"), router("*b")])
    }

    fn order(routers: &mut Routers) -> Vec<String> {
        let mut names = Vec::new();
        routers.restart();
        while !names.contains(&routers.current().name) {
            names.push(routers.current().name.clone());
            routers.advance();
        }
        names
    }

    #[test]
    fn what_is_learned_comes_behind_what_is_configured() {
        let mut routers = routers();
        let list = [
            entry("*b", "10.0.0.9 9"),
            entry("*c", "10.0.0.3 9000"),
            entry("", "10.0.0.3 9000"),
            entry("*d", "nonsense"),
            entry("*e", "10.0.0.5 0"),
        ];
        assert!(routers.learn(&list));
        assert!(!routers.learn(&list), "nothing new");
        assert_eq!(order(&mut routers), ["*a", "*b", "*c"]);
        routers.restart();
        routers.advance();
        assert_eq!(*routers.current(), router("*b"), "the configured address wins");
    }

    #[test]
    fn the_current_router_stays_when_the_list_changes_and_goes_when_it_is_gone() {
        let mut routers = routers();
        routers.learn(&[entry("*c", "h 1"), entry("*d", "h 2")]);
        assert!(routers.redirect(Instant::now(), "*d"));
        routers.learn(&[entry("*d", "h 2")]);
        assert_eq!(routers.current().name, "*d");
        routers.learn(&[]);
        assert_eq!(routers.current().name, "*a");
    }

    #[test]
    fn other_routers_can_be_configured() {
        let mut routers = routers();
        routers.learn(&[entry("*c", "h 1"), entry("*d", "h 2")]);
        routers.advance();
        routers.configure(vec![router("*c"), router("*b")]);
        assert_eq!(routers.current().name, "*b", "it is still there");
        assert_eq!(order(&mut routers), ["*c", "*b", "*d"]);
        routers.advance();
        routers.configure(vec![router("*e")]);
        assert_eq!(order(&mut routers), ["*e", "*d"]);
    }

    #[test]
    fn a_preference_is_obeyed_but_not_to_and_fro() {
        let (mut routers, now) = (routers(), Instant::now());
        assert!(!routers.redirect(now, "*a"), "that is where we are");
        assert!(!routers.redirect(now, "*unknown"));
        assert!(routers.redirect(now, "*b"));
        assert_eq!(routers.current().name, "*b");
        assert!(!routers.redirect(now + REDIRECT_INTERVAL / 2, "*a"));
        assert!(routers.redirect(now + REDIRECT_INTERVAL, "*a"));
    }

    #[test]
    fn what_was_learned_survives_and_is_bounded() {
        let mut first = routers();
        let many: Vec<_> = (0..50).map(|n| entry(&format!("*{n}"), "h 1")).collect();
        first.learn(&many);
        let mut second = routers();
        second.restore(parse(&first.to_json()).unwrap());
        assert_eq!(order(&mut second), order(&mut first));
        assert_eq!(order(&mut second).len(), 2 + LEARNED);
        assert!(parse(b"[{}]").is_none() && parse(b"").is_none());
    }
}
