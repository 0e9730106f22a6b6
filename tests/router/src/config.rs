//! What a router is told at its start.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What a router is told at its start. The defaults suit tests: a free port of the loopback interface, and
/// waits of a tenth of a second where the real router takes seconds.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The router's name; a mud has to register with exactly this.
    pub name: String,
    /// What the router calls its own address in `startup-reply`, `host port`. None: the address at which the
    /// mud reached it.
    pub advertise: Option<String>,
    /// The channels there are. The router owns them.
    pub channels: Vec<String>,
    /// From a mud's registration to the news of it in a mudlist. Dead Souls: 1.0 to 2.0 s.
    pub up_delay: Duration,
    /// From a mud's end to the news of it in a mudlist. Dead Souls: 10.5 to 12.0 s.
    pub down_delay: Duration,
    /// A seed for passwords and mudlist ids, to make them the same each time.
    pub seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            name: "*test".to_owned(),
            advertise: None,
            channels: vec!["imud_gossip".to_owned(), "imud_code".to_owned()],
            up_delay: Duration::from_millis(100),
            down_delay: Duration::from_millis(100),
            seed: None,
        }
    }
}
