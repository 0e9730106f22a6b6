//! Where a packet goes.

use std::time::Instant;

use intermud3::Value;
use intermud3::packet::{DEFAULT_TTL, ErrorPacket};

use super::{Conn, Core};

/// A packet with a sound header.
#[derive(Clone, Copy)]
pub(super) struct Incoming<'p> {
    pub(super) conn: Conn,
    pub(super) packet: &'p Value,
    pub(super) items: &'p [Value],
    pub(super) kind: &'p str,
    pub(super) origin: &'p str,
    pub(super) target: Option<&'p str>,
}

/// What Dead Souls wants to see before it answers at all (rule 30).
const LEAST_ELEMENTS: usize = 4;
const HEADER_ELEMENTS: usize = 6;

/// A delay from which on `shutdown` means "delete me" (rule 42): a week and a second.
const WEEK: i64 = 604_800;

impl<'p> Incoming<'p> {
    fn read(conn: Conn, packet: &'p Value) -> Option<Self> {
        let items = packet.as_array()?;
        let [kind, ttl, origin, user, target, target_user] = items.first_chunk::<HEADER_ELEMENTS>()?;
        let named = |name: &Value| name.is_zero() || name.as_str().is_some();
        (ttl.as_int().is_some() && named(user) && named(target) && named(target_user)).then_some(())?;
        let (kind, origin) = (kind.as_str()?, origin.as_str()?);
        Some(Self { conn, packet, items, kind, origin, target: target.as_str() })
    }
}

impl Core {
    pub(super) fn packet(&mut self, now: Instant, conn: Conn, packet: &Value) {
        match Incoming::read(conn, packet) {
            Some(incoming) if incoming.kind == "startup-req-3" => self.startup(now, incoming),
            // Rule 1: nothing is heard from a link without a mud.
            Some(incoming) if self.mud_on(conn).is_some() => self.route(now, incoming),
            Some(_) => {}
            None => self.bad_header(conn, packet),
        }
    }

    fn route(&mut self, now: Instant, incoming: Incoming<'_>) {
        // Rule 28: a name that is connected elsewhere cannot be used; any other can.
        if self.conn_of(incoming.origin).is_some_and(|conn| conn != incoming.conn) {
            return;
        }
        match incoming.target {
            Some(target) if target == self.name => self.command(now, incoming),
            Some(target) => self.forward(incoming, target),
            None if incoming.kind == "channel-listen" => self.command(now, incoming),
            None if incoming.kind.starts_with("channel-") => self.say(incoming),
            // Rule 24: whatever it is, everybody gets it, the sender too.
            None => self.send_all(self.everybody(), incoming.packet),
        }
    }

    /// To another mud, or back to the sender.
    fn forward(&mut self, incoming: Incoming<'_>, target: &str) {
        if incoming.kind.starts_with("channel-") {
            self.error(incoming, ErrorPacket::BAD_PKT, "Bad packet format.");
        } else if matches!(incoming.kind, "startup-reply" | "mudlist" | "chanlist-reply") {
            let message = "You are not allowed to send this kind of packet.";
            self.error(incoming, ErrorPacket::NOT_ALLOWED, message);
        } else if let Some(mud) = self.muds.get(target) {
            // Rule 21: a mud that is known but not connected swallows everything.
            if let Some(conn) = mud.conn {
                self.send(conn, incoming.packet);
            }
        } else {
            self.error(incoming, ErrorPacket::UNK_DST, "destination unknown");
        }
    }

    /// To the router itself.
    fn command(&mut self, now: Instant, incoming: Incoming<'_>) {
        // Rule 28: here the name has to be the sender's own.
        if self.mud_on(incoming.conn) != Some(incoming.origin) {
            return;
        }
        match incoming.kind {
            "channel-listen" => self.listen(incoming),
            "chanlist-req" | "chanlist-request" => self.tell_channels(incoming.conn),
            "shutdown" => self.shutdown(now, incoming),
            kind if kind.starts_with("irn-") => {}
            kind => {
                let message = format!("Unknown command sent to router: {kind}");
                self.error(incoming, ErrorPacket::NOT_IMP, &message);
            }
        }
    }

    /// Rule 42.
    fn shutdown(&mut self, now: Instant, incoming: Incoming<'_>) {
        let [delay] = &incoming.items[HEADER_ELEMENTS..] else {
            let message = "Wrong number of elements for packet: shutdown";
            return self.error(incoming, ErrorPacket::BAD_PKT, message);
        };
        let Some(delay) = delay.as_int() else { return };
        self.close(now, incoming.conn);
        if let Some(mud) = self.muds.get_mut(incoming.origin).filter(|_| delay > WEEK) {
            mud.entry = None;
        }
    }

    /// Rule 30: answered with what stands where the names should, if there is anything.
    fn bad_header(&mut self, conn: Conn, packet: &Value) {
        let items = packet.as_array().unwrap_or_default();
        let is_packet = items.len() >= LEAST_ELEMENTS && items[0].as_str().is_some();
        if is_packet && self.mud_on(conn).is_some() {
            let code = ErrorPacket::BAD_PKT;
            self.answer(conn, &items[2], &items[3], code, "Invalid initial data", packet.clone());
        }
    }

    /// An `error` about a packet to its sender.
    pub(super) fn error(&mut self, incoming: Incoming<'_>, code: &str, message: &str) {
        let [mud, user] = [&incoming.items[2], &incoming.items[3]];
        self.answer(incoming.conn, mud, user, code, message, incoming.packet.clone());
    }

    /// An `error` to a mud. It is written only when it is addressed to the mud that is on the link (rule 1).
    pub(super) fn answer(
        &mut self,
        to: Conn,
        mud: &Value,
        user: &Value,
        code: &str,
        message: &str,
        about: Value,
    ) {
        if mud.as_str().is_none() || mud.as_str() != self.mud_on(to) {
            return;
        }
        let header = ["error".into(), DEFAULT_TTL.into(), self.name.as_str().into(), Value::ZERO];
        let fields = [mud.clone(), user.clone(), code.into(), message.into(), about];
        let error: Vec<Value> = header.into_iter().chain(fields).collect();
        self.send(to, &Value::Array(error));
    }

    /// The connections of all muds that are up.
    pub(super) fn everybody(&self) -> Vec<Conn> {
        self.muds.values().filter_map(|mud| mud.conn).collect()
    }
}
