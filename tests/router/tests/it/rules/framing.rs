//! Framing and LPC text: a test a row of the observed table.

use bytes::BytesMut;
use i3_router::core::Conn;
use i3_router::frame::{FrameError, frame, split};
use i3_router::{Config, Event, TextError};

use crate::sim::{NOTHING, Sim, error};

fn two() -> (Sim, Conn, Conn) {
    let mut sim = Sim::quiet();
    let (a, b) = (sim.up("MudA", 2), sim.up("MudB", 3));
    sim.take_all([a, b]);
    (sim, a, b)
}

/// What a tell with this text in it becomes on its way.
fn passed(message: impl AsRef<[u8]>) -> Option<String> {
    let (start, end) = (r#"({"tell",5,"MudA","bob","MudB","ann","Bob",""#, r#"",})"#);
    let (mut sim, a, b) = two();
    sim.send(a, [start.as_bytes(), message.as_ref(), end.as_bytes()].concat());
    let came = sim.take(b).pop();
    came.map(|text| text.strip_prefix(start).unwrap().strip_suffix(end).unwrap().to_owned())
}

/// What a field becomes on its way.
fn field(value: &str) -> Option<String> {
    let start = r#"({"frob",5,"MudA","bob","MudB","ann","#;
    let (mut sim, a, b) = two();
    sim.send(a, format!("{start}{value},}})"));
    let came = sim.take(b).pop();
    came.map(|text| text.strip_prefix(start).unwrap().strip_suffix(",})").unwrap().to_owned())
}

/// Whether a whole body is passed on, and it is dropped if not.
fn passes(body: &[u8]) -> bool {
    let (mut sim, a, b) = two();
    sim.send(a, body);
    let came = sim.take(b);
    let dropped = sim.events.iter().any(|event| matches!(event, Event::Unreadable { .. }));
    assert!(!sim.is_closed(a), "the link stays");
    assert_eq!(came.is_empty(), dropped);
    !dropped
}

const TELL: &str = r#"({"tell",5,"MudA","bob","MudB","ann","Bob","hi",})"#;

#[test]
fn framing_nuls_at_the_end_are_counted_or_not_and_one_goes_out() {
    for nuls in ["", "\0", "\0\0"] {
        let (mut sim, a, b) = two();
        let mut buffer = BytesMut::from(&*frame(format!("{TELL}{nuls}").as_bytes(), false));
        let body = split(&mut buffer).unwrap().unwrap();
        sim.send(a, body);
        assert_eq!(sim.take(b), [TELL]);
    }
    assert_eq!(frame(b"123", true), b"\0\0\0\x04123\0"[..]);
    assert_eq!(frame(b"123", false), b"\0\0\0\x03123"[..]);
}

#[test]
fn framing_what_follows_the_value_is_ignored() {
    for tail in ["\r", " ", "xyz", "\r\0", ",", "({"] {
        assert!(passes(format!("{TELL}{tail}").as_bytes()), "{tail:?}");
    }
}

#[test]
fn framing_a_nul_inside_a_string_drops_the_packet() {
    assert_eq!(passed("in\0ner"), None);
}

#[test]
fn framing_blanks_outside_strings_drop_the_packet() {
    for (from, to) in [
        ("({\"tell", " ({\"tell"),
        (",5,", ", 5,"),
        (",5,", " ,5,"),
        (",5,", ",\n5,"),
        (",5,", ",\t5,"),
        ("({\"tell", "({ \"tell"),
        (",})", ", })"),
        (",})", ",([ ]),})"),
        (",})", ",([\"a\": 1,]),})"),
    ] {
        assert!(!passes(TELL.replacen(from, to, 1).as_bytes()), "{to:?}");
    }
}

#[test]
fn framing_the_last_comma_must_be_there() {
    for bad in ["({1})", "([\"a\":1])", "(/1/)", "({({})})"] {
        assert_eq!(field(bad), None, "{bad}");
    }
    assert!(!passes(TELL.replace(",})", "})").as_bytes()));
    for good in ["({1,})", "([\"a\":1,])", "(/1,/)", "({({}),})", "({})", "([])", "(//)"] {
        assert_eq!(field(good).as_deref(), Some(good));
    }
}

#[test]
fn framing_a_comma_alone_is_a_zero_in_an_array_and_an_error_in_a_mapping() {
    assert_eq!(field("({,})").as_deref(), Some("({0,})"));
    for bad in ["([,])", "(/,/)", "({,,})", "({1,,})"] {
        assert_eq!(field(bad), None, "{bad}");
    }
}

#[test]
fn framing_newlines_are_carriage_returns() {
    for (sent, got) in [("a\rb", "a\rb"), ("a\nb", "a\rb"), ("a\r\nb", "a\r\rb"), ("a\\\rb", "a\\\rb")] {
        assert_eq!(passed(sent).as_deref(), Some(got), "{sent:?}");
    }
}

#[test]
fn framing_a_backslash_makes_the_next_byte_itself() {
    for (sent, got) in [("a\\nb", "anb"), ("a\\0b", "a0b"), ("\\\"q\\\"", "\\\"q\\\""), ("\\\\", "\\\\")] {
        assert_eq!(passed(sent).as_deref(), Some(got), "{sent:?}");
    }
}

#[test]
fn framing_other_characters_are_unchanged() {
    for same in ["a\tb\x07c\x1b[31md\x1b[0m", "%^RED%^x%^RESET%^", "héllo € 😀", "\x7f"] {
        assert_eq!(passed(same).as_deref(), Some(same), "{same:?}");
    }
}

#[test]
fn framing_what_is_not_utf8_drops_the_packet() {
    for bad in [&b"h\xe9llo"[..], b"it\x92s", b"\xed\xa0\x80", b"\xff"] {
        assert_eq!(passed(bad), None, "{bad:?}");
    }
    assert!(passes(TELL.as_bytes()));
}

#[test]
fn framing_floats() {
    for (sent, got) in [
        ("1.5", "1.500000"),
        ("-2.25", "-2.250000"),
        ("1.0e-3", "0.001000"),
        ("1.5e+3", "1500.000000"),
        ("1e+10", "10000000000.000000"),
        ("1.5E-3", "1.500000"),
        ("0.12345678", "0.123457"),
    ] {
        assert_eq!(field(sent).as_deref(), Some(got), "{sent}");
    }
    for bad in ["1e10", "1.5e3", "3.", ".5", "1.5e+", "1.2.3"] {
        assert_eq!(field(bad), None, "{bad}");
    }
}

#[test]
fn framing_ints() {
    for (sent, got) in [
        ("2147483648", "2147483648"),
        ("-2147483649", "-2147483649"),
        ("007", "7"),
        ("-0", "0"),
        ("0x10", "0"),
        ("9223372036854775805", "9223372036854775805"),
        ("9223372036854775806", "-9223372036854775808"),
        ("9223372036854775807", "-9223372036854775808"),
        ("9223372036854775808", "-9223372036854775808"),
        ("99999999999999999999999", "-9223372036854775808"),
    ] {
        assert_eq!(field(sent).as_deref(), Some(got), "{sent}");
    }
    for bad in ["+5", "-", "null", "²", "--1"] {
        assert_eq!(field(bad), None, "{bad}");
    }
}

#[test]
fn framing_classes_are_passed_on() {
    assert_eq!(field(r#"(/1,"two",/)"#).as_deref(), Some(r#"(/1,"two",/)"#));
}

#[test]
fn framing_mappings_have_keys_of_any_type_and_each_once() {
    let any = r#"([1:2,"a":({}),({1,}):3,1.500000:([]),])"#;
    assert_eq!(field(any).as_deref(), Some(any));
    assert_eq!(field(r#"(["a":1,"b":3,"a":2,1:1,1:2,])"#).as_deref(), Some(r#"(["a":2,"b":3,1:2,])"#));
    for bad in [r#"(["a",])"#, r#"(["a":1,"b",])"#, r#"(["a":])"#, r#"(["a":1:2,])"#] {
        assert_eq!(field(bad), None, "{bad}");
    }
}

fn nested(kind: &str, target: &str, levels: usize) -> String {
    // The packet is the first level.
    let value = format!("{}1,{}", "({".repeat(levels - 1), "}),".repeat(levels - 1));
    format!(r#"({{"{kind}",5,"MudA","bob","{target}","ann",{value}}})"#)
}

#[test]
fn framing_a_hundred_levels_pass_and_one_more_does_not() {
    for (levels, passed) in
        [(98, true), (99, true), (100, true), (101, false), (3_000, false), (40_000, false)]
    {
        assert_eq!(passes(nested("frob", "MudB", levels).as_bytes()), passed, "{levels}");
    }
    // An error has one more.
    let (mut sim, a, _) = two();
    let echoed = nested("frob", "*test", 99);
    let message = "Unknown command sent to router: frob";
    assert_eq!(sim.say(a, &echoed), [error("MudA", r#""bob""#, "not-imp", message, &echoed)]);
    assert_eq!(sim.say(a, nested("frob", "*test", 100)), NOTHING);
}

#[test]
fn framing_the_longest_frame_is_262144_bytes() {
    let mut largest = BytesMut::from(&[0, 4, 0, 0][..]);
    largest.resize(4 + 262_144, b'x');
    assert_eq!(split(&mut largest).unwrap().unwrap().len(), 262_144);
    let longest = TELL.replace("hi", &"x".repeat(262_143 - TELL.len() + 2));
    assert!(passes(longest.as_bytes()));
}

#[test]
fn framing_a_length_that_cannot_be_is_an_error_before_the_body_is_there() {
    for header in [0_u32, 262_145, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        let mut buffer = BytesMut::from(&header.to_be_bytes()[..]);
        assert!(matches!(split(&mut buffer), Err(FrameError::Length(found)) if found == header));
    }
}

#[test]
fn framing_frames_come_in_any_number_of_pieces() {
    let bytes = [frame(b"one", true), frame(b"two", true)].concat();
    let mut buffer = BytesMut::new();
    let mut bodies = Vec::new();
    for byte in bytes {
        buffer.extend_from_slice(&[byte]);
        bodies.extend(split(&mut buffer).unwrap());
    }
    assert_eq!(bodies, [&b"one\0"[..], b"two\0"]);
}

#[test]
fn framing_garbage_is_dropped_and_the_link_stays() {
    for garbage in
        ["junk", "", "({", "({\"tell\"", "\"unterminated", "}{", "(", "({\"a\",5,\"MudA\",[])", "\\"]
    {
        assert!(!passes(garbage.as_bytes()), "{garbage:?}");
    }
}

#[test]
fn framing_a_telnet_nop_makes_the_next_header_a_length_that_cannot_be() {
    let mut buffer = BytesMut::from(&b"\xff\xf1"[..]);
    assert!(split(&mut buffer).unwrap().is_none(), "nothing at once");
    buffer.extend_from_slice(&frame(TELL.as_bytes(), true));
    assert!(matches!(split(&mut buffer), Err(FrameError::Length(0xfff1_0000))));
}

fn array(elements: usize) -> String {
    format!(r#"({{"frob",5,"MudA","bob","MudB","ann",({{{}}}),}})"#, "0,".repeat(elements))
}

#[test]
fn framing_an_array_of_20000_is_passed_on() {
    assert!(passes(array(20_000).as_bytes()));
    assert!(!passes(array(70_000).as_bytes()), "unless it is larger than drivers allow");
}

#[test]
fn framing_an_array_too_large_ends_the_driver_if_it_is_to() {
    let mut sim = Sim::new(Config { crash_above: Some(15_000), ..Config::default() });
    let (a, b, stranger) = (sim.up("MudA", 2), sim.up("MudB", 3), sim.connect(4));
    sim.send(a, array(15_000));
    assert_eq!(sim.take(b), [array(15_000)]);
    sim.take(a);
    sim.send(a, array(15_001));
    assert!([a, b, stranger].iter().all(|conn| sim.is_closed(*conn)));
    assert_eq!(sim.take_all([a, b, stranger]), [NOTHING; 3]);
    sim.up("MudB", 3);
}

#[test]
fn text_errors_say_where() {
    for (body, message) in [
        ("({1, 2,})", "not what LPC text may have at byte 4"),
        ("({\"tell\",5})", "not what LPC text may have at byte 10"),
    ] {
        let (mut sim, a, _) = two();
        sim.send(a, body);
        let error = sim.events.iter().find_map(|event| match event {
            Event::Unreadable { error, .. } => Some(*error),
            _ => None,
        });
        assert_eq!(error.unwrap().to_string(), message);
        assert!(matches!(error, Some(TextError::Syntax { .. })));
    }
}
