//! One session with a router as a state machine: no sockets, and the time as a parameter.

use std::time::{Duration, Instant};

use intermud3::Packet;
use intermud3::packet::{Body, RouterEntry};

use super::memory::Password;
use crate::services::packets;

/// How long a router may take to answer a registration. Routers refuse by silence.
pub const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(15);

/// After this long without a packet the link is probed.
pub const PROBE_AFTER: Duration = Duration::from_secs(60);

/// After this long without a packet the link is given up.
pub const SILENT_AFTER: Duration = Duration::from_secs(90);

/// While another process may have taken the name over, the link is probed this often: a login from the same address
/// leaves the old link open but deaf (dead-souls-router rule 35).
pub const WATCHFUL_PROBE_AFTER: Duration = Duration::from_secs(3);

/// How long a link is deaf then before it is given up: two probes.
pub const WATCHFUL_SILENT_AFTER: Duration = Duration::from_secs(9);

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
    password: Password,
    /// Whether the registration may be repeated.
    insist: bool,
    /// How often it was repeated.
    repeated: u32,
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
            password,
            insist,
            repeated: 0,
            watchful: false,
        }
    }

    /// When the registration was sent.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Whether another process may have taken the name over, so that a deaf link must be found out soon.
    pub fn set_watchful(&mut self, watchful: bool) {
        self.watchful = watchful;
    }

    /// Takes a packet from the router.
    pub fn receive(&mut self, now: Instant, packet: Packet) -> Received {
        self.last_inbound = now;
        self.probes = 0;
        let from_router = packet.header.origin_mud == self.router;
        match &packet.body {
            Body::StartupReply(reply) if from_router => {
                self.established = true;
                Received::Registered { password: reply.password, routers: reply.routers.clone() }
            }
            // Any mud can broadcast these: only the router's own count (dead-souls-router rule 24).
            Body::StartupReply(_) | Body::Mudlist(_) | Body::ChanlistReply(_) if !from_router => {
                Received::Ignore("forged")
            }
            _ if self.is_probe(&packet) => Received::Ignore("probe"),
            _ => Received::Deliver(packet),
        }
    }

    /// The password it registered with.
    pub(super) fn password(&self) -> Password {
        self.password
    }

    /// When [`Session::due`] should be asked.
    pub fn deadline(&self) -> Instant {
        let (probe_after, silent_after) = self.patience();
        if self.established {
            return self.last_inbound + silent_after.min(probe_after * (self.probes + 1));
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
        if now.duration_since(self.last_inbound) >= self.patience().1 {
            return Due::Silent;
        }
        self.probes += 1;
        Due::Probe(packets::probe(&self.mud))
    }

    /// How long without a packet until the link is probed, again and again, and until it is given up.
    fn patience(&self) -> (Duration, Duration) {
        if self.watchful {
            (WATCHFUL_PROBE_AFTER, WATCHFUL_SILENT_AFTER)
        } else {
            (PROBE_AFTER, SILENT_AFTER)
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

    #[test]
    fn a_quiet_link_is_probed_and_then_given_up() {
        let start = Instant::now();
        let mut session = Session::new("Dawn", "*test", start, PASSWORD, false);
        session.receive(start, reply("*test", "*test"));
        assert_eq!(session.due(start + seconds(59)), Due::Nothing);
        let Due::Probe(probe) = session.due(start + seconds(60)) else { panic!("a probe is due") };
        assert_eq!(probe.encode().unwrap().as_ref(), b"({\"auth-mud-req\",5,\"Dawn\",0,\"Dawn\",0,})");
        assert_eq!(session.due(start + seconds(89)), Due::Nothing);
        assert_eq!(session.due(start + seconds(90)), Due::Silent);
    }

    #[test]
    fn the_probes_echo_keeps_the_link_and_goes_no_further() {
        let start = Instant::now();
        let mut session = Session::new("Dawn", "*test", start, PASSWORD, false);
        session.receive(start, reply("*test", "*test"));
        let Due::Probe(probe) = session.due(start + seconds(60)) else { panic!("a probe is due") };
        assert_eq!(session.receive(start + seconds(61), probe), Received::Ignore("probe"));
        assert_eq!(session.deadline(), start + seconds(61) + PROBE_AFTER);
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

    #[test]
    fn a_link_that_may_be_deaf_is_found_out_soon() {
        let start = Instant::now();
        let mut session = Session::new("Dawn", "*test", start, PASSWORD, false);
        session.receive(start, reply("*test", "*test"));
        session.set_watchful(true);
        for probe in 1..=2 {
            assert_eq!(session.deadline(), start + seconds(3 * probe));
            assert!(matches!(session.due(session.deadline()), Due::Probe(_)));
        }
        assert_eq!(session.due(start + seconds(9)), Due::Silent);
    }
}
