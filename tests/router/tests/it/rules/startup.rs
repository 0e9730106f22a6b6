//! Registration, and the many ways not to get it: rules 1 to 3 and 31 to 37, and who else is let in.

use std::time::Duration;

use i3_router::{Config, Event, Refusal};

use crate::mud::{SERVICES, password_in, startup};
use crate::sim::{NOTHING, SECOND, Sim, entry, error, mudlist};

/// After each of these the same socket is accepted, and what comes first is the reply to that.
#[test]
fn rule_01_nothing_is_sent_to_who_is_not_registered() {
    let good = startup("MudA", r#""*test""#, 0, SERVICES);
    for silent in [
        &*good.replace(",([]),})", ",})"),
        &*good.replace(",([]),})", ",([]),0,})"),
        &*good.replace("4000", r#""4000""#),
        &*good.replace(SERVICES, "0"),
        &*good.replace(r#""open""#, "1.5"),
        &*good.replace("req-3", "req-4"),
        &*good.replace("*test", "*other"),
        &*good.replace("MudA", ""),
        "junk",
        "({})",
        "123",
        r#"({"tell",5,"MudA","bob","Nowhere","ann","Bob","hi",})"#,
        r#"({"tell",5,"MudA",})"#,
        r#"({"tell","5","MudA","bob","Nowhere","ann","Bob","hi",})"#,
        r#"({"channel-listen",5,"MudA",0,"*test",0,"nosuch",1,})"#,
        r#"({"channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","x",})"#,
        r#"({"chanlist-req",5,"MudA",0,"*test",0,})"#,
        r#"({"ping-req",5,"MudA",0,"*test",0,})"#,
        r#"({"shutdown",5,"MudA",0,"*test",0,0,})"#,
        r#"({"locate-req",5,"MudA","bob",0,0,"ann",})"#,
    ] {
        let mut sim = Sim::quiet();
        let mud = sim.connect(2);
        assert_eq!(sim.say(mud, silent), NOTHING, "{silent}");
        assert!(!sim.is_closed(mud));
        sim.register(mud, "MudA", 0);
    }
}

#[test]
fn rule_02_the_router_has_to_be_named_exactly_or_be_zero_or_a_mud() {
    let mut sim = Sim::quiet();
    let mut mud = sim.connect(2);
    for wrong in [r#""*other""#, r#""*Test""#, r#""""#] {
        assert_eq!(sim.say(mud, startup("MudA", wrong, 0, SERVICES)), NOTHING);
        assert_eq!(sim.last_refusal(), Some(Refusal::WrongRouter));
    }
    for right in [r#""*test""#, "0", r#""MudA""#] {
        assert_eq!(sim.say(mud, startup("MudA", right, 0, SERVICES)).len(), 3, "{right}");
        sim.hang_up(mud);
        mud = sim.connect(2);
    }
    sim.register(mud, "MudA", 0);
    // Registered, it gets to see the reason.
    let wrong = startup("MudA", r#""*other""#, 0, SERVICES);
    assert_eq!(sim.say(mud, &wrong), [error("MudA", "0", "unk-dst", "destination unknown", &wrong)]);
}

#[test]
fn rule_03_the_reply_names_the_router_and_gives_a_password_of_nine_digits() {
    let mut sim = Sim::quiet();
    for _ in 0..50 {
        let mud = sim.connect(2);
        let answers = sim.say(mud, startup("MudA", r#""*test""#, 0, SERVICES));
        let password = password_in(&answers[0]);
        assert!((100_000_000..1_000_000_000).contains(&password));
        assert_eq!(
            answers[0],
            format!(
                r#"({{"startup-reply",5,"*test",0,"MudA",0,({{({{"*test","127.0.0.1 9000",}}),}}),{password},}})"#
            )
        );
        sim.hang_up(mud);
    }
}

#[test]
fn rule_03_the_address_may_be_another() {
    let advertise = Some("router.test 8787".to_owned());
    let mut sim = Sim::new(Config { advertise, ..Config::default() });
    let mud = sim.connect(2);
    let answers = sim.say(mud, startup("MudA", r#""*test""#, 0, SERVICES));
    assert!(answers[0].contains(r#"({({"*test","router.test 8787",}),})"#));
}

#[test]
fn rule_31_a_new_mud_is_given_a_password_whatever_it_presents() {
    let mut sim = Sim::quiet();
    let (a, b) = (sim.connect(2), sim.connect(3));
    assert_ne!(sim.register(a, "MudA", 0), 0);
    assert_ne!(sim.register(b, "MudB", 123_456_789), 123_456_789);
}

#[test]
fn rule_32_a_known_address_opens_a_name_with_any_password_and_without_a_warning() {
    let mut sim = Sim::quiet();
    let mud = sim.connect(2);
    let password = sim.register(mud, "MudA", 0);
    sim.hang_up(mud);
    let mud = sim.connect(2);
    let answers = sim.say(mud, startup("MudA", r#""*test""#, password - 1, SERVICES));
    assert_eq!(answers.len(), 3, "the reply and both lists, no error");
    let new = password_in(&answers[0]);
    assert!(new != password && new != password - 1, "a new one is given");
}

#[test]
fn rule_33_a_wrong_password_from_elsewhere_meets_silence_and_may_be_mended() {
    let mut sim = Sim::quiet();
    let mud = sim.connect(2);
    let password = sim.register(mud, "MudA", 0);
    sim.hang_up(mud);
    let mud = sim.connect(9);
    for wrong in [0, password + 1] {
        assert_eq!(sim.say(mud, startup("MudA", r#""*test""#, wrong, SERVICES)), NOTHING);
        assert_eq!(sim.last_refusal(), Some(Refusal::WrongPassword));
    }
    assert!(!sim.is_closed(mud));
    assert_eq!(sim.register(mud, "MudA", password), password);
}

#[test]
fn rule_34_a_password_opens_a_name_from_anywhere() {
    let mut sim = Sim::quiet();
    let mud = sim.connect(2);
    let password = sim.register(mud, "MudA", 0);
    sim.hang_up(mud);
    let mud = sim.connect(9);
    let answers = sim.say(mud, startup("MudA", r#""*test""#, password, SERVICES));
    assert_eq!(password_in(&answers[0]), password);
    assert_eq!(answers[1], mudlist(r#""MudA""#, 5, &entry("MudA", -1, 9)));
    assert_eq!(sim.address("MudA"), "127.0.0.9");
}

#[test]
fn rule_35_who_is_taken_over_stays_connected_and_deaf() {
    let mut sim = Sim::quiet();
    let other = sim.up("MudB", 3);
    let old = sim.connect(2);
    let password = sim.register(old, "MudA", 0);
    let new = sim.connect(2);
    assert_eq!(sim.register(new, "MudA", password), password);
    assert_eq!(sim.take(old), NOTHING);
    assert!(!sim.is_closed(old));

    for lost in [
        r#"({"tell",5,"MudA","bob","MudB","ann","Bob","from the deaf",})"#,
        r#"({"auth-mud-req",5,"MudA",0,"MudA",0,})"#,
        r#"({"tell",5,"MudA",1,"MudB","ann","Bob","a bad header",})"#,
    ] {
        sim.send(old, lost);
        assert_eq!(sim.take_all([old, new, other]), [NOTHING; 3]);
    }
    let tell = r#"({"tell",5,"MudB","ann","MudA","bob","Ann","hi",})"#;
    sim.send(other, tell);
    assert_eq!(sim.take(new), [tell]);

    sim.hang_up(old);
    assert!(sim.is_up("MudA"));
    sim.send(other, tell);
    assert_eq!(sim.take(new), [tell]);
}

#[test]
fn rule_35_who_is_taken_over_does_not_even_get_the_rest_of_its_lists() {
    let mut sim = Sim::strict();
    sim.pass_to(Duration::from_millis(1_900));
    let old = sim.connect(2);
    let password = sim.register(old, "MudA", 0);
    sim.pass_to(Duration::from_millis(2_100));
    let new = sim.connect(2);
    sim.register(new, "MudA", password);
    sim.take_all([old, new]);
    sim.pass(20 * SECOND);
    assert_eq!(sim.take(old), NOTHING);
    assert_eq!(sim.take(new).len(), 3, "the list again, its registration, and the end of the other");
}

#[test]
fn rule_36_the_owner_of_a_name_hears_of_others_who_want_it() {
    let mut sim = Sim::quiet();
    let owner = sim.connect(2);
    let password = sim.register(owner, "Dup", 0);
    let elsewhere = sim.connect(6);
    let stranger = sim.connect(2);
    for (other, address, password) in [(elsewhere, 6, password), (stranger, 2, password + 1)] {
        assert_eq!(sim.say(other, startup("Dup", r#""*test""#, password, SERVICES)), NOTHING);
        assert_eq!(sim.last_refusal(), Some(Refusal::Taken));
        assert_eq!(
            sim.take(owner),
            [format!(
                r#"({{"error",5,"*test",0,"Dup",0,"bad-mojo","Another mud is trying to be you.",({{"127.0.0.{address}","Lib","Base","a@b.c",4000,}}),}})"#
            )]
        );
        assert!(!sim.is_closed(other) && !sim.is_closed(owner));
    }

    // Once the owner is gone the same socket may ask again.
    sim.hang_up(owner);
    assert_eq!(sim.register(elsewhere, "Dup", password), password);
}

#[test]
fn rule_37_a_registered_link_may_register_again() {
    let mut sim = Sim::quiet();
    let other = sim.up("MudB", 3);
    let mud = sim.connect(2);
    let password = sim.register(mud, "MudA", 0);
    let again = startup("MudA", r#""*test""#, password, SERVICES);
    assert_eq!(sim.say(mud, &again).len(), 3);

    let wrong = startup("MudA", r#""*test""#, password + 1, SERVICES);
    let answers = sim.say(mud, &wrong);
    assert_eq!(answers[0], error("MudA", "0", "bad-proto", "MUD already connected", &wrong));
    assert!(answers[1].contains(r#""bad-mojo","Another mud is trying to be you.",({"127.0.0.2""#));
    assert!(sim.is_up("MudA"));

    // Under another name it is another mud.
    assert_eq!(sim.say(mud, startup("MudC", r#""*test""#, 0, SERVICES)).len(), 3);
    assert!(sim.is_up("MudC") && !sim.is_up("MudA"));
    let tell = |to: &str| format!(r#"({{"tell",5,"MudB","ann","{to}","bob","Ann","hi",}})"#);
    sim.send(other, tell("MudA"));
    sim.send(other, tell("MudC"));
    assert_eq!(sim.take(mud), [tell("MudC")]);
}

/// Not numbered: what rule 1 keeps from others a registered link is told.
#[test]
fn a_registered_link_is_told_what_is_wrong_with_its_next_startup() {
    let mut sim = Sim::quiet();
    let mud = sim.up("MudA", 2);
    let good = startup("MudA", r#""*test""#, 0, SERVICES);
    for (bad, code, message) in [
        (good.replace(",([]),})", ",})"), "bad-pkt", "Bad startup_req packet"),
        (good.replace("4000", r#""4000""#), "bad-pkt", "Bad startup_req packet"),
        (good.replace("req-3", "req-4"), "not-imp", "unknown protocol: 4"),
    ] {
        assert_eq!(sim.say(mud, &bad), [error("MudA", "0", code, message, &bad)]);
        assert!(sim.is_up("MudA"));
    }
}

#[test]
fn rule_46_old_protocols_are_spoken_as_badly_as_observed() {
    let mut sim = Sim::strict();
    let a = sim.up("MudA", 2);
    sim.pass(2 * SECOND);
    let old = r#"({"startup-req-2",5,"Watch",0,"*test",0,0,0,0,4000,0,0,"Lib","Base","Drv","LP","open",(["tell":1,]),})"#;
    let watch = sim.connect(8);
    let answers = sim.say(watch, old);
    let info = |services: &str| format!(r#"4000,0,0,"Lib","Base","Drv","LP","open",{services},"#);
    let (of_a, of_watch) = (info(SERVICES), info(r#"(["tell":1,])"#));
    // At first with a restart delay behind the state,
    let first =
        format!(r#""MudA":({{-1,-1,"127.0.0.2",{of_a}}}),"Watch":({{-1,-1,"127.0.0.8",{of_watch}}}),"#);
    assert_eq!(answers[1..], [mudlist(r#""Watch""#, 5, &first)]);
    // then in the layout of protocol 3, and without the delay in news.
    let email = r#""open","Unknown",(["tell":1,]),0,"#;
    let of_protocol_3 = of_watch.replace(r#""open",(["tell":1,]),"#, email);
    let news = |target: &str, entry: &str| {
        mudlist(target, 6, &format!(r#""Watch":({{-1,"127.0.0.8",{entry}}}),"#)) //
    };
    sim.take(a);
    sim.pass(2 * SECOND);
    assert_eq!(
        sim.take(watch),
        [
            mudlist("0", 5, &entry("MudA", -1, 2)),
            mudlist("0", 5, &format!(r#""Watch":({{-1,"127.0.0.8",{of_protocol_3}}}),"#)),
            news(r#""Watch""#, &of_watch),
        ]
    );
    assert_eq!(sim.take(a), [news(r#""MudA""#, &of_protocol_3)]);

    // Of several old muds only one gets the news.
    let second = sim.connect(9);
    sim.send(second, old.replace("Watch", "Other"));
    sim.take_all([watch, second]);
    sim.up("MudC", 4);
    sim.pass(3 * SECOND);
    let heard = sim.take_all([watch, second]).map(|all| all.iter().any(|news| news.contains("\"MudC\"")));
    assert_eq!(heard.iter().filter(|heard| **heard).count(), 1);

    // Protocol 1 is no different.
    sim.pass(SECOND);
    let first = sim.connect(11);
    let answers = sim.say(first, old.replace("req-2", "req-1").replace("Watch", "First"));
    assert!(answers[1].contains(r#""First":({-1,-1,"127.0.0.11","#), "{answers:?}");

    // Protocol 2 with the fields of 3 is as good, and is remembered as 2.
    sim.pass(SECOND);
    let third = sim.connect(10);
    let twenty = startup("Twenty", r#""*test""#, 0, SERVICES).replace("req-3", "req-2");
    let answers = sim.say(third, twenty);
    assert!(answers[1].contains(r#""Twenty":({-1,-1,"127.0.0.10","#), "{answers:?}");
}

#[test]
fn rule_48_odd_names_are_names() {
    let mut sim = Sim::quiet();
    let long = "x".repeat(300);
    let names = [&long, "two\rlines", r#"q\"uote \\ back"#, "Münze €", " blank ", "*test", "0"];
    for (n, name) in names.into_iter().enumerate() {
        let mud = sim.connect(2);
        let answers = sim.say(mud, startup(name, "0", 0, SERVICES));
        let muds = answers[1].matches(",([]),}),").count();
        assert_eq!(muds, n + 1, "{name}: {answers:?}");
        assert!(answers[1].contains(&entry(name, -1, 2)), "{name}");
    }
    // Packets to the router's name stay with the router.
    let mud = sim.up("MudA", 3);
    let tell = r#"({"tell",5,"MudA","bob","*test","ann","Bob","hi",})"#;
    let message = "Unknown command sent to router: tell";
    assert_eq!(sim.say(mud, tell), [error("MudA", r#""bob""#, "not-imp", message, tell)]);

    let odd = startup("Odd", r#""*test""#, 0, "([])").replace("4000", "-7").replace("([]),})", "0,})");
    let mud = sim.connect(4);
    let answers = sim.say(mud, odd);
    assert!(
        answers[1]
            .contains(r#""Odd":({-1,"127.0.0.4",-7,0,0,"Lib","Base","Drv","LP","open","a@b.c",([]),0,}),"#)
    );
}

#[test]
fn events_name_the_mud_and_never_its_password() {
    let mut sim = Sim::quiet();
    let mud = sim.connect(2);
    let password = sim.register(mud, "MudA", 0);
    sim.say(mud, startup("MudA", r#""*test""#, password, SERVICES));
    let lines: Vec<String> = sim.events.iter().map(Event::to_string).collect();
    assert!(lines.iter().any(|line| line == r#"#1 registered as "MudA""#), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("password ***")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains(&password.to_string())), "{lines:?}");
}
