//! What holds for every input.

use bytes::BytesMut;
use intermud3::frame::{MAX_INPUT, MAX_OUTPUT, append, split};
use intermud3::lpc::{decode, encode};
use intermud3::{Packet, Value};
use proptest::collection::vec;
use proptest::prelude::*;

/// Any text but NUL, which LPC text cannot hold.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[^\0]{0,20}", "[\"\\\\\r\n\ta€\u{e9}\u{81}]{0,12}"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::Float),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec(inner.clone(), 0..6).prop_map(Value::Class),
            vec((inner.clone(), inner), 0..6).prop_map(|pairs| Value::Mapping(pairs.into())),
        ]
    })
}

/// Bytes that look like LPC text more often than chance.
fn lpc_like() -> impl Strategy<Value = Vec<u8>> {
    const TOKENS: [&[u8]; 19] = [
        b"({",
        b"})",
        b"([",
        b"])",
        b"(/",
        b"/)",
        b",",
        b":",
        b"\"",
        b"\\",
        b"0",
        b"-",
        b"1.5",
        b"1e9",
        b" ",
        b"\r",
        b"\0",
        b"\xe9",
        b"\"tell\"",
    ];
    vec(prop::sample::select(&TOKENS[..]), 0..60).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn a_value_survives_the_wire(value in value()) {
        let text = encode(&value).unwrap();
        prop_assert!(std::str::from_utf8(&text).is_ok());
        prop_assert!(!text.contains(&0));
        prop_assert_eq!(decode(&text).unwrap(), value);
    }

    #[test]
    fn reading_never_panics(bytes in prop_oneof![vec(any::<u8>(), 0..300), lpc_like()]) {
        if let Ok(value) = decode(&bytes) {
            // What was read is written in a form that reads the same.
            let text = encode(&value).unwrap();
            prop_assert_eq!(decode(&text).unwrap(), value);
        }
    }

    #[test]
    fn a_packet_of_any_fields_is_read_or_refused(
        kind in prop::sample::select(vec![
            "startup-req-3", "startup-reply", "mudlist", "chanlist-reply", "channel-listen", "channel-m", "tell",
            "error", "other",
        ]),
        users in vec(prop_oneof![Just(Value::ZERO), text().prop_map(Value::String)], 3),
        fields in vec(value(), 0..15),
    ) {
        let mut items = vec![Value::from(kind), Value::Int(5), Value::from("MudA")];
        items.extend(users);
        items.extend(fields);
        if let Ok(packet) = Packet::from_value(Value::Array(items)) {
            let text = packet.encode().unwrap();
            prop_assert_eq!(Packet::decode(&text).unwrap(), packet.clone());
            prop_assert_eq!(decode(&text).unwrap(), packet.to_value());
            prop_assert!(!packet.to_string().contains('\n'));
        }
    }

    #[test]
    fn frames_do_not_depend_on_how_the_bytes_arrive(
        texts in vec("[a-z \r\"]{1,40}", 1..6),
        cuts in vec(1_usize..50, 0..40),
    ) {
        let mut stream = BytesMut::new();
        texts.iter().for_each(|text| append(text.as_bytes(), &mut stream, MAX_OUTPUT).unwrap());
        let mut cuts = cuts.into_iter().chain(std::iter::repeat(usize::MAX));
        let (mut buffer, mut got) = (BytesMut::new(), Vec::new());
        while !stream.is_empty() {
            let len = cuts.next().unwrap_or(usize::MAX).min(stream.len());
            buffer.unsplit(stream.split_to(len));
            while let Some(text) = split(&mut buffer, MAX_INPUT).unwrap() {
                got.push(String::from_utf8(text.to_vec()).unwrap());
            }
        }
        prop_assert_eq!(got, texts);
    }

    #[test]
    fn framing_never_panics(pieces in vec(vec(prop_oneof![Just(0_u8), any::<u8>()], 0..30), 0..20)) {
        let mut buffer = BytesMut::new();
        for piece in pieces {
            buffer.extend_from_slice(&piece);
            while let Ok(Some(text)) = split(&mut buffer, 1000) {
                prop_assert!(!text.contains(&0));
            }
        }
    }
}
