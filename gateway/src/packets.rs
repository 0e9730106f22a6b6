//! The packets we originate. Texts that enter the network are free of control characters.

use intermud3::packet::{
    self as wire, Beep, Body, ChanUserReq, ChanWhoReply, ChanWhoReq, ChannelListen, ChannelTargetedEmote,
    ErrorPacket, FingerReply, FingerReq, Header, LocateReply, LocateReq, Shutdown, StartupReq3, Tell,
    UserInfo, WhoEntry, WhoReply,
};
use intermud3::text::clean;
use intermud3::{Mapping, Packet, Value};

use crate::bus::{ChannelKind, ChannelMessage};
use crate::mud::{Mud, User};

/// The services we announce; routers send the channel list only to muds that announce `channel`.
/// Each of them is answered, and a test of the services holds that against the list.
pub const SERVICES: &[&str] =
    &["tell", "emoteto", "channel", "who", "finger", "locate", "ucache", "beep", "auth"];

/// The registration with a router. `ids` are those of the last mudlist and channel list it sent.
pub fn startup(mud: &Mud, router: &str, password: i64, ids: (i64, i64)) -> Packet {
    let mut services = Mapping::default();
    for service in SERVICES {
        services.push(*service, 1);
    }
    for (service, port) in &mud.own_services {
        services.push(service.as_str(), i64::from(*port));
    }
    let mut other_data = Mapping::default();
    for (name, value) in &mud.other_data {
        other_data.push(name.as_str(), clean(value).as_ref());
    }
    mud.oob.announce(&mut services, &mut other_data);
    let startup = StartupReq3 {
        password,
        old_mudlist_id: ids.0,
        old_chanlist_id: ids.1,
        player_port: i64::from(mud.port),
        imud_tcp_port: i64::from(mud.oob.port),
        imud_udp_port: 0,
        mudlib: mud.mudlib.clone(),
        base_mudlib: mud.base_mudlib.clone(),
        driver: mud.driver.clone(),
        mud_type: mud.mud_type.clone(),
        open_status: mud.open_status.clone(),
        admin_email: mud.admin_email.clone(),
        services,
        other_data: Value::Mapping(other_data),
    };
    Packet { header: Header::to_mud(&mud.name, router), body: Body::StartupReq3(Box::new(startup)) }
}

/// Finds out whether the link is alive: a router loops what a mud sends to itself back (dead-souls-router rule 25).
pub fn probe(mud: &str) -> Packet {
    Packet { header: Header::to_mud(mud, mud), body: Body::AuthMudReq }
}

/// Switches a channel on or off for us. The flag must be a number: routers take a string for "on".
pub fn channel_listen(mud: &str, router: &str, channel: &str, on: bool) -> Packet {
    let body = Body::ChannelListen(ChannelListen { channel: channel.to_owned(), on });
    Packet { header: Header::to_mud(mud, router), body }
}

/// Something said or done on a channel.
pub fn channel(said: &ChannelMessage) -> Packet {
    let ChannelMessage { mud, user, channel, kind, visname, message, target } = said.clone();
    let header = Header::to_all(&mud, Some(&user));
    let body = match (kind, target) {
        (_, Some(target)) => Body::ChannelTargetedEmote(Box::new(ChannelTargetedEmote {
            channel,
            targeted_mud: target.target_mud,
            targeted_user: target.target_user,
            message_others: message,
            message_target: target.message_target,
            origin_visname: visname,
            target_visname: target.target_visname,
        })),
        (ChannelKind::Message, None) => {
            Body::ChannelMessage(wire::ChannelMessage { channel, visname, message })
        }
        (ChannelKind::Emote, None) => Body::ChannelEmote(wire::ChannelMessage { channel, visname, message }),
    };
    Packet { header, body }
}

/// Who says something to whom.
#[derive(Clone, Copy, Debug)]
pub struct Between<'a> {
    /// Our mud.
    pub mud: &'a str,
    /// Who asks or speaks.
    pub user: &'a str,
    /// The other mud.
    pub target_mud: &'a str,
    /// The other user.
    pub target_user: &'a str,
}

/// Something told, or done, to one user.
pub fn tell(between: Between<'_>, emote: bool, message: &str) -> Packet {
    let Between { mud, user, target_mud, target_user } = between;
    let told = Tell { visname: clean(user).into_owned(), message: clean(message).into_owned() };
    let body = if emote { Body::Emoteto(told) } else { Body::Tell(told) };
    Packet { header: Header::to_user(mud, user, target_mud, target_user), body }
}

/// Rings the bell of a user of another mud. Not in the specification; muds that do not know it say `unk-type`.
pub fn beep(between: Between<'_>) -> Packet {
    let Between { mud, user, target_mud, target_user } = between;
    let body = Body::Beep(Beep { visname: clean(user).into_owned() });
    Packet { header: Header::to_user(mud, user, target_mud, target_user), body }
}

/// Tells every mud what a user of ours is called.
pub fn ucache_update(mud: &str, info: UserInfo) -> Packet {
    Packet { header: Header::to_all(mud, None::<&str>), body: Body::UcacheUpdate(info) }
}

/// A question of a user to another mud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question<'a> {
    /// Who is there?
    Who,
    /// What is known of this user?
    Finger(&'a str),
    /// Who is on this channel?
    ChannelWho(&'a str),
    /// What is this user called, and of which gender?
    UserInfo(&'a str),
}

/// Asks another mud something.
pub fn question(mud: &str, user: &str, target_mud: &str, question: Question<'_>) -> Packet {
    let body = match question {
        Question::Who => Body::WhoReq,
        Question::Finger(username) => Body::FingerReq(FingerReq { username: username.to_lowercase() }),
        Question::UserInfo(username) => Body::ChanUserReq(ChanUserReq { username: username.to_lowercase() }),
        Question::ChannelWho(channel) => Body::ChanWhoReq(ChanWhoReq { channel: channel.to_owned() }),
    };
    Packet { header: Header { origin_user: Some(user.to_owned()), ..Header::to_mud(mud, target_mud) }, body }
}

/// Asks every mud whether a user is there.
pub fn locate(mud: &str, user: &str, username: &str) -> Packet {
    let body = Body::LocateReq(LocateReq { username: username.to_lowercase() });
    Packet { header: Header::to_all(mud, Some(user)), body }
}

/// What we answer to a request, from what our mud tells of its users; nothing to what needs no answer.
pub fn answer(mud: &str, request: &Packet, users: &[User], listens: impl Fn(&str) -> bool) -> Option<Packet> {
    let find = |name: &str| users.iter().find(|user| user.name.to_lowercase() == name.to_lowercase());
    let unknown =
        |name: &str| error(mud, request, ErrorPacket::UNK_USER, &format!("{name} is not known here"));
    let body = match &request.body {
        Body::WhoReq => Body::WhoReply(WhoReply { who: users.iter().map(who_entry).collect() }),
        Body::FingerReq(FingerReq { username }) => match find(username) {
            Some(user) => Body::FingerReply(Box::new(finger(user))),
            None => return Some(unknown(username)),
        },
        Body::ChanUserReq(ChanUserReq { username }) => match find(username) {
            Some(user) => Body::ChanUserReply(UserInfo { username: username.clone(), ..user.info() }),
            None => return Some(unknown(username)),
        },
        Body::ChanWhoReq(ChanWhoReq { channel }) => {
            let names = users.iter().filter(|_| listens(channel)).map(|user| user.name.clone());
            Body::ChanWhoReply(ChanWhoReply { channel: channel.clone(), visnames: names.collect() })
        }
        // A search goes to every mud: who does not have the user says nothing.
        Body::LocateReq(LocateReq { username }) => {
            let user = find(username)?;
            Body::LocateReply(LocateReply {
                located_mud: mud.to_owned(),
                located_visname: user.name.clone(),
                idle: Some(user.idle),
                status: Some(user.status.clone()).filter(|status| !status.is_empty()),
            })
        }
        Body::PingReq(ping) => Body::PingReply(ping.clone()),
        _ => return None,
    };
    Some(Packet { header: reply_header(mud, request), body })
}

fn who_entry(user: &User) -> WhoEntry {
    let level = if user.level > 0 { format!("Level {} ", user.level) } else { String::new() };
    WhoEntry { visname: user.name.clone(), idle: user.idle, extra: format!("{level}{}", user.title) }
}

fn finger(user: &User) -> FingerReply {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    FingerReply {
        visname: text(&user.name),
        title: text(&user.title),
        real_name: None,
        email: None,
        loginout_time: text(&user.login_time),
        idle: user.idle,
        ip_name: None,
        level: (user.level > 0).then(|| user.level.to_string()),
        extra: text(&user.location),
    }
}

/// The largest packet that goes back in an error, in bytes as text: who sends much gets no more of it back.
const ECHOED: usize = 4096;

/// The error that answers a packet.
pub fn error(mud: &str, refused: &Packet, code: &str, message: &str) -> Packet {
    let short = refused.encode().is_ok_and(|text| text.len() <= ECHOED);
    let bad_packet = if short { refused.to_value() } else { Value::ZERO };
    let error = ErrorPacket { code: code.to_owned(), message: message.to_owned(), bad_packet };
    Packet { header: reply_header(mud, refused), body: Body::Error(Box::new(error)) }
}

fn reply_header(mud: &str, to: &Packet) -> Header {
    Header { target_user: to.header.origin_user.clone(), ..Header::to_mud(mud, &to.header.origin_mud) }
}

/// The word that we go, `delay` seconds before we are back; 0 is unknown.
pub fn shutdown(mud: &str, router: &str, delay: i64) -> Packet {
    Packet { header: Header::to_mud(mud, router), body: Body::Shutdown(Shutdown { restart_delay: delay }) }
}
