//! The rules without sockets, in a time of their own.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use i3_router::core::{Conn, Core, Output};
use i3_router::{Config, Event, Refusal};

use crate::mud::{NEVER, SERVICES, entry_at, password_in, startup};

/// What [`Sim::take`] gives when nothing was sent.
pub(crate) const NOTHING: [&str; 0] = [];

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Sim {
    core: Core,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    sent: HashMap<Conn, Vec<String>>,
    closed: HashSet<Conn>,
    pub(crate) events: Vec<Event>,
    last: u64,
    one_accept_a_second: bool,
}

impl Sim {
    pub(crate) fn new(config: Config) -> Self {
        let start = Instant::now();
        Self {
            core: Core::new(&config, start),
            start,
            now: start,
            sent: HashMap::new(),
            closed: HashSet::new(),
            events: Vec::new(),
            last: 0,
            one_accept_a_second: config.accept_limit,
        }
    }

    /// A router without limits that tells no news of its own accord.
    pub(crate) fn quiet() -> Self {
        Self::new(Config { up_delay: NEVER, down_delay: NEVER, ..Config::default() })
    }

    pub(crate) fn strict() -> Self {
        Self::new(Config::strict())
    }

    /// A new connection from 127.0.0.`address`.
    pub(crate) fn connect(&mut self, address: u8) -> Conn {
        self.connect_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, address)))
    }

    pub(crate) fn connect_from(&mut self, address: IpAddr) -> Conn {
        self.last += 1;
        let conn = Conn(self.last);
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 9000));
        let outputs = self.core.connected(self.now, conn, address, local);
        self.apply(outputs);
        conn
    }

    /// A registered mud on a new connection, with everything read that comes at once.
    pub(crate) fn up(&mut self, name: &str, address: u8) -> Conn {
        if self.one_accept_a_second {
            self.pass(SECOND);
        }
        let conn = self.connect(address);
        self.register(conn, name, 0);
        conn
    }

    /// Registers; the password it gets.
    pub(crate) fn register(&mut self, conn: Conn, name: &str, password: i64) -> i64 {
        let answers = self.say(conn, startup(name, r#""*test""#, password, SERVICES));
        assert!(answers.first().is_some_and(|first| first.contains("startup-reply")), "{name}: {answers:?}");
        password_in(&answers[0])
    }

    /// The body of a frame comes.
    pub(crate) fn send(&mut self, conn: Conn, body: impl AsRef<[u8]>) {
        let outputs = self.core.handle(self.now, conn, body.as_ref().to_vec().into());
        self.apply(outputs);
    }

    /// The same; what comes back at once.
    pub(crate) fn say(&mut self, conn: Conn, body: impl AsRef<[u8]>) -> Vec<String> {
        self.take(conn);
        self.send(conn, body);
        self.take(conn)
    }

    /// The other end closes.
    pub(crate) fn hang_up(&mut self, conn: Conn) {
        let outputs = self.core.disconnected(self.now, conn);
        self.apply(outputs);
    }

    /// What was sent since the last time.
    pub(crate) fn take(&mut self, conn: Conn) -> Vec<String> {
        self.sent.remove(&conn).unwrap_or_default()
    }

    /// What was sent since the last time to several.
    pub(crate) fn take_all<const N: usize>(&mut self, conns: [Conn; N]) -> [Vec<String>; N] {
        conns.map(|conn| self.take(conn))
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.core.next_tick().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let outputs = self.core.tick(self.now);
            self.apply(outputs);
        }
        self.now = end;
    }

    /// Time passes until so long after the start.
    pub(crate) fn pass_to(&mut self, since_start: Duration) {
        self.pass((self.start + since_start) - self.now);
    }

    pub(crate) fn restart(&mut self) {
        let outputs = self.core.restart(self.now);
        self.apply(outputs);
    }

    pub(crate) fn is_closed(&self, conn: Conn) -> bool {
        self.closed.contains(&conn)
    }

    /// Why the last startup was refused.
    pub(crate) fn last_refusal(&self) -> Option<Refusal> {
        self.events.iter().rev().find_map(|event| event.refused().map(|(_, why)| why))
    }

    /// The address in the mudlist.
    pub(crate) fn address(&self, mud: &str) -> String {
        self.core.muds().into_iter().find(|known| known.name == mud).unwrap().address
    }

    pub(crate) fn is_up(&self, mud: &str) -> bool {
        self.core.muds().into_iter().any(|known| known.name == mud && known.up)
    }

    fn apply(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send { to, text } => {
                    assert!(!self.closed.contains(&to), "{to} is closed");
                    let latin1 = || text.iter().copied().map(char::from).collect();
                    let text = String::from_utf8(text.to_vec()).unwrap_or_else(|_| latin1());
                    self.sent.entry(to).or_default().push(text);
                }
                Output::Close(conn) => {
                    self.closed.insert(conn);
                }
                Output::Note(event) => self.events.push(event),
            }
        }
    }
}

/// A mudlist entry of a mud from 127.0.0.`address`.
pub(crate) fn entry(name: &str, state: i64, address: u8) -> String {
    entry_at(name, state, &format!("127.0.0.{address}"))
}

/// A whole mudlist; the target with its quotes.
pub(crate) fn mudlist(target: &str, id: i64, muds: &str) -> String {
    format!(r#"({{"mudlist",5,"*test",0,{target},0,{id},([{muds}]),}})"#)
}

/// An error to a mud; the user with its quotes.
pub(crate) fn error(mud: &str, user: &str, code: &str, message: &str, about: &str) -> String {
    format!(r#"({{"error",5,"*test",0,"{mud}",{user},"{code}","{message}",{about},}})"#)
}
