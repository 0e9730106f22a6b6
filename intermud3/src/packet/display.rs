//! A packet on one line, for logs: short, printable, and without secrets.

use std::fmt::{Display, Formatter, Result};

use super::{Body, Header, Packet};

/// How many characters of a text to show; peers choose the texts.
const SHOWN: usize = 200;

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
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Body::StartupReq3(req) => {
                let password = if req.password == 0 { "none" } else { "***" };
                write!(f, "password {password}, port {}, driver {}", req.player_port, Plain(&req.driver))
            }
            Body::StartupReply(reply) => {
                f.write_str("password ***, routers")?;
                let routers = reply.routers.iter().take(8);
                routers
                    .into_iter()
                    .try_for_each(|r| write!(f, " {} at {}", Plain(&r.name), Plain(&r.address)))
            }
            Body::Mudlist(list) => write!(f, "id {}, {} muds", list.id, list.muds.len()),
            Body::ChanlistReply(list) => write!(f, "id {}, {} channels", list.id, list.channels.len()),
            Body::ChannelListen(listen) => {
                write!(f, "{} {}", Plain(&listen.channel), if listen.on { "on" } else { "off" })
            }
            Body::ChannelMessage(said) => {
                write!(f, "[{}] {}: ", Plain(&said.channel), Plain(&said.visname))?;
                write!(f, "\"{}\"", Plain(&said.message))
            }
            Body::Tell(tell) => write!(f, "{}: \"{}\"", Plain(&tell.visname), Plain(&tell.message)),
            Body::Error(error) => {
                write!(f, "{} \"{}\"", Plain(&error.code), Plain(&error.message))?;
                error.bad_kind().map_or(Ok(()), |kind| write!(f, " about {}", Plain(kind)))
            }
            Body::Unknown(unknown) => write!(f, "{} fields", unknown.fields.len()),
        }
    }
}

/// A peer's text with control characters escaped and cut to [`SHOWN`] characters.
struct Plain<'t>(&'t str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(SHOWN) {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        if chars.next().is_some() { f.write_str("...") } else { Ok(()) }
    }
}
