//! What routers complain about, for people.

use std::time::{Duration, Instant};

use intermud3::packet::ErrorPacket;

/// The errors of a router that its administrator or ours should see in the log.
const LOGGED: [&str; 3] = [ErrorPacket::WARNING, ErrorPacket::NOT_ALLOWED, ErrorPacket::BAD_MOJO];

/// Each of them is logged once in this time.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Remembers what was logged lately; pure, with the time as a parameter.
#[derive(Debug, Default)]
pub struct Complaints {
    last: [Option<Instant>; LOGGED.len()],
}

impl Complaints {
    /// Whether an error of the router is to be logged now.
    pub fn is_news(&mut self, now: Instant, code: &str) -> bool {
        let Some(index) = LOGGED.iter().position(|logged| *logged == code) else { return false };
        let last = &mut self.last[index];
        let is_news = last.is_none_or(|last| now.duration_since(last) >= LOG_INTERVAL);
        if is_news {
            *last = Some(now);
        }
        is_news
    }
}

/// A router's error in words that say what to do, where its own do not.
pub fn explained(mud: &str, code: &str, message: &str) -> String {
    if code != ErrorPacket::BAD_MOJO {
        return message.to_owned();
    }
    format!(
        "{message} Somebody else tries to register with the router as {mud}. Does a second gateway, or the MUD's own \
         Intermud client, run under this name? Then stop it. If not, tell the router's administrator."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_complaint_is_logged_once_a_minute() {
        let now = Instant::now();
        let mut complaints = Complaints::default();
        assert!(complaints.is_news(now, "warning") && complaints.is_news(now, "bad-mojo"));
        assert!(!complaints.is_news(now + Duration::from_secs(59), "warning"));
        assert!(complaints.is_news(now + Duration::from_secs(60), "warning"));
        assert!(!complaints.is_news(now, "unk-dst"));
    }
}
