//! Where a packet goes.

use std::time::Instant;

use intermud3::Value;
use intermud3::packet::ErrorPacket;

use super::{Conn, Core, Place};
use crate::{Event, Refusal};

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
const LEAST_ELEMENTS: usize = 5;
const HEADER_ELEMENTS: usize = 6;

/// A delay over which `shutdown` means "delete me" (rule 42): a week.
const WEEK: i64 = 604_800;

impl<'p> Incoming<'p> {
    pub(super) fn read(conn: Conn, packet: &'p Value) -> Option<Self> {
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
        let items = packet.as_array().unwrap_or_default();
        let Some(kind) = items.first().and_then(Value::as_str) else { return };
        if kind.starts_with("irn-") {
            return self.irn(now, conn, items);
        }
        let startup = kind.starts_with("startup-req-");
        // Rule 1: nothing else is heard from a link without a mud.
        let heard = startup || self.mud_on(conn).is_some();
        if items.len() < LEAST_ELEMENTS || !heard || self.is_router(conn) {
            return;
        }
        let asked = items[2].as_str().filter(|_| startup);
        if let (Some(name), Some(link)) = (asked, self.links.get_mut(&conn)) {
            link.asked = Some(name.to_owned());
        }
        if let Some(why) = self.ignores(now, conn, packet) {
            let mud = asked.map(str::to_owned);
            return mud.into_iter().for_each(|mud| self.note(Event::Refused { conn, mud, why }));
        }
        match Incoming::read(conn, packet) {
            Some(incoming) if incoming.target.is_some_and(|target| !self.knows(target)) => {
                self.unknown_target(now, &incoming, startup);
            }
            Some(incoming) if startup => self.startup(now, incoming),
            // Rule 28: a name that is connected elsewhere cannot be used; any other can.
            Some(incoming) if self.conn_of(incoming.origin).is_some_and(|owner| owner != conn) => {}
            Some(incoming) => self.route(now, incoming),
            // Rule 30: answered with what stands where the names should.
            None => {
                let message = "Invalid initial data";
                self.answer(conn, &items[2], &items[3], ErrorPacket::BAD_PKT, message, packet.clone());
            }
        }
    }

    fn ignores(&mut self, now: Instant, conn: Conn, packet: &Value) -> Option<Refusal> {
        if self.is_blacklisted(now, conn) {
            Some(Refusal::Blacklisted)
        } else {
            self.is_flood(now, conn, packet).then_some(Refusal::Flood)
        }
    }

    /// Rule 2: 0 is as good as the router's name, and so is the name of any mud in the list.
    fn knows(&self, target: &str) -> bool {
        target == self.config.name || self.muds.get(target).is_some_and(|mud| mud.entry.is_some())
    }

    fn unknown_target(&mut self, now: Instant, incoming: &Incoming<'_>, startup: bool) {
        if startup {
            self.refuse(now, incoming, Refusal::WrongRouter);
        } else {
            self.error(*incoming, ErrorPacket::UNK_DST, "destination unknown");
        }
    }

    /// What is well-formed and comes from whom it says, or from a peer.
    pub(super) fn route(&mut self, now: Instant, incoming: Incoming<'_>) {
        let channel = incoming.kind.starts_with("channel-");
        match incoming.target {
            _ if channel => self.channel(incoming),
            _ if incoming.kind == "chan-filter-reply" => self.filtered(incoming),
            Some(target) if target == self.config.name => self.command(now, incoming),
            Some(target) => self.forward(incoming, target),
            None => {
                // Rule 24: whatever it is, everybody gets it, the sender too.
                let everybody: Vec<Conn> = self.up().map(|(conn, _, _)| conn).collect();
                self.send_all(everybody, incoming.packet);
                self.tell_peers(&incoming, incoming.packet);
            }
        }
    }

    /// To another mud, or back to the sender.
    fn forward(&mut self, incoming: Incoming<'_>, target: &str) {
        if matches!(incoming.kind, "startup-reply" | "mudlist" | "chanlist-reply") {
            let message = "You are not allowed to send this kind of packet.";
            return self.error(incoming, ErrorPacket::NOT_ALLOWED, message);
        }
        let probe = incoming.kind == "auth-mud-req" && target == incoming.origin;
        if probe && self.config.ways.swallows_probes {
            return;
        }
        let Some(mud) = self.muds.get(target) else { return };
        match mud.place {
            Place::Here(conn) => {
                let converted = convert(&incoming, mud.protocol);
                self.send(conn, converted.as_ref().unwrap_or(incoming.packet));
            }
            Place::At(router) => self.pass_on(&incoming, router),
            // Rule 21: a mud that is known but not connected swallows everything.
            Place::Nowhere => {}
        }
    }

    /// To the router itself.
    fn command(&mut self, now: Instant, incoming: Incoming<'_>) {
        // Rule 28: here the name has to be the sender's own.
        if self.mud_on(incoming.conn) != Some(incoming.origin) {
            return;
        }
        match incoming.kind {
            "chanlist-req" | "chanlist-request" => self.tell_channels(incoming.conn),
            "shutdown" => self.shutdown(now, incoming),
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
        if let Some(mud) = self.muds.get_mut(incoming.origin).filter(|_| delay > WEEK) {
            mud.entry = None;
        }
        self.close(now, incoming.conn);
    }

    /// Rule 43, but only of CoffeeMud: who was silent for long is asked whether it is there.
    pub(super) fn ping_idle_muds(&mut self, now: Instant) {
        let Some(after) = self.config.ways.ping_after else { return };
        let up: Vec<(Conn, String)> = self.up().map(|(conn, name, _)| (conn, name.to_owned())).collect();
        for (conn, name) in up {
            let Some(link) = self.links.get_mut(&conn).filter(|link| link.heard + after <= now) else {
                continue;
            };
            link.heard = now;
            self.send_own(conn, "ping-req", name.into(), [Value::ZERO]);
        }
    }

    pub(super) fn next_idle_ping(&self) -> Option<Instant> {
        let after = self.config.ways.ping_after?;
        let silent = self.links.values().filter(|link| link.mud.is_some());
        silent.map(|link| link.heard + after).min()
    }

    /// An `error` about a packet to its sender.
    pub(super) fn error(&mut self, incoming: Incoming<'_>, code: &str, message: &str) {
        let [mud, user] = [&incoming.items[2], &incoming.items[3]];
        self.answer(incoming.conn, mud, user, code, message, incoming.packet.clone());
    }

    /// An `error` to a mud. It is written only when it is addressed to the mud that is on the link, or to 0
    /// (rule 1).
    pub(super) fn answer(
        &mut self,
        to: Conn,
        mud: &Value,
        user: &Value,
        code: &str,
        message: &str,
        about: Value,
    ) {
        let Some(name) = self.mud_on(to) else { return };
        if mud.is_zero() || mud.as_str() == Some(name) {
            let error = self.own("error", [mud.clone(), user.clone()], [code.into(), message.into(), about]);
            self.send(to, &error);
        }
    }
}

/// Rule 47: a `locate-reply` has two more fields in protocol 3.
fn convert(incoming: &Incoming<'_>, protocol: i64) -> Option<Value> {
    const SHORT: usize = 8;
    const LONG: usize = 10;
    let items = incoming.items;
    match (incoming.kind, items.len()) {
        ("locate-reply", SHORT) if protocol > 2 => {
            Some(Value::Array([items, &[Value::ZERO, Value::ZERO]].concat()))
        }
        ("locate-reply", LONG) if protocol <= 2 => Some(Value::Array(items[..SHORT].to_vec())),
        _ => None,
    }
}
