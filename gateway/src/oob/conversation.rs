//! One conversation with another mud as a state machine: no sockets, and the time as a parameter.
//!
//! It begins with `oob-begin` both ways. Then whoever has the turn sends a request, waits for its reply, and so on, and
//! gives the turn away by `oob-end`. The one who called has the first turn; once the other has nothing to ask it
//! closes. We ask only in conversations that we begin.

use std::time::{Duration, Instant};

use intermud3::oob::{OobBegin, OobEnd, OobError};
use intermud3::packet::{ErrorPacket, Header};
use intermud3::{OobPacket, Value};

/// How long the beginning may take.
pub const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long another mud may take to reply to a request of ours.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(120);

/// How long nothing may happen while it is the other mud's turn (OOB specification: ten minutes).
pub const IDLE_LIMIT: Duration = Duration::from_secs(600);

/// How long the other mud may take to close, or to ask after all, once both had their turn; and to end or to ask once
/// we have what we called for.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// How many packets may come at a wrong time or be of no use before the conversation ends.
const STRIKES: u32 = 10;

/// How many requests are answered in one conversation.
const REQUESTS: u32 = 500;

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Done,
    /// One of us did not let the other in.
    Refused,
    /// Something that was due did not come.
    TimedOut,
    /// The other mud did not keep to the protocol.
    Protocol,
    /// The connection broke off.
    Lost,
    /// There was no connection.
    Unreachable,
    /// There are too many conversations.
    Busy,
    /// The gateway ends.
    Stopped,
}

impl End {
    /// The end as it stands in metric labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Protocol => "protocol",
            Self::Lost => "lost",
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Stopped => "stopped",
        }
    }
}

/// What a packet asks us to do.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// Send this.
    Send(OobPacket),
    /// Somebody calls: [`Conversation::admit`].
    Caller(OobBegin),
    /// It is our turn: [`Conversation::request`] or [`Conversation::end_turn`].
    OurTurn,
    /// Answer this, by [`Conversation::reply`].
    Request(OobPacket),
    /// This is the reply to our request, or an error in its place. It is our turn again.
    Reply(OobPacket),
    /// Close the connection.
    Close(End),
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// We called.
    Originator,
    /// We were called.
    Answerer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The caller's `oob-begin` is due.
    AwaitBegin,
    /// It came, and who calls is to be let in or not.
    AwaitVerdict,
    /// The answer to our `oob-begin` is due.
    AwaitWelcome,
    OurTurn,
    /// A reply of this type is due.
    AwaitReply(&'static str),
    TheirTurn,
    /// A request waits for our reply.
    Answering,
    /// Both had their turn; the caller closes.
    AwaitClose,
}

/// The replies to requests about news are bare values.
const BARE: &str = "";

/// A conversation.
#[derive(Debug)]
pub struct Conversation {
    ours: String,
    theirs: Option<String>,
    role: Role,
    state: State,
    /// When something useful last happened.
    last: Instant,
    strikes: u32,
    requests: u32,
}

impl Conversation {
    /// We were called.
    pub fn answer(now: Instant, ours: &str) -> Self {
        Self::new(now, ours, None, Role::Answerer, State::AwaitBegin)
    }

    /// We call a mud, with the key it gave us, if it gave one; the packet is to be sent.
    pub fn originate(now: Instant, ours: &str, theirs: &str, key: Option<i64>) -> (Self, OobPacket) {
        let theirs = Some(theirs.to_owned());
        let conversation = Self::new(now, ours, theirs, Role::Originator, State::AwaitWelcome);
        let auth_type = if key.is_some() { OobBegin::BY_KEY } else { OobBegin::UNAUTHENTICATED };
        let begin = conversation.begin(auth_type, key.unwrap_or(0));
        (conversation, begin)
    }

    fn new(now: Instant, ours: &str, theirs: Option<String>, role: Role, state: State) -> Self {
        Self { ours: ours.to_owned(), theirs, role, state, last: now, strikes: 0, requests: 0 }
    }

    /// The other mud, once it is known.
    pub fn peer(&self) -> Option<&str> {
        self.theirs.as_deref()
    }

    /// Takes a packet of the other mud.
    pub fn receive(&mut self, now: Instant, packet: OobPacket) -> Step {
        let strikes = self.strikes;
        let step = match (self.state, packet) {
            (State::AwaitBegin, OobPacket::Begin(begin)) => self.on_begin(begin),
            (State::AwaitWelcome, packet) => self.on_welcome(packet),
            (State::AwaitReply(wanted), packet) => self.on_reply(wanted, packet),
            (State::TheirTurn | State::AwaitClose, packet) => self.on_turn(packet),
            (_, packet) => self.wrong_time(&packet),
        };
        if self.strikes == strikes {
            self.last = now;
        }
        self.bounded(step)
    }

    /// Takes note of a packet that could not be read.
    pub fn unreadable(&mut self) -> Step {
        self.strikes += 1;
        let error = self.error(ErrorPacket::BAD_PKT, "packet cannot be read", None);
        self.bounded(Step::Send(error))
    }

    fn bounded(&self, step: Step) -> Step {
        if self.strikes < STRIKES { step } else { Step::Close(End::Protocol) }
    }

    fn on_begin(&mut self, begin: OobBegin) -> Step {
        if begin.mud == self.ours {
            return Step::Close(End::Refused);
        }
        self.state = State::AwaitVerdict;
        Step::Caller(begin)
    }

    /// Lets the caller in, or not.
    pub fn admit(&mut self, now: Instant, begin: OobBegin, admitted: bool) -> Step {
        if !admitted || self.state != State::AwaitVerdict {
            return Step::Close(End::Refused);
        }
        self.last = now;
        self.theirs = Some(begin.mud);
        self.state = State::TheirTurn;
        Step::Send(self.begin(OobBegin::UNAUTHENTICATED, 0))
    }

    /// Dead Souls says a friendly word where an `oob-begin` should be.
    fn on_welcome(&mut self, packet: OobPacket) -> Step {
        match packet {
            OobPacket::Begin(begin) if Some(begin.mud.as_str()) != self.peer() => Step::Close(End::Refused),
            OobPacket::Begin(_) | OobPacket::Reply(_) => {
                self.state = State::OurTurn;
                Step::OurTurn
            }
            OobPacket::Error(_) | OobPacket::OobError(_) | OobPacket::End(_) => Step::Close(End::Refused),
            packet => self.wrong_time(&packet),
        }
    }

    fn on_reply(&mut self, wanted: &'static str, packet: OobPacket) -> Step {
        match packet {
            OobPacket::Error(_) | OobPacket::OobError(_) => {
                self.state = State::OurTurn;
                Step::Reply(packet)
            }
            // The other mud hangs up, without a reply.
            OobPacket::End(_) => Step::Close(End::Refused),
            packet if is_reply(wanted, &packet) => {
                self.state = State::OurTurn;
                Step::Reply(packet)
            }
            packet => self.wrong_time(&packet),
        }
    }

    /// Theirs is the turn, or would be again if they had something to ask after all.
    fn on_turn(&mut self, packet: OobPacket) -> Step {
        match packet {
            OobPacket::End(_) if self.role == Role::Originator || self.state == State::AwaitClose => {
                Step::Close(End::Done)
            }
            OobPacket::End(_) => {
                self.state = State::AwaitClose;
                Step::Send(self.end())
            }
            packet if reply_to(&packet).is_some() => {
                self.requests += 1;
                if self.requests > REQUESTS {
                    return Step::Close(End::Protocol);
                }
                self.state = State::Answering;
                Step::Request(packet)
            }
            packet => self.wrong_time(&packet),
        }
    }

    /// Refuses what has no place here, but never answers an error by an error.
    fn wrong_time(&mut self, packet: &OobPacket) -> Step {
        self.strikes += 1;
        match packet {
            OobPacket::Error(_) | OobPacket::OobError(_) | OobPacket::Reply(_) => Step::Nothing,
            OobPacket::Unknown(_) => {
                Step::Send(self.error(ErrorPacket::UNK_TYPE, "unknown packet type", Some(packet)))
            }
            packet => {
                Step::Send(self.error(ErrorPacket::BAD_PROTO, "packet came at wrong time", Some(packet)))
            }
        }
    }

    /// Sends a request, in our turn; none when it is not ours or the packet is no request.
    pub fn request(&mut self, now: Instant, packet: OobPacket) -> Option<OobPacket> {
        let wanted = reply_to(&packet).filter(|_| self.state == State::OurTurn)?;
        self.last = now;
        self.state = State::AwaitReply(wanted);
        Some(packet)
    }

    /// Gives the turn away; none when it is not ours.
    pub fn end_turn(&mut self, now: Instant) -> Option<OobPacket> {
        if self.state != State::OurTurn {
            return None;
        }
        self.last = now;
        self.state = State::TheirTurn;
        Some(self.end())
    }

    /// Sends the reply to a request; none when none waits.
    pub fn reply(&mut self, now: Instant, packet: OobPacket) -> Option<OobPacket> {
        if self.state != State::Answering {
            return None;
        }
        self.last = now;
        self.state = State::TheirTurn;
        Some(packet)
    }

    /// When [`Conversation::due`] should be asked.
    pub fn deadline(&self) -> Instant {
        let limit = match self.state {
            State::AwaitBegin | State::AwaitVerdict | State::AwaitWelcome => BEGIN_TIMEOUT,
            State::AwaitReply(_) => REPLY_TIMEOUT,
            _ if self.is_over() => CLOSE_TIMEOUT,
            _ => IDLE_LIMIT,
        };
        self.last + limit
    }

    /// How the conversation ends now because nothing happened; none if it goes on.
    pub fn due(&self, now: Instant) -> Option<End> {
        let end = if self.is_over() { End::Done } else { End::TimedOut };
        (now >= self.deadline()).then_some(end)
    }

    /// Whether the one who called has all it called for.
    fn is_over(&self) -> bool {
        match self.state {
            State::AwaitClose => true,
            State::TheirTurn => self.role == Role::Originator,
            _ => false,
        }
    }

    fn begin(&self, auth_type: i64, auth_token: i64) -> OobPacket {
        OobPacket::Begin(OobBegin { mud: self.ours.clone(), auth_type, auth_token })
    }

    fn end(&self) -> OobPacket {
        OobPacket::End(OobEnd { mud: self.ours.clone() })
    }

    /// An error about a packet, of which only the type goes back: the rest may be long.
    pub fn error(&self, code: &str, message: &str, about: Option<&OobPacket>) -> OobPacket {
        let header = match &self.theirs {
            Some(theirs) => Header::to_mud(&self.ours, theirs),
            None => Header::to_all(&self.ours, None::<String>),
        };
        let bad_packet = about.map_or(Value::ZERO, |about| Value::Array(vec![Value::from(about.kind())]));
        let error = ErrorPacket { code: code.to_owned(), message: message.to_owned(), bad_packet };
        OobPacket::Error(Box::new(OobError { header: Some(header), error }))
    }
}

/// The type of the reply to a request; none for what is no request.
fn reply_to(packet: &OobPacket) -> Option<&'static str> {
    Some(match packet {
        OobPacket::Mail(_) => "mail-ack",
        OobPacket::FileListReq(_) => "file-list-reply",
        OobPacket::FilePut(_) => "file-put-ack",
        OobPacket::FileGetReq(_) => "file-get-reply",
        OobPacket::NewsReadReq(_) | OobPacket::NewsPostReq(_) | OobPacket::NewsGrplistReq => BARE,
        _ => return None,
    })
}

fn is_reply(wanted: &str, packet: &OobPacket) -> bool {
    match packet {
        OobPacket::Bare(_) => wanted == BARE,
        packet => wanted != BARE && packet.kind() == wanted,
    }
}

#[cfg(test)]
mod tests;
