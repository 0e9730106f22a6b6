//! The packets we originate.

use intermud3::packet::{
    Body, ChannelListen, ChannelMessage, ErrorPacket, Header, StartupReq3, Tell, Unknown,
};
use intermud3::{Mapping, Packet, Value};

use crate::config::Mud;

/// The services we announce; routers send the channel list only to muds that announce `channel`.
pub const SERVICES: &[&str] = &["tell", "channel"];

/// The registration with a router.
pub fn startup(mud: &Mud, router: &str, password: i64) -> Packet {
    let mut services = Mapping::default();
    for service in SERVICES {
        services.push(*service, 1);
    }
    let startup = StartupReq3 {
        password,
        old_mudlist_id: 0,
        old_chanlist_id: 0,
        player_port: i64::from(mud.port),
        imud_tcp_port: 0,
        imud_udp_port: 0,
        mudlib: mud.mudlib.clone(),
        base_mudlib: mud.base_mudlib.clone(),
        driver: mud.driver.clone(),
        mud_type: mud.mud_type.clone(),
        open_status: mud.open_status.clone(),
        admin_email: mud.admin_email.clone(),
        services,
        other_data: Value::Mapping(Mapping::default()),
    };
    Packet { header: Header::to_mud(&mud.name, router), body: Body::StartupReq3(Box::new(startup)) }
}

/// Switches a channel on or off for us. The flag must be a number: routers take a string for "on".
pub fn channel_listen(mud: &str, router: &str, channel: &str, on: bool) -> Packet {
    Packet {
        header: Header::to_mud(mud, router),
        body: Body::ChannelListen(ChannelListen { channel: channel.to_owned(), on }),
    }
}

/// A message on a channel.
pub fn channel_message(mud: &str, user: &str, channel: &str, visname: &str, message: &str) -> Packet {
    Packet {
        header: Header::to_all(mud, Some(user)),
        body: Body::ChannelMessage(ChannelMessage {
            channel: channel.to_owned(),
            visname: visname.to_owned(),
            message: message.to_owned(),
        }),
    }
}

/// A message to one user.
pub fn tell(
    mud: &str,
    user: &str,
    target_mud: &str,
    target_user: &str,
    visname: &str,
    message: &str,
) -> Packet {
    Packet {
        header: Header::to_user(mud, user, target_mud, target_user),
        body: Body::Tell(Tell { visname: visname.to_owned(), message: message.to_owned() }),
    }
}

/// The error that answers a packet of a kind we do not serve.
pub fn unknown_type(mud: &str, refused: &Packet) -> Packet {
    Packet {
        header: Header {
            target_user: refused.header.origin_user.clone(),
            ..Header::to_mud(mud, &refused.header.origin_mud)
        },
        body: Body::Error(Box::new(ErrorPacket {
            code: ErrorPacket::UNK_TYPE.to_owned(),
            message: format!("{} is not served here", refused.kind()),
            bad_packet: refused.to_value(),
        })),
    }
}

/// The word that we go, `delay` seconds before we are back; 0 is unknown.
pub fn shutdown(mud: &str, router: &str, delay: i64) -> Packet {
    unknown(Header::to_mud(mud, router), "shutdown", vec![Value::Int(delay)])
}

/// A packet of a kind the library has no type for yet.
pub fn unknown(header: Header, kind: &str, fields: Vec<Value>) -> Packet {
    Packet { header, body: Body::Unknown(Unknown { kind: kind.to_owned(), fields }) }
}
