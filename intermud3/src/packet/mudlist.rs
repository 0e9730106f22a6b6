//! The muds a router knows.

use crate::layout::{Field, Fields, Layout, Refused};
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
    /// The keys of entries that cannot be read, strings as a rule. Muds choose what stands in their entries, so
    /// one of them must not cost the others. Written with `({})` as the entry, which cannot be read either.
    pub unreadable: Vec<Value>,
}

impl Layout for Mudlist {
    const FIELDS: std::ops::RangeInclusive<usize> = 2..=2;

    fn read(fields: &mut Fields<'_>) -> Result<Self, Refused> {
        let id = fields.next("id")?;
        let (muds, unreadable) = fields.entries("muds")?;
        Ok(Self { id, muds, unreadable })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.int(self.id);
        sink.open(Bracket::Mapping, self.muds.len() + self.unreadable.len());
        for (name, entry) in &self.muds {
            name.write(sink);
            sink.colon();
            entry.write(sink);
        }
        for key in &self.unreadable {
            key.write(sink);
            sink.colon();
            sink.open(Bracket::Array, 0);
            sink.close(Bracket::Array);
        }
        sink.close(Bracket::Mapping);
    }
}

/// What a router tells about a mud: `({state,ip,player_port,imud_tcp_port,imud_udp_port,mudlib,base_mudlib,
/// driver,mud_type,open_status,admin_email,services,other_data})`, 13 elements, or as its [`EntryForm`] says. A
/// text that is 0 reads as empty.
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
    /// Which of these are on the wire.
    pub form: EntryForm,
}

/// How a [`MudEntry`] is laid out. Dead Souls has shorter entries for muds, and towards muds, of protocols 1
/// and 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EntryForm {
    /// All 13 elements.
    #[default]
    Full,
    /// Without `admin_email` and `other_data`: 11 elements.
    Old,
    /// As `Old`, with a `restart_delay` behind the state: 12 elements.
    OldWithRestartDelay(i64),
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

impl Layout for MudEntry {
    const FIELDS: std::ops::RangeInclusive<usize> = 11..=13;

    fn read(fields: &mut Fields<'_>) -> Result<Self, Refused> {
        let state = fields.next("state")?;
        let form = match fields.count() {
            11 => EntryForm::Old,
            12 => EntryForm::OldWithRestartDelay(fields.next("restart_delay")?),
            _ => EntryForm::Full,
        };
        let full = form == EntryForm::Full;
        Ok(Self {
            state,
            address: fields.text("address")?,
            player_port: fields.next("player_port")?,
            imud_tcp_port: fields.next("imud_tcp_port")?,
            imud_udp_port: fields.next("imud_udp_port")?,
            mudlib: fields.text("mudlib")?,
            base_mudlib: fields.text("base_mudlib")?,
            driver: fields.text("driver")?,
            mud_type: fields.text("mud_type")?,
            open_status: fields.text("open_status")?,
            admin_email: if full { fields.text("admin_email")? } else { String::new() },
            services: fields.next("services")?,
            other_data: fields.value(),
            form,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.int(self.state);
        if let EntryForm::OldWithRestartDelay(delay) = self.form {
            sink.int(delay);
        }
        self.address.write(sink);
        [self.player_port, self.imud_tcp_port, self.imud_udp_port].into_iter().for_each(|n| sink.int(n));
        let texts = [&self.mudlib, &self.base_mudlib, &self.driver, &self.mud_type, &self.open_status];
        texts.into_iter().for_each(|text| sink.string(text));
        if self.form == EntryForm::Full {
            self.admin_email.write(sink);
        }
        self.services.write(sink);
        if self.form == EntryForm::Full {
            self.other_data.write(sink);
        }
    }
}
