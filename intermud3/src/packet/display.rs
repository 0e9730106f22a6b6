//! A packet on one line, for logs: short, printable, and without secrets.

use std::fmt::{Display, Formatter, Result};

use super::*;

/// How many characters of a text to show; peers choose the texts.
const SHOWN: usize = 200;

/// How many elements of a list to show.
const LISTED: usize = 8;

impl Display for Packet {
    /// `tell bob@MudA -> ann@MudB: Bob: "hi"`.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {}: {}", Plain(self.kind()), self.header, self.body)
    }
}

impl Display for Header {
    /// `bob@MudA -> ann@MudB`, with `*` for everyone.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        address(f, Some(&self.origin_mud), self.origin_user.as_deref())?;
        f.write_str(" -> ")?;
        address(f, self.target_mud.as_deref(), self.target_user.as_deref())
    }
}

fn address(f: &mut Formatter<'_>, mud: Option<&str>, user: Option<&str>) -> Result {
    if let Some(user) = user {
        write!(f, "{}@", Plain(user))?;
    }
    write!(f, "{}", Plain(mud.unwrap_or("*")))
}

impl Display for Body {
    /// `Bob: "hi"`: the fields, with `***` for secrets.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Body::ChannelMessage(said) | Body::ChannelEmote(said) => {
                write!(f, "[{}] {}: \"{}\"", Plain(&said.channel), Plain(&said.visname), Plain(&said.message))
            }
            Body::ChannelTargetedEmote(done) => targeted_emote(f, done),
            Body::Tell(tell) | Body::Emoteto(tell) => {
                write!(f, "{}: \"{}\"", Plain(&tell.visname), Plain(&tell.message))
            }
            Body::Beep(beep) => write!(f, "{}", Plain(&beep.visname)),
            Body::LocateReply(found) => {
                write!(f, "{}@{}", Plain(&found.located_visname), Plain(&found.located_mud))
            }
            Body::FingerReq(FingerReq { username })
            | Body::LocateReq(LocateReq { username })
            | Body::ChanUserReq(ChanUserReq { username }) => write!(f, "{}", Plain(username)),
            Body::FingerReply(of) => finger_reply(f, of),
            Body::WhoReply(reply) => {
                names(f, "users", reply.who.len(), reply.who.iter().map(|user| user.visname.as_str()))
            }
            Body::UcacheUpdate(user) | Body::ChanUserReply(user) => {
                write!(f, "{} is {}, gender {}", Plain(&user.username), Plain(&user.visname), user.gender)
            }
            Body::AuthMudReply(_) => f.write_str("session key ***"),
            Body::PingReq(ping) | Body::PingReply(ping) => {
                f.write_str(if ping.token.is_some() { "with a token" } else { "without a token" })
            }
            Body::Error(error) => display_error(f, error),
            Body::Unknown(unknown) => write!(f, "{} fields", unknown.fields.len()),
            of_router_or_channel => of_router_or_channel.fmt_rest(f),
        }
    }
}

impl Body {
    /// Continues `fmt` with what concerns routers and channels.
    fn fmt_rest(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Body::StartupReq3(req) => startup(f, req.password, req.player_port, &req.driver),
            Body::StartupReq2(req) | Body::StartupReq1(req) => {
                startup(f, req.password, req.player_port, &req.driver)
            }
            Body::StartupReply(reply) => {
                f.write_str("password ***, routers")?;
                let mut routers = reply.routers.iter().take(LISTED);
                routers.try_for_each(|r| write!(f, " {} at {}", Plain(&r.name), Plain(&r.address)))
            }
            Body::Shutdown(shutdown) => write!(f, "back in {} s", shutdown.restart_delay),
            Body::Mudlist(list) => {
                write!(f, "id {}, {} muds", list.id, list.muds.len())?;
                match list.unreadable.len() {
                    0 => Ok(()),
                    unreadable => write!(f, ", {unreadable} unreadable"),
                }
            }
            Body::ChanlistReply(list) => write!(f, "id {}, {} channels", list.id, list.channels.len()),
            Body::ChannelListen(listen) => {
                write!(f, "{} {}", Plain(&listen.channel), if listen.on { "on" } else { "off" })
            }
            Body::ChannelAdd(add) => write!(f, "{} type {}", Plain(&add.channel), add.kind),
            Body::ChannelRemove(ChannelRemove { channel })
            | Body::ChanWhoReq(ChanWhoReq { channel })
            | Body::ChanAdminlist(ChanAdminlist { channel }) => write!(f, "{}", Plain(channel)),
            Body::ChannelAdmin(admin) => {
                write!(f, "{} ", Plain(&admin.channel))?;
                names(f, "added", admin.add.len(), admin.add.iter().map(String::as_str))?;
                f.write_str(", ")?;
                names(f, "removed", admin.remove.len(), admin.remove.iter().map(String::as_str))
            }
            Body::ChanFilterReq(filter) | Body::ChanFilterReply(filter) => {
                write!(f, "{} with a {}", Plain(&filter.channel), Plain(kind_or_type(&filter.packet)))
            }
            Body::ChanWhoReply(ChanWhoReply { channel, visnames: list })
            | Body::ChanAdminlistReply(ChanAdminlistReply { channel, muds: list }) => {
                write!(f, "{} ", Plain(channel))?;
                names(f, "names", list.len(), list.iter().map(String::as_str))
            }
            of_peer => of_peer.fmt_irn(f),
        }
    }

    /// Continues `fmt` with IRN and what has no fields.
    fn fmt_irn(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Body::IrnStartupReq(_) => f.write_str("passwords ***"),
            Body::IrnData(data) => write!(f, "a {}", Plain(kind_or_type(&data.packet))),
            Body::IrnPing(ping) => match ping.time_and_code {
                Some((time, code)) => write!(f, "time {time}, code {code}"),
                None => f.write_str("without time"),
            },
            Body::IrnMudlistDelta(list) | Body::IrnMudlistAltered(list) => {
                write!(f, "id {}, {} muds", list.id, list.muds.len())
            }
            Body::IrnChanlistDelta(list) | Body::IrnChanlistAltered(list) => {
                let parts = list.info.iter().filter_map(|(key, _)| key.as_str());
                write!(f, "id {}, ", list.id)?;
                names(f, "parts", list.info.len(), parts)
            }
            Body::IrnMudlistReq(IrnListReq { last_id }) | Body::IrnChanlistReq(IrnListReq { last_id }) => {
                match last_id {
                    Some(id) => write!(f, "since id {id}"),
                    None => f.write_str("all"),
                }
            }
            _ => f.write_str("no fields"),
        }
    }
}

fn startup(f: &mut Formatter<'_>, password: i64, player_port: i64, driver: &str) -> Result {
    let password = if password == 0 { "none" } else { "***" };
    write!(f, "password {password}, port {player_port}, driver {}", Plain(driver))
}

fn targeted_emote(f: &mut Formatter<'_>, done: &ChannelTargetedEmote) -> Result {
    write!(f, "[{}] {} to ", Plain(&done.channel), Plain(&done.origin_visname))?;
    write!(f, "{}@{}: ", Plain(&done.targeted_user), Plain(&done.targeted_mud))?;
    write!(f, "\"{}\"", Plain(&done.message_others))
}

fn finger_reply(f: &mut Formatter<'_>, of: &FingerReply) -> Result {
    let (visname, title) = (of.visname.as_deref().unwrap_or("-"), of.title.as_deref().unwrap_or("-"));
    write!(f, "{}, \"{}\", idle {}", Plain(visname), Plain(title), of.idle)
}

pub(crate) fn display_error(f: &mut Formatter<'_>, error: &ErrorPacket) -> Result {
    write!(f, "{} \"{}\"", Plain(&error.code), Plain(&error.message))?;
    error.bad_kind().map_or(Ok(()), |kind| write!(f, " about {}", Plain(kind)))
}

/// `2 users: Ann, Bob`.
fn names<'n>(f: &mut Formatter<'_>, of: &str, len: usize, names: impl Iterator<Item = &'n str>) -> Result {
    write!(f, "{len} {of}")?;
    for (n, name) in names.take(LISTED).enumerate() {
        write!(f, "{}{}", if n == 0 { ": " } else { ", " }, Plain(name))?;
    }
    if len > LISTED { f.write_str(", ...") } else { Ok(()) }
}

/// A peer's text with what could forge a line escaped, cut to [`SHOWN`] characters.
pub(crate) struct Plain<'t>(pub(crate) &'t str);

/// Control characters, other line ends, and what changes the direction of writing.
fn forges_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(SHOWN) {
            if forges_lines(c) { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        if chars.next().is_some() { f.write_str("...") } else { Ok(()) }
    }
}
