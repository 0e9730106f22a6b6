//! One session with a router as a state machine: no sockets, and the time as a parameter.

use std::time::{Duration, Instant};

use intermud3::Packet;
use intermud3::packet::{Body, RouterEntry};

use crate::services::packets;

/// How long a router may take to answer a registration. Routers refuse by silence.
pub const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(15);

/// After this long without a packet the link is probed.
pub const PROBE_AFTER: Duration = Duration::from_secs(60);

/// After this long without a packet the link is given up.
pub const SILENT_AFTER: Duration = Duration::from_secs(90);

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
    /// The router did not answer the registration.
    Refused,
    /// Send this to find out whether the link is alive.
    Probe(Packet),
    /// The link is dead.
    Silent,
}

/// One connection to a router, from the registration on.
#[derive(Debug)]
pub struct Session {
    mud: String,
    router: String,
    started: Instant,
    established: bool,
    last_inbound: Instant,
    probed: bool,
}

impl Session {
    /// A session that has just sent its registration.
    pub fn new(mud: &str, router: &str, now: Instant) -> Self {
        Self {
            mud: mud.to_owned(),
            router: router.to_owned(),
            started: now,
            established: false,
            last_inbound: now,
            probed: false,
        }
    }

    /// Takes a packet from the router.
    pub fn receive(&mut self, now: Instant, packet: Packet) -> Received {
        self.last_inbound = now;
        self.probed = false;
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

    /// When [`Session::due`] should be asked.
    pub fn deadline(&self) -> Instant {
        match (self.established, self.probed) {
            (false, _) => self.started + REGISTRATION_TIMEOUT,
            (true, false) => self.last_inbound + PROBE_AFTER,
            (true, true) => self.last_inbound + SILENT_AFTER,
        }
    }

    /// What is due now.
    pub fn due(&mut self, now: Instant) -> Due {
        if now < self.deadline() {
            return Due::Nothing;
        }
        match (self.established, self.probed) {
            (false, _) => Due::Refused,
            (true, true) => Due::Silent,
            (true, false) => {
                self.probed = true;
                Due::Probe(packets::probe(&self.mud))
            }
        }
    }

    fn is_probe(&self, packet: &Packet) -> bool {
        packet.body == Body::AuthMudReq && packet.header.origin_mud == self.mud
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut session = Session::new("Dawn", "*test", start);
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
        let mut session = Session::new("Dawn", "*test", start);
        assert_eq!(session.due(start + seconds(14)), Due::Nothing);
        assert_eq!(session.due(session.deadline()), Due::Refused);
    }

    #[test]
    fn a_quiet_link_is_probed_and_then_given_up() {
        let start = Instant::now();
        let mut session = Session::new("Dawn", "*test", start);
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
        let mut session = Session::new("Dawn", "*test", start);
        session.receive(start, reply("*test", "*test"));
        let Due::Probe(probe) = session.due(start + seconds(60)) else { panic!("a probe is due") };
        assert_eq!(session.receive(start + seconds(61), probe), Received::Ignore("probe"));
        assert_eq!(session.deadline(), start + seconds(61) + PROBE_AFTER);
    }

    #[test]
    fn lists_count_only_when_the_router_sends_them() {
        let start = Instant::now();
        let mut session = Session::new("Dawn", "*test", start);
        let list = |origin: &str| {
            Packet::decode(format!("({{\"mudlist\",5,\"{origin}\",0,0,0,1,([\"Fake\":0,]),}})").as_bytes())
                .unwrap()
        };
        assert_eq!(session.receive(start, list("Evil")), Received::Ignore("forged"));
        assert_eq!(session.receive(start, list("*test")), Received::Deliver(list("*test")));
    }
}
