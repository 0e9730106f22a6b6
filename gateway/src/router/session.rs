//! One session with a router as a state machine: no sockets, and the time as a parameter.

use std::time::{Duration, Instant};

use intermud3::Packet;
use intermud3::packet::{Body, RouterEntry};

use super::memory::Password;
use crate::packets;

/// How long a router may take to answer a registration. Routers refuse by silence.
pub const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(15);

/// So long after a registration the link is probed in any case: an echo proves that this router sends probes back.
pub const PROVE_AFTER: Duration = Duration::from_secs(1);

/// After this long without a packet the link is probed. A router sends the probe back within a millisecond, and counts
/// ten packets a second before it calls them a flood.
pub const PROBE_AFTER: Duration = Duration::from_secs(4);

/// How long after a probe without an answer the next one is sent.
pub const PROBE_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// After this long without a packet the link is given up: two probes were lost.
pub const SILENT_AFTER: Duration = Duration::from_secs(8);

/// As long as a router has not sent any probe back it may be one that never does: then only its long silence tells.
pub const UNPROVEN_SILENT_AFTER: Duration = Duration::from_secs(90);

/// How often such a router is probed.
pub const UNPROVEN_PROBE_AFTER: Duration = Duration::from_secs(30);

/// After so many packets that no sign of life came back for, the link is probed: so the silence of a link that died is told from
/// that of a network on which nobody speaks.
pub const PROBE_WHEN_UNANSWERED: usize = 3;

/// So many packets, probes included, go without a sign of life where a router sends probes back. What more is asked for waits: a
/// link that died would swallow it, and one that only stood still would bring more at once than a router takes in a second
/// (dead-souls-router rule 40). The two probes until the link is given up fit beside.
pub const HOLD_WHEN_UNANSWERED: usize = 6;

/// What came within this time is what a router counts together.
const LOOKS_BACK: Duration = Duration::from_secs(1);

/// The same while another process may have taken the name over without a word of the router's: a login from the same
/// address leaves the old link open but deaf (dead-souls-router rule 35), and our clients hear nothing meanwhile.
pub const WATCHFUL_PROBE_AFTER: Duration = Duration::from_secs(2);

/// How long after a probe without an answer the next one is sent then.
pub const WATCHFUL_AGAIN_AFTER: Duration = Duration::from_millis(1500);

/// After how long without a packet the link is given up then.
pub const WATCHFUL_SILENT_AFTER: Duration = Duration::from_secs(5);

/// How often a registration is repeated while it may be that the old login has not ended yet: a login from another
/// address waits in silence, and is heard on the same socket once the old one has closed (rule 36). No more than
/// one a second, or the router takes it for a flood.
pub const REPEAT_AFTER: Duration = Duration::from_millis(1500);

/// What a received packet means for the session.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// The router accepted us and gave this password.
    Registered {
        /// The password to register with next time.
        password: i64,
        /// The routers it names, the preferred one first.
        routers: Vec<RouterEntry>,
    },
    /// Something for the services.
    Deliver(Packet),
    /// Something that ends here: the answer to a probe, or a packet that only a router may send, forged.
    Ignore(&'static str),
}

/// What is due at [`Session::deadline`].
#[derive(Debug, PartialEq)]
pub enum Due {
    /// Not yet anything.
    Nothing,
    /// Send the registration again.
    Register,
    /// The router did not answer the registration.
    Refused,
    /// Send this to find out whether the link is alive.
    Probe(Packet),
    /// The link is dead.
    Silent,
}

/// One connection to a router, from the registration on. It holds a secret and so has no `Debug`.
pub struct Session {
    mud: String,
    router: String,
    started: Instant,
    established: bool,
    last_inbound: Instant,
    /// How many probes were sent since.
    probes: u32,
    /// When the probe is due that is sent in any case.
    proof_at: Option<Instant>,
    /// Whether the router has sent a probe back.
    echoes: bool,
    /// How many packets that the router counts were sent since the last one came, and when the first of them was.
    unanswered: usize,
    unanswered_since: Option<Instant>,
    password: Password,
    /// Whether the registration may be repeated.
    insist: bool,
    /// How often it was repeated.
    repeated: u32,
    /// Whether another process may have taken the name over.
    watchful: bool,
}

impl Session {
    /// A session that has just sent its registration, with a password, and may repeat it if `insist` says so.
    pub(super) fn new(mud: &str, router: &str, now: Instant, password: Password, insist: bool) -> Self {
        Self {
            mud: mud.to_owned(),
            router: router.to_owned(),
            started: now,
            established: false,
            last_inbound: now,
            probes: 0,
            proof_at: None,
            echoes: false,
            unanswered: 0,
            unanswered_since: None,
            password,
            insist,
            repeated: 0,
            watchful: false,
        }
    }

    /// Whether another process may have taken the name over, so that a deaf link must be found out soon.
    pub fn set_watchful(&mut self, watchful: bool) {
        self.watchful = watchful;
    }

    /// Whether the router has accepted us.
    pub fn is_established(&self) -> bool {
        self.established
    }

    /// When the registration was sent.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Takes note that a packet was sent which the router counts.
    pub fn sent(&mut self, now: Instant) {
        self.unanswered += 1;
        self.unanswered_since.get_or_insert(now);
        if self.echoes && !self.watchful && self.unanswered == PROBE_WHEN_UNANSWERED {
            self.proof_at = Some(now);
        }
    }

    /// Whether more packets may go: not while too many had no sign of life.
    pub fn may_send(&self) -> bool {
        !self.echoes || self.unanswered < HOLD_WHEN_UNANSWERED
    }

    /// How many packets may reach the router only now that it has said something: those that had no sign of life for longer than
    /// a router looks back.
    pub fn late(&self, now: Instant) -> usize {
        let stood = self.unanswered_since.is_some_and(|since| now.duration_since(since) >= LOOKS_BACK);
        if stood { self.unanswered } else { 0 }
    }

    /// Takes a packet from the router.
    pub fn receive(&mut self, now: Instant, packet: Packet) -> Received {
        self.last_inbound = now;
        self.probes = 0;
        (self.unanswered, self.unanswered_since) = (0, None);
        let from_router = packet.header.origin_mud == self.router;
        match &packet.body {
            Body::StartupReply(reply) if from_router => {
                self.established = true;
                self.proof_at = (!self.echoes).then_some(now + PROVE_AFTER);
                Received::Registered { password: reply.password, routers: reply.routers.clone() }
            }
            // Any mud can broadcast these: only the router's own count (dead-souls-router rule 24).
            Body::StartupReply(_) | Body::Mudlist(_) | Body::ChanlistReply(_) if !from_router => {
                Received::Ignore("forged")
            }
            _ if self.is_probe(&packet) => {
                self.echoes = true;
                Received::Ignore("probe")
            }
            _ => Received::Deliver(packet),
        }
    }

    /// The password it registered with.
    pub(super) fn password(&self) -> Password {
        self.password
    }

    /// When [`Session::due`] should be asked.
    pub fn deadline(&self) -> Instant {
        if self.established {
            let quiet = self.last_inbound + self.probe_after().min(self.silent_after());
            return self.proof_at.map_or(quiet, |proof_at| proof_at.min(quiet));
        }
        let repeat_after =
            if self.insist { REPEAT_AFTER * (self.repeated + 1) } else { REGISTRATION_TIMEOUT };
        self.started + repeat_after.min(REGISTRATION_TIMEOUT)
    }

    /// What is due now.
    pub fn due(&mut self, now: Instant) -> Due {
        if now < self.deadline() {
            return Due::Nothing;
        }
        if !self.established {
            if !self.insist || now.duration_since(self.started) >= REGISTRATION_TIMEOUT {
                return Due::Refused;
            }
            self.repeated += 1;
            return Due::Register;
        }
        if now.duration_since(self.last_inbound) >= self.silent_after() {
            return Due::Silent;
        }
        if self.proof_at.take_if(|proof_at| *proof_at <= now).is_none() {
            self.probes += 1;
        }
        self.unanswered += 1;
        self.unanswered_since.get_or_insert(now);
        Due::Probe(packets::probe(&self.mud))
    }

    /// How long without a packet until the next probe.
    fn probe_after(&self) -> Duration {
        let (first, again) = match (self.echoes, self.watchful) {
            (true, true) => (WATCHFUL_PROBE_AFTER, WATCHFUL_AGAIN_AFTER),
            (true, false) => (PROBE_AFTER, PROBE_AGAIN_AFTER),
            (false, _) => (PROBE_AFTER, UNPROVEN_PROBE_AFTER),
        };
        first + again * self.probes
    }

    /// How long without a packet until the link is given up.
    fn silent_after(&self) -> Duration {
        match (self.echoes, self.watchful) {
            (true, true) => WATCHFUL_SILENT_AFTER,
            (true, false) => SILENT_AFTER,
            (false, _) => UNPROVEN_SILENT_AFTER,
        }
    }

    fn is_probe(&self, packet: &Packet) -> bool {
        packet.body == Body::AuthMudReq && packet.header.origin_mud == self.mud
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: Password = Password { value: 7, known: true };

    fn reply(router: &str, preferred: &str) -> Packet {
        let text = format!(
            "({{\"startup-reply\",5,\"{router}\",0,\"Dawn\",0,({{({{\"{preferred}\",\"127.0.0.1 9000\",}}),}}),559354526,}})"
        );
        Packet::decode(text.as_bytes()).unwrap()
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_reply_from_the_right_router_establishes_the_session() {
        let start = Instant::now();
        let mut session = Session::new("Dawn", "*test", start, PASSWORD, false);
        assert_eq!(session.receive(start, reply("*other", "*other")), Received::Ignore("forged"));
        let better = RouterEntry { name: "*better".into(), address: "127.0.0.1 9000".into() };
        assert_eq!(
            session.receive(start, reply("*test", "*better")),
            Received::Registered { password: 559_354_526, routers: vec![better] }
        );
    }

    #[test]
    fn silence_after_the_registration_is_a_refusal() {
        let start = Instant::now();
        let mut session = Session::new("Dawn", "*test", start, PASSWORD, false);
        assert_eq!(session.due(start + seconds(14)), Due::Nothing);
        assert_eq!(session.due(session.deadline()), Due::Refused);
    }

    /// A session whose router has sent the first probe back, at once.
    fn proven(start: Instant) -> Session {
        let mut session = Session::new("Dawn", "*test", start, PASSWORD, false);
        session.receive(start, reply("*test", "*test"));
        assert_eq!(session.deadline(), start + PROVE_AFTER);
        let Due::Probe(probe) = session.due(start + PROVE_AFTER) else { panic!("a probe is due") };
        assert_eq!(probe.encode().unwrap().as_ref(), b"({\"auth-mud-req\",5,\"Dawn\",0,\"Dawn\",0,})");
        assert_eq!(session.receive(start + PROVE_AFTER, probe), Received::Ignore("probe"));
        session
    }

    /// The seconds after `last` at which probes are due, and at which the link is given up.
    fn until_silent(session: &mut Session, last: Instant) -> (Vec<u64>, u64) {
        let mut probes = Vec::new();
        loop {
            let at = session.deadline();
            assert_eq!(session.due(at - Duration::from_millis(1)), Due::Nothing);
            let second = at.duration_since(last).as_secs();
            match session.due(at) {
                Due::Probe(_) => probes.push(second),
                due => {
                    assert_eq!(due, Due::Silent);
                    return (probes, second);
                }
            }
        }
    }

    #[test]
    fn a_link_that_loses_two_probes_is_given_up() {
        let start = Instant::now();
        let mut session = proven(start);
        assert_eq!(until_silent(&mut session, start + PROVE_AFTER), (vec![4, 6], 8));
    }

    #[test]
    fn a_link_that_may_be_deaf_is_found_out_soon() {
        let start = Instant::now();
        let mut session = proven(start);
        session.set_watchful(true);
        assert_eq!(until_silent(&mut session, start + PROVE_AFTER), (vec![2, 3], 5));
        let mut unproven = Session::new("Dawn", "*test", start, PASSWORD, false);
        unproven.receive(start, reply("*test", "*test"));
        unproven.set_watchful(true);
        assert_eq!(until_silent(&mut unproven, start).1, 90, "it may be one that never sends probes back");
    }

    #[test]
    fn packets_without_a_sign_of_life_are_bounded_and_asked_after() {
        let start = Instant::now();
        let mut session = proven(start);
        let at = start + PROVE_AFTER + seconds(1);
        for _ in 0..PROBE_WHEN_UNANSWERED {
            assert_eq!(session.due(at), Due::Nothing);
            session.sent(at);
        }
        let Due::Probe(probe) = session.due(at) else { panic!("a probe is due") };
        assert_eq!(session.due(at), Due::Nothing, "one is enough");
        while session.may_send() {
            session.sent(at);
        }
        assert_eq!(session.unanswered, HOLD_WHEN_UNANSWERED);
        // With the probes until it is given up they are no more than a router takes in a second.
        let (probes, _) = until_silent(&mut session, start + PROVE_AFTER);
        assert!(session.unanswered <= 8 && probes == [4, 6], "{} {probes:?}", session.unanswered);

        assert_eq!(session.late(at + Duration::from_millis(999)), 0, "they are counted where they went");
        assert_eq!(session.late(at + seconds(5)), 8);
        session.receive(at + seconds(5), probe);
        assert!(session.may_send() && session.late(at + seconds(9)) == 0);
    }

    #[test]
    fn where_no_probe_comes_back_nothing_is_held() {
        let start = Instant::now();
        let mut session = Session::new("Dawn", "*test", start, PASSWORD, false);
        session.receive(start, reply("*test", "*test"));
        for _ in 0..50 {
            session.sent(start);
        }
        assert!(session.may_send());
        assert_eq!(session.deadline(), start + PROVE_AFTER);
    }

    #[test]
    fn any_packet_keeps_the_link() {
        let start = Instant::now();
        let mut session = proven(start);
        let tell = Packet::decode(b"({\"tell\",5,\"Dusk\",\"a\",\"Dawn\",\"b\",\"A\",\"hi\",})").unwrap();
        let at = start + seconds(11);
        assert!(matches!(session.receive(at, tell), Received::Deliver(_)));
        assert_eq!(session.deadline(), at + PROBE_AFTER);
    }

    #[test]
    fn a_router_that_never_sends_probes_back_is_not_given_up_for_that() {
        let start = Instant::now();
        let mut session = Session::new("Dawn", "*test", start, PASSWORD, false);
        session.receive(start, reply("*test", "*test"));
        assert_eq!(until_silent(&mut session, start), (vec![1, 4, 34, 64], 90));
    }

    #[test]
    fn lists_count_only_when_the_router_sends_them() {
        let start = Instant::now();
        let mut session = Session::new("Dawn", "*test", start, PASSWORD, false);
        let list = |origin: &str| {
            Packet::decode(format!("({{\"mudlist\",5,\"{origin}\",0,0,0,1,([\"Fake\":0,]),}})").as_bytes())
                .unwrap()
        };
        assert_eq!(session.receive(start, list("Evil")), Received::Ignore("forged"));
        assert_eq!(session.receive(start, list("*test")), Received::Deliver(list("*test")));
    }

    #[test]
    fn a_registration_that_may_wait_for_an_old_login_is_repeated() {
        let start = Instant::now();
        let mut session = Session::new("Dawn", "*test", start, PASSWORD, true);
        let mut repeated = 0;
        loop {
            match session.due(session.deadline()) {
                Due::Register => repeated += 1,
                due => break assert_eq!(due, Due::Refused),
            }
        }
        assert_eq!((repeated, session.deadline()), (9, start + REGISTRATION_TIMEOUT));
    }
}
