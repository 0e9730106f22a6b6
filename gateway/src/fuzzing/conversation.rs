//! Another mud in an out-of-band conversation.

use std::time::{Duration, Instant};

use intermud3::OobPacket;

use crate::oob::conversation::{Conversation, End, IDLE_LIMIT, Step};

/// A conversation, line by line. The first byte says whose it is: `c` we call, `k` we call with a key, `d` we are called
/// and let nobody in, anything else: we are called. Each line is a packet of the other mud, or what we do: `request`,
/// `reply`, both with a packet, `end`, or `wait` with a number of seconds.
pub fn conversation(data: &[u8]) {
    let Some((&role, rest)) = data.split_first() else { return };
    let mut script = Script::new(role);
    for line in rest.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let over = match line {
            b"end" => script.end_turn(),
            line if line.starts_with(b"wait ") => script.wait(number(&line[5..])),
            line if line.starts_with(b"request ") => script.request(&line[8..]),
            line if line.starts_with(b"reply ") => script.reply(&line[6..]),
            line => script.receive(line),
        };
        if over.is_some() {
            return;
        }
    }
}

/// The end of a conversation, if this was it.
type Over = Option<End>;

fn number(digits: &[u8]) -> u64 {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u16>().ok()).unwrap_or(1).into()
}

/// Whose move it is, as the protocol has it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    /// Ours to ask or to end.
    Ours,
    /// Ours to reply.
    Reply,
    /// The other mud's, to reply to us.
    TheirReply,
    /// The other mud's.
    Theirs,
}

struct Script {
    conversation: Conversation,
    turn: Turn,
    now: Instant,
    admits: bool,
    /// How often the other mud was told that it does wrong.
    errors: usize,
}

impl Script {
    fn new(role: u8) -> Self {
        let now = Instant::now();
        let conversation = match role {
            b'c' => Conversation::originate(now, "Dawn", "Dusk", None).0,
            b'k' => Conversation::originate(now, "Dawn", "Dusk", Some(42)).0,
            _ => Conversation::answer(now, "Dawn"),
        };
        Self { conversation, turn: Turn::Theirs, now, admits: role != b'd', errors: 0 }
    }

    fn receive(&mut self, text: &[u8]) -> Over {
        let step = match OobPacket::decode(text) {
            Ok(packet) => {
                let error = is_error(&packet);
                let step = match self.conversation.receive(self.now, packet) {
                    Step::Caller(begin) => self.conversation.admit(self.now, begin, self.admits),
                    step => step,
                };
                assert!(!error || !sends_error(&step), "an error is answered by an error");
                step
            }
            Err(_) => {
                let step = self.conversation.unreadable();
                assert!(sends_error(&step) || step == Step::Close(End::Protocol));
                step
            }
        };
        self.takes(step)
    }

    /// Follows what is to be done.
    fn takes(&mut self, step: Step) -> Over {
        self.errors += usize::from(sends_error(&step));
        assert!(self.errors < 10, "a mud that does nothing right is borne with");
        match step {
            Step::Nothing | Step::Caller(_) => {}
            Step::Send(packet) => sends(&packet),
            Step::OurTurn => {
                assert_eq!(self.turn, Turn::Theirs);
                self.turn = Turn::Ours;
            }
            Step::Request(_) => {
                assert_eq!(self.turn, Turn::Theirs);
                self.turn = Turn::Reply;
            }
            Step::Reply(_) => {
                assert_eq!(self.turn, Turn::TheirReply);
                self.turn = Turn::Ours;
            }
            Step::Close(end) => return Some(end),
        }
        self.on_time()
    }

    fn request(&mut self, text: &[u8]) -> Over {
        let packet = OobPacket::decode(text).ok()?;
        if let Some(packet) = self.conversation.request(self.now, packet) {
            assert_eq!(self.turn, Turn::Ours);
            self.turn = Turn::TheirReply;
            sends(&packet);
        }
        self.on_time()
    }

    fn reply(&mut self, text: &[u8]) -> Over {
        let packet = OobPacket::decode(text).ok()?;
        let sent = self.conversation.reply(self.now, packet);
        assert_eq!(sent.is_some(), self.turn == Turn::Reply);
        if sent.is_some() {
            self.turn = Turn::Theirs;
        }
        self.on_time()
    }

    fn end_turn(&mut self) -> Over {
        let sent = self.conversation.end_turn(self.now);
        assert_eq!(sent.is_some(), self.turn == Turn::Ours);
        if sent.is_some() {
            self.turn = Turn::Theirs;
        }
        self.on_time()
    }

    fn wait(&mut self, seconds: u64) -> Over {
        self.now += Duration::from_secs(seconds);
        self.on_time()
    }

    /// It ends when it is time for it, which is never far away.
    fn on_time(&self) -> Over {
        let (deadline, due) = (self.conversation.deadline(), self.conversation.due(self.now));
        assert_eq!(due.is_some(), self.now >= deadline);
        assert!(deadline <= self.now + IDLE_LIMIT);
        due
    }
}

/// What is sent can be read.
fn sends(packet: &OobPacket) {
    let Ok(text) = packet.encode() else { return };
    assert_eq!(OobPacket::decode(&text).as_ref(), Ok(packet));
}

fn is_error(packet: &OobPacket) -> bool {
    matches!(packet, OobPacket::Error(_) | OobPacket::OobError(_))
}

fn sends_error(step: &Step) -> bool {
    matches!(step, Step::Send(packet) if is_error(packet))
}
