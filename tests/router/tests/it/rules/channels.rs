//! Listening and speaking: rules 10 and 15 to 20.

use i3_router::core::Conn;

use crate::mud::startup;
use crate::sim::{NOTHING, Sim, error};

fn two_listeners() -> (Sim, Conn, Conn) {
    let mut sim = Sim::quiet();
    let (a, b) = (sim.up("MudA", 2), sim.up("MudB", 3));
    listen(&mut sim, a, "MudA", "1");
    listen(&mut sim, b, "MudB", "1");
    (sim, a, b)
}

fn listen(sim: &mut Sim, conn: Conn, mud: &str, on: &str) {
    let text = format!(r#"({{"channel-listen",5,"{mud}",0,"*test",0,"imud_gossip",{on},}})"#);
    assert_eq!(sim.say(conn, text), NOTHING, "no answer");
}

fn said(mud: &str, text: &str) -> String {
    format!(r#"({{"channel-m",5,"{mud}","bob",0,0,"imud_gossip","Bob","{text}",}})"#)
}

#[test]
fn rule_10_a_mud_without_the_service_may_listen() {
    let (mut sim, a, _) = two_listeners();
    let c = sim.connect(4);
    sim.say(c, startup("MudC", r#""*test""#, 0, r#"(["tell":1,])"#));
    listen(&mut sim, c, "MudC", "1");
    for text in [
        said("MudA", "x"),
        r#"({"channel-e",5,"MudA","bob",0,0,"imud_gossip","Bob","$N waves.",})"#.into(),
        r#"({"channel-t",5,"MudA","bob",0,0,"imud_gossip","MudC","ann","$N pokes $O.","$N pokes you.","Bob","Ann",})"#.into(),
    ] {
        sim.send(a, &text);
        assert_eq!(sim.take(c), [text]);
    }
}

#[test]
fn rule_15_anything_but_the_int_zero_is_on() {
    let (mut sim, a, b) = two_listeners();
    for on in [r#""0""#, "5", "1", "-1", "({})"] {
        listen(&mut sim, b, "MudB", on);
        sim.send(a, said("MudA", "x"));
        assert_eq!(sim.take(b), [said("MudA", "x")], "{on}");
    }
    for _ in 0..2 {
        listen(&mut sim, b, "MudB", "0");
        sim.send(a, said("MudA", "x"));
        assert_eq!(sim.take(b), NOTHING);
    }
}

#[test]
fn rule_15_the_target_is_the_router_or_zero() {
    let (mut sim, a, b) = two_listeners();
    for (on, heard) in [("0", 0), ("1", 1)] {
        let text = format!(r#"({{"channel-listen",5,"MudB",0,0,0,"imud_gossip",{on},}})"#);
        assert_eq!(sim.say(b, text), NOTHING);
        sim.send(a, said("MudA", "x"));
        assert_eq!(sim.take(b).len(), heard);
    }
}

#[test]
fn rule_15_listening_to_what_there_is_not_is_an_error() {
    let (mut sim, a, _) = two_listeners();
    for channel in ["nosuch", "Imud_gossip", ""] {
        let text = format!(r#"({{"channel-listen",5,"MudA",0,"*test",0,"{channel}",1,}})"#);
        let message = format!("Unknown channel: {channel}");
        assert_eq!(sim.say(a, &text), [error("MudA", "0", "unk-channel", &message, &text)]);
    }
    assert_eq!(sim.say(a, r#"({"channel-listen",5,"MudA",0,"*test",0,"imud_gossip",})"#), NOTHING);
}

#[test]
fn rule_16_a_subscription_outlives_the_connection() {
    let leave: [fn(&mut Sim, Conn); 3] = [
        |sim, mud| sim.hang_up(mud),
        |sim, mud| sim.send(mud, r#"({"shutdown",5,"MudB",0,"*test",0,0,})"#),
        |sim, _| sim.restart(),
    ];
    for leave in leave {
        let (mut sim, a, b) = two_listeners();
        leave(&mut sim, b);
        sim.hang_up(a);
        let (a, b) = (sim.up("MudA", 2), sim.up("MudB", 3));
        sim.send(a, said("MudA", "x"));
        assert_eq!(sim.take_all([a, b]), [[said("MudA", "x")], [said("MudA", "x")]]);
        listen(&mut sim, b, "MudB", "0");
        sim.send(a, said("MudA", "x"));
        assert_eq!(sim.take(b), NOTHING);
    }
}

#[test]
fn rule_17_what_is_said_goes_to_every_listener_the_sender_included() {
    let (mut sim, a, b) = two_listeners();
    let deaf = sim.up("MudC", 4);
    for text in [
        said("MudA", r#"hello \"q\" \\ back"#),
        said("MudA", ""),
        said("MudA", "%^RED%^x%^RESET%^"),
        said("Ghost", "a name nobody has"),
    ] {
        sim.send(a, &text);
        assert_eq!(sim.take_all([a, b]), [[text.clone()], [text]]);
    }
    assert_eq!(sim.take(deaf), NOTHING);
}

#[test]
fn rule_18_who_acts_is_named_in_emotes() {
    let (mut sim, a, b) = two_listeners();
    let emote = |text: &str| format!(r#"({{"channel-e",5,"MudA","bob",0,0,"imud_gossip","Bob","{text}",}})"#);
    let targeted = |text: &str, you: &str| {
        format!(
            r#"({{"channel-t",5,"MudA","bob",0,0,"imud_gossip","MudB","ann","{text}","{you}","Bob","Ann",}})"#
        )
    };
    let from = " (from Bob@MudA)";
    for (sent, heard) in [
        (emote("$N waves."), emote("$N waves.")),
        (emote("waves."), emote(&format!("waves.{from}"))),
        (emote(""), emote(from)),
        (targeted("$N pokes $O.", "$N pokes you."), targeted("$N pokes $O.", "$N pokes you.")),
        (
            targeted("pokes $O.", "pokes you."),
            targeted(&format!("pokes $O.{from}"), &format!("pokes you.{from}")),
        ),
        (said("MudA", "waves."), said("MudA", "waves.")),
    ] {
        sim.send(a, sent);
        assert_eq!(sim.take_all([a, b]), [[heard.clone()], [heard]]);
    }
}

#[test]
fn rule_19_what_is_malformed_comes_back() {
    let (mut sim, a, b) = two_listeners();
    let format = ("bad-pkt", "Bad packet format.");
    let unknown = ("unk-channel", "Unknown channel: nosuch");
    for (text, user, (code, message)) in [
        (r#""channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","#, r#""bob""#, format),
        (r#""channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","x","extra","#, r#""bob""#, format),
        (r#""channel-m",5,"MudA",0,0,0,"imud_gossip","Bob","x","#, "0", format),
        (r#""channel-m",5,"MudA","",0,0,"imud_gossip","Bob","x","#, r#""""#, format),
        (r#""channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob",7,"#, r#""bob""#, format),
        (r#""channel-m",5,"MudA","bob",0,0,7,"Bob","x","#, r#""bob""#, format),
        (r#""channel-m",5,"MudA","bob","MudB",0,"imud_gossip","Bob","x","#, r#""bob""#, format),
        (r#""channel-m",5,"MudA","bob","*test",0,"imud_gossip","Bob","x","#, r#""bob""#, format),
        (r#""channel-t",5,"MudA","bob",0,0,"imud_gossip",0,0,"$N pokes.","","Bob","","#, r#""bob""#, format),
        (
            r#""channel-t",5,"MudA","bob",0,0,"imud_gossip","MudB","ann","$N pokes.","","","","#,
            r#""bob""#,
            format,
        ),
        (
            r#""channel-x",5,"MudA","bob",0,0,"imud_gossip","Bob","x","#,
            r#""bob""#,
            ("unk-type", "I don't know what channel-x means."),
        ),
        (r#""channel-m",5,"MudA","bob",0,0,"nosuch","Bob","x","#, r#""bob""#, unknown),
    ] {
        let text = format!("({{{text}}})");
        assert_eq!(sim.say(a, &text), [error("MudA", user, code, message, &text)]);
    }
    assert_eq!(sim.take(b), NOTHING);
}

#[test]
fn rule_19_who_has_no_visname_goes_by_the_users() {
    let (mut sim, a, b) = two_listeners();
    for visname in ["0", r#""""#] {
        sim.send(a, format!(r#"({{"channel-m",5,"MudA","bob",0,0,"imud_gossip",{visname},"x",}})"#));
        let heard = r#"({"channel-m",5,"MudA","bob",0,0,"imud_gossip","bob","x",})"#;
        assert_eq!(sim.take_all([a, b]), [[heard]; 2]);
    }
}

#[test]
fn rule_20_who_speaks_without_listening_is_made_to_listen() {
    let (mut sim, a, _) = two_listeners();
    let c = sim.up("MudC", 4);
    let hi = said("MudC", "hi");
    let message = "Your mud wasn't listening to imud_gossip, so I'll start you listening right now.";
    assert_eq!(sim.say(c, &hi), [error("MudC", r#""bob""#, "warning", message, &hi), hi.clone()]);
    assert_eq!(sim.take(a), [hi]);
    sim.send(a, said("MudA", "welcome"));
    assert_eq!(sim.take(c), [said("MudA", "welcome")]);
}

#[test]
fn rule_20_a_channel_nobody_ever_listened_to_swallows_what_is_said() {
    let (mut sim, a, b) = two_listeners();
    for _ in 0..2 {
        sim.send(a, said("MudA", "hello?").replace("imud_gossip", "imud_code"));
        assert_eq!(sim.take_all([a, b]), [NOTHING; 2]);
    }
}

#[test]
fn rule_20_who_is_banned_gets_three_errors() {
    let (mut sim, a, b) = two_listeners();
    sim.send(a, r#"({"channel-add",5,"MudA","bob","*test",0,"pchan",0,})"#);
    sim.send(a, r#"({"channel-listen",5,"MudA",0,"*test",0,"pchan",1,})"#);
    sim.send(a, r#"({"channel-admin",5,"MudA","bob","*test",0,"pchan",({"MudB",}),({}),})"#);
    sim.take_all([a, b]);
    let message = "Your mud wasn't listening to pchan, so I'll start you listening right now.";
    let said = r#"({"channel-m",5,"MudB","ann",0,0,"pchan","Ann","banned",})"#;
    let listen = r#"({"channel-listen",5,"MudB",0,"*test",0,"pchan",1,})"#;
    assert_eq!(
        sim.say(b, said),
        [
            error("MudB", r#""ann""#, "warning", message, said),
            error("MudB", "0", "not-allowed", "Banned from pchan", listen),
            error("MudB", "0", "not-allowed", "Banned from pchan", said),
        ]
    );
    assert_eq!(sim.take(a), NOTHING);
}
