//! Registration: what a mud says first, and the router's answer.

use super::PacketError;
use super::fields::{Fields, Layout};
use crate::lpc::{Bracket, Sink};
use crate::{Mapping, Value};

/// `startup-req-3`: a mud registers with a router. 20 elements, `orig_user` 0, target the router's own name.
///
/// `({"startup-req-3",5,"MudA",0,"*test",0,password,old_mudlist_id,old_chanlist_id,player_port,imud_tcp_port,
/// imud_udp_port,mudlib,base_mudlib,driver,mud_type,open_status,admin_email,services,other_data,})`
///
/// A router that refuses says nothing (observed on Dead Souls).
#[derive(Clone, PartialEq)]
pub struct StartupReq3 {
    /// What the router gave in its last `startup-reply`; 0 the first time. A secret.
    pub password: i64,
    /// The id of the last mudlist; Dead Souls ignores it.
    pub old_mudlist_id: i64,
    /// The id of the last chanlist; Dead Souls ignores it.
    pub old_chanlist_id: i64,
    /// Where players log in.
    pub player_port: i64,
    /// TCP port for out-of-band services, or 0.
    pub imud_tcp_port: i64,
    /// UDP port for out-of-band services, or 0.
    pub imud_udp_port: i64,
    /// The mudlib and its version.
    pub mudlib: String,
    /// The mudlib it derives from.
    pub base_mudlib: String,
    /// The driver and its version.
    pub driver: String,
    /// `LP`, `Diku`, ...
    pub mud_type: String,
    /// Free text: "open for public", "mudlib development", ...
    pub open_status: String,
    /// An e-mail address.
    pub admin_email: String,
    /// What the mud answers to: `tell`, `channel`, ... to 1, and port numbers for `http`, `ftp`, ...
    pub services: Mapping,
    /// Anything else: a mapping or 0.
    pub other_data: Value,
}

impl Layout for StartupReq3 {
    const KIND: &'static str = "startup-req-3";
    const ELEMENTS: usize = 20;

    fn read(fields: &mut Fields) -> Result<Self, PacketError> {
        Ok(Self {
            password: fields.int("password")?,
            old_mudlist_id: fields.int("old_mudlist_id")?,
            old_chanlist_id: fields.int("old_chanlist_id")?,
            player_port: fields.int("player_port")?,
            imud_tcp_port: fields.int("imud_tcp_port")?,
            imud_udp_port: fields.int("imud_udp_port")?,
            mudlib: fields.string("mudlib")?,
            base_mudlib: fields.string("base_mudlib")?,
            driver: fields.string("driver")?,
            mud_type: fields.string("mud_type")?,
            open_status: fields.string("open_status")?,
            admin_email: fields.string("admin_email")?,
            services: fields.mapping("services")?,
            other_data: fields.value(),
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        let ids = [self.password, self.old_mudlist_id, self.old_chanlist_id];
        let ports = [self.player_port, self.imud_tcp_port, self.imud_udp_port];
        ids.into_iter().chain(ports).for_each(|n| sink.int(n));
        let texts = [&self.mudlib, &self.base_mudlib, &self.driver, &self.mud_type];
        texts.into_iter().chain([&self.open_status, &self.admin_email]).for_each(|text| sink.string(text));
        sink.mapping(&self.services);
        sink.value(&self.other_data);
    }
}

impl std::fmt::Debug for StartupReq3 {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartupReq3")
            .field("password", &"***")
            .field("old_mudlist_id", &self.old_mudlist_id)
            .field("old_chanlist_id", &self.old_chanlist_id)
            .field("player_port", &self.player_port)
            .field("imud_tcp_port", &self.imud_tcp_port)
            .field("imud_udp_port", &self.imud_udp_port)
            .field("mudlib", &self.mudlib)
            .field("base_mudlib", &self.base_mudlib)
            .field("driver", &self.driver)
            .field("mud_type", &self.mud_type)
            .field("open_status", &self.open_status)
            .field("admin_email", &self.admin_email)
            .field("services", &self.services)
            .field("other_data", &self.other_data)
            .finish()
    }
}

/// `startup-reply`: the router accepts a mud. 8 elements.
///
/// `({"startup-reply",5,"*test",0,"MudA",0,({({"*test","127.0.0.1 9000",}),}),559354526,})`
///
/// Believe it only when it comes from the router's name: any mud can broadcast one.
#[derive(Clone, PartialEq, Eq)]
pub struct StartupReply {
    /// The routers to use, the preferred one first. When that is another than this one, a mud should go there.
    pub routers: Vec<RouterEntry>,
    /// The password to give next time; 9 digits on Dead Souls. A secret: without it the name is lost.
    pub password: i64,
}

/// A router in a `startup-reply`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterEntry {
    /// The router's name, such as `*test`.
    pub name: String,
    /// Its address and port with a blank between them, as on the wire: `127.0.0.1 9000`.
    pub address: String,
}

impl RouterEntry {
    /// The host and the port, if the address has that form.
    pub fn host_and_port(&self) -> Option<(&str, u16)> {
        let (host, port) = self.address.trim().rsplit_once(' ')?;
        let host = host.trim_end();
        Some((host, port.parse().ok()?)).filter(|_| !host.is_empty())
    }
}

impl Layout for StartupReply {
    const KIND: &'static str = "startup-reply";
    const ELEMENTS: usize = 8;

    fn read(fields: &mut Fields) -> Result<Self, PacketError> {
        let routers = fields.array("router_list")?;
        let routers =
            routers.into_iter().map(|entry| read_router(fields, entry)).collect::<Result<_, _>>()?;
        Ok(Self { routers, password: fields.int("password")? })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.open(Bracket::Array, self.routers.len());
        for router in &self.routers {
            sink.open(Bracket::Array, 2);
            sink.string(&router.name);
            sink.string(&router.address);
            sink.close(Bracket::Array);
        }
        sink.close(Bracket::Array);
        sink.int(self.password);
    }
}

fn read_router(packet: &Fields, entry: Value) -> Result<RouterEntry, PacketError> {
    let Value::Array(items) = entry else {
        return Err(packet.wrong_type("router", "an array", &entry));
    };
    let mut fields = Fields::nested("startup-reply router", items);
    Ok(RouterEntry { name: fields.string("name")?, address: fields.string("address")? })
}

impl std::fmt::Debug for StartupReply {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartupReply").field("routers", &self.routers).field("password", &"***").finish()
    }
}
