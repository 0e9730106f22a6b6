//! Registration: what a mud says first, and the router's answer.

use crate::layout::{Fields, Layout, Refused, layout};
use crate::lpc::Sink;
use crate::{Mapping, Value};

layout! {
    /// `startup-req-3`: a mud registers with a router. 20 elements, `orig_user` 0, target the router's own name.
    ///
    /// `({"startup-req-3",5,"MudA",0,"*test",0,password,old_mudlist_id,old_chanlist_id,player_port,imud_tcp_port,
    /// imud_udp_port,mudlib,base_mudlib,driver,mud_type,open_status,admin_email,services,other_data,})`
    ///
    /// A router that refuses says nothing (observed on Dead Souls).
    pub struct StartupReq3 {
        /// What the router gave in its last `startup-reply`; 0 the first time. A secret.
        password: i64 = secret,
        /// The id of the last mudlist; Dead Souls ignores it.
        old_mudlist_id: i64,
        /// The id of the last chanlist; Dead Souls ignores it.
        old_chanlist_id: i64,
        /// Where players log in.
        player_port: i64,
        /// TCP port for out-of-band services, or 0.
        imud_tcp_port: i64,
        /// UDP port for out-of-band services, or 0.
        imud_udp_port: i64,
        /// The mudlib and its version.
        mudlib: String,
        /// The mudlib it derives from.
        base_mudlib: String,
        /// The driver and its version.
        driver: String,
        /// `LP`, `Diku`, ...
        mud_type: String,
        /// Free text: "open for public", "mudlib development", ...
        open_status: String,
        /// An e-mail address.
        admin_email: String,
        /// What the mud answers to: `tell`, `channel`, ... to 1, and port numbers for `http`, `ftp`, ...
        services: Mapping,
        /// Anything else: a mapping or 0.
        other_data: Value,
    }
}

/// `startup-req-2` and `startup-req-1`: registration by the older protocols, without `admin_email` and
/// `other_data`. 18 elements.
///
/// `({"startup-req-2",5,"MudA",0,"*test",0,password,old_mudlist_id,old_chanlist_id,player_port,imud_tcp_port,
/// imud_udp_port,mudlib,base_mudlib,driver,mud_type,open_status,services,})`
///
/// Dead Souls also takes a `startup-req-2` with the 20 elements of a `startup-req-3`; so this can hold them.
#[derive(Clone, PartialEq)]
pub struct StartupReq2 {
    /// As in [`StartupReq3`]. A secret.
    pub password: i64,
    /// As in [`StartupReq3`].
    pub old_mudlist_id: i64,
    /// As in [`StartupReq3`].
    pub old_chanlist_id: i64,
    /// As in [`StartupReq3`].
    pub player_port: i64,
    /// As in [`StartupReq3`].
    pub imud_tcp_port: i64,
    /// As in [`StartupReq3`].
    pub imud_udp_port: i64,
    /// As in [`StartupReq3`].
    pub mudlib: String,
    /// As in [`StartupReq3`].
    pub base_mudlib: String,
    /// As in [`StartupReq3`].
    pub driver: String,
    /// As in [`StartupReq3`].
    pub mud_type: String,
    /// As in [`StartupReq3`].
    pub open_status: String,
    /// As in [`StartupReq3`].
    pub services: Mapping,
    /// `admin_email` and `other_data` of the form with 20 elements.
    pub extension: Option<(String, Value)>,
}

impl Layout for StartupReq2 {
    const FIELDS: std::ops::RangeInclusive<usize> = 12..=14;

    fn read(fields: &mut Fields<'_>) -> Result<Self, Refused> {
        if fields.count() == 13 {
            return Err(fields.wrong_count(12));
        }
        let mut admin_email = None;
        Ok(Self {
            password: fields.next("password")?,
            old_mudlist_id: fields.next("old_mudlist_id")?,
            old_chanlist_id: fields.next("old_chanlist_id")?,
            player_port: fields.next("player_port")?,
            imud_tcp_port: fields.next("imud_tcp_port")?,
            imud_udp_port: fields.next("imud_udp_port")?,
            mudlib: fields.next("mudlib")?,
            base_mudlib: fields.next("base_mudlib")?,
            driver: fields.next("driver")?,
            mud_type: fields.next("mud_type")?,
            open_status: fields.next("open_status")?,
            services: {
                if fields.count() == 14 {
                    admin_email = Some(fields.text("admin_email")?);
                }
                fields.next("services")?
            },
            extension: admin_email.map(|email| (email, fields.value())),
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        let ids = [self.password, self.old_mudlist_id, self.old_chanlist_id];
        let ports = [self.player_port, self.imud_tcp_port, self.imud_udp_port];
        ids.into_iter().chain(ports).for_each(|n| sink.int(n));
        let texts = [&self.mudlib, &self.base_mudlib, &self.driver, &self.mud_type, &self.open_status];
        texts.into_iter().for_each(|text| sink.string(text));
        if let Some((admin_email, _)) = &self.extension {
            sink.string(admin_email);
        }
        sink.mapping(&self.services);
        if let Some((_, other_data)) = &self.extension {
            sink.value(other_data);
        }
    }
}

impl std::fmt::Debug for StartupReq2 {
    /// Leaves the password out, and what is of no interest.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartupReq2")
            .field("password", &"***")
            .field("player_port", &self.player_port)
            .field("mudlib", &self.mudlib)
            .field("driver", &self.driver)
            .field("open_status", &self.open_status)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

layout! {
    /// `startup-reply`: the router accepts a mud. 8 elements.
    ///
    /// `({"startup-reply",5,"*test",0,"MudA",0,({({"*test","127.0.0.1 9000",}),}),559354526,})`
    ///
    /// Believe it only when it comes from the router's name: any mud can broadcast one.
    #[derive(Eq)]
    pub struct StartupReply {
        /// The routers to use, the preferred one first. When that is another than this one, a mud should go
        /// there.
        routers: Vec<RouterEntry>,
        /// The password to give next time; 9 digits on Dead Souls. A secret: without it the name is lost.
        password: i64 = secret,
    }
}

layout! {
    /// A router in a `startup-reply`.
    #[derive(Eq)]
    pub struct RouterEntry {
        /// The router's name, such as `*test`.
        name: String,
        /// Its address and port with a blank between them, as on the wire: `127.0.0.1 9000`.
        address: String,
    }
}

impl RouterEntry {
    /// The host and the port, if the address has that form.
    pub fn host_and_port(&self) -> Option<(&str, u16)> {
        let (host, port) = self.address.trim().rsplit_once(' ')?;
        let host = host.trim_end();
        Some((host, port.parse().ok()?)).filter(|_| !host.is_empty())
    }
}
