//! Who may register, and what comes then.

use std::sync::Arc;
use std::time::Instant;

use intermud3::Value;
use intermud3::packet::ErrorPacket;
use rand::RngExt;

use super::lists::Entry;
use super::route::Incoming;
use super::{Conn, Core, MAX_MUDS, Mud, Place};
use crate::{Event, Refusal};

/// A startup request of any protocol.
struct Request {
    protocol: i64,
    password: i64,
    /// As in [`Entry::info`].
    info: Vec<Value>,
}

/// Elements of a packet.
const OLD_ELEMENTS: usize = 18;
const ELEMENTS: usize = 20;

/// Where in a packet the password is, where the info starts, and where `admin_email` is in protocol 3.
const PASSWORD: usize = 6;
const INFO: usize = 9;
const EMAIL: usize = 17;

impl Core {
    /// A startup request. A refusal is not answered unless the link is registered, and leaves it open.
    pub(super) fn startup(&mut self, now: Instant, incoming: Incoming<'_>) {
        if let Err(why) = self.admit(&incoming) {
            return self.refuse(now, &incoming, why);
        }
        self.leave_old_name(now, incoming.conn, incoming.origin);
        match Request::read(&incoming).and_then(|request| self.judge(&incoming, &request).map(|()| request)) {
            Ok(request) => self.register(now, &incoming, request),
            Err(why) => self.refuse(now, &incoming, why),
        }
    }

    pub(super) fn refuse(&mut self, now: Instant, incoming: &Incoming<'_>, why: Refusal) {
        self.note(Event::Refused { conn: incoming.conn, mud: incoming.origin.to_owned(), why });
        match why {
            Refusal::WrongPassword => self.count_wrong_password(now, incoming.conn),
            Refusal::WrongRouter if self.config.ways.closes_on_wrong_router => {
                return self.close(now, incoming.conn);
            }
            _ => {}
        }
        if let Some((code, message)) = error_of(why) {
            // Startups come from no user; what is wrong with the target is not looked at as one.
            let user = if why == Refusal::WrongRouter { &incoming.items[3] } else { &Value::ZERO };
            let about = incoming.packet.clone();
            self.answer(incoming.conn, &incoming.items[2], user, code, &message, about);
        }
        if why == Refusal::Taken {
            self.warn_owner(incoming);
        }
    }

    /// What does not need the request to be well-formed.
    fn admit(&self, incoming: &Incoming<'_>) -> Result<(), Refusal> {
        let name = incoming.origin;
        let known = self.muds.get(name).is_some_and(|mud| mud.entry.is_some());
        if self.cut.contains(name) {
            Err(Refusal::Cut)
        } else if name.is_empty() {
            Err(Refusal::NoName)
        } else if !known && !self.has_room_for(&self.address(incoming.conn)) {
            Err(Refusal::AddressLimit)
        } else if self.muds.len() >= MAX_MUDS && !self.muds.contains_key(name) {
            Err(Refusal::Full)
        } else {
            Ok(())
        }
    }

    fn judge(&self, incoming: &Incoming<'_>, request: &Request) -> Result<(), Refusal> {
        let Some(mud) = self.muds.get(incoming.origin) else { return Ok(()) };
        let Some(entry) = &mud.entry else { return Ok(()) };
        let same_password = request.password == mud.password || !self.config.ways.passwords;
        let same_address = self.address(incoming.conn) == entry.address || !self.config.ways.passwords;
        match mud.place {
            // Rules 35 to 37: a takeover needs both.
            Place::Here(_) if same_password && same_address => Ok(()),
            Place::Here(_) => Err(Refusal::Taken),
            // Rules 31 to 34: otherwise either will do.
            _ if same_password || same_address => Ok(()),
            _ => Err(Refusal::WrongPassword),
        }
    }

    fn register(&mut self, now: Instant, incoming: &Incoming<'_>, request: Request) {
        let (conn, name) = (incoming.conn, incoming.origin);
        let password = self.password_for(name, request.password);
        if let Some(old) = self.conn_of(name) {
            // Rule 35: the link that is taken over hears nothing more and stays open.
            if let Some(link) = self.links.get_mut(&old) {
                link.mud = None;
            }
            self.tell_later(now, name);
        }
        if let Some(link) = self.links.get_mut(&conn) {
            link.mud = Some(name.to_owned());
        }
        let entry = Some(Arc::new(Entry { address: self.address(conn), info: request.info }));
        let place = Place::Here(conn);
        let mud = Mud { entry, password, protocol: request.protocol, place, router: None };
        self.muds.insert(name.to_owned(), mud);
        self.forget_wrong_passwords(conn);
        self.note(Event::Registered { conn, mud: name.to_owned() });
        self.welcome(now, conn, name);
    }

    /// Rules 31 and 32: the one it has, or a new one.
    fn password_for(&mut self, name: &str, given: i64) -> i64 {
        let known = self.muds.get(name).filter(|mud| mud.entry.is_some());
        if !self.config.ways.passwords {
            -1
        } else if known.is_some_and(|mud| mud.password == given) {
            given
        } else {
            self.rng.random_range(100_000_000..=999_999_999)
        }
    }

    /// Rule 37: a link that registers under another name leaves its old one.
    fn leave_old_name(&mut self, now: Instant, conn: Conn, name: &str) {
        let Some(old) = self.mud_on(conn).filter(|old| *old != name).map(str::to_owned) else { return };
        if let Some(link) = self.links.get_mut(&conn) {
            link.mud = None;
        }
        self.down(now, &old);
    }

    /// Rules 3 and 4: the reply and the lists in one instant; the list again, and the news, later.
    fn welcome(&mut self, now: Instant, conn: Conn, name: &str) {
        let Some((password, protocol)) = self.muds.get(name).map(|mud| (mud.password, mud.protocol)) else {
            return;
        };
        self.send_own(conn, "startup-reply", name.into(), [self.routers(conn), password.into()]);
        // By one for the mud, and by one more for the list.
        self.mudlist_id += 2;
        self.tell_muds(conn, name, protocol);
        self.tell_muds_again(now, conn);
        self.tell_soon(now, name);
        self.tell_channels(conn);
    }

    fn routers(&self, conn: Conn) -> Value {
        let entry = |name: &str, address: &str| Value::Array(vec![name.into(), address.into()]);
        if self.config.routers.is_empty() {
            return Value::Array(vec![entry(&self.config.name, &self.own_address(conn))]);
        }
        Value::Array(self.config.routers.iter().map(|(name, address)| entry(name, address)).collect())
    }

    fn own_address(&self, conn: Conn) -> String {
        match (&self.config.advertise, self.links.get(&conn)) {
            (Some(address), _) => address.clone(),
            (None, Some(link)) => format!("{} {}", link.local.ip(), link.local.port()),
            (None, None) => String::new(),
        }
    }

    pub(super) fn address(&self, conn: Conn) -> String {
        self.links.get(&conn).map(|link| link.peer.to_string()).unwrap_or_default()
    }

    /// Rules 36 and 37: the owner of a name hears of others who want it.
    fn warn_owner(&mut self, incoming: &Incoming<'_>) {
        let Some(owner) = self.conn_of(incoming.origin) else { return };
        let [port, mudlib, base_mudlib, email] = [9, 12, 13, EMAIL].map(|at| incoming.items[at].clone());
        let about = Value::Array(vec![self.address(incoming.conn).into(), mudlib, base_mudlib, email, port]);
        let message = "Another mud is trying to be you.";
        let code = ErrorPacket::BAD_MOJO;
        self.answer(owner, &incoming.origin.into(), &Value::ZERO, code, message, about);
    }
}

impl Request {
    fn read(incoming: &Incoming<'_>) -> Result<Self, Refusal> {
        let items = incoming.items;
        if items.len() < OLD_ELEMENTS {
            return Err(Refusal::Malformed);
        }
        let digits = incoming.kind.trim_start_matches("startup-req-");
        let protocol = digits.parse().unwrap_or(0);
        // Rule 46: protocol 2 with the fields of 3 is read as 3, and remembered as 2.
        let info: Vec<Value> = match (protocol, items.len()) {
            (1 | 2, OLD_ELEMENTS) => {
                let email = ["Unknown".into()];
                let (info, services) = (&items[INFO..EMAIL], &items[EMAIL..]);
                info.iter()
                    .cloned()
                    .chain(email)
                    .chain(services.iter().cloned())
                    .chain([Value::ZERO])
                    .collect()
            }
            (2 | 3, ELEMENTS) => items[INFO..].to_vec(),
            (1..=3, _) => return Err(Refusal::Malformed),
            _ => return Err(Refusal::UnknownProtocol(protocol)),
        };
        let ints = items[PASSWORD..INFO].iter().chain(&info[..3]);
        let (mut ints, mut texts) = (ints.map(Value::as_int), info[3..9].iter().map(Value::as_str));
        let (services, other) = (&info[9], &info[10]);
        let mappings = services.as_mapping().is_some() && (other.is_zero() || other.as_mapping().is_some());
        let password = items[PASSWORD].as_int().filter(|_| mappings).ok_or(Refusal::Malformed)?;
        if !ints.all(|int| int.is_some()) || !texts.all(|text| text.is_some()) {
            return Err(Refusal::Malformed);
        }
        Ok(Self { protocol, password, info })
    }
}

/// What a registered link is told.
fn error_of(why: Refusal) -> Option<(&'static str, String)> {
    let (code, message) = match why {
        Refusal::Malformed => (ErrorPacket::BAD_PKT, "Bad startup_req packet"),
        Refusal::UnknownProtocol(protocol) => {
            return Some((ErrorPacket::NOT_IMP, format!("unknown protocol: {protocol}")));
        }
        Refusal::WrongRouter => (ErrorPacket::UNK_DST, "destination unknown"),
        Refusal::WrongPassword => (ErrorPacket::NOT_ALLOWED, "wrong password, and from a new IP"),
        Refusal::Taken => (ErrorPacket::BAD_PROTO, "MUD already connected"),
        Refusal::AddressLimit => (ErrorPacket::NOT_ALLOWED, "Too many muds from your IP."),
        Refusal::NoName | Refusal::Blacklisted | Refusal::Flood | Refusal::Cut | Refusal::Full => {
            return None;
        }
    };
    Some((code, message.to_owned()))
}
