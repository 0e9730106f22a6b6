//! Typed packets.

use intermud3::packet::{
    Body, ChannelEntry, ChannelListen, ChannelMessage, Header, MudEntry, Packet, PacketError, StartupReply,
    Tell,
};
use intermud3::{Mapping, Value};

fn decode(text: &str) -> Packet {
    Packet::decode(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    Packet::decode(text.as_bytes()).expect_err(text).to_string()
}

/// From CoffeeMud's router, Dead Souls and the documents.
const LITERALS: &[&str] = &[
    r#"({"startup-req-3",5,"MudA",0,"*test",0,0,0,0,4000,0,0,"Lib","Base","Drv","LP","open for public","a@b.c",(["tell":1,"channel":1,"who":1,]),([]),})"#,
    r#"({"startup-reply",5,"*test",0,"MudA",0,({({"*test","127.0.0.1 18787",}),}),-1,})"#,
    r#"({"mudlist",5,"*test",0,"MudA",0,1,(["MudA":({-1,"127.0.0.1",4000,0,0,"Lib","Base","Drv","LP","open for public","a@b.c",(["tell":1,"who":1,"channel":1,]),([]),}),"Shut604801":0,]),})"#,
    r#"({"chanlist-reply",5,"*test",0,"MudA",0,1,(["chan":({"MudA",0,}),"gone":0,]),})"#,
    r#"({"channel-listen",5,"MudA",0,"*test",0,"imud_gossip",1,})"#,
    r#"({"error",5,"*test",0,"MudB","","unk-channel","The channel chan is unknown.",({"channel-listen",5,"MudB",0,"*test",0,"chan",1,}),})"#,
    r#"({"error",5,"*test",0,"Dup",0,"bad-mojo","Another mud is trying to be you.",({"127.0.0.6","ProbeLib","ProbeLib","admin@example.org",4000,}),})"#,
    r#"({"tell",5,"MudA","bob","MudB","ann","Bob","hi",})"#,
    r#"({"channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","hello \"q\" \\ back",})"#,
    r#"({"channel-e",5,"MudA","bob",0,0,"imud_gossip","Bob","$N waves.",})"#,
    r#"({"frobnicate",5,"MudA","bob","MudB",0,1,({2,}),})"#,
    r#"({"auth-mud-req",5,"MudA",0,"MudA",0,})"#,
];

#[test]
fn packets_are_written_as_they_were_read() {
    for text in LITERALS {
        let packet = decode(text);
        assert_eq!(packet.encode().unwrap(), text);
        let value = intermud3::lpc::decode(text.as_bytes()).unwrap();
        assert_eq!(packet.to_value(), value);
        assert_eq!(Packet::from_value(value), Ok(packet));
    }
}

#[test]
fn a_startup_request_has_its_fields_in_place() {
    let packet = decode(LITERALS[0]);
    let Body::StartupReq3(startup) = &packet.body else { panic!("{packet}") };
    assert_eq!(packet.header, Header::to_mud("MudA", "*test"));
    assert_eq!((startup.player_port, startup.imud_tcp_port, startup.password), (4000, 0, 0));
    assert_eq!((&*startup.mudlib, &*startup.driver, &*startup.admin_email), ("Lib", "Drv", "a@b.c"));
    assert!(startup.services.contains_key("channel"));
    assert_eq!(startup.other_data, Value::Mapping(Mapping::new()));
}

#[test]
fn a_startup_reply_tells_routers_and_password() {
    let Body::StartupReply(reply) = decode(LITERALS[1]).body else { panic!() };
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
        (
            r#"({"startup-reply",5,"*t",0,"A",0,0,1,})"#,
            "startup-reply: router_list must be an array, not int",
        ),
        (
            r#"({"startup-reply",5,"*t",0,"A",0,({({"*t",80,}),}),1,})"#,
            "startup-reply router: address must be a string, not int",
        ),
        (r#"({"mudlist",5,"*t",0,"A",0,1,(["M":({-1,}),]),})"#, "mudlist entry: 1 elements, not 13"),
        (r#"({"mudlist",5,"*t",0,"A",0,1,([1:0,]),})"#, "mudlist: mud name must be a string, not int"),
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
fn a_log_line_is_short_and_printable() {
    let table = [
        (LITERALS[7].to_owned(), r#"tell bob@MudA -> ann@MudB: Bob: "hi""#.to_owned()),
        (LITERALS[4].into(), "channel-listen MudA -> *test: imud_gossip on".into()),
        (
            LITERALS[5].into(),
            r#"error *test -> @MudB: unk-channel "The channel chan is unknown." about channel-listen"#.into(),
        ),
        (LITERALS[2].into(), "mudlist *test -> MudA: id 1, 2 muds".into()),
        (LITERALS[10].into(), "frobnicate bob@MudA -> MudB: 2 fields".into()),
        (
            "({\"channel-m\",5,\"A\",\"bob\",0,0,\"c\",\"Bob\",\"a\rb\x1b[2J\",})".into(),
            r#"channel-m bob@A -> *: [c] Bob: "a\nb\u{1b}[2J""#.into(),
        ),
        (
            format!(r#"({{"tell",5,"A","bob","B","ann","Bob","{}",}})"#, "x".repeat(100_000)),
            format!(r#"tell bob@A -> ann@B: Bob: "{}...""#, "x".repeat(200)),
        ),
    ];
    for (text, line) in table {
        assert_eq!(decode(&text).to_string(), line);
    }
}

#[test]
fn no_secret_is_shown() {
    let secret = 559_354_526;
    let startup = LITERALS[0].replacen("0,0,0,4000", &format!("{secret},0,0,4000"), 1);
    let reply = LITERALS[1].replace("-1", &secret.to_string());
    let echoed = format!(r#"({{"error",5,"*t",0,"A",0,"bad-proto","x",{startup},}})"#);
    let old = format!(r#"({{"startup-req-2",5,"A",0,"*t",0,{secret},}})"#);
    for text in [startup, reply, echoed, old] {
        assert!(text.contains(&secret.to_string()));
        let packet = decode(&text);
        assert!(!packet.to_string().contains(&secret.to_string()), "{packet}");
        assert!(!format!("{packet:?}").contains(&secret.to_string()), "{packet:?}");
    }
}

#[test]
fn an_error_type_can_be_matched_on() {
    let error = Packet::decode(br#"({"tell",5,"A","bob","B","ann","Bob",})"#).unwrap_err();
    assert_eq!(error, PacketError::FieldCount { kind: "tell".into(), expected: 8, found: 7 });
    assert_eq!(MudEntry::UP, -1);
    assert_eq!(StartupReply { routers: vec![], password: 1 }, StartupReply { routers: vec![], password: 1 });
}
