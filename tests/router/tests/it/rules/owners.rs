//! Channels made, kept and removed: rules 11 to 14.

use i3_router::core::Conn;

use crate::mud::startup;
use crate::sim::{NOTHING, Sim, error};

/// The owner of `pchan`, and another mud; both listen to it.
fn owner_and_listener() -> (Sim, Conn, Conn) {
    let mut sim = Sim::quiet();
    let (a, b) = (sim.up("MudA", 2), sim.up("MudB", 3));
    sim.send(a, r#"({"channel-add",5,"MudA","bob","*test",0,"pchan",0,})"#);
    for (conn, mud) in [(a, "MudA"), (b, "MudB")] {
        sim.send(conn, format!(r#"({{"channel-listen",5,"{mud}",0,"*test",0,"pchan",1,}})"#));
    }
    sim.take_all([a, b]);
    (sim, a, b)
}

fn list(mud: &str, id: i64, added: &str) -> String {
    format!(
        r#"({{"chanlist-reply",5,"*test",0,"{mud}",0,{id},(["imud_code":({{"*test",0,}}),"imud_gossip":({{"*test",0,}}),{added}]),}})"#
    )
}

#[test]
fn rule_11_the_type_of_a_new_channel_is_an_array_and_then_zero() {
    for kind in 0..3 {
        let mut sim = Sim::quiet();
        let (a, b) = (sim.up("MudA", 2), sim.up("MudB", 3));
        let deaf = sim.connect(4);
        sim.say(deaf, startup("MudC", r#""*test""#, 0, r#"(["tell":1,])"#));
        let add = format!(r#"({{"channel-add",5,"MudA","bob","*test",0,"pchan",{kind},}})"#);
        let fresh = r#""pchan":({"MudA",({}),}),"#;
        assert_eq!(sim.say(a, add), [list("MudA", 2, fresh)]);
        assert_eq!(sim.take(b), [list("MudB", 2, fresh)]);
        assert_eq!(sim.take(deaf), NOTHING, "it has no service");

        sim.send(b, r#"({"channel-add",5,"MudB",0,"*test",0,"zchan",0,})"#);
        let both = r#""pchan":({"MudA",0,}),"zchan":({"MudB",({}),}),"#;
        assert_eq!(sim.take_all([a, b]), [[list("MudA", 3, both)], [list("MudB", 3, both)]]);
    }
}

#[test]
fn rule_11_channels_of_every_type_are_open() {
    for kind in 0..3 {
        let mut sim = Sim::quiet();
        let (a, b) = (sim.up("MudA", 2), sim.up("MudB", 3));
        sim.send(a, format!(r#"({{"channel-add",5,"MudA","bob","*test",0,"modchan",{kind},}})"#));
        sim.take_all([a, b]);
        sim.send(a, r#"({"channel-listen",5,"MudA",0,"*test",0,"modchan",1,})"#);
        assert_eq!(sim.say(b, r#"({"channel-listen",5,"MudB",0,"*test",0,"modchan",1,})"#), NOTHING);
        let said = r#"({"channel-m",5,"MudB","ann",0,0,"modchan","Ann","not admitted",})"#;
        sim.send(b, said);
        // Rule 12: nor does the owner get to filter it.
        assert_eq!(sim.take_all([a, b]), [[said], [said]]);
    }
}

#[test]
fn rule_12_a_filtered_message_is_laughed_at_and_broadcast() {
    let (mut sim, a, b) = owner_and_listener();
    let said = r#"({"channel-m",5,"MudB","ann",0,0,"pchan","Ann","FILTERED",})"#;
    let reply = format!(r#"({{"chan-filter-reply",5,"MudA",0,"*test",0,"pchan",{said},}})"#);
    assert_eq!(sim.say(a, &reply), [error("MudA", "0", "not-allowed", "*giggles*", &reply), said.into()]);
    assert_eq!(sim.take(b), [said]);

    let stranger = reply.replace("MudA", "MudB");
    let message = "You are not the owner of pchan";
    assert_eq!(sim.say(b, &stranger), [error("MudB", "0", "not-allowed", message, &stranger)]);
    assert_eq!(sim.take(a), NOTHING);
}

#[test]
fn rule_13_what_cannot_be_added_is_not_allowed() {
    let (mut sim, a, b) = owner_and_listener();
    let long = "x".repeat(81);
    for (name, kind, message) in [
        ("badtype", "3", "Invalid channel type: 3"),
        ("badtype", "-1", "Invalid channel type: -1"),
        ("badtype", r#""0""#, r#"Invalid channel type: \"0\""#),
        ("pchan", "0", "Channel already exists: pchan"),
        (&long, "0", &format!(r#"Invalid channel name: \"{long}\""#)),
    ] {
        let add = format!(r#"({{"channel-add",5,"MudA","bob","*test",0,"{name}",{kind},}})"#);
        assert_eq!(sim.say(a, &add), [error("MudA", r#""bob""#, "not-allowed", message, &add)]);
    }
    assert_eq!(sim.say(a, r#"({"channel-add",5,"MudA","bob","*test",0,"short",})"#), NOTHING);
    assert_eq!(sim.take(b), NOTHING);
}

#[test]
fn rule_13_an_empty_name_and_no_target_will_do() {
    let (mut sim, a, b) = owner_and_listener();
    for (target, name, id) in [(r#""*test""#, "", 3), ("0", "tgt0", 4), ("0", &*"x".repeat(80), 5)] {
        let add = format!(r#"({{"channel-add",5,"MudA","bob",{target},0,"{name}",0,}})"#);
        let answers = sim.say(a, add);
        assert!(answers.len() == 1 && answers[0].contains(&format!(r#""{name}":({{"MudA",({{}}),}})"#)));
        assert!(answers[0].starts_with(&format!(r#"({{"chanlist-reply",5,"*test",0,"MudA",0,{id},"#)));
        assert_eq!(sim.take(b), [answers[0].replacen("MudA", "MudB", 1)]);
    }
}

#[test]
fn rule_14_only_the_owner_may_change_a_channel() {
    let (mut sim, a, b) = owner_and_listener();
    for text in [
        r#"({"channel-remove",5,"MudB","ann","*test",0,"pchan",})"#,
        r#"({"channel-admin",5,"MudB","ann","*test",0,"pchan",({"MudA",}),({}),})"#,
    ] {
        let message = "Channel pchan owned by: MudA";
        assert_eq!(sim.say(b, text), [error("MudB", r#""ann""#, "not-allowed", message, text)]);
    }
    let admin = r#"({"channel-admin",5,"MudA","bob","*test",0,"nosuch",({}),({}),})"#;
    assert_eq!(sim.say(a, admin), NOTHING, "of an unknown channel");
    let remove = r#"({"channel-remove",5,"MudA","bob","*test",0,"pchan",})"#;
    assert_eq!(sim.say(a, remove), [list("MudA", 3, "")]);
    assert_eq!(sim.take(b), [list("MudB", 3, "")]);
    let message = "Unknown channel: pchan";
    assert_eq!(sim.say(a, remove), [error("MudA", r#""bob""#, "unk-channel", message, remove)]);
}

#[test]
fn rule_14_who_is_added_is_banned_and_who_is_taken_out_may_listen_again() {
    let (mut sim, a, b) = owner_and_listener();
    let admin = |add: &str, remove: &str| {
        format!(r#"({{"channel-admin",5,"MudA","bob","*test",0,"pchan",({{{add}}}),({{{remove}}}),}})"#)
    };
    let listen = r#"({"channel-listen",5,"MudB",0,"*test",0,"pchan",1,})"#;
    let said = r#"({"channel-m",5,"MudA","bob",0,0,"pchan","Bob","x",})"#;
    assert_eq!(sim.say(a, admin(r#""MudB","#, "")), NOTHING);
    assert_eq!(sim.say(b, listen), [error("MudB", "0", "not-allowed", "Banned from pchan", listen)]);
    sim.send(a, said);
    assert_eq!(sim.take(b), NOTHING);

    assert_eq!(sim.say(a, admin("", r#""MudB","#)), NOTHING);
    sim.send(a, said);
    assert_eq!(sim.take(b), NOTHING, "it has to ask again");
    assert_eq!(sim.say(b, listen), NOTHING);
    sim.send(a, said);
    assert_eq!(sim.take(b), [said]);
}
