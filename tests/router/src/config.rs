//! What a router is told at its start.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What a router is told at its start. The defaults suit tests: a free port of the loopback interface, waits
/// of a tenth of a second where the real router takes seconds, and none of its limits. [`Config::strict`] is
/// as hard to deal with as the real one.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The router's name; a mud has to register with exactly this.
    pub name: String,
    /// What the router calls its own address in `startup-reply`, `host port`. None: the address at which the
    /// mud reached it.
    pub advertise: Option<String>,
    /// The routers it names in `startup-reply`, `host port` each, the preferred one first. Empty: itself alone.
    pub routers: Vec<(String, String)>,
    /// The channels there are. The router owns them.
    pub channels: Vec<String>,
    /// Which family of routers this one is of, trait by trait.
    pub ways: Ways,
    /// From a mud's registration to the news of it in a mudlist, and to the second list for itself.
    pub up_delay: Duration,
    /// From a mud's end to the news of it in a mudlist.
    pub down_delay: Duration,
    /// Delayed mudlists go out at multiples of this since the start, ten muds of the second list at a time.
    /// Zero: when they are due, and all at once.
    pub heartbeat: Duration,
    /// Rule 38: from one address no more than 33 muds that were not known before.
    pub address_limit: bool,
    /// Rule 39: one connection a clock second; others are closed at once.
    pub accept_limit: bool,
    /// Rules 40 and 41: more than ten packets in a clock second, and a mud is ignored for a while.
    pub flood_limit: bool,
    /// Rule 41b: more than a hundred wrong passwords, and an address is ignored for a week.
    pub blacklist: bool,
    /// Rule 45: the bytes that may wait for a mud that reads slowly, besides what the kernel takes. Of what
    /// comes on top of that only the newest packet is kept.
    pub send_buffer: usize,
    /// An array of more elements than this ends the driver, and with it every link, as it does where this is
    /// the driver's `maximum array size`. None: the packet is dropped, and nothing else happens.
    pub crash_above: Option<usize>,
    /// The routers to exchange muds and channels with.
    pub peers: Vec<Peer>,
    /// A seed for passwords and mudlist ids, to make them the same each time.
    pub seed: Option<u64>,
}

impl Config {
    /// The router as it was observed, with its limits and its pace.
    pub fn strict() -> Self {
        Self {
            // At the first beat that is a second after, so 1.0 to 2.0 s.
            up_delay: Duration::from_secs(1),
            // 11.0 to 12.0 s, and a beat less for a mud that is deleted.
            down_delay: Duration::from_secs(11),
            heartbeat: Duration::from_secs(1),
            address_limit: true,
            accept_limit: true,
            flood_limit: true,
            blacklist: true,
            send_buffer: 0,
            ..Self::default()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            name: "*test".to_owned(),
            advertise: None,
            routers: Vec::new(),
            channels: vec!["imud_gossip".to_owned(), "imud_code".to_owned()],
            ways: Ways::DEAD_SOULS,
            up_delay: Duration::from_millis(100),
            down_delay: Duration::from_millis(100),
            heartbeat: Duration::ZERO,
            address_limit: false,
            accept_limit: false,
            flood_limit: false,
            blacklist: false,
            send_buffer: 8 * 1024 * 1024,
            crash_above: None,
            peers: Vec::new(),
            seed: None,
        }
    }
}

/// What differs between the families of routers on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// Frames end in a NUL, which the length counts.
    pub nul: bool,
    /// Text is read as FluffOS reads it: no blanks, commas after every element, UTF-8 only. Otherwise as
    /// leniently as `intermud3` does.
    pub strict_text: bool,
    /// Text is written as Latin-1, with `?` for control characters (a newline, too) and for what Latin-1 lacks.
    pub latin1: bool,
    /// There is a blank behind the colons of the router's own packets.
    pub blanks: bool,
    /// A channel message comes back to the mud that sent it.
    pub echo: bool,
    /// A mud has to give the password it was assigned. Otherwise any will do, and the reply says -1.
    pub passwords: bool,
    /// A startup request for another router closes the connection.
    pub closes_on_wrong_router: bool,
    /// An `auth-mud-req` to oneself is not sent back.
    pub swallows_probes: bool,
    /// A mud that was silent for so long gets a `ping-req`.
    pub ping_after: Option<Duration>,
}

impl Ways {
    /// The family of the large live routers.
    pub const DEAD_SOULS: Ways = Ways {
        nul: true,
        strict_text: true,
        latin1: false,
        blanks: false,
        echo: true,
        passwords: true,
        closes_on_wrong_router: false,
        swallows_probes: false,
        ping_after: None,
    };

    /// The router in CoffeeMud.
    pub const COFFEE_MUD: Ways = Ways {
        nul: false,
        strict_text: false,
        latin1: true,
        blanks: true,
        echo: false,
        passwords: false,
        closes_on_wrong_router: true,
        swallows_probes: true,
        ping_after: Some(Duration::from_secs(600)),
    };
}

/// Another router. The two know each other by name, and both give the same password.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Where it listens. One of the two has to know; the other waits to be connected to.
    pub address: Option<SocketAddr>,
    /// The password.
    pub password: i64,
}
