//! Typed packets.

use intermud3::packet::{
    Body, ChannelEntry, ChannelListen, ChannelMessage, EntryForm, FingerReply, Header, LocateReply, MudEntry,
    Packet, PacketError, Ping, StartupReply, Tell, Unknown, UserInfo, WhoEntry, WhoReply,
};
use intermud3::{Mapping, Value};

use crate::vectors::PACKETS;

fn decode(text: &str) -> Packet {
    Packet::decode(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    Packet::decode(text.as_bytes()).expect_err(text).to_string()
}

/// The first vector of a type.
fn vector(kind: &str) -> &'static str {
    let start = format!("({{\"{kind}\",");
    PACKETS.iter().find(|text| text.starts_with(&start)).unwrap_or_else(|| panic!("no vector of {kind}"))
}

#[test]
fn packets_are_written_as_they_were_read() {
    for text in PACKETS {
        let packet = decode(text);
        assert_eq!(packet.encode().unwrap(), text);
        let value = intermud3::lpc::decode(text.as_bytes()).unwrap();
        assert_eq!(packet.to_value(), value);
        assert_eq!(Packet::from_value(value), Ok(packet));
    }
}

#[test]
fn what_other_programs_write_is_read() {
    for (text, written) in [
        // quixadhal's i3: no trailing comma, blanks.
        (
            r#"({"channel-m",5,"Bloodlines","quixadhal",0,0,"imud_gossip","Quixadhal","..\"quotes\".."})"#,
            r#"({"channel-m",5,"Bloodlines","quixadhal",0,0,"imud_gossip","Quixadhal","..\"quotes\"..",})"#,
        ),
        (r#"({ "who-req", 5, "A", "bob", "B", 0 })"#, r#"({"who-req",5,"A","bob","B",0,})"#),
        // The specification's example.
        (
            r#"({"startup-reply",5,"*n",0,"M",0,({({"*nightmare","199.199.122.10 9000"})}),17})"#,
            r#"({"startup-reply",5,"*n",0,"M",0,({({"*nightmare","199.199.122.10 9000",}),}),17,})"#,
        ),
        // CoffeeMud's router.
        (
            r#"({"irn-startup-req",5,"*c",0,"*d",0,(["client_password": 5,"server_password": 6])})"#,
            r#"({"irn-startup-req",5,"*c",0,"*d",0,(["client_password":5,"server_password":6,]),})"#,
        ),
        // The Python gateway: `({,})` and `([,])`, the latter refused by drivers and here, and 8 elements in errors.
        (
            r#"({"chan-who-reply",5,"B",0,"A","b","c",({,}),})"#,
            r#"({"chan-who-reply",5,"B",0,"A","b","c",({}),})"#,
        ),
        (
            r#"({"error",5,"B",0,"A","bob","unk-user","no such",})"#,
            r#"({"error",5,"B",0,"A","bob","unk-user","no such",0,})"#,
        ),
        // The AFKMud client: `\r` behind the packet, made a NUL before it is sent.
        (
            "({\"beep\",5,\"A\",\"bob\",\"B\",\"ann\",\"Bob\",})\0\0",
            r#"({"beep",5,"A","bob","B","ann","Bob",})"#,
        ),
    ] {
        assert_eq!(decode(text).encode().unwrap(), written);
    }
}

#[test]
fn every_type_has_a_vector_and_a_label() {
    for kind in Body::KINDS {
        let packet = decode(vector(kind));
        assert_eq!((packet.kind(), packet.body.label()), (*kind, *kind));
        assert!(!matches!(packet.body, Body::Unknown(_)));
    }
    let unknown = decode(vector("frobnicate"));
    assert_eq!((unknown.kind(), unknown.body.label()), ("frobnicate", "other"));
}

/// Types that may have another number of elements, beside that of their first vector.
const SEVERAL_FORMS: &[(&str, &[usize])] = &[
    ("error", &[8, 9]),
    ("startup-req-2", &[18, 20]),
    ("startup-req-1", &[18, 20]),
    ("locate-reply", &[8, 10]),
    ("ping-req", &[6, 7]),
    ("ping-reply", &[6, 7]),
    ("irn-ping", &[6, 8]),
    ("irn-mudlist-req", &[6, 7]),
    ("irn-chanlist-req", &[6, 7]),
];

#[test]
fn the_number_of_elements_is_checked() {
    for kind in Body::KINDS {
        let Value::Array(items) = intermud3::lpc::decode(vector(kind).as_bytes()).unwrap() else { panic!() };
        let several = SEVERAL_FORMS.iter().find(|(several, _)| several == kind);
        let allowed = several.map_or(vec![items.len()], |(_, forms)| forms.to_vec());
        for len in 6..30 {
            let mut items = items.clone();
            items.resize(len, Value::ZERO);
            let read = Packet::from_value(Value::Array(items));
            let miscounted = matches!(read, Err(PacketError::FieldCount { .. }));
            assert_eq!(miscounted, !allowed.contains(&len), "{kind} with {len} elements: {read:?}");
        }
    }
}

#[test]
fn a_startup_request_has_its_fields_in_place() {
    let packet = decode(vector("startup-req-3"));
    let Body::StartupReq3(startup) = &packet.body else { panic!("{packet}") };
    assert_eq!(packet.header, Header::to_mud("MudA", "*test"));
    assert_eq!((startup.player_port, startup.imud_tcp_port, startup.password), (4000, 0, 0));
    assert_eq!((&*startup.mudlib, &*startup.driver, &*startup.admin_email), ("Lib", "Drv", "a@b.c"));
    assert!(startup.services.contains_key("channel"));
    assert_eq!(startup.other_data, Value::Mapping(Mapping::new()));
}

#[test]
fn a_startup_reply_tells_routers_and_password() {
    let Body::StartupReply(reply) = decode(vector("startup-reply")).body else { panic!() };
    assert_eq!(reply.password, -1);
    assert_eq!(reply.routers[0].name, "*test");
    assert_eq!(reply.routers[0].host_and_port(), Some(("127.0.0.1", 18787)));
    for bad in ["127.0.0.1", "127.0.0.1 x", " 80", "host 70000", ""] {
        let entry = intermud3::packet::RouterEntry { name: String::new(), address: bad.into() };
        assert_eq!(entry.host_and_port(), None, "{bad:?}");
    }
}

#[test]
fn mudlist_entries_come_in_three_lengths() {
    let list = r#"({"mudlist",5,"*test",0,0,0,9,([
        "Now":({-1,"10.0.0.1",4000,1,2,"L","B","D","LP","open","a@b",(["tell":1]),(["ip":"x"])}),
        "Old":({0,"10.0.0.2",4000,1,2,"L","B","D","LP","open",(["tell":1])}),
        "Older":({0,-1,"10.0.0.3",4000,1,2,"L","B","D","LP",0,(["tell":1])}),
        "Gone":0])})"#;
    let Body::Mudlist(list) = decode(list).body else { panic!() };
    let names: Vec<&str> = list.muds.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Now", "Old", "Older", "Gone"], "order is kept");
    let entry = |n: usize| list.muds[n].1.as_ref().unwrap();
    assert!(entry(0).is_up() && !entry(1).is_up());
    assert_eq!(entry(0).admin_email, "a@b");
    assert_eq!(
        (&*entry(1).address, &*entry(1).admin_email, &entry(1).other_data),
        ("10.0.0.2", "", &Value::ZERO)
    );
    assert_eq!((&*entry(2).address, &*entry(2).open_status), ("10.0.0.3", ""));
    assert!(entry(2).services.contains_key("tell"));
    assert_eq!(list.muds[3].1, None);
    let forms = [EntryForm::Full, EntryForm::Old, EntryForm::OldWithRestartDelay(-1)];
    assert_eq!([entry(0).form, entry(1).form, entry(2).form], forms);
}

#[test]
fn a_channel_type_may_be_an_array() {
    let packet =
        decode(r#"({"chanlist-reply",5,"*t",0,"A",0,9,(["pchan":({"MudA",({}),}),"c":({0,2,}),]),})"#);
    let Body::ChanlistReply(list) = packet.body else { panic!() };
    let entry = |host: &str, kind| Some(ChannelEntry { host: host.into(), kind });
    assert_eq!(list.channels, [("pchan".into(), entry("MudA", 0)), ("c".into(), entry("", 2))]);
}

#[test]
fn anything_but_zero_switches_a_channel_on() {
    for (flag, on) in [("1", true), ("0", false), ("5", true), (r#""0""#, true)] {
        let packet = decode(&format!(r#"({{"channel-listen",5,"A",0,"*t",0,"c",{flag},}})"#));
        assert_eq!(packet.body, Body::ChannelListen(ChannelListen { channel: "c".into(), on }), "{flag}");
    }
}

#[test]
fn zero_stands_for_an_absent_text_only_where_it_may() {
    let said = decode(r#"({"channel-m",5,"A","bob",0,0,"c",0,"x",})"#);
    let expected = ChannelMessage { channel: "c".into(), visname: String::new(), message: "x".into() };
    assert_eq!(said.body, Body::ChannelMessage(expected));
    assert_eq!(
        refused(r#"({"channel-m",5,"A","bob",0,0,"c","Bob",0,})"#),
        "channel-m: message must be a string, not int"
    );
}

#[test]
fn errors_name_the_packet_and_the_field() {
    for (text, error) in [
        (r#"({"tell",5,"A","bob","B","ann",})"#, "tell: 6 elements, not 8"),
        (r#"({"channel-m",5,"A","bob",0,0,"c","Bob","x","y",})"#, "channel-m: 10 elements, not 9"),
        (r#"({"tell","5","A","bob","B","ann","Bob","x",})"#, "tell: ttl must be an int, not string"),
        (r#"({"tell",5,0,"bob","B","ann","Bob","x",})"#, "tell: originator mud must be a string, not int"),
        (
            r#"({"tell",5,"A",1,"B","ann","Bob","x",})"#,
            "tell: originator user must be a string or 0, not int",
        ),
        (r#"({"startup-reply",5,"*t",0,"A",0,1,1,})"#, "startup-reply: routers must be an array, not int"),
        (
            r#"({"startup-reply",5,"*t",0,"A",0,({({"*t",80,}),}),1,})"#,
            "startup-reply routers: address must be a string, not int",
        ),
        (
            r#"({"startup-reply",5,"*t",0,"A",0,({"*t",}),1,})"#,
            "startup-reply routers: an element must be an array, not string",
        ),
        (r#"({"mudlist",5,"*t",0,"A",0,1,"M",})"#, "mudlist: muds must be a mapping, not string"),
        (
            r#"({"chanlist-reply",5,"*t",0,"A",0,1,(["c":({"M",}),]),})"#,
            "chanlist-reply channels: 1 elements, not 2",
        ),
        (
            r#"({"chanlist-reply",5,"*t",0,"A",0,1,([1:0,]),})"#,
            "chanlist-reply channels: a key must be a string, not int",
        ),
        (
            r#"({"chanlist-reply",5,"*t",0,"A",0,1,(["M":1,]),})"#,
            "chanlist-reply channels: a value must be an array or 0, not int",
        ),
        (r#"({"who-req",5,"A","bob","B",0,0,})"#, "who-req: 7 elements, not 6"),
        (r#"({"locate-reply",5,"B",0,"A","bob","B","Ann",0,})"#, "locate-reply: 9 elements, not 10"),
        (r#"({"irn-ping",5,"*a",0,"*b",0,1,})"#, "irn-ping: 7 elements, not 8"),
        (r#"({"channel-add",5,"A","bob","*t",0,"c","0",})"#, "channel-add: kind must be an int, not string"),
        (r#"({"tell",5,"A",})"#, "not an array with a packet's header"),
        ("({})", "not an array with a packet's header"),
        ("([])", "not an array with a packet's header"),
        ("({5,5,5,5,5,5,})", "not an array with a packet's header"),
        (r#"({"tell""#, "the text ends inside a value, after 8 bytes"),
    ] {
        assert_eq!(refused(text), error, "{text}");
    }
}

#[test]
fn an_entry_of_a_mudlist_that_cannot_be_read_costs_no_other() {
    let good = r#"({-1,"127.0.0.1",4000,0,0,"L","B","D","LP","open","a@b.c",([]),([]),})"#;
    let text = format!(
        r#"({{"mudlist",5,"*t",0,"A",0,1,(["Short":({{-1,}}),1:0,"B":{good},"Int":1,"Text":({{"up","x",1,1,1,0,0,0,0,0,0,0,0,}}),"Gone":0,]),}})"#
    );
    let packet = decode(&text);
    let Body::Mudlist(list) = &packet.body else { panic!() };
    let names: Vec<&str> = list.muds.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["B", "Gone"]);
    assert!(list.muds[0].1.as_ref().unwrap().is_up() && list.muds[1].1.is_none());
    assert_eq!(
        list.unreadable,
        [Value::from("Short"), Value::Int(1), Value::from("Int"), Value::from("Text")]
    );
    assert_eq!(packet.to_string(), "mudlist *t -> A: id 1, 2 muds, 4 unreadable");
    // What is written in its place reads the same.
    assert_eq!(decode(std::str::from_utf8(&packet.encode().unwrap()).unwrap()), packet);
    crate::fuzz::packet(text.as_bytes());
}

#[test]
fn an_error_without_its_last_element_is_read() {
    let Body::Error(error) = decode(r#"({"error",5,"B",0,"A","bob","unk-user","no such",})"#).body else {
        panic!()
    };
    assert_eq!((&*error.code, error.bad_packet), ("unk-user", Value::ZERO));
}

#[test]
fn a_user_is_addressed_in_lower_case() {
    let header = Header::to_user("MudA", "Bob", "MudB", "ANN");
    let body = Body::Tell(Tell { visname: "Bob".into(), message: "hi".into() });
    let packet = Packet { header, body };
    assert_eq!(packet.encode().unwrap(), r#"({"tell",5,"MudA","Bob","MudB","ann","Bob","hi",})"#);
}

#[test]
fn zeros_in_lists_are_passed_over() {
    // What the Python gateway's `({,})` for "nobody" is to an LPC reader.
    let nobody = decode(r#"({"who-reply",5,"B",0,"A","bob",({,}),})"#);
    assert_eq!(nobody.body, Body::WhoReply(WhoReply { who: vec![] }));
    assert_eq!(nobody, decode(r#"({"who-reply",5,"B",0,"A","bob",0,})"#));
    let ann = decode(r#"({"who-reply",5,"B",0,"A","bob",({0,({"Ann",3,0,}),}),})"#);
    let who = vec![WhoEntry { visname: "Ann".into(), idle: 3, extra: String::new() }];
    assert_eq!(ann.body, Body::WhoReply(WhoReply { who }));
}

#[test]
fn zero_is_private_in_a_finger_reply() {
    let reply = decode(r#"({"finger-reply",5,"B",0,"A","bob","Ann",0,0,"",0,-1,0,0,0,})"#);
    let Body::FingerReply(reply) = reply.body else { panic!() };
    let expected = FingerReply {
        visname: Some("Ann".into()),
        title: None,
        real_name: None,
        email: Some(String::new()),
        loginout_time: None,
        idle: -1,
        ip_name: None,
        level: None,
        extra: None,
    };
    assert_eq!(*reply, expected);
    let reply = decode(r#"({"finger-reply",5,"B",0,"A","bob","Ann","T",0,0,1795418241,0,0,20,1.5,})"#);
    let Body::FingerReply(reply) = reply.body else { panic!() };
    let texts = [reply.loginout_time, reply.level, reply.extra];
    assert_eq!(texts.map(Option::unwrap), ["1795418241", "20", "1.5"], "numbers read as their digits");
    assert_eq!(
        refused(r#"({"finger-reply",5,"B",0,"A","bob","Ann","T",0,0,0,0,0,({}),0,})"#),
        "finger-reply: level must be a string or 0, not array"
    );
}

#[test]
fn short_forms_are_told_from_long_ones() {
    let body = |text: &str| decode(text).body;
    let found = |idle, status: Option<&str>| {
        let status = status.map(str::to_owned);
        let (located_mud, located_visname) = ("B".to_owned(), "Ann".to_owned());
        Body::LocateReply(LocateReply { located_mud, located_visname, idle, status })
    };
    assert_eq!(body(r#"({"locate-reply",5,"B",0,"A","bob","B","Ann",})"#), found(None, None));
    assert_eq!(body(r#"({"locate-reply",5,"B",0,"A","bob","B","Ann",0,0,})"#), found(Some(0), None));
    assert_eq!(body(r#"({"locate-reply",5,"B",0,"A","bob","B","Ann",9,"x",})"#), found(Some(9), Some("x")));
    assert_eq!(body(r#"({"ping-req",5,"A",0,"B",0,})"#), Body::PingReq(Ping { token: None }));
    assert_eq!(body(r#"({"ping-req",5,"A",0,"B",0,0,})"#), Body::PingReq(Ping { token: Some(Value::ZERO) }));
}

#[test]
fn packets_inside_packets_are_read() {
    let Body::ChanFilterReply(filter) = decode(vector("chan-filter-reply")).body else { panic!() };
    let Body::ChannelMessage(said) = filter.message().unwrap().body else { panic!() };
    assert_eq!(said.message, "on filtc FILTERED");
}

#[test]
fn an_unknown_packet_may_have_the_name_of_a_known_one() {
    let header = Header::to_mud("MudA", "*test");
    let unknown = Unknown { kind: "shutdown".into(), fields: vec![Value::Int(300)] };
    let packet = Packet { header, body: Body::Unknown(unknown) };
    assert_eq!(packet.encode().unwrap(), vector("shutdown"));
    assert_eq!(packet.to_string(), "shutdown MudA -> *test: 1 fields");
}

#[test]
fn limits_hold_for_packets() {
    let limits = intermud3::Limits { input_bytes: 40, output_bytes: 40, ..intermud3::Limits::DEFAULT };
    let text = vector("tell");
    assert!(matches!(Packet::decode_with(text.as_bytes(), &limits), Err(PacketError::Lpc(_))));
    assert!(decode(text).encode_with(&limits).is_err());
}

/// One line for each type; also of what is peculiar.
const LINES: &[(&str, &str)] = &[
    ("startup-req-3", "startup-req-3 MudA -> *test: password none, port 4000, driver Drv"),
    ("startup-req-2", "startup-req-2 Watch -> *test: password ***, port 4000, driver D"),
    ("startup-req-1", "startup-req-1 Watch -> *test: password none, port 4000, driver D"),
    ("startup-reply", "startup-reply *test -> MudA: password ***, routers *test at 127.0.0.1 18787"),
    ("mudlist", "mudlist *test -> MudA: id 1, 1 muds"),
    ("chanlist-reply", "chanlist-reply *test -> MudA: id 1, 1 channels"),
    ("chanlist-req", "chanlist-req MudA -> *test: no fields"),
    ("chanlist-request", "chanlist-request MudA -> *test: no fields"),
    ("channel-listen", "channel-listen MudA -> *test: imud_gossip on"),
    ("channel-add", "channel-add bob@MudA -> *test: pchan type 0"),
    ("channel-remove", "channel-remove bob@MudA -> *test: pchan"),
    ("channel-admin", "channel-admin bob@MudA -> *test: pchan 1 added: MudB, 0 removed"),
    ("channel-m", r#"channel-m bob@MudA -> *: [imud_gossip] Bob: "hello "q" \ back""#),
    ("channel-e", r#"channel-e bob@MudA -> *: [imud_gossip] Bob: "waves. (from Bob@MudA)""#),
    ("channel-t", r#"channel-t bob@MudA -> *: [imud_gossip] Bob to ann@MudB: "$N pokes $O.""#),
    ("chan-filter-req", "chan-filter-req *test -> MudA: filtc with a channel-m"),
    ("chan-filter-reply", "chan-filter-reply MudA -> *test: filtc with a channel-m"),
    ("chan-who-req", "chan-who-req bob@MudA -> MudB: imud_gossip"),
    ("chan-who-reply", "chan-who-reply MudB -> bob@MudA: imud_gossip 1 names: Ann"),
    ("chan-user-req", "chan-user-req MudA -> MudB: ann"),
    ("chan-user-reply", "chan-user-reply MudB -> MudA: ann is Ann, gender 1"),
    ("chan-adminlist", "chan-adminlist bob@MudA -> *test: pchan"),
    ("chan-adminlist-reply", "chan-adminlist-reply *test -> bob@MudA: pchan 2 names: MudB, MudC"),
    ("ucache-update", "ucache-update MudA -> *: bob is Bob, gender 0"),
    ("tell", r#"tell bob@MudA -> ann@MudB: Bob: "hi""#),
    ("emoteto", r#"emoteto bob@MudA -> ann@MudB: Bob: "$N waves""#),
    ("beep", "beep bob@MudA -> ann@MudB: Bob"),
    ("who-req", "who-req bob@MudA -> MudB: no fields"),
    ("who-reply", "who-reply MudB -> bob@MudA: 2 users: Ann, Cid"),
    ("finger-req", "finger-req bob@MudA -> MudB: ann"),
    ("finger-reply", r#"finger-reply MudB -> bob@MudA: Ann, "T", idle -1"#),
    ("locate-req", "locate-req bob@MudA -> *: ann"),
    ("locate-reply", "locate-reply MudB -> bob@MudA: Ann@MudB"),
    ("auth-mud-req", "auth-mud-req MudA -> MudA: no fields"),
    ("auth-mud-reply", "auth-mud-reply MudB -> MudA: session key ***"),
    ("ping-req", "ping-req *coffee -> MudA: with a token"),
    ("ping-reply", "ping-reply MudB -> MudA: with a token"),
    ("oob-req", "oob-req MudA -> MudB: no fields"),
    ("shutdown", "shutdown MudA -> *test: back in 300 s"),
    ("error", r#"error *test -> @MudB: unk-channel "The channel chan is unknown." about channel-listen"#),
    ("frobnicate", "frobnicate bob@MudA -> MudB: 2 fields"),
    ("irn-startup-req", "irn-startup-req foo@*i4 -> bar@*dalet: passwords ***"),
    ("irn-mudlist-req", "irn-mudlist-req *i4 -> *dalet: all"),
    ("irn-chanlist-req", "irn-chanlist-req *i4 -> *dalet: since id 42"),
    ("irn-mudlist-delta", "irn-mudlist-delta *i4 -> *dalet: id 1795418241, 2 muds"),
    ("irn-mudlist-altered", "irn-mudlist-altered *i4 -> *dalet: id 1795418241, 0 muds"),
    ("irn-chanlist-delta", "irn-chanlist-delta *i4 -> *dalet: id 1795418241, 2 parts: channels, listening"),
    ("irn-chanlist-altered", "irn-chanlist-altered *i4 -> *dalet: id 1795418241, 1 parts: channels"),
    ("irn-data", "irn-data *i4 -> *dalet: a tell"),
    ("irn-ping", "irn-ping *i4 -> *dalet: time 1795418241, code 1795418241"),
    ("irn-shutdown", "irn-shutdown *i4 -> *dalet: no fields"),
];

#[test]
fn every_type_has_a_log_line() {
    for (kind, line) in LINES {
        assert_eq!(decode(vector(kind)).to_string(), line.replace("\\\\", "\\"));
    }
    assert!(Body::KINDS.iter().all(|kind| LINES.iter().any(|(with_line, _)| with_line == kind)));
}

#[test]
fn a_log_line_is_short_and_printable() {
    let table = [
        (
            "({\"channel-m\",5,\"A\",\"bob\",0,0,\"c\",\"Bob\",\"a\rb\x1b[2J\",})".to_owned(),
            r#"channel-m bob@A -> *: [c] Bob: "a\nb\u{1b}[2J""#.to_owned(),
        ),
        (
            "({\"tell\",5,\"A\",\"bob\",\"B\",\"ann\",\"Bob\",\"a\u{2028}b\u{202e}c\",})".to_owned(),
            r#"tell bob@A -> ann@B: Bob: "a\u{2028}b\u{202e}c""#.to_owned(),
        ),
        (
            format!(r#"({{"tell",5,"A","bob","B","ann","Bob","{}",}})"#, "x".repeat(100_000)),
            format!(r#"tell bob@A -> ann@B: Bob: "{}...""#, "x".repeat(200)),
        ),
        (
            format!(r#"({{"chan-who-reply",5,"A",0,"B","bob","c",({{{}}}),}})"#, r#""N","#.repeat(1000)),
            format!("chan-who-reply A -> bob@B: c 1000 names: {}, ...", ["N"; 8].join(", ")),
        ),
    ];
    for (text, line) in table {
        assert_eq!(decode(&text).to_string(), line);
    }
}

#[test]
fn no_secret_is_shown() {
    let secret = "559354526";
    let startup = vector("startup-req-3").replacen("0,0,0,4000", &format!("{secret},0,0,4000"), 1);
    let texts = [
        format!(r#"({{"error",5,"*t",0,"A",0,"bad-proto","x",{startup},}})"#),
        startup,
        vector("startup-reply").replace("-1", secret),
        vector("startup-req-2").to_owned(),
        vector("auth-mud-reply").replace("12345", secret),
        vector("irn-startup-req").replace("1234", secret),
        vector("irn-mudlist-delta").to_owned(),
        format!(r#"({{"irn-data",5,"*a",0,"*b",0,{},}})"#, vector("startup-req-2")),
        format!(r#"({{"startup-req-4",5,"A",0,"*t",0,{secret},}})"#),
    ];
    for text in texts {
        assert!(text.contains(secret));
        let packet = decode(&text);
        assert!(!packet.to_string().contains(secret), "{packet}");
        assert!(!format!("{packet:?}").contains(secret), "{packet:?}");
    }
}

#[test]
fn an_error_type_can_be_matched_on() {
    let error = Packet::decode(br#"({"tell",5,"A","bob","B","ann","Bob",})"#).unwrap_err();
    assert_eq!(error, PacketError::FieldCount { kind: "tell".into(), expected: 8, found: 7 });
    assert_eq!((MudEntry::UP, UserInfo::FEMALE), (-1, 1));
    assert_eq!(StartupReply { routers: vec![], password: 1 }, StartupReply { routers: vec![], password: 1 });
}
