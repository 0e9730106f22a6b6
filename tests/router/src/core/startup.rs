//! Who may register, and what comes then.

use std::time::Instant;

use intermud3::packet::{Body, ErrorPacket, Header, MudEntry, RouterEntry, StartupReply, StartupReq3};
use intermud3::{Packet, Value};
use rand::RngExt;

use super::route::Incoming;
use super::{Conn, Core, MAX_MUDS, Mud};
use crate::{Event, Refusal};

impl Core {
    /// `startup-req-3`. A refusal is not answered, and the link stays open.
    pub(super) fn startup(&mut self, now: Instant, incoming: Incoming<'_>) {
        let (conn, name) = (incoming.conn, incoming.origin);
        let verdict = match Packet::from_value(incoming.packet.clone()).map(|packet| packet.body) {
            Ok(Body::StartupReq3(request)) => self.judge(&incoming, &request).map(|()| request),
            _ => Err(Refusal::Malformed),
        };
        match verdict {
            Ok(request) => self.register(now, conn, name, &request),
            Err(why) => {
                self.note(Event::Refused { conn, mud: name.to_owned(), why });
                if why == Refusal::Taken {
                    self.warn_owner(&incoming);
                }
            }
        }
    }

    fn judge(&self, incoming: &Incoming<'_>, request: &StartupReq3) -> Result<(), Refusal> {
        let name = incoming.origin;
        if name.is_empty() {
            return Err(Refusal::NoName);
        }
        if self.cut.contains(name) {
            return Err(Refusal::Cut);
        }
        // Rule 2: 0 is as good as the router's name, and so is the name of any mud in the list.
        if incoming.target.is_some_and(|router| router != self.name && !self.muds.contains_key(router)) {
            return Err(Refusal::WrongRouter);
        }
        let Some(mud) = self.muds.get(name) else {
            return if self.muds.len() < MAX_MUDS { Ok(()) } else { Err(Refusal::Full) };
        };
        let Some(entry) = &mud.entry else { return Ok(()) };
        let same_password = request.password == mud.password;
        let same_address = self.address(incoming.conn) == entry.address;
        match mud.conn {
            // Rules 35 to 37: a takeover needs both.
            Some(_) if same_password && same_address => Ok(()),
            Some(_) => Err(Refusal::Taken),
            // Rules 31 to 34: otherwise either will do.
            None if same_password || same_address => Ok(()),
            None => Err(Refusal::WrongPassword),
        }
    }

    fn register(&mut self, now: Instant, conn: Conn, name: &str, request: &StartupReq3) {
        self.leave_old_name(now, conn, name);
        let known = self.muds.get(name).filter(|mud| mud.entry.is_some());
        let keeps_password = known.is_some_and(|mud| mud.password == request.password);
        let old = known.and_then(|mud| mud.conn);
        let password =
            if keeps_password { request.password } else { self.rng.random_range(100_000_000..=999_999_999) };
        // Rule 35: the link that is taken over hears nothing more and stays open.
        if let Some(link) = old.and_then(|old| self.links.get_mut(&old)) {
            link.mud = None;
        }
        if let Some(link) = self.links.get_mut(&conn) {
            link.mud = Some(name.to_owned());
        }
        let entry = Some(entry(request, self.address(conn)));
        self.muds.insert(name.to_owned(), Mud { entry, password, conn: Some(conn) });
        self.note(Event::Registered { conn, mud: name.to_owned() });
        self.welcome(conn, name, password);
        self.lists.insert(conn, now + self.up_delay);
        self.deltas.insert(name.to_owned(), now + self.up_delay);
    }

    /// Rule 37: a link that registers under another name leaves its old one.
    fn leave_old_name(&mut self, now: Instant, conn: Conn, name: &str) {
        if let Some(old) = self.mud_on(conn).filter(|old| *old != name).map(str::to_owned) {
            self.down(now, &old);
        }
    }

    /// Rules 3 and 4: all in one instant.
    fn welcome(&mut self, conn: Conn, name: &str, password: i64) {
        let routers = vec![RouterEntry { name: self.name.clone(), address: self.own_address(conn) }];
        self.send_as_router(conn, name, Body::StartupReply(StartupReply { routers, password }));
        self.mudlist_id += 1;
        self.tell_muds(conn, name);
        self.tell_channels(conn);
    }

    fn own_address(&self, conn: Conn) -> String {
        match (&self.advertise, self.links.get(&conn)) {
            (Some(address), _) => address.clone(),
            (None, Some(link)) => format!("{} {}", link.local.ip(), link.local.port()),
            (None, None) => String::new(),
        }
    }

    fn address(&self, conn: Conn) -> String {
        self.links.get(&conn).map(|link| link.peer.to_string()).unwrap_or_default()
    }

    /// Rules 36 and 37: the owner of a name hears of others who want it.
    fn warn_owner(&mut self, incoming: &Incoming<'_>) {
        let Some(owner) = self.conn_of(incoming.origin) else { return };
        let name = Value::from(incoming.origin);
        if owner == incoming.conn {
            self.error(*incoming, ErrorPacket::BAD_PROTO, "MUD already connected");
        }
        let [port, mudlib, base_mudlib, email] = [9, 12, 13, 17].map(|at| incoming.items[at].clone());
        let about = Value::Array(vec![self.address(incoming.conn).into(), mudlib, base_mudlib, email, port]);
        let message = "Another mud is trying to be you.";
        self.answer(owner, &name, &Value::ZERO, ErrorPacket::BAD_MOJO, message, about);
    }

    /// A packet of the router's own to a mud.
    pub(super) fn send_as_router(&mut self, conn: Conn, mud: &str, body: Body) {
        let packet = Packet { header: Header::to_mud(self.name.as_str(), mud), body };
        self.send(conn, &packet.to_value());
    }
}

fn entry(request: &StartupReq3, address: String) -> MudEntry {
    MudEntry {
        state: MudEntry::UP,
        address,
        player_port: request.player_port,
        imud_tcp_port: request.imud_tcp_port,
        imud_udp_port: request.imud_udp_port,
        mudlib: request.mudlib.clone(),
        base_mudlib: request.base_mudlib.clone(),
        driver: request.driver.clone(),
        mud_type: request.mud_type.clone(),
        open_status: request.open_status.clone(),
        admin_email: request.admin_email.clone(),
        services: request.services.clone(),
        other_data: request.other_data.clone(),
    }
}
