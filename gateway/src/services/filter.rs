//! Messages on filtered channels of our own: the router asks us, we ask a client, and somebody decides in time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use intermud3::Value;
use intermud3::packet::{Body, ChanFilter, ChannelMessage};
use intermud3::text::clean;
use uuid::Uuid;

/// How long a client may take to decide.
const DECIDE_WITHIN: Duration = Duration::from_secs(5);

/// The most messages that wait for a decision.
const WAITING: usize = 64;

/// What becomes of a message that nobody decides about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FilterDefault {
    /// It is let through as it is.
    #[default]
    Pass,
    /// It is not let through.
    Drop,
}

/// What a client decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Do not let it through.
    pub drop: bool,
    /// Another text.
    pub message: Option<String>,
    /// Another name to show.
    pub visname: Option<String>,
}

/// The messages that wait for a decision; pure, with the time as a parameter.
#[derive(Debug)]
pub struct FilterDesk {
    undecided: FilterDefault,
    /// All wait equally long, so the first is due first.
    waiting: VecDeque<(Uuid, Instant, ChanFilter)>,
}

impl FilterDesk {
    /// No messages yet.
    pub fn new(undecided: FilterDefault) -> Self {
        Self { undecided, waiting: VecDeque::new() }
    }

    /// What becomes of a message that nobody decides about.
    pub fn undecided(&self) -> Decision {
        Decision { drop: self.undecided == FilterDefault::Drop, ..Decision::default() }
    }

    /// Lets a message wait for a decision; false when too many wait.
    pub fn wait(&mut self, now: Instant, id: Uuid, request: ChanFilter) -> bool {
        let room = self.waiting.len() < WAITING;
        if room {
            self.waiting.push_back((id, now + DECIDE_WITHIN, request));
        }
        room
    }

    /// Takes a message to decide about it; none when it waits no longer.
    pub fn take(&mut self, id: Uuid) -> Option<ChanFilter> {
        let index = self.waiting.iter().position(|(waiting, ..)| *waiting == id)?;
        self.waiting.remove(index).map(|(.., request)| request)
    }

    /// Takes the messages that nobody decided about in time.
    pub fn due(&mut self, now: Instant) -> Vec<ChanFilter> {
        let mut due = Vec::new();
        while self.waiting.front().is_some_and(|(_, until, _)| *until <= now) {
            due.extend(self.waiting.pop_front().map(|(.., request)| request));
        }
        due
    }
}

/// The reply that a decision amounts to; none when the message is dropped.
pub fn decide(request: ChanFilter, decision: &Decision) -> Option<ChanFilter> {
    if decision.drop {
        return None;
    }
    Some(ChanFilter { packet: changed(&request, decision).unwrap_or(request.packet), ..request })
}

/// The packet with another text or name; none when nothing changes.
fn changed(request: &ChanFilter, decision: &Decision) -> Option<Value> {
    let Decision { message, visname, .. } = decision;
    if message.is_none() && visname.is_none() {
        return None;
    }
    let mut packet = request.message().ok()?;
    let replace = |text: &mut String, by: &Option<String>| {
        if let Some(by) = by {
            *text = clean(by).into_owned();
        }
    };
    match &mut packet.body {
        Body::ChannelMessage(ChannelMessage { message: text, visname: name, .. })
        | Body::ChannelEmote(ChannelMessage { message: text, visname: name, .. }) => {
            replace(text, message);
            replace(name, visname);
        }
        Body::ChannelTargetedEmote(done) => {
            // What only the target sees would else say what nobody is to hear.
            replace(&mut done.message_target, message);
            replace(&mut done.message_others, message);
            replace(&mut done.origin_visname, visname);
        }
        _ => return None,
    }
    Some(packet.to_value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use intermud3::lpc;

    fn request(packet: &str) -> ChanFilter {
        ChanFilter { channel: "c".into(), packet: lpc::decode(packet.as_bytes()).unwrap() }
    }

    fn decided(packet: &str, decision: &Decision) -> Option<String> {
        let reply = decide(request(packet), decision)?;
        Some(String::from_utf8(lpc::encode(&reply.packet).unwrap().to_vec()).unwrap())
    }

    const SAID: &str = r#"({"channel-m",5,"Dusk","bob",0,0,"c","Bob","damn",})"#;
    const DONE: &str =
        r#"({"channel-t",5,"Dusk","bob",0,0,"c","Dawn","ann","$N hits $O.","$N hits you.","Bob","Ann",})"#;

    #[test]
    fn a_message_passes_changes_or_goes() {
        let with = |message: Option<&str>, visname: Option<&str>, drop| Decision {
            drop,
            message: message.map(str::to_owned),
            visname: visname.map(str::to_owned),
        };
        assert_eq!(decided(SAID, &Decision::default()).as_deref(), Some(SAID));
        assert_eq!(decided(SAID, &with(Some("d**n"), None, true)), None);
        assert_eq!(
            decided(SAID, &with(Some("d**n"), Some("B\u{7}ob!"), false)).as_deref(),
            Some(r#"({"channel-m",5,"Dusk","bob",0,0,"c","Bob!","d**n",})"#)
        );
        assert_eq!(
            decided(DONE, &with(Some("$N greets $O."), None, false)).as_deref(),
            Some(
                r#"({"channel-t",5,"Dusk","bob",0,0,"c","Dawn","ann","$N greets $O.","$N greets $O.","Bob","Ann",})"#
            )
        );
    }

    #[test]
    fn messages_wait_for_a_while_and_not_too_many() {
        let now = Instant::now();
        let mut desk = FilterDesk::new(FilterDefault::Pass);
        let ids: Vec<Uuid> = (0..=WAITING).map(|index| Uuid::from_u128(index as u128)).collect();
        let fit = ids.iter().filter(|id| desk.wait(now, **id, request(SAID))).count();
        assert_eq!(fit, WAITING);
        assert_eq!(desk.take(ids[3]), Some(request(SAID)));
        assert_eq!(desk.take(ids[3]), None);
        assert!(desk.due(now + DECIDE_WITHIN - Duration::from_millis(1)).is_empty());
        assert_eq!(desk.due(now + DECIDE_WITHIN).len(), WAITING - 1);
        assert_eq!(desk.take(ids[0]), None);
    }
}
