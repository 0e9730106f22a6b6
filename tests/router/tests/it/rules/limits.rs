//! What is too much: rules 38 to 41b. Rule 45 needs sockets: see `slow`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use i3_router::core::Conn;
use i3_router::{Config, Event, Refusal};

use crate::mud::{SERVICES, startup};
use crate::sim::{NOTHING, SECOND, Sim, error};

const FLOOD: &str = "Flood detected! Your packets will be temporarily ignored.";
const IGNORED: &str = "Your packets are being temporarily dropped due to flooding.";

fn tell(n: usize) -> String {
    format!(r#"({{"tell",5,"MudA","bob","MudB","ann","Bob","{n}",}})"#)
}

/// At the start of a second, with nothing counted in it.
fn two() -> (Sim, Conn, Conn) {
    let mut sim = Sim::strict();
    let (a, b) = (sim.up("MudA", 2), sim.up("MudB", 3));
    sim.pass(5 * SECOND);
    sim.take_all([a, b]);
    (sim, a, b)
}

#[test]
fn rule_38_an_address_gets_33_muds_and_the_34th_meets_silence() {
    let mut sim = Sim::new(Config { address_limit: true, ..Config::default() });
    let muds: Vec<Conn> = (1..34).map(|n| sim.up(&format!("Mud{n}"), 2)).collect();
    let more = sim.connect(2);
    let request = startup("Mud34", r#""*test""#, 0, SERVICES);
    assert_eq!(sim.say(more, &request), NOTHING);
    assert_eq!(sim.last_refusal(), Some(Refusal::AddressLimit));
    assert!(!sim.is_closed(more));

    // It is connected muds that count, and a name that is known may always come back.
    sim.hang_up(muds[0]);
    assert!(sim.say(more, &request)[0].contains("startup-reply"));
    sim.up("Mud1", 2);
    sim.up("Elsewhere", 3);
}

#[test]
fn rule_39_one_connection_is_accepted_in_a_clock_second() {
    let mut sim = Sim::strict();
    for (at, accepted) in
        [(10_200, true), (10_500, false), (10_900, false), (11_010, true), (11_999, false), (12_000, true)]
    {
        sim.pass_to(Duration::from_millis(at));
        let conn = sim.connect(2);
        assert_eq!(sim.is_closed(conn), !accepted, "at {at}");
        let last = sim.events.last();
        assert_eq!(matches!(last, Some(Event::TurnedAway { .. })), !accepted);
        if accepted {
            let answers = sim.say(conn, startup("MudA", r#""*test""#, 0, SERVICES));
            assert!(answers.is_empty() || answers[0].contains("startup-reply"));
        }
    }
}

#[test]
fn rule_40_ten_packets_in_a_clock_second_pass_and_the_eleventh_is_a_flood() {
    let (mut sim, a, b) = two();
    for n in 0..10 {
        assert_eq!(sim.say(a, tell(n)), NOTHING);
    }
    assert_eq!(sim.say(a, tell(10)), [error("MudA", r#""bob""#, "not-allowed", FLOOD, &tell(10))]);
    for n in 11..20 {
        assert_eq!(sim.say(a, tell(n)), NOTHING, "the rest is dropped in silence");
    }
    assert_eq!(sim.take(b), (0..10).map(tell).collect::<Vec<_>>());
    assert!(!sim.is_closed(a));
}

#[test]
fn rule_40_seconds_are_those_of_the_clock() {
    let (mut sim, a, b) = two();
    sim.pass(Duration::from_millis(900));
    (0..10).for_each(|n| sim.send(a, tell(n)));
    sim.pass(Duration::from_millis(100));
    (0..10).for_each(|n| sim.send(a, tell(n)));
    assert_eq!(sim.take(b).len(), 20);
}

#[test]
fn rule_40_a_startup_counts_six() {
    for (tells, passed) in [(4, 4), (5, 4)] {
        let (mut sim, a, b) = two();
        sim.hang_up(a);
        let a = sim.connect(2);
        sim.register(a, "MudA", 0);
        let answers: Vec<String> = (0..tells).flat_map(|n| sim.say(a, tell(n))).collect();
        assert_eq!(sim.take(b).len(), passed);
        assert_eq!(answers.iter().filter(|answer| answer.contains(FLOOD)).count(), tells - passed);
    }
    // Two of them in a second are 12.
    let (mut sim, a, _) = two();
    sim.hang_up(a);
    let a = sim.connect(2);
    sim.register(a, "MudA", 0);
    let request = startup("MudA", r#""*test""#, 0, SERVICES);
    assert_eq!(sim.say(a, &request), [error("MudA", "0", "not-allowed", FLOOD, &request)]);
}

#[test]
fn rule_40_listening_is_free() {
    let (mut sim, a, b) = two();
    let listen = r#"({"channel-listen",5,"MudA",0,"*test",0,"imud_gossip",1,})"#;
    (0..40).for_each(|_| assert_eq!(sim.say(a, listen), NOTHING));
    (0..10).for_each(|n| sim.send(a, tell(n)));
    assert_eq!(sim.take(b).len(), 10);
}

#[test]
fn rule_40_what_is_malformed_counts_as_well() {
    let (mut sim, a, _) = two();
    let bad = r#"({"tell",5,"MudA",1,"MudB","ann","Bob","x",})"#;
    for _ in 0..10 {
        assert_eq!(sim.say(a, bad), [error("MudA", "1", "bad-pkt", "Invalid initial data", bad)]);
    }
    assert_eq!(sim.say(a, bad), [error("MudA", "1", "not-allowed", FLOOD, bad)]);
}

#[test]
fn rule_40_it_is_the_name_that_counts() {
    let (mut sim, a, b) = two();
    for n in 0..20 {
        let origin = if n % 2 == 0 { "Ghost" } else { "MudA" };
        sim.send(a, tell(n).replace("MudA", origin));
    }
    assert_eq!(sim.take(b).len(), 20);
}

#[test]
fn rule_41_who_floods_is_told_once_a_second_and_heard_again_later() {
    let (mut sim, a, b) = two();
    (0..11).for_each(|n| sim.send(a, tell(n)));
    sim.take_all([a, b]);
    sim.pass(SECOND);
    let ignored = |packet: &str, user| [error("MudA", user, "not-allowed", IGNORED, packet)];
    assert_eq!(sim.say(a, tell(1)), ignored(&tell(1), r#""bob""#));
    assert_eq!(sim.say(a, tell(2)), NOTHING);
    sim.pass(SECOND);
    let listen = r#"({"channel-listen",5,"MudA",0,"*test",0,"imud_gossip",1,})"#;
    for _ in 0..3 {
        assert_eq!(sim.say(a, listen), ignored(listen, "0"));
    }
    let request = startup("MudA", r#""*test""#, 0, SERVICES);
    assert_eq!(sim.say(a, request), NOTHING);
    assert_eq!(sim.last_refusal(), Some(Refusal::Flood));
    assert!(!sim.is_closed(a));

    sim.pass_to(Duration::from_millis(9_999));
    sim.send(a, tell(3));
    assert_eq!(sim.take(b), NOTHING);
    sim.pass_to(10 * SECOND);
    sim.send(a, tell(4));
    assert_eq!(sim.take(b), [tell(4)]);
}

#[test]
fn rule_41_one_mud_is_forgiven_at_a_time_the_oldest_first() {
    let (mut sim, a, b) = two();
    let from_b = tell(0).replace("MudA", "MudX").replace("MudB", "MudA").replace("MudX", "MudB");
    (0..11).for_each(|n| sim.send(a, tell(n)));
    (0..11).for_each(|_| sim.send(b, &from_b));
    sim.take_all([a, b]);
    sim.pass_to(11 * SECOND);
    sim.send(a, tell(0));
    sim.send(b, &from_b);
    assert_eq!(sim.take_all([a, b]).map(|all| all.len()), [0, 2], "the tell, and its own error");
    sim.pass_to(21 * SECOND);
    sim.send(b, &from_b);
    assert_eq!(sim.take(a), [from_b]);
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

/// A router at which 127.0.0.7 gave so many wrong passwords, one a second.
fn wrong_passwords(count: usize) -> Sim {
    let mut sim = Sim::strict();
    sim.up("MudA", 2);
    sim.pass(SECOND);
    let guesser = sim.connect(7);
    let wrong = startup("MudA", r#""*test""#, 1, SERVICES);
    let owner = Conn(1);
    sim.hang_up(owner);
    for _ in 0..count {
        sim.pass(SECOND);
        assert_eq!(sim.say(guesser, &wrong), NOTHING);
        assert_eq!(sim.last_refusal(), Some(Refusal::WrongPassword));
    }
    sim
}

#[test]
fn rule_41b_a_hundred_and_one_wrong_passwords_silence_an_address() {
    let mut sim = wrong_passwords(101);
    for (last, silent) in [(7, true), (70, true), (79, true), (61, false), (17, false)] {
        sim.pass(SECOND);
        let conn = sim.connect_from(address(last));
        assert!(!sim.is_closed(conn), "it is accepted");
        sim.events.clear();
        let answers = sim.say(conn, startup(&format!("New{last}"), r#""*test""#, 0, SERVICES));
        assert_eq!(answers.is_empty(), silent, "127.0.0.{last}");
        assert_eq!(sim.last_refusal(), silent.then_some(Refusal::Blacklisted));
    }
    sim.pass(Duration::from_secs(7 * 24 * 3_600));
    sim.up("New7", 7);
}

#[test]
fn rule_41b_a_hundred_wrong_passwords_do_not_and_a_right_one_starts_the_count_anew() {
    let mut sim = wrong_passwords(100);
    sim.up("Other", 7);
    sim.pass(SECOND);
    let guesser = sim.connect(7);
    let wrong = startup("MudA", r#""*test""#, 1, SERVICES);
    for _ in 0..100 {
        sim.pass(SECOND);
        sim.say(guesser, &wrong);
    }
    sim.up("Third", 7);
}
