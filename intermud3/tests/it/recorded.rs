//! Every packet of traffic recorded from a Dead Souls router: see `tests/data/README.md`.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use intermud3::frame::{MAX_INPUT, split};
use intermud3::{Packet, lpc};

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
    for line in log.lines() {
        let mut words = line.split_whitespace();
        let (Some(_seconds), Some(link), Some(arrow)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let Some((_, literal)) = line.split_once(way).filter(|_| arrow == way) else {
            continue;
        };
        if is_cut(literal) {
            continue;
        }
        let stream = streams.entry(link).or_default();
        stream.extend_from_slice(&unquote(literal.trim()));
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

/// Long frames are not in the logs whole.
fn is_cut(literal: &str) -> bool {
    !literal.ends_with('\'') || literal.ends_with(" bytes)'")
}

/// A Python string literal to bytes.
fn unquote(literal: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = literal[1..literal.len() - 1].bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            },
            plain => plain,
        });
    }
    bytes
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
    let (mut refused, mut changed) = (Vec::new(), Vec::new());
    for body in bodies("<<<") {
        match Packet::decode(&body) {
            Ok(packet) if packet.encode().unwrap() == body => {}
            Ok(_) => changed.push(body),
            Err(error) => refused.push(error.to_string()),
        }
    }
    // What the probe sent malformed on purpose and the router passed on.
    assert_eq!(
        refused,
        [
            "tell: 6 elements, not 8",
            "tell: 9 elements, not 8",
            "error: target user must be a string or 0, not int",
        ]
    );
    // A channel just added has the type `({})`, which is read, and written as 0.
    for body in &changed {
        let text = std::str::from_utf8(body).unwrap();
        let packet = Packet::decode(body).unwrap();
        assert_eq!(packet.encode().unwrap(), text.replacen(r#"({"MudA",({}),})"#, r#"({"MudA",0,})"#, 1));
    }
    assert_eq!(changed.len(), 10);
}

#[test]
fn what_the_probe_wrote_is_read_or_refused_for_a_reason() {
    let mut refused = Vec::new();
    for body in bodies(">>>") {
        match lpc::decode(&body) {
            Ok(value) => {
                let text = lpc::encode(&value).unwrap();
                assert_eq!(lpc::decode(&text).unwrap(), value);
            }
            Err(error) => refused.push(error.to_string()),
        }
    }
    assert_eq!(
        refused,
        [
            "unexpected 'j' at byte 0",
            "unexpected '+' at byte 37",
            "bad number at byte 37",
            "unexpected ',' at byte 45",
            "unexpected 'n' at byte 37",
            "the text ends inside a value, after 53 bytes",
            "the text ends inside a value, after 47 bytes",
        ]
    );
}

#[test]
fn startups_are_written_back_byte_for_byte_or_refused_for_a_reason() {
    let (mut written, mut refused) = (0, Vec::new());
    for body in bodies(">>>").into_iter().filter(|body| body.starts_with(b"({\"startup-req-3\"")) {
        match Packet::decode(&body) {
            Ok(packet) => {
                assert_eq!(packet.encode().unwrap(), body);
                written += 1;
            }
            Err(error) => refused.push(error.to_string()),
        }
    }
    assert_eq!(
        refused,
        ["startup-req-3: 19 elements, not 20", "startup-req-3: player_port must be an int, not string"]
    );
    assert_eq!(written, 19);
}
