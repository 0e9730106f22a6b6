//! Out-of-band packets.

use intermud3::oob::{Mail, MailAck, OobBegin, OobError, Outcome};
use intermud3::{Header, OobPacket, PacketError, Value};

use crate::vectors::OOB;

fn decode(text: &str) -> OobPacket {
    OobPacket::decode(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn packets_are_written_as_they_were_read() {
    for text in OOB {
        let packet = decode(text);
        assert_eq!(packet.encode().unwrap(), text);
        let value = intermud3::lpc::decode(text.as_bytes()).unwrap();
        assert_eq!(packet.to_value(), value);
        assert_eq!(OobPacket::from_value(value), Ok(packet));
    }
}

#[test]
fn every_type_has_a_vector() {
    for kind in OobPacket::KINDS {
        let start = format!("({{\"{kind}\",");
        let text = OOB.iter().find(|text| text.starts_with(&start)).expect(kind);
        assert_eq!((decode(text).kind(), decode(text).label()), (*kind, *kind));
    }
}

#[test]
fn a_letter_has_its_fields_in_place() {
    let OobPacket::Mail(mail) = decode(OOB[7]) else { panic!() };
    let users = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected = Mail {
        id: 7,
        orig_user: "bob".into(),
        to: vec![("MudB".into(), users(&["ann", "cid"])), ("MudC".into(), users(&["dan"]))],
        cc: vec![("MudA".into(), users(&["eve"]))],
        bcc: users(&["fay"]),
        send_time: 1_795_418_241,
        subject: "Hello".into(),
        contents: "How are you?".into(),
    };
    assert_eq!(*mail, expected);
    let ack = MailAck { failed: vec![(7, vec![]), (8, users(&["ann"]))] };
    assert_eq!(decode(OOB[8]), OobPacket::MailAck(ack));
}

#[test]
fn errors_come_with_a_header_and_without() {
    let OobPacket::Error(with) = decode(OOB[4]) else { panic!() };
    assert_eq!(with.header, Some(Header::to_mud("MudB", "MudA")));
    assert_eq!((with.error.code.as_str(), with.error.bad_kind()), ("bad-proto", Some("mail-ack")));
    let OobPacket::OobError(without) = decode(OOB[6]) else { panic!() };
    assert_eq!((without.header, without.error.code.as_str()), (None, "unk-type"));
    let OobPacket::Error(short) = decode(r#"({"error","unk-type","what?"})"#) else { panic!() };
    let OobError { header: None, error } = *short else { panic!() };
    assert_eq!((error.message.as_str(), error.bad_packet), ("what?", Value::ZERO));
}

#[test]
fn the_number_and_type_of_fields_are_checked() {
    for (text, error) in [
        (r#"({"oob-begin","MudA",1,})"#, "oob-begin: 3 elements, not 4"),
        (r#"({"oob-begin","MudA",1,"key",})"#, "oob-begin: auth_token must be an int, not string"),
        (r#"({"error","a","b","c","d",})"#, "error: 5 elements, not 9"),
        (r#"({"mail-ack",(["x":({}),]),})"#, "mail-ack failed: a key must be an int, not string"),
        (r#"({"mail-ack",([1:({2,}),]),})"#, "mail-ack failed: an element must be a string, not int"),
        (r#"({"file-list-reply","bob",({({"x",1,}),}),})"#, "file-list-reply files: 2 elements, not 3"),
        (r#"({"news-read-req",5,"MudA","bob",0,0,"g",})"#, "news-read-req: 7 elements, not 8"),
        (r#"({"file-put-ack",3,"ok",})"#, "file-put-ack: outcome must be an int, not string"),
    ] {
        assert_eq!(OobPacket::decode(text.as_bytes()).unwrap_err().to_string(), error);
    }
    assert!(matches!(OobPacket::decode(b"({"), Err(PacketError::Lpc(_))));
}

#[test]
fn what_begins_with_no_type_is_a_bare_value() {
    for text in ["({})", "({1,})", "12", r#""text""#, "([])"] {
        assert!(matches!(decode(text), OobPacket::Bare(_)), "{text}");
    }
    assert!(matches!(decode(r#"({"x",})"#), OobPacket::Unknown(_)));
}

#[test]
fn log_lines_show_neither_secrets_nor_contents() {
    let lines: Vec<String> = OOB.iter().map(|text| decode(text).to_string()).collect();
    let expected = [
        "oob-begin: MudA, type 1, token ***",
        "oob-begin: MudB, type 0, token ***",
        "oob-end: MudA",
        r#"oob-reply: "Welcome to the OOB service on MudB""#,
        r#"error: bad-proto "packet came at wrong time" about mail-ack"#,
        r#"error: bad-directory "no such directory""#,
        r#"oob-error: unk-type "unknown packet type" about frob"#,
        r#"mail: 7 from bob to 2 muds, "Hello", 12 bytes"#,
        "mail-ack: 2 mails",
        "file-list-req: /open of bob@MudA",
        "file-list-reply: 2 files",
        "file-put: 3: news.txt, 11 bytes",
        "file-put-ack: 3: cannot write",
        "file-get-req: 4: news.txt",
        "file-get-reply: 4: ok",
        "news-read-req: lima.code 12",
        r#"news-post-req: lima.code by bob, "Hello""#,
        "news-grplist-req: no fields",
        "oob-file-req: /secure/upgrades/txt/upgrades.txt",
        "oob-file: /secure/upgrades/txt/upgrades.txt part 1, 1 bytes",
        r#"oob-file-end: "oob-file send complete.""#,
        r#"oob-file-error: "File access denied.""#,
        r#"oob-file-error: "That's a directory.""#,
        "oob-test: 0 fields",
        "a bare array",
        "a bare array",
        "a bare int",
    ];
    assert_eq!(lines, expected);
    let begin =
        OobPacket::Begin(OobBegin { mud: "A".into(), auth_type: OobBegin::BY_KEY, auth_token: 42789 });
    assert!(!format!("{begin:?}").contains("42789"));
    assert_eq!(Outcome(7).to_string(), "failed (7)");
}
