//! Two routers, and muds that meet through them.

use std::time::Duration;

use i3_router::{Config, Event, Mark, Peer, Refusal, Router, RunningRouter};

use crate::mud::{Mud, SERVICES, password_in, saw, startup};
use crate::sim::{NOTHING, SECOND, Sim};

fn config(name: &str, peer: &str, address: Option<std::net::SocketAddr>, password: i64) -> Config {
    let peer = Peer { name: peer.to_owned(), address, password };
    let channels = vec![format!("{}_chat", &name[1..]), "both".to_owned()];
    Config { name: name.to_owned(), peers: vec![peer], channels, ..Config::default() }
}

async fn two_routers() -> (RunningRouter, RunningRouter) {
    let east = Router::start(config("*east", "*west", None, 7)).await.unwrap();
    let west = Router::start(config("*west", "*east", Some(east.addr()), 7)).await.unwrap();
    for router in [&east, &west] {
        saw(router, Mark::START, |event| matches!(event, Event::Linked { .. })).await;
    }
    (east, west)
}

async fn mud(router: &RunningRouter, name: &str) -> Mud {
    let mut mud = Mud::connect(router, name).await;
    mud.send(startup(name, "0", 0, SERVICES)).await;
    mud.password = password_in(&mud.recv().await);
    mud
}

/// Waits until a mud was told what is wanted.
async fn told(mud: &mut Mud, wanted: &str) {
    while !mud.recv().await.contains(wanted) {}
}

async fn listen(mud: &mut Mud, channel: &str) {
    mud.send(format!(r#"({{"channel-listen",5,"{}",0,0,0,"{channel}",1,}})"#, mud.name)).await;
    mud.send(mud.probe()).await;
    let probe = mud.probe();
    told(mud, &probe).await;
}

/// A mud on each side that knows of the other.
async fn two_muds(east: &RunningRouter, west: &RunningRouter) -> (Mud, Mud) {
    let mut a = mud(east, "MudA").await;
    let mut b = mud(west, "MudB").await;
    told(&mut a, r#""MudB":({-1,"127.0.0.1",4000,"#).await;
    told(&mut b, r#""MudA":({-1,"127.0.0.1",4000,"#).await;
    (a, b)
}

#[tokio::test]
async fn muds_on_different_routers_talk() {
    let (east, west) = two_routers().await;
    let (mut a, mut b) = two_muds(&east, &west).await;
    a.send(r#"({"tell",5,"MudA","bob","MudB","ann","Bob","hi",})"#).await;
    told(&mut b, r#""Bob","hi",})"#).await;
    b.send(r#"({"who-req",5,"MudB","ann","MudA",0,})"#).await;
    told(&mut a, r#"({"who-req",5,"MudB","ann","MudA",0,})"#).await;
    a.send(r#"({"locate-req",5,"MudA","bob",0,0,"ann",})"#).await;
    told(&mut b, r#"({"locate-req",5,"MudA","bob",0,0,"ann",})"#).await;
    let muds = east.muds().await;
    assert_eq!(muds.iter().map(|mud| mud.router.as_deref()).collect::<Vec<_>>(), [None, Some("*west")]);
}

#[tokio::test]
async fn channels_reach_both_sides() {
    let (east, west) = two_routers().await;
    let (mut a, mut b) = two_muds(&east, &west).await;
    for channel in ["both", "east_chat"] {
        listen(&mut a, channel).await;
        listen(&mut b, channel).await;
        let said = format!(r#"({{"channel-m",5,"MudA","bob",0,0,"{channel}","Bob","x",}})"#);
        a.send(&*said).await;
        told(&mut b, &said).await;
        told(&mut a, &said).await;
        let said = said.replace("MudA", "MudB");
        b.send(&*said).await;
        told(&mut a, &said).await;
    }
    // One that is added later, and removed again.
    a.send(r#"({"channel-add",5,"MudA","bob",0,0,"pchan",0,})"#).await;
    told(&mut b, r#""pchan":({"MudA",0,})"#).await;
    a.send(r#"({"channel-remove",5,"MudA","bob",0,0,"pchan",})"#).await;
    loop {
        let list = b.recv().await;
        if list.contains("chanlist-reply") && !list.contains("pchan") {
            break;
        }
    }
}

#[tokio::test]
async fn a_mud_may_move_to_the_other_router_with_its_password() {
    let (east, west) = two_routers().await;
    let (mut a, b) = two_muds(&east, &west).await;
    let password = b.password;
    drop(b);
    told(&mut a, r#""MudB":({0,"#).await;
    let mut b = Mud::connect_from(&east, "MudB", [127, 0, 0, 9]).await;
    b.send(startup("MudB", "0", password + 1, SERVICES)).await;
    saw(&east, Mark::START, |event| event.refused() == Some(("MudB", Refusal::WrongPassword))).await;
    b.send(startup("MudB", "0", password, SERVICES)).await;
    assert_eq!(password_in(&b.recv().await), password);
    let mut c = mud(&west, "MudC").await;
    told(&mut c, r#""MudB":({-1,"127.0.0.9",4000,"#).await;
    c.send(r#"({"tell",5,"MudC","bob","MudB","ann","Bob","there?",})"#).await;
    told(&mut b, r#""there?""#).await;
}

#[tokio::test]
async fn muds_are_gone_with_their_router_and_come_back_with_it() {
    let (east, west) = two_routers().await;
    let (mut a, _b) = two_muds(&east, &west).await;
    let since = east.mark();
    west.restart().await;
    told(&mut a, r#""MudB":({0,"#).await;
    saw(&east, since, |event| matches!(event, Event::Linked { .. })).await;
    let _b = mud(&west, "MudB").await;
    told(&mut a, r#""MudB":({-1,"#).await;
}

fn hello(password: i64) -> String {
    format!(
        r#"({{"irn-startup-req",5,"*west",0,"*east",0,(["client_password":{password},"server_password":{password},]),}})"#
    )
}

#[test]
fn a_peer_needs_the_password_and_a_name_that_is_known() {
    let mut sim = Sim::new(config("*east", "*west", None, 7));
    for bad in [
        hello(8),
        hello(7).replace("*west", "*other"),
        hello(7).replace("*east", "*here"),
        hello(7).replace("7", "0"),
    ] {
        let stranger = sim.connect(2);
        assert_eq!(sim.say(stranger, &bad), NOTHING, "{bad}");
        assert_eq!(sim.say(stranger, r#"({"irn-mudlist-req",5,"*west",0,"*east",0,})"#), NOTHING);
    }
    let peer = sim.connect(2);
    let lists = sim.say(peer, hello(7));
    assert_eq!(
        lists,
        [
            r#"({"irn-chanlist-altered",5,"*east",0,"*west",0,1,(["channels":(["both":({0,"*east",({}),}),"east_chat":({0,"*east",({}),}),]),"listening":([]),]),})"#
        ]
    );
    assert_eq!(sim.say(peer, r#"({"irn-chanlist-req",5,"*west",0,"*east",0,})"#), lists);
}

#[test]
fn peers_are_pinged_and_given_up_when_they_are_silent() {
    let mut sim = Sim::new(config("*east", "*west", None, 7));
    let peer = sim.connect(2);
    sim.say(peer, hello(7));
    for _ in 0..5 {
        sim.pass(Duration::from_secs(100));
        assert_eq!(sim.take(peer).iter().filter(|ping| ping.contains(r#""irn-ping""#)).count(), 10);
        sim.send(peer, r#"({"irn-ping",5,"*west",0,"*east",0,1,1,})"#);
    }
    sim.pass(Duration::from_secs(119));
    assert!(!sim.is_closed(peer));
    sim.pass(11 * SECOND);
    assert!(sim.is_closed(peer));
}

#[test]
fn a_mud_from_elsewhere_is_told_of_and_forgotten_with_its_router() {
    let mut sim = Sim::new(config("*east", "*west", None, 7));
    let peer = sim.connect(2);
    sim.say(peer, hello(7));
    let record = |name: &str, connected: u8| {
        format!(
            r#"({{"irn-mudlist-delta",5,"*west",0,"*east",0,1,(["{name}":(["name":"{name}","ip":"127.0.0.8","router":"*west","password":123456789,"connect_time":{connected},"disconnect_time":{},"restart_delay":-1,"protocol":3,"player_port":4000,"imud_tcp_port":0,"imud_udp_port":0,"mudlib":"L","base_mudlib":"B","driver":"D","mud_type":"LP","open_status":"open","admin_email":"a@b","services":(["tell":1,]),"other_data":([]),]),]),}})"#,
            1 - connected
        )
    };
    sim.send(peer, record("MudB", 1));
    assert!(sim.is_up("MudB"));
    // With its password it may come here, from anywhere.
    sim.send(peer, record("MudC", 0));
    assert!(!sim.is_up("MudC"));
    let moved = sim.connect(9);
    assert_eq!(sim.say(moved, startup("MudC", "0", 1, SERVICES)), NOTHING);
    assert_eq!(sim.say(moved, startup("MudC", "0", 123_456_789, SERVICES)).len(), 3);
    // Who is here is not there.
    sim.send(peer, record("MudC", 0));
    assert!(sim.is_up("MudC"));
    // Nonsense is not believed.
    for bad in [record("MudD", 1).replace("4000", "({})"), record("MudD", 1).replace(r#""ip""#, r#""no""#)] {
        sim.send(peer, bad);
        assert!(!sim.is_up("MudD"));
    }
    sim.send(peer, r#"({"irn-shutdown",5,"*west",0,"*east",0,})"#);
    assert!(sim.is_closed(peer) && !sim.is_up("MudB") && sim.is_up("MudC"));
}
