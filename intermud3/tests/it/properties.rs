//! What holds for every input.

use bytes::BytesMut;
use intermud3::frame::{MAX_INPUT, MAX_OUTPUT, append, split};
use intermud3::lpc::{decode, encode};
use intermud3::{Body, OobPacket, Packet, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::fuzz;
use crate::vectors::{OOB, PACKETS};

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
    const TOKENS: [&[u8]; 24] = [
        b"({",
        b"})",
        b"([",
        b"])",
        b"(/",
        b"/)",
        b"({",
        b"})",
        b",",
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
        b"\"\"",
        b"\"tell\"",
        b"\xc3\xa9",
    ];
    vec(select(&TOKENS[..]), 0..60).prop_map(|tokens| tokens.concat())
}

/// Texts with colour codes, whole and broken, and other sequences.
fn coloured() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        3 => select(&["%^", "%", "^", "RED", "B_BLUE", "BOLD", "YELLOW", "RESET", "%^RESET%^", "%%^^", "FOO"][..])
            .prop_map(str::to_owned),
        1 => select(&["\x1b[31m", "\x1b[2J", "\x1b", "\r", "<&>'\""][..]).prop_map(str::to_owned),
        1 => text(),
    ];
    vec(token, 0..20).prop_map(|tokens| tokens.concat())
}

/// A vector with other texts and numbers in it. What stays: the type, zeros, and ones, which may be flags.
fn varied(vectors: &'static [&'static str]) -> impl Strategy<Value = Value> {
    (select(vectors), vec(text(), 1..20), vec(2..i64::MAX, 1..20)).prop_map(|(vector, texts, numbers)| {
        let mut value = decode(vector.as_bytes()).unwrap();
        let (mut texts, mut numbers) = (texts.into_iter().cycle(), numbers.into_iter().cycle());
        if let Value::Array(items) = &mut value {
            let fields = items.iter_mut().skip(1);
            fields.for_each(|field| vary(field, &mut texts, &mut numbers));
        }
        value
    })
}

fn vary(
    value: &mut Value,
    texts: &mut impl Iterator<Item = String>,
    numbers: &mut impl Iterator<Item = i64>,
) {
    match value {
        Value::Int(0 | 1) | Value::Float(_) => {}
        Value::Int(n) => *n = numbers.next().unwrap(),
        Value::String(text) => *text = texts.next().unwrap(),
        Value::Array(items) | Value::Class(items) => {
            items.iter_mut().for_each(|item| vary(item, texts, numbers));
        }
        Value::Mapping(mapping) => {
            let mut pairs: Vec<(Value, Value)> = std::mem::take(mapping).into_iter().collect();
            for (key, value) in &mut pairs {
                vary(key, texts, numbers);
                vary(value, texts, numbers);
            }
            *mapping = pairs.into();
        }
    }
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
    fn any_bytes_are_read_as_a_naive_reader_reads_them(
        bytes in prop_oneof![vec(any::<u8>(), 0..300), lpc_like(), value().prop_map(|v| encode(&v).unwrap().into())],
        cut in any::<prop::sample::Index>(),
    ) {
        fuzz::lpc(&bytes);
        if !bytes.is_empty() {
            fuzz::lpc(&bytes[..cut.index(bytes.len())]);
        }
    }

    #[test]
    fn a_packet_of_every_type_survives_the_wire(value in varied(PACKETS)) {
        let packet = Packet::from_value(value.clone()).unwrap();
        prop_assert_eq!(packet.to_value(), value.clone());
        let text = packet.encode().unwrap();
        prop_assert_eq!(&text, &encode(&value).unwrap());
        prop_assert_eq!(Packet::decode(&text).unwrap(), packet);
        fuzz::packet(&text);
    }

    #[test]
    fn an_oob_packet_of_every_type_survives_the_wire(value in varied(OOB)) {
        let packet = OobPacket::from_value(value.clone()).unwrap();
        prop_assert_eq!(packet.to_value(), value.clone());
        let text = packet.encode().unwrap();
        prop_assert_eq!(&text, &encode(&value).unwrap());
        prop_assert_eq!(OobPacket::decode(&text).unwrap(), packet);
        fuzz::oob(&text);
    }

    #[test]
    fn a_packet_of_any_fields_is_read_or_refused(
        kind in select(Body::KINDS),
        oob_kind in select(OobPacket::KINDS),
        users in vec(prop_oneof![Just(Value::ZERO), text().prop_map(Value::String)], 3),
        fields in vec(prop_oneof![2 => value(), 1 => Just(Value::ZERO)], 0..15),
    ) {
        let mut items = vec![Value::from(kind), Value::Int(5), Value::from("MudA")];
        items.extend(users);
        items.extend(fields.clone());
        fuzz::packet(&encode(&Value::Array(items)).unwrap());
        let items = std::iter::once(Value::from(oob_kind)).chain(fields).collect();
        fuzz::oob(&encode(&Value::Array(items)).unwrap());
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
    fn streams_of_any_bytes_are_read_alike_however_cut(
        cuts in vec(any::<u8>(), 0..40),
        stream in vec(prop_oneof![3 => Just(0_u8), 2 => 0_u8..20, 1 => any::<u8>()], 0..200),
    ) {
        let cuts = std::iter::once(u8::try_from(cuts.len()).unwrap()).chain(cuts);
        fuzz::frame(&cuts.chain(stream).collect::<Vec<u8>>());
    }

    #[test]
    fn texts_of_any_kind_can_be_cleaned_and_coloured(
        bytes in prop_oneof![coloured().prop_map(String::into_bytes), vec(any::<u8>(), 0..100)],
    ) {
        fuzz::text(&bytes);
    }
}
