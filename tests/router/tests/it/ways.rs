//! What other families of routers do.

use std::time::Duration;

use i3_router::core::Conn;
use i3_router::{Config, Refusal, Router, Ways};

use crate::mud::{Mud, NEVER, SERVICES, password_in, startup};
use crate::sim::{NOTHING, SECOND, Sim};

fn sim(ways: Ways) -> (Sim, Conn, Conn) {
    let mut sim = Sim::new(Config { ways, up_delay: NEVER, down_delay: NEVER, ..Config::default() });
    let (a, b) = (sim.up("MudA", 2), sim.up("MudB", 3));
    sim.take_all([a, b]);
    (sim, a, b)
}

#[test]
fn the_sender_does_not_hear_itself() {
    let (mut sim, a, b) = sim(Ways { echo: false, ..Ways::DEAD_SOULS });
    for (conn, mud) in [(a, "MudA"), (b, "MudB")] {
        sim.send(conn, format!(r#"({{"channel-listen",5,"{mud}",0,"*test",0,"imud_gossip",1,}})"#));
    }
    let said = r#"({"channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","x",})"#;
    sim.send(a, said);
    assert_eq!(sim.take(a), NOTHING);
    assert_eq!(sim.take(b), [said]);
}

#[test]
fn any_password_will_do() {
    let (mut sim, _, _) = sim(Ways { passwords: false, ..Ways::DEAD_SOULS });
    for password in [0, 7, 123_456_789] {
        let elsewhere = sim.connect(9);
        let answers = sim.say(elsewhere, startup("MudA", r#""*test""#, password, SERVICES));
        assert_eq!(password_in(&answers[0]), -1);
    }
}

#[test]
fn another_routers_name_closes_the_link() {
    let (mut sim, _, _) = sim(Ways { closes_on_wrong_router: true, ..Ways::DEAD_SOULS });
    let mud = sim.connect(4);
    assert_eq!(sim.say(mud, startup("MudC", r#""*other""#, 0, SERVICES)), NOTHING);
    assert!(sim.is_closed(mud));
    assert_eq!(sim.last_refusal(), Some(Refusal::WrongRouter));
}

#[test]
fn latin1_has_question_marks_for_what_it_lacks() {
    let (mut sim, a, b) = sim(Ways { latin1: true, ..Ways::DEAD_SOULS });
    sim.send(a, "({\"tell\",5,\"MudA\",\"bob\",\"MudB\",\"ann\",\"Bob\",\"é€\rx\t\u{85}ÿ\",})");
    assert_eq!(sim.take(b), [r#"({"tell",5,"MudA","bob","MudB","ann","Bob","é??x??ÿ",})"#]);
}

#[test]
fn the_routers_own_packets_have_blanks() {
    let (mut sim, _, _) = sim(Ways { blanks: true, ..Ways::DEAD_SOULS });
    let mud = sim.connect(4);
    let answers = sim.say(mud, startup("Mud:C", r#""*test""#, 0, SERVICES));
    assert!(answers[1].contains(r#""Mud:C": ({-1,"127.0.0.4",4000,"#), "{answers:?}");
    assert!(answers[1].contains(r#"(["tell": 1,"channel": 1,])"#), "{answers:?}");
    assert!(answers[2].contains(r#""imud_code": ({"*test",0,})"#), "{answers:?}");
}

#[test]
fn text_may_be_read_leniently() {
    let (mut sim, a, b) = sim(Ways { strict_text: false, ..Ways::DEAD_SOULS });
    sim.send(a, b"({\"tell\", 5, \"MudA\", \"bob\", \"MudB\", \"ann\", \"Bob\", \"caf\xe9\"})");
    assert_eq!(sim.take(b), [r#"({"tell",5,"MudA","bob","MudB","ann","Bob","café",})"#]);
}

#[test]
fn probes_of_oneself_may_be_swallowed() {
    let (mut sim, a, b) = sim(Ways { swallows_probes: true, ..Ways::DEAD_SOULS });
    assert_eq!(sim.say(a, r#"({"auth-mud-req",5,"MudA",0,"MudA",0,})"#), NOTHING);
    let ping = r#"({"ping-req",5,"MudA",0,"MudA",0,})"#;
    assert_eq!(sim.say(a, ping), [ping]);
    let probe = r#"({"auth-mud-req",5,"MudA",0,"MudB",0,})"#;
    sim.send(a, probe);
    assert_eq!(sim.take(b), [probe]);
}

#[test]
fn who_is_silent_is_pinged() {
    let (mut sim, a, b) = sim(Ways { ping_after: Some(Duration::from_secs(600)), ..Ways::DEAD_SOULS });
    sim.pass(Duration::from_secs(300));
    sim.send(b, r#"({"ping-reply",5,"MudB",0,"MudA",0,})"#);
    sim.take_all([a, b]);
    sim.pass(Duration::from_secs(299));
    assert_eq!(sim.take_all([a, b]), [NOTHING; 2]);
    sim.pass(SECOND);
    let ping = r#"({"ping-req",5,"*test",0,"MudA",0,0,})"#;
    assert_eq!(sim.take_all([a, b]), [vec![ping.to_owned()], vec![]]);
    sim.pass(Duration::from_secs(600));
    assert_eq!(sim.take_all([a, b]).map(|pings| pings.len()), [1, 1]);
}

#[tokio::test]
async fn coffeemud_sends_no_nul() {
    for (ways, end) in [(Ways::COFFEE_MUD, b')'), (Ways::DEAD_SOULS, 0)] {
        let router = Router::start(Config { ways, ..Config::default() }).await.unwrap();
        let mut mud = Mud::connect(&router, "MudA").await;
        mud.send(mud.startup()).await;
        let bytes = mud.bytes(4).await;
        let len = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        let missing = (4 + len).saturating_sub(bytes.len());
        let frame = if missing == 0 { bytes } else { [bytes, mud.bytes(missing).await].concat() };
        assert!(frame[4..].starts_with(b"({\"startup-reply\""));
        assert_eq!(frame[3 + len], end);
    }
}
