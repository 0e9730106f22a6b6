//! Names on the bus: the NATS subjects, streams and buckets that the operator creates and the gateways use.
//!
//! Every name carries a version, so that a later layout can live beside this one during an upgrade.

use std::fmt::Write;

/// The JetStream stream that holds channel events between the muds of one provider.
pub const CHANNEL_STREAM: &str = "i3-v1-channels";

/// What [`CHANNEL_STREAM`] captures: the channel events of every network.
pub const CHANNEL_STREAM_SUBJECTS: &str = "i3.v1.*.channel.>";

/// The key-value bucket that holds each mud's router state, its password above all.
pub const STATE_BUCKET: &str = "i3-v1-state";

/// The key-value bucket in which gateways report the state of their router session to the operator.
pub const REPORT_BUCKET: &str = "i3-v1-reports";

/// The key-value bucket of the session locks: which process of a mud holds its session with the router.
pub const LOCK_BUCKET: &str = "i3-v1-locks";

/// The subject of one mud's events on one channel of one network.
pub fn channel_subject(network: &str, channel: &str, mud: &str) -> String {
    format!("i3.v1.{}.channel.{}.{}", token(network), token(channel), token(mud))
}

/// The subjects of one mud's events on all channels of one network.
pub fn channel_subjects(network: &str, mud: &str) -> String {
    format!("i3.v1.{}.channel.*.{}", token(network), token(mud))
}

/// The filter for all channel events of one network.
pub fn channel_filter(network: &str) -> String {
    format!("i3.v1.{}.channel.>", token(network))
}

/// The subject of packets from one mud of one network to another, whose gateway answers. Not in any stream: what nobody
/// takes at once is the sender's to keep. The sender stands in it, so that NATS can refuse who is another.
pub fn direct_subject(network: &str, to: &str, from: &str) -> String {
    format!("i3.v1.{}.direct.{}.{}", token(network), token(to), token(from))
}

/// The subjects of packets from one mud to any other of its network.
pub fn direct_subjects(network: &str, from: &str) -> String {
    format!("i3.v1.{}.direct.*.{}", token(network), token(from))
}

/// The filter for the packets to one mud of one network.
pub fn direct_filter(network: &str, to: &str) -> String {
    format!("i3.v1.{}.direct.{}.*", token(network), token(to))
}

/// The subject of packets from one mud to every mud of its network.
pub fn everyone_subject(network: &str, from: &str) -> String {
    format!("i3.v1.{}.everyone.{}", token(network), token(from))
}

/// The filter for the packets to every mud of one network.
pub fn everyone_filter(network: &str) -> String {
    format!("i3.v1.{}.everyone.*", token(network))
}

/// The mud that publishes on a subject: its last token, in all but a few.
pub fn sender(subject: &str) -> Option<String> {
    let (_, last) = subject.rsplit_once('.')?;
    decode(last).filter(|name| token(name) == last)
}

/// The prefix of the subjects on which one mud's processes get answers, and nobody else.
pub fn inbox_prefix(network: &str, mud: &str) -> String {
    format!("_INBOX.{}.{}", token(network), token(mud))
}

/// The subject on which the gateway of one mud tells whether its link to the router is up.
pub fn links_subject(network: &str, mud: &str) -> String {
    format!("i3.v1.{}.links.{}", token(network), token(mud))
}

/// The filter for the link states of all muds of one network.
pub fn links_filter(network: &str) -> String {
    format!("i3.v1.{}.links.*", token(network))
}

/// A subject for the answer to one packet to another mud: the one part of a mud's inbox on which others may publish.
pub fn answer_inbox(network: &str, mud: &str, unique: &str) -> String {
    format!("{}.answer.{unique}", inbox_prefix(network, mud))
}

/// The subjects of all answers to packets between muds of one network.
pub fn answer_inboxes(network: &str) -> String {
    format!("_INBOX.{}.*.answer.*", token(network))
}

/// The filter for what the processes of one mud tell each other.
pub fn own_filter(network: &str, mud: &str) -> String {
    format!("i3.v1.{}.own.{}.>", token(network), token(mud))
}

/// The subjects on which one mud relays what remote muds say.
pub fn relay_subjects(network: &str, mud: &str) -> String {
    format!("i3.v1.{}.relay.*.{}", token(network), token(mud))
}

/// The filter for what is relayed on all channels of one network.
pub fn relay_filter(network: &str) -> String {
    format!("i3.v1.{}.relay.>", token(network))
}

/// The subject on which the gateways of one mud ask the operator whether they may connect to a router.
pub fn permit_subject(network: &str, mud: &str) -> String {
    format!("i3.v1.{}.permit.{}", token(network), token(mud))
}

/// What the operator listens to for permits: those of every mud of every network.
pub const PERMIT_FILTER: &str = "i3.v1.*.permit.*";

/// The network and the mud of a subject that [`permit_subject`] makes; none if it is another subject.
pub fn parse_permit_subject(subject: &str) -> Option<(String, String)> {
    let (network, mud) = subject.strip_prefix("i3.v1.")?.split_once(".permit.")?;
    let parsed = (decode(network)?, decode(mud)?);
    (permit_subject(&parsed.0, &parsed.1) == subject).then_some(parsed)
}

/// The subject on which the process of a mud that holds its session writes the log that all its processes have.
pub fn own_log_subject(network: &str, mud: &str) -> String {
    own_subject(network, mud, "log")
}

/// The subject on which a process of a mud asks for all that the log amounts to.
pub fn own_snapshot_subject(network: &str, mud: &str) -> String {
    own_subject(network, mud, "snapshot")
}

/// The subject on which the processes of a mud tell each other of their clients' sessions.
pub fn own_sessions_subject(network: &str, mud: &str) -> String {
    own_subject(network, mud, "sessions")
}

/// The subject of requests of clients that go to the process of a mud that holds its session.
pub fn own_request_subject(network: &str, mud: &str) -> String {
    own_subject(network, mud, "request")
}

/// The subject on which the operator tells the processes of a mud that it leaves the network for good. Who holds the
/// session answers once the router has been told.
pub fn own_retire_subject(network: &str, mud: &str) -> String {
    own_subject(network, mud, "retire")
}

/// A subject for the answer that one process of a mud gives another, or the operator.
pub fn own_answer_subject(network: &str, mud: &str, unique: &str) -> String {
    own_subject(network, mud, &format!("answer.{}", token(unique)))
}

/// What begins so is private to the processes of one mud.
fn own_subject(network: &str, mud: &str, part: &str) -> String {
    format!("i3.v1.{}.own.{}.{part}", token(network), token(mud))
}

/// The subject on which one mud's gateway relays what muds elsewhere say on a channel to hosted muds whose own link is
/// down.
pub fn relay_subject(network: &str, channel: &str, mud: &str) -> String {
    format!("i3.v1.{}.relay.{}.{}", token(network), token(channel), token(mud))
}

/// The stream under a bucket.
pub fn bucket_stream(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// The subject under a key of a bucket.
pub fn bucket_subject(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}

/// The fields of a mud's state: no other may be stored, so that no mud takes the room of all.
pub const STATE_FIELDS: &[&str] =
    &["password", "routers", "mudlist", "chanlist", "outbox", "gone", "kept", "ucache"];

/// The key in [`STATE_BUCKET`] of one field of one mud's state.
pub fn state_key(network: &str, mud: &str, field: &str) -> String {
    format!("{}.{}.{}", token(network), token(mud), token(field))
}

/// The network and the mud of a key that [`state_key`] makes; none if it is another key.
pub fn parse_state_key(key: &str) -> Option<(String, String)> {
    let mut parts = key.split('.');
    let (network, mud, field) = (parts.next()?, parts.next()?, parts.next()?);
    let parsed = (decode(network)?, decode(mud)?);
    (state_key(&parsed.0, &parsed.1, field) == key).then_some(parsed)
}

/// The keys in [`STATE_BUCKET`] of all fields of one mud's state.
pub fn state_keys(network: &str, mud: &str) -> String {
    format!("{}.{}.*", token(network), token(mud))
}

/// The key in [`LOCK_BUCKET`] of one mud of one network.
pub fn lock_key(network: &str, mud: &str) -> String {
    format!("{}.{}", token(network), token(mud))
}

/// The key in [`REPORT_BUCKET`] of the gateway made for one `MudGateway`.
pub fn report_key(namespace: &str, name: &str) -> String {
    format!("{}.{}", token(namespace), token(name))
}

/// The namespace and name of the `MudGateway` that a key in [`REPORT_BUCKET`] stands for; none if it is not a
/// key that [`report_key`] makes.
pub fn parse_report_key(key: &str) -> Option<(String, String)> {
    let (namespace, name) = key.split_once('.')?;
    let parsed = (decode(namespace)?, decode(name)?);
    (report_key(&parsed.0, &parsed.1) == key).then_some(parsed)
}

/// Encodes any name as one subject token and key part: letters, digits, `-` and `_` stay, every other byte
/// becomes `=XX`. Distinct names give distinct tokens.
pub fn token(name: &str) -> String {
    if name.is_empty() {
        return "=".to_owned();
    }
    let mut token = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(token, "={byte:02X}");
        }
    }
    token
}

/// The name that [`token`] made this of.
fn decode(token: &str) -> Option<String> {
    if token == "=" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'=' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_one_safe_token() {
        let cases = [
            ("imud_gossip", "imud_gossip"),
            ("*i4", "=2Ai4"),
            ("a.b > *", "a=2Eb=20=3E=20=2A"),
            ("=2A", "=3D2A"),
            ("", "="),
            ("Émud", "=C3=89mud"),
        ];
        for (name, expected) in cases {
            assert_eq!(token(name), expected);
        }
    }

    #[test]
    fn subjects_and_keys_keep_their_number_of_tokens_for_any_name() {
        assert_eq!(channel_subject("*i4", "a.b", "My Mud"), "i3.v1.=2Ai4.channel.a=2Eb.My=20Mud");
        assert_eq!(channel_filter("*i4"), "i3.v1.=2Ai4.channel.>");
        assert_eq!(direct_subject("*i4", "a.b", "My Mud"), "i3.v1.=2Ai4.direct.a=2Eb.My=20Mud");
        assert_eq!(direct_filter("*i4", "a.b"), "i3.v1.=2Ai4.direct.a=2Eb.*");
        assert_eq!(everyone_subject("*i4", "a.b"), "i3.v1.=2Ai4.everyone.a=2Eb");
        assert_eq!(everyone_filter("*i4"), "i3.v1.=2Ai4.everyone.*");
        assert_eq!(inbox_prefix("*i4", "My Mud"), "_INBOX.=2Ai4.My=20Mud");
        assert_eq!(links_subject("*i4", "a.b"), "i3.v1.=2Ai4.links.a=2Eb");
        assert_eq!(links_filter("*i4"), "i3.v1.=2Ai4.links.*");
        assert_eq!(permit_subject("*i4", "a.b"), "i3.v1.=2Ai4.permit.a=2Eb");
        assert_eq!(own_log_subject("*i4", "My Mud"), "i3.v1.=2Ai4.own.My=20Mud.log");
        assert_eq!(own_snapshot_subject("*i4", "My Mud"), "i3.v1.=2Ai4.own.My=20Mud.snapshot");
        assert_eq!(own_sessions_subject("*i4", "My Mud"), "i3.v1.=2Ai4.own.My=20Mud.sessions");
        assert_eq!(own_request_subject("*i4", "My Mud"), "i3.v1.=2Ai4.own.My=20Mud.request");
        assert_eq!(own_retire_subject("*i4", "My Mud"), "i3.v1.=2Ai4.own.My=20Mud.retire");
        assert_eq!(relay_subject("*i4", "a.b", "My Mud"), "i3.v1.=2Ai4.relay.a=2Eb.My=20Mud");
        assert_eq!(state_key("*i4", "My Mud", "password"), "=2Ai4.My=20Mud.password");
        assert_eq!(report_key("tenant-a", "dawn.two"), "tenant-a.dawn=2Etwo");
        assert_eq!(lock_key("*i4", "My Mud"), "=2Ai4.My=20Mud");
    }

    #[test]
    fn a_subject_names_its_sender() {
        for name in ["Dawn", "My Mud", "a.b", "É", ""] {
            assert_eq!(sender(&direct_subject("*i4", "Dusk", name)).as_deref(), Some(name));
        }
        for subject in ["", "Dawn", "i3.=2", "i3.=61", "i3.*"] {
            assert_eq!(sender(subject), None, "{subject:?}");
        }
    }

    #[test]
    fn a_report_key_gives_its_names_back() {
        for (namespace, name) in [("tenant-a", "dawn"), ("a.b", "c=d"), ("É", "*"), ("", "x")] {
            let expected = (namespace.to_owned(), name.to_owned());
            assert_eq!(parse_report_key(&report_key(namespace, name)), Some(expected));
        }
    }

    #[test]
    fn a_permit_subject_gives_its_names_back() {
        for (network, mud) in [("*i4", "My Mud"), ("i4", "a.permit.b"), ("x.permit", "É")] {
            let expected = (network.to_owned(), mud.to_owned());
            assert_eq!(parse_permit_subject(&permit_subject(network, mud)), Some(expected));
        }
        for subject in ["i3.v1.a.links.b", "i3.v1.a.permit", "i3.v1.a.permit.b.c", "i3.v1.a.permit.=61"] {
            assert_eq!(parse_permit_subject(subject), None, "{subject:?}");
        }
    }

    #[test]
    fn a_state_key_gives_its_names_back() {
        for (network, mud) in [("*i4", "My Mud"), ("a.b", "c=d")] {
            let expected = (network.to_owned(), mud.to_owned());
            assert_eq!(parse_state_key(&state_key(network, mud, "password")), Some(expected));
        }
        for key in ["", "a.b", "a.b.c.d", "a.=G0.password", "a b.c.d"] {
            assert_eq!(parse_state_key(key), None, "{key:?}");
        }
    }

    #[test]
    fn what_is_no_report_key_is_refused() {
        for key in ["", "a", "a.b.c", "a.=G0", "a.=2", "a.=61", "=FF.b", "a. "] {
            assert_eq!(parse_report_key(key), None, "{key:?}");
        }
    }
}
