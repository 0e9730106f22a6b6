//! What becomes of the packets that come from the router.

use intermud3::Packet;
use intermud3::packet::{
    Beep, Body, ChannelTargetedEmote, ErrorPacket, FingerReply, Header, LocateReply, Tell, WhoEntry,
};

use super::complaints;
use crate::bus::{ChannelKind, ChannelMessage, EmoteTarget};
use crate::hub::{
    Addressed, Beeped, ChannelAdmins, ChannelWho, Event, Finger, Identity, Located, Maintenance, Reply, Told,
    Trouble, UserInfo, Who, WhoUser,
};

/// The event a packet for our clients becomes; none for packets that are no event, and for what only the router may
/// say.
pub(super) fn event(mud: &str, packet: &Packet, from_router: bool) -> Option<Event> {
    let header = &packet.header;
    let to = Addressed {
        from_mud: header.origin_mud.clone(),
        to_mud: mud.to_owned(),
        to_user: header.target_user.clone().unwrap_or_default(),
    };
    Some(match &packet.body {
        Body::Tell(tell) => Event::Tell(told(mud, header, tell)),
        Body::Emoteto(emote) => Event::Emoteto(told(mud, header, emote)),
        Body::WhoReply(who) => {
            Event::WhoReply(Reply { to, answer: Who { users: who.who.iter().map(user).collect() } })
        }
        Body::FingerReply(finger) => {
            Event::FingerReply(Reply { to, answer: Finger { user_info: user_info(finger) } })
        }
        Body::LocateReply(found) => Event::LocateReply(Reply { to, answer: located(found) }),
        Body::ChanWhoReply(who) => {
            let answer = ChannelWho { channel: who.channel.clone(), users: who.visnames.clone() };
            Event::ChannelWhoReply(Reply { to, answer })
        }
        Body::ChanUserReply(info) => Event::UserInfoReply(Reply { to, answer: Identity::from(info) }),
        Body::ChanAdminlistReply(list) if from_router => {
            let answer = ChannelAdmins { channel: list.channel.clone(), muds: list.muds.clone() };
            Event::ChannelAdminsReply(Reply { to, answer })
        }
        Body::Beep(beep) => Event::Beep(beeped(mud, header, beep)),
        Body::Shutdown(shutdown) if from_router => Event::Maintenance(Maintenance {
            from_mud: header.origin_mud.clone(),
            restart_delay: shutdown.restart_delay,
        }),
        Body::Error(error) if !is_lost_search(error) => {
            let message = match from_router {
                true => complaints::explained(mud, &error.code, &error.message),
                false => error.message.clone(),
            };
            Event::Error(Trouble::new(&error.code, &message, to).about(error.bad_kind()))
        }
        _ => return None,
    })
}

/// A search goes to every mud: that one of them cannot answer is no news.
fn is_lost_search(error: &ErrorPacket) -> bool {
    error.bad_kind() == Some("locate-req")
        && [ErrorPacket::UNK_DST, ErrorPacket::UNK_TYPE, ErrorPacket::NOT_IMP].contains(&error.code.as_str())
}

fn told(mud: &str, header: &Header, tell: &Tell) -> Told {
    Told {
        from_mud: header.origin_mud.clone(),
        from_user: header.origin_user.clone().unwrap_or_default(),
        to_mud: mud.to_owned(),
        to_user: header.target_user.clone().unwrap_or_default(),
        message: tell.message.clone(),
        visname: tell.visname.clone(),
    }
}

fn beeped(mud: &str, header: &Header, beep: &Beep) -> Beeped {
    Beeped {
        from_mud: header.origin_mud.clone(),
        from_user: header.origin_user.clone().unwrap_or_default(),
        to_mud: mud.to_owned(),
        to_user: header.target_user.clone().unwrap_or_default(),
        visname: beep.visname.clone(),
    }
}

fn user(entry: &WhoEntry) -> WhoUser {
    WhoUser {
        name: entry.visname.clone(),
        idle: entry.idle,
        idle_time: entry.idle,
        level: None,
        extra: entry.extra.clone(),
    }
}

fn user_info(finger: &FingerReply) -> UserInfo {
    let finger = finger.clone();
    UserInfo {
        name: finger.visname,
        title: finger.title,
        real_name: finger.real_name,
        email: finger.email,
        login_time: finger.loginout_time,
        idle_time: finger.idle,
        ip_address: finger.ip_name,
        level: finger.level,
        extra: finger.extra,
    }
}

fn located(found: &LocateReply) -> Located {
    Located {
        located_mud: found.located_mud.clone(),
        located_user: found.located_visname.clone(),
        idle: found.idle,
        status: found.status.clone(),
    }
}

/// What was said or done on a channel; none for other packets.
pub(super) fn channel_message(packet: &Packet) -> Option<ChannelMessage> {
    let message = |kind, channel: &str, visname: &str, message: &str, target| ChannelMessage {
        mud: packet.header.origin_mud.clone(),
        user: packet.header.origin_user.clone().unwrap_or_default(),
        channel: channel.to_owned(),
        kind,
        visname: visname.to_owned(),
        message: message.to_owned(),
        target,
    };
    let (say, emote) = (ChannelKind::Message, ChannelKind::Emote);
    Some(match &packet.body {
        Body::ChannelMessage(said) => message(say, &said.channel, &said.visname, &said.message, None),
        Body::ChannelEmote(done) => message(emote, &done.channel, &done.visname, &done.message, None),
        Body::ChannelTargetedEmote(done) => {
            message(emote, &done.channel, &done.origin_visname, &done.message_others, Some(target(done)))
        }
        _ => return None,
    })
}

fn target(done: &ChannelTargetedEmote) -> EmoteTarget {
    EmoteTarget {
        target_mud: done.targeted_mud.clone(),
        target_user: done.targeted_user.clone(),
        target_visname: done.target_visname.clone(),
        message_target: done.message_target.clone(),
    }
}
