use super::event::tests::{chat, tell};
use super::*;
use crate::keys::{Permissions, RateLimits};

fn key(permissions: &[&str]) -> Arc<Key> {
    let permissions = Permissions::parse(permissions.iter().copied()).unwrap();
    Arc::new(Key::new("key", permissions, &RateLimits::default()))
}

fn session(transport: Transport) -> Arc<Session> {
    Session::new(transport, [127, 0, 0, 1].into(), 1 << 20)
}

fn hub() -> Hub {
    Hub::new("Dusk", 7)
}

fn admitted(hub: &Hub, resume: Option<Resume>) -> (Arc<Session>, Admission) {
    let session = self::session(Transport::Tcp);
    let admission = hub.authenticate(&session, key(&["*"]), resume);
    hub.admit(&session, &admission);
    (session, admission)
}

fn received(session: &Session) -> Vec<String> {
    session.queue.take().iter().map(|line| line.text().to_string()).collect()
}

fn seqs(session: &Session) -> Vec<u64> {
    let line = |line: &Line| serde_json::from_str::<serde_json::Value>(line.text()).unwrap();
    session.queue.take().iter().map(|one| line(one)["params"]["seq"].as_u64().unwrap()).collect()
}

#[test]
fn channel_events_reach_only_who_is_on_the_channel_in_its_exact_case() {
    let hub = hub();
    let ((on, _), (off, _)) = (admitted(&hub, None), admitted(&hub, None));
    assert!(on.join("imud_gossip") && off.join("Imud_Gossip"));
    hub.publish(chat("imud_gossip"));
    assert_eq!(received(&on).len(), 1);
    assert!(received(&off).is_empty());
    on.leave("imud_gossip");
    hub.publish(chat("imud_gossip"));
    assert!(received(&on).is_empty());
}

#[test]
fn nobody_gets_anything_before_authentication_or_after_the_end() {
    let hub = hub();
    let session = self::session(Transport::WebSocket);
    hub.publish(Event::reconnected());
    assert!(!session.is_authenticated() && received(&session).is_empty());
    let admission = hub.authenticate(&session, key(&["*"]), None);
    hub.publish(Event::reconnected());
    assert!(received(&session).is_empty(), "the answer to its key goes out first");
    hub.admit(&session, &admission);
    assert_eq!(seqs(&session), [2], "what came in between, and not what came before");
    hub.remove(&session);
    hub.publish(Event::reconnected());
    assert!(received(&session).is_empty());
}

#[test]
fn a_session_gets_only_what_its_key_allows() {
    let hub = hub();
    let session = self::session(Transport::Tcp);
    let admission = hub.authenticate(&session, key(&["channels"]), None);
    hub.admit(&session, &admission);
    session.join("imud_gossip");
    hub.publish(tell("private"));
    hub.publish(chat("imud_gossip"));
    assert_eq!(seqs(&session), [2]);
    let another = self::session(Transport::Tcp);
    let admission = hub.authenticate(&another, key(&["channels"]), None);
    hub.admit(&another, &admission);
    assert!(received(&another).is_empty());
    let (other, _) = admitted(&hub, None);
    assert_eq!(seqs(&other), [3], "a tell that nobody could hear waits for somebody who can");
}

#[test]
fn tells_wait_for_the_next_client_and_are_delivered_once() {
    let hub = hub();
    hub.publish(tell("first"));
    hub.publish(tell("second"));
    hub.publish(chat("imud_gossip"));
    let (one, _) = admitted(&hub, None);
    let (two, _) = admitted(&hub, None);
    let lines = received(&one);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("first") && lines[1].contains("second"));
    assert!(received(&two).is_empty());
}

#[test]
fn the_tells_that_wait_are_bounded() {
    let hub = hub();
    for index in 0..kept::KEPT_TELLS + 5 {
        hub.publish(tell(&format!("tell {index}.")));
    }
    let (session, _) = admitted(&hub, None);
    let lines = received(&session);
    assert_eq!(lines.len(), kept::KEPT_TELLS);
    assert!(lines[0].contains("tell 5."), "the oldest go first");
}

#[test]
fn a_client_that_comes_back_gets_what_it_missed_and_what_it_wanted() {
    let hub = hub();
    let (first, _) = admitted(&hub, None);
    first.join("imud_gossip");
    hub.publish(chat("imud_gossip"));
    let position = hub.position();
    hub.remove(&first);
    hub.publish(chat("imud_gossip"));
    hub.publish(chat("other"));
    hub.publish(tell("while away"));
    let (second, admission) = admitted(&hub, Some(Resume { session: first.id, position }));
    assert_eq!(admission.recovered, Some(true));
    assert_eq!(seqs(&second), [2, 4], "the tell that waited comes once");
    hub.publish(chat("imud_gossip"));
    assert_eq!(seqs(&second), [5]);
}

#[test]
fn a_connection_that_is_resumed_elsewhere_is_closed() {
    let hub = hub();
    let (first, _) = admitted(&hub, None);
    first.join("imud_gossip");
    let position = hub.position();
    let (second, admission) = admitted(&hub, Some(Resume { session: first.id, position }));
    assert_eq!(admission.recovered, Some(true));
    assert_eq!(first.queue.closed(), Some(CloseReason::Resumed));
    assert!(second.is_on("imud_gossip"));
}

#[test]
fn what_cannot_be_recovered_is_said_so_and_what_was_wanted_is_kept_all_the_same() {
    let hub = hub();
    let (first, _) = admitted(&hub, None);
    first.join("imud_gossip");
    hub.remove(&first);
    let lost = Position { epoch: 6, seq: 0 };
    let (second, admission) = admitted(&hub, Some(Resume { session: first.id, position: lost }));
    assert_eq!((admission.recovered, admission.position), (Some(false), hub.position()));
    assert!(second.is_on("imud_gossip"));
    let unknown = Resume { session: Uuid::new_v4(), position: hub.position() };
    assert_eq!(admitted(&hub, Some(unknown)).1.recovered, Some(false));
}

#[test]
fn sessions_that_ended_are_kept_in_bounded_number() {
    let hub = hub();
    let (first, _) = admitted(&hub, None);
    hub.remove(&first);
    for _ in 0..KEPT_SESSIONS {
        hub.remove(&admitted(&hub, None).0);
    }
    assert_eq!(lock(&hub.inner).ended.len(), KEPT_SESSIONS);
    let resume = Resume { session: first.id, position: hub.position() };
    assert_eq!(admitted(&hub, Some(resume)).1.recovered, Some(false));
}

#[test]
fn a_session_can_join_only_so_many_channels() {
    let session = self::session(Transport::Tcp);
    assert!((0..SESSION_CHANNELS).all(|index| session.join(&index.to_string())));
    assert!(!session.join("one more"));
    assert!(session.join("0"), "one it is on already");
}
