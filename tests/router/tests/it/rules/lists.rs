//! Mudlists and chanlists: rules 4 to 9.

use std::time::Duration;

use crate::mud::{SERVICES, startup};
use crate::sim::{NOTHING, SECOND, Sim, entry, mudlist};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn rule_04_the_list_comes_twice_the_second_time_one_mud_a_packet() {
    let mut sim = Sim::strict();
    sim.pass_to(ms(5_300));
    let mud = sim.connect(2);
    let answers = sim.say(mud, startup("MudA", r#""*test""#, 0, SERVICES));
    let kinds = ["startup-reply", "mudlist", "chanlist-reply"];
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().zip(kinds).all(|(answer, kind)| answer.contains(kind)), "{answers:?}");

    // 1.0 to 2.0 s later, at the beat.
    sim.pass_to(ms(6_999));
    assert_eq!(sim.take(mud), NOTHING);
    sim.pass_to(ms(7_000));
    let again = mudlist("0", 2, &entry("MudA", -1, 2));
    let itself = mudlist(r#""MudA""#, 3, &entry("MudA", -1, 2));
    assert_eq!(sim.take(mud), [again, itself]);
}

#[test]
fn rule_04_no_more_than_ten_muds_of_the_second_list_come_in_a_second() {
    let mut sim = Sim::strict();
    for n in 10..33 {
        sim.up(&format!("Mud{n}"), n);
    }
    sim.pass(5 * SECOND);
    let mud = sim.up("Mud33", 33);
    let mut lengths = Vec::new();
    for _ in 0..5 {
        sim.pass(SECOND);
        lengths.push(sim.take(mud).iter().filter(|list| list.contains(r#","*test",0,0,0,"#)).count());
    }
    assert_eq!(lengths.into_iter().filter(|length| *length > 0).collect::<Vec<_>>(), [10, 10, 4]);
}

#[test]
fn rule_04_the_second_list_is_as_old_as_the_registration() {
    let mut sim = Sim::strict();
    let gone = sim.up("MudB", 3);
    let mud = sim.up("MudA", 2);
    sim.hang_up(gone);
    sim.pass(2 * SECOND);
    assert!(sim.take(mud).contains(&mudlist("0", 5, &entry("MudB", -1, 3))));
}

#[test]
fn rule_05_the_first_list_comes_ten_muds_a_packet_with_random_ids_but_for_the_last() {
    let mut sim = Sim::quiet();
    for n in 10..65 {
        sim.up(&format!("Mud{n}"), 2);
    }
    let last = sim.connect(3);
    let answers = sim.say(last, startup("Mud65", r#""*test""#, 0, SERVICES));
    let lists = &answers[1..7];
    let lengths: Vec<usize> = lists.iter().map(|list| list.matches("\"Mud").count() - 1).collect();
    assert_eq!(lengths, [10, 10, 10, 10, 10, 6]);
    let id = |list: &String| list.split(',').nth(6).unwrap().parse::<i64>().unwrap();
    let ids: Vec<i64> = lists.iter().map(id).collect();
    assert_eq!(ids[5], 167, "the counter");
    assert!(ids[..5].iter().any(|id| *id != ids[0]), "at random: {ids:?}");
    assert!(lists[5].contains(&entry("Mud65", -1, 3)), "itself");
    assert!(answers[7].contains("chanlist-reply"));
}

#[test]
fn rule_05_muds_that_are_gone_stay_in_the_list() {
    let mut sim = Sim::quiet();
    let gone = sim.up("MudB", 3);
    sim.hang_up(gone);
    let deleted = sim.up("MudD", 4);
    sim.send(deleted, r#"({"shutdown",5,"MudD",0,"*test",0,604801,})"#);
    let mud = sim.connect(2);
    let answers = sim.say(mud, startup("MudA", r#""*test""#, 0, SERVICES));
    let muds = [entry("MudA", -1, 2), entry("MudB", 0, 3), r#""MudD":0,"#.into()].concat();
    assert_eq!(answers[1], mudlist(r#""MudA""#, 8, &muds));
}

#[test]
fn rule_06_ids_of_old_lists_do_not_matter() {
    let mut sim = Sim::quiet();
    let other = sim.up("MudB", 3);
    let mud = sim.connect(2);
    let request = startup("MudA", r#""*test""#, 0, SERVICES);
    let answers = sim.say(mud, request.replacen("0,0,0,4000", "0,999999,999999,4000", 1));
    assert_eq!(answers[1].matches(",([]),}),").count(), 2);
    assert!(answers[2].contains("imud_code") && answers[2].contains("imud_gossip"));
    assert_eq!(sim.take(other), NOTHING);
}

#[test]
fn rule_07_others_hear_of_a_new_mud_after_one_to_two_seconds() {
    for (at, heard) in [(10_000, 11_000), (10_001, 12_000), (10_999, 12_000)] {
        let mut sim = Sim::strict();
        let a = sim.up("MudA", 2);
        sim.pass_to(ms(at));
        sim.take(a);
        let b = sim.connect(3);
        sim.register(b, "MudB", 0);
        sim.pass_to(ms(heard - 1));
        assert_eq!(sim.take(a), NOTHING);
        sim.pass_to(ms(heard));
        assert_eq!(sim.take(a), [mudlist(r#""MudA""#, 6, &entry("MudB", -1, 3))]);
    }
}

#[test]
fn rule_08_others_hear_of_an_end_after_eleven_to_twelve_seconds() {
    let leave: [fn(&mut Sim, _); 3] = [
        |sim, mud| sim.hang_up(mud),
        |sim, mud| sim.send(mud, r#"({"shutdown",5,"MudB",0,"*test",0,0,})"#),
        |sim, mud| sim.send(mud, r#"({"shutdown",5,"MudB",0,"*test",0,300,})"#),
    ];
    for leave in leave {
        let mut sim = Sim::strict();
        let (a, b) = (sim.up("MudA", 2), sim.up("MudB", 3));
        sim.pass_to(ms(20_600));
        sim.take(a);
        leave(&mut sim, b);
        sim.pass(ms(11_399));
        assert_eq!(sim.take(a), NOTHING);
        sim.pass(ms(1));
        assert_eq!(sim.take(a), [mudlist(r#""MudA""#, 7, &entry("MudB", 0, 3))]);
    }
}

#[test]
fn rule_08_who_comes_back_in_time_was_never_gone() {
    let mut sim = Sim::strict();
    let (a, b) = (sim.up("MudA", 2), sim.up("MudB", 3));
    sim.pass(5 * SECOND);
    sim.take(a);
    sim.hang_up(b);
    sim.pass(5 * SECOND);
    sim.up("MudB", 3);
    sim.pass(20 * SECOND);
    let up = |id| mudlist(r#""MudA""#, id, &entry("MudB", -1, 3));
    // Of the registration, and of the end that is no longer true.
    assert_eq!(sim.take(a), [up(9), up(10)]);
}

#[test]
fn rule_08_who_leaves_at_once_was_up_first() {
    let mut sim = Sim::strict();
    let a = sim.up("MudA", 2);
    sim.pass(5 * SECOND);
    sim.take(a);
    let b = sim.up("MudB", 3);
    sim.hang_up(b);
    sim.pass(20 * SECOND);
    let news = |id, state| mudlist(r#""MudA""#, id, &entry("MudB", state, 3));
    assert_eq!(sim.take(a), [news(6, -1), news(7, 0)]);
}

#[test]
fn rule_09_the_chanlist_is_for_muds_with_the_service() {
    for (services, told) in [(r#"(["channel":0,])"#, true), (r#"(["tell":1,])"#, false), ("([])", false)] {
        let mut sim = Sim::quiet();
        let mud = sim.connect(2);
        let answers = sim.say(mud, startup("MudA", r#""*test""#, 0, services));
        let list = r#"({"chanlist-reply",5,"*test",0,"MudA",0,1,(["imud_code":({"*test",0,}),"imud_gossip":({"*test",0,}),]),})"#;
        let expected = if told { &[list][..] } else { &[] };
        assert_eq!(&answers[2..], expected, "{services}");
        for kind in ["chanlist-req", "chanlist-request"] {
            let answers = sim.say(mud, format!(r#"({{"{kind}",5,"MudA",0,"*test",0,}})"#));
            assert_eq!(answers, expected, "{services}");
        }
    }
}

#[test]
fn rule_09_a_deleted_channel_is_not_in_the_list() {
    let mut sim = Sim::quiet();
    let mud = sim.up("MudA", 2);
    sim.send(mud, r#"({"channel-add",5,"MudA",0,"*test",0,"short",0,})"#);
    assert!(sim.take(mud)[0].contains(r#""short""#));
    sim.send(mud, r#"({"channel-remove",5,"MudA",0,"*test",0,"short",})"#);
    assert!(!sim.take(mud)[0].contains("short"));
}
