//! Every packet of traffic recorded from a Dead Souls router: see `tests/data/README.md`.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use intermud3::frame::{MAX_INPUT, split};
use intermud3::{Packet, lpc};

use crate::capture;

const LOGS: [&str; 5] = [
    include_str!("../data/dead-souls-1.log"),
    include_str!("../data/dead-souls-2.log"),
    include_str!("../data/dead-souls-3.log"),
    include_str!("../data/dead-souls-4.log"),
    include_str!("../data/dead-souls-8.log"),
];

/// The bodies of all frames that went one way, `>>>` or `<<<`.
fn bodies(way: &str) -> Vec<Bytes> {
    LOGS.iter().flat_map(|log| bodies_of(log, way)).collect()
}

fn bodies_of(log: &str, way: &str) -> Vec<Bytes> {
    let mut streams: BTreeMap<&str, BytesMut> = BTreeMap::new();
    let mut bodies = Vec::new();
    for chunk in log.lines().filter_map(capture::chunk).filter(|chunk| chunk.label.ends_with(way)) {
        let link = chunk.label.split_whitespace().nth(1).unwrap();
        let stream = streams.entry(link).or_default();
        stream.extend_from_slice(&chunk.bytes);
        loop {
            match split(stream, MAX_INPUT) {
                Ok(Some(body)) => bodies.push(body),
                Ok(None) => break,
                // The router closes the link here; the next bytes are those of a new one.
                Err(_) => break stream.clear(),
            }
        }
    }
    bodies
}

/// How packets come out again: the same, or with which bytes for which; or why they were refused.
#[derive(Default)]
struct Outcome {
    same: usize,
    changed: Vec<(String, String)>,
    refused: Vec<String>,
}

fn outcome(way: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for body in bodies(way) {
        match Packet::decode(&body) {
            Ok(packet) => {
                let written = packet.encode().unwrap();
                if written == body {
                    outcome.same += 1
                } else {
                    outcome.changed.push(difference(&body, &written))
                }
            }
            Err(error) => outcome.refused.push(error.to_string()),
        }
    }
    outcome
}

/// What is left of two texts without their common beginning and end.
fn difference(read: &[u8], written: &[u8]) -> (String, String) {
    let start = read.iter().zip(written).take_while(|(a, b)| a == b).count();
    let (read, written) = (&read[start..], &written[start..]);
    let end = read.iter().rev().zip(written.iter().rev()).take_while(|(a, b)| a == b).count();
    let text = |bytes: &[u8]| bytes[..bytes.len() - end].escape_ascii().to_string();
    (text(read), text(written))
}

#[test]
fn everything_the_router_wrote_is_written_back_byte_for_byte() {
    let bodies = bodies("<<<");
    assert_eq!(bodies.len(), 311);
    for body in &bodies {
        let value = lpc::decode(body).unwrap_or_else(|error| panic!("{error}: {body:?}"));
        assert_eq!(lpc::encode(&value).unwrap(), body);
    }
}

#[test]
fn every_packet_the_router_wrote_is_written_back_byte_for_byte() {
    let outcome = outcome("<<<");
    assert_eq!(outcome.same, 298);
    // A channel just added has the type `({})`, which is read, and written as 0.
    assert_eq!(outcome.changed, vec![("({})".to_owned(), "0".to_owned()); 10]);
    // What the probe sent malformed on purpose and the router passed on.
    assert_eq!(
        outcome.refused,
        [
            "tell: 6 elements, not 8",
            "tell: 9 elements, not 8",
            "error: target user must be a string or 0, not int",
        ]
    );
}

#[test]
fn every_packet_the_probe_wrote_is_written_back_or_refused_for_a_reason() {
    let outcome = outcome(">>>");
    assert_eq!(outcome.same, 153);
    let changed: Vec<(&str, &str)> =
        outcome.changed.iter().map(|(read, written)| (read.as_str(), written.as_str())).collect();
    assert_eq!(changed, CHANGED);
    assert_eq!(outcome.refused, REFUSED);
}

/// What was read, and what is written for it, each without what is the same on both sides.
const CHANGED: &[(&str, &str)] = &[
    // 0 for a text reads as empty: the target of a channel-t, a visname.
    ("0,0", r#"\"\",\"\""#),
    ("0", r#"\"\""#),
    // Dead Souls takes the string "0" for "on", and so does ChannelListen.
    (r#"\"0\""#, "1"),
    // What follows the array, what stands before it and blanks between tokens go; the last comma comes.
    (r"\r", ""),
    (" ", ""),
    ("xyz", ""),
    (" ", ""),
    ("", ","),
    (
        r#" 5, \"MudA\", \"bob\", \"MudB\", \"ann\", \"Bob\", \"spaces\""#,
        r#"5,\"MudA\",\"bob\",\"MudB\",\"ann\",\"Bob\",\"spaces\","#,
    ),
    (r"\n", ""),
    // A raw LF is a newline, and a newline is a CR.
    (r"\n", r"\r"),
    (r"\n", r"\r"),
    // A backslash before what needs none.
    (r"\\", ""),
    // Windows-1252 becomes UTF-8.
    (r"\xe9", r"\xc3\xa9"),
    (r"\x92", r"\xe2\x80\x99"),
    (r"\xed\xa0\x80", r"\xc3\xad\xc2\xa0\xe2\x82\xac"),
    (r"\\", ""),
    // Floats are written as %f; 9223372036854775808 is one too many, 007 is 7, -0 is 0, 1.5 is 1.500000.
    (",-2.25,1e10,1.0e-3,3.", "00000,-2.250000,10000000000.000000,0.001000,3.000000"),
    ("8,007,-", "7,7,"),
    ("", "00000"),
    // ({,}) is ({0,}).
    ("", "0"),
];

/// What the probe sent malformed on purpose.
const REFUSED: &[&str] = &[
    "startup-req-3: 19 elements, not 20",
    "startup-req-3: player_port must be an int, not string",
    "unexpected 'j' at byte 0",
    "channel-m: 8 elements, not 9",
    "channel-m: 10 elements, not 9",
    "channel-m: message must be a string, not int",
    "channel-add: kind must be an int, not string",
    "channel-add: 7 elements, not 8",
    "tell: 6 elements, not 8",
    "tell: 9 elements, not 8",
    "error: 6 elements, not 9",
    "mudlist: 6 elements, not 8",
    "startup-reply: 6 elements, not 8",
    "irn-startup-req: 6 elements, not 7",
    "tell: ttl must be an int, not string",
    "tell: originator user must be a string or 0, not int",
    // Five elements and three, ({}), ([]), 123, "str", ({5,"x",}).
    "not an array with a packet's header",
    "not an array with a packet's header",
    "not an array with a packet's header",
    "not an array with a packet's header",
    "not an array with a packet's header",
    "not an array with a packet's header",
    "not an array with a packet's header",
    // +5, -, ([,]), null, an unterminated string, an unterminated array.
    "unexpected '+' at byte 37",
    "bad number at byte 37",
    "unexpected ',' at byte 45",
    "unexpected 'n' at byte 37",
    "the text ends inside a value, after 53 bytes",
    "the text ends inside a value, after 47 bytes",
];
