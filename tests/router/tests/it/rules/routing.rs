//! Where packets go, and what comes back for those that go nowhere: rules 21 to 30, 42 to 44, and 47.

use std::time::Duration;

use i3_router::core::Conn;

use crate::mud::{SERVICES, startup};
use crate::sim::{NOTHING, SECOND, Sim, error};

fn two() -> (Sim, Conn, Conn) {
    let mut sim = Sim::quiet();
    let (a, b) = (sim.up("MudA", 2), sim.up("MudB", 3));
    sim.take_all([a, b]);
    (sim, a, b)
}

/// Goes from the first to the second as it is.
fn assert_passes(sim: &mut Sim, from: Conn, to: Conn, text: &str) {
    sim.send(from, text);
    assert_eq!(sim.take(to), [text]);
}

#[test]
fn rule_21_a_known_mud_that_is_not_connected_swallows_everything() {
    let (mut sim, a, b) = two();
    sim.hang_up(b);
    assert_eq!(sim.say(a, r#"({"tell",5,"MudA","bob","MudB","ann","Bob","into the void",})"#), NOTHING);
    for name in ["Nowhere", "mudb", ""] {
        let tell = format!(r#"({{"tell",5,"MudA","bob","{name}","ann","Bob","hi",}})"#);
        assert_eq!(sim.say(a, &tell), [error("MudA", r#""bob""#, "unk-dst", "destination unknown", &tell)]);
    }
}

#[test]
fn rule_21_a_mud_that_was_deleted_is_unknown() {
    let (mut sim, a, b) = two();
    sim.send(b, r#"({"shutdown",5,"MudB",0,"*test",0,604801,})"#);
    let tell = r#"({"tell",5,"MudA","bob","MudB","ann","Bob","hi",})"#;
    assert_eq!(sim.say(a, tell), [error("MudA", r#""bob""#, "unk-dst", "destination unknown", tell)]);
}

#[test]
fn rule_22_fields_are_not_counted() {
    let (mut sim, a, b) = two();
    for text in [
        r#"({"tell",5,"MudA","bob","MudB","ann","Bob","hi",})"#,
        r#"({"tell",5,"MudA","bob","MudB","ann",})"#,
        r#"({"tell",5,"MudA","bob","MudB","ann","Bob","hi","more",})"#,
        r#"({"who-req",5,"MudA","bob","MudB",0,})"#,
        r#"({"error",5,"MudA","bob","MudB","ann","unk-user","no such",0,})"#,
        r#"({"frobnicate",5,"MudA","bob","MudB",0,1,({2,}),(["a":1.500000,]),(/1,/),})"#,
        "({\"emoteto\",5,\"MudA\",\"bob\",\"MudB\",\"ann\",\"Bob\",\"two\rlines \\\"é\\\"\",})",
    ] {
        assert_passes(&mut sim, a, b, text);
    }
    assert_eq!(sim.take(a), NOTHING);
}

#[test]
fn rule_23_the_ttl_is_not_looked_at() {
    let (mut sim, a, b) = two();
    for ttl in ["0", "1", "200", "-1"] {
        let tell = format!(r#"({{"tell",{ttl},"MudA","bob","MudB","ann","Bob","hi",}})"#);
        assert_passes(&mut sim, a, b, &tell);
    }
    let tell = r#"({"tell","5","MudA","bob","MudB","ann","Bob","x",})"#;
    assert_eq!(sim.say(a, tell), [error("MudA", r#""bob""#, "bad-pkt", "Invalid initial data", tell)]);
}

#[test]
fn rule_24_what_has_no_target_goes_to_everybody() {
    let (mut sim, a, b) = two();
    let stranger = sim.connect(4);
    for text in [
        r#"({"locate-req",5,"MudA","bob",0,0,"ann",})"#,
        r#"({"ucache-update",5,"MudA",0,0,0,"bob","Bob",0,})"#,
        r#"({"tell",5,"MudA","bob",0,0,"Bob","broadcast tell",})"#,
        r#"({"frobnicate",5,"MudA","bob",0,0,1,})"#,
        r#"({"shutdown",5,"MudA",0,0,0,0,})"#,
        r#"({"mudlist",5,"MudA",0,0,0,1,(["Fake":0,]),})"#,
        r#"({"startup-reply",5,"MudA",0,0,0,({}),1,})"#,
        r#"({"locate-req",5,"Ghost","bob",0,0,"ann",})"#,
    ] {
        sim.send(a, text);
        assert_eq!(sim.take_all([a, b]), [[text], [text]]);
    }
    assert!(sim.is_up("MudA") && !sim.is_closed(a));
    assert_eq!(sim.take(stranger), NOTHING);
}

#[test]
fn rule_25_packets_to_oneself_come_back() {
    let (mut sim, a, _) = two();
    for kind in ["auth-mud-req", "ping-req", "tell", "who-req"] {
        let text = format!(r#"({{"{kind}",5,"MudA",0,"MudA",0,}})"#);
        assert_eq!(sim.say(a, &text), [text]);
    }
}

#[test]
fn rule_26_what_the_router_does_not_do_it_says() {
    let (mut sim, a, _) = two();
    for kind in
        ["ping-req", "who-req", "tell", "auth-mud-req", "oob-req", "error", "mudlist", "startup-reply"]
    {
        let text = format!(r#"({{"{kind}",5,"MudA","bob","*test",0,}})"#);
        let message = format!("Unknown command sent to router: {kind}");
        assert_eq!(sim.say(a, &text), [error("MudA", r#""bob""#, "not-imp", &message, &text)]);
    }
}

#[test]
fn rule_27_routers_packets_from_a_mud_are_ignored() {
    let (mut sim, a, b) = two();
    for text in [
        r#"({"irn-ping",5,"MudA",0,"*test",0,})"#,
        r#"({"irn-startup-req",5,"MudA",0,"*test",0,(["client_password":0,"server_password":0,]),})"#,
        r#"({"irn-data",5,"MudA",0,"*test",0,({"tell",5,"MudA","bob","MudB","ann","Bob","hi",}),})"#,
        r#"({"irn-ping",5,"MudA",0,"MudB",0,})"#,
        r#"({"irn-ping",5,"MudA",0,0,0,})"#,
    ] {
        sim.send(a, text);
        assert_eq!(sim.take_all([a, b]), [NOTHING; 2], "{text}");
    }
    assert!(!sim.is_closed(a));
}

#[test]
fn rule_28_only_the_name_of_a_connected_mud_cannot_be_borrowed() {
    let (mut sim, a, b) = two();
    let c = sim.up("MudZ", 4);
    sim.hang_up(c);
    for origin in ["Ghost", "MudZ"] {
        let tell = format!(r#"({{"tell",5,"{origin}","ann","MudB","bob","Ann","spoof",}})"#);
        assert_passes(&mut sim, a, b, &tell);
    }
    for text in [
        // The name is connected elsewhere,
        r#"({"tell",5,"MudB","ann","MudA","bob","Ann","spoof",})"#,
        r#"({"locate-req",5,"MudB","ann",0,0,"bob",})"#,
        // or the target is the router, or nobody.
        r#"({"shutdown",5,"Ghost",0,"*test",0,0,})"#,
        r#"({"chanlist-req",5,"MudZ",0,"*test",0,})"#,
        r#"({"who-req",5,"Ghost",0,"*test",0,})"#,
        r#"({"tell",5,"Ghost","ann","Nowhere","bob","Ann","spoof",})"#,
        r#"({"channel-listen",5,"Ghost",0,"*test",0,"imud_gossip",1,})"#,
    ] {
        sim.send(a, text);
        assert_eq!(sim.take_all([a, b]), [NOTHING; 2], "{text}");
    }
    assert!(!sim.is_closed(a) && sim.is_up("MudA"));
}

#[test]
fn rule_29_router_packets_to_one_mud_are_not_allowed() {
    let (mut sim, a, b) = two();
    for kind in ["startup-reply", "mudlist", "chanlist-reply"] {
        let text = format!(r#"({{"{kind}",5,"MudA",0,"MudB",0,1,([]),}})"#);
        let message = "You are not allowed to send this kind of packet.";
        assert_eq!(sim.say(a, &text), [error("MudA", "0", "not-allowed", message, &text)]);
    }
    assert_eq!(sim.take(b), NOTHING);
}

#[test]
fn rule_30_a_bad_header_is_answered_if_there_is_enough_of_it() {
    let (mut sim, a, b) = two();
    for (text, user) in [
        (r#"({"tell",5,"MudA",1,"MudB","ann","Bob","x",})"#, "1"),
        (r#"({"tell",5,"MudA","bob","MudB",})"#, r#""bob""#),
        (r#"({"tell",5,"MudA","bob",7,"ann","Bob","x",})"#, r#""bob""#),
        (r#"({"tell",5,"MudA","bob","MudB",({}),"Bob","x",})"#, r#""bob""#),
    ] {
        assert_eq!(sim.say(a, text), [error("MudA", user, "bad-pkt", "Invalid initial data", text)]);
    }
    for text in [
        r#"({"tell",5,"MudA",})"#,
        "({})",
        "([])",
        "123",
        r#""str""#,
        r#"({5,"x",})"#,
        r#"({5,5,"MudA","bob","MudB","ann","Bob","x",})"#,
    ] {
        assert_eq!(sim.say(a, text), NOTHING, "{text}");
    }
    assert_passes(&mut sim, a, b, r#"({"tell",5,"MudA","bob","MudB","ann","Bob","still here",})"#);
}

#[test]
fn rule_42_shutdown_ends_a_link_at_once() {
    for delay in ["0", "1", "300", "604800", "-5"] {
        let (mut sim, a, b) = two();
        assert_eq!(sim.say(b, format!(r#"({{"shutdown",5,"MudB",0,"*test",0,{delay},}})"#)), NOTHING);
        assert!(sim.is_closed(b) && !sim.is_up("MudB"));
        assert_eq!(sim.take(a), NOTHING, "it hears of it later");
    }
}

#[test]
fn rule_42_a_long_shutdown_deletes_the_mud_and_its_password() {
    let mut sim = Sim::strict();
    let (a, b) = (sim.up("MudA", 2), sim.up("Shut604801", 3));
    sim.pass_to(Duration::from_millis(5_500));
    sim.take(a);
    sim.send(b, r#"({"shutdown",5,"Shut604801",0,"*test",0,604801,})"#);
    assert!(sim.is_closed(b));
    sim.pass(Duration::from_millis(10_499));
    assert_eq!(sim.take(a), NOTHING);
    sim.pass(Duration::from_millis(1));
    assert_eq!(sim.take(a), [crate::sim::mudlist(r#""MudA""#, 7, r#""Shut604801":0,"#)]);
    // The name is free for anyone.
    sim.up("Shut604801", 9);
}

#[test]
fn rule_42_a_malformed_shutdown_does_nothing() {
    let (mut sim, a, _) = two();
    let message = "Wrong number of elements for packet: shutdown";
    for text in [r#"({"shutdown",5,"MudA",0,"*test",0,})"#, r#"({"shutdown",5,"MudA",0,"*test",0,0,0,})"#] {
        assert_eq!(sim.say(a, text), [error("MudA", "0", "bad-pkt", message, text)]);
    }
    assert_eq!(sim.say(a, r#"({"shutdown",5,"MudA",0,"*test",0,"0",})"#), NOTHING);
    assert!(sim.is_up("MudA") && !sim.is_closed(a));
}

#[test]
fn rule_43_an_idle_link_hears_nothing_and_is_kept() {
    let mut sim = Sim::strict();
    let (mud, stranger) = (sim.up("MudA", 2), sim.connect(3));
    sim.pass(10 * SECOND);
    sim.take(mud);
    sim.pass(Duration::from_secs(100_000));
    assert_eq!(sim.take_all([mud, stranger]), [NOTHING; 2]);
    assert!(!sim.is_closed(mud) && sim.is_up("MudA"));
}

#[test]
fn rule_44_a_restart_keeps_muds_passwords_and_channels() {
    let mut sim = Sim::quiet();
    let (a, b) = (sim.connect(2), sim.up("MudB", 3));
    let password = sim.register(a, "MudA", 0);
    sim.send(a, r#"({"channel-add",5,"MudA","bob","*test",0,"pchan",0,})"#);
    sim.send(b, r#"({"channel-listen",5,"MudB",0,"*test",0,"pchan",1,})"#);
    sim.take_all([a, b]);
    sim.restart();
    assert_eq!(sim.take_all([a, b]), [NOTHING; 2], "a plain end");
    assert!(sim.is_closed(a) && sim.is_closed(b) && !sim.is_up("MudA"));

    // From any address at once.
    let a = sim.connect(22);
    let answers = sim.say(a, startup("MudA", r#""*test""#, password, SERVICES));
    assert!(answers[1].contains(&crate::sim::entry("MudB", 0, 3)));
    assert!(answers[2].contains(r#""pchan":({"MudA",0,})"#));
    let b = sim.up("MudB", 3);
    assert_passes(&mut sim, a, b, r#"({"channel-m",5,"MudA","bob",0,0,"pchan","Bob","x",})"#);
}

#[test]
fn rule_47_locate_replies_are_made_to_fit() {
    let (mut sim, a, b) = two();
    let old = sim.connect(4);
    let request =
        r#"({"startup-req-2",5,"Old",0,"*test",0,0,0,0,4000,0,0,"Lib","Base","Drv","LP","open",([]),})"#;
    assert_eq!(sim.say(old, request).len(), 2);
    let reply = |from: &str, to: &str, more: &str| {
        format!(r#"({{"locate-reply",5,"{from}",0,"{to}","bob","MudB","Ann",{more}}})"#)
    };
    // 8 to 10 for protocol 3, whoever sends it; 10 to 8 for the others; anything else as it is.
    for (from, conn, to, target, sent, got) in [
        ("MudB", b, "MudA", a, "", "0,0,"),
        ("Old", old, "MudA", a, "", "0,0,"),
        ("MudB", b, "MudA", a, r#"0,"st","#, r#"0,"st","#),
        ("MudB", b, "Old", old, r#"0,"st","#, ""),
        ("MudB", b, "Old", old, "", ""),
        ("MudB", b, "MudA", a, "0,", "0,"),
        ("MudB", b, "Old", old, "0,0,0,", "0,0,0,"),
    ] {
        sim.send(conn, reply(from, to, sent));
        assert_eq!(sim.take(target), [reply(from, to, got)]);
    }
}
