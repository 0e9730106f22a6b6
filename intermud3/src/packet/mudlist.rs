//! The muds a router knows.

use super::PacketError;
use super::fields::{Fields, Layout};
use crate::lpc::{Bracket, Sink};
use crate::{Mapping, Value};

/// `mudlist`: muds that are new or changed. 8 elements; the last is a mapping of name to entry, or to 0 for a
/// mud that is gone for good.
///
/// `({"mudlist",5,"*test",0,"MudA",0,14,(["MudB":({-1,"127.0.0.3",4000,0,0,...}),"Gone":0,]),})`
///
/// Always a part of the whole: merge it. Dead Souls sends chunks of ten with random ids, then the list again
/// one mud at a time to target 0. Believe it only when it comes from the router's name.
#[derive(Debug, Clone, PartialEq)]
pub struct Mudlist {
    /// A counter of the router's, or a random number for a part of a list.
    pub id: i64,
    /// Names and entries, in the order of the packet; `None` for a mud that was deleted.
    pub muds: Vec<(String, Option<MudEntry>)>,
}

/// What a router tells about a mud: `({state,ip,player_port,imud_tcp_port,imud_udp_port,mudlib,base_mudlib,
/// driver,mud_type,open_status,admin_email,services,other_data})`, 13 elements.
///
/// Of muds of older protocols Dead Souls leaves `admin_email` and `other_data` out (11 elements), or also puts
/// a `restart_delay` behind the state (12). Both are read; 13 are written. A text that is 0 reads as empty.
#[derive(Debug, Clone, PartialEq)]
pub struct MudEntry {
    /// -1 up, 0 down, a positive number: expected up in that many seconds (never seen).
    pub state: i64,
    /// The address it connected from.
    pub address: String,
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
    /// What the mud answers to.
    pub services: Mapping,
    /// Anything else: a mapping or 0.
    pub other_data: Value,
}

impl MudEntry {
    /// The state of a mud that is connected.
    pub const UP: i64 = -1;
    /// The state of a mud that is not.
    pub const DOWN: i64 = 0;

    /// Whether the mud is connected.
    pub fn is_up(&self) -> bool {
        self.state == Self::UP
    }
}

const ELEMENTS: usize = 13;
const WITHOUT_EMAIL_AND_OTHER: usize = 11;
const WITH_RESTART_DELAY: usize = 12;

impl Layout for Mudlist {
    const KIND: &'static str = "mudlist";
    const ELEMENTS: usize = 8;

    fn read(fields: &mut Fields) -> Result<Self, PacketError> {
        let id = fields.int("mudlist_id")?;
        let muds = fields.mapping("info")?;
        let muds =
            muds.into_iter().map(|(name, entry)| read_pair(fields, name, entry)).collect::<Result<_, _>>()?;
        Ok(Self { id, muds })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.int(self.id);
        sink.open(Bracket::Mapping, self.muds.len());
        for (name, entry) in &self.muds {
            sink.key(name);
            match entry {
                Some(entry) => entry.write(sink),
                None => sink.int(0),
            }
        }
        sink.close(Bracket::Mapping);
    }
}

fn read_pair(packet: &Fields, name: Value, entry: Value) -> Result<(String, Option<MudEntry>), PacketError> {
    let Value::String(name) = name else {
        return Err(packet.wrong_type("mud name", "a string", &name));
    };
    let entry = match entry {
        Value::Int(0) => None,
        Value::Array(items) => Some(MudEntry::read(&mut Fields::nested("mudlist entry", items))?),
        other => return Err(packet.wrong_type("mud entry", "an array or 0", &other)),
    };
    Ok((name, entry))
}

impl MudEntry {
    fn read(fields: &mut Fields) -> Result<Self, PacketError> {
        let state = fields.int("state")?;
        let old = match fields.elements() {
            ELEMENTS => false,
            WITHOUT_EMAIL_AND_OTHER => true,
            WITH_RESTART_DELAY => {
                fields.int("restart_delay")?;
                true
            }
            _ => return Err(fields.wrong_count(ELEMENTS)),
        };
        Ok(Self {
            state,
            address: fields.text("address")?,
            player_port: fields.int("player_port")?,
            imud_tcp_port: fields.int("imud_tcp_port")?,
            imud_udp_port: fields.int("imud_udp_port")?,
            mudlib: fields.text("mudlib")?,
            base_mudlib: fields.text("base_mudlib")?,
            driver: fields.text("driver")?,
            mud_type: fields.text("mud_type")?,
            open_status: fields.text("open_status")?,
            admin_email: if old { String::new() } else { fields.text("admin_email")? },
            services: read_services(fields)?,
            other_data: fields.value(),
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.open(Bracket::Array, ELEMENTS);
        sink.int(self.state);
        sink.string(&self.address);
        [self.player_port, self.imud_tcp_port, self.imud_udp_port].into_iter().for_each(|n| sink.int(n));
        let texts = [&self.mudlib, &self.base_mudlib, &self.driver, &self.mud_type];
        texts.into_iter().chain([&self.open_status, &self.admin_email]).for_each(|text| sink.string(text));
        sink.mapping(&self.services);
        sink.value(&self.other_data);
        sink.close(Bracket::Array);
    }
}

/// A mapping; 0 reads as an empty one.
fn read_services(fields: &mut Fields) -> Result<Mapping, PacketError> {
    match fields.value() {
        Value::Mapping(services) => Ok(services),
        Value::Int(0) => Ok(Mapping::new()),
        other => Err(fields.wrong_type("services", "a mapping", &other)),
    }
}
