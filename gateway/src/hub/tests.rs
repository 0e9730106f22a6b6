mod cut_off;

use super::event::tests::{chat, said, tell};
use super::inner::KEPT_SESSIONS;
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
fn who_comes_back_does_not_get_a_tell_again_that_another_client_took_meanwhile() {
    let hub = hub();
    let (first, _) = admitted(&hub, None);
    let position = hub.position();
    hub.remove(&first);
    hub.publish(tell("waits"));
    let (other, _) = admitted(&hub, None);
    assert_eq!(received(&other).len(), 1);
    let (second, _) = admitted(&hub, Some(Resume { session: first.id, position }));
    assert_eq!(seqs(&second), [2], "once, at its new place");
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

/// Two processes of a mud: what the first tells comes to the second at once.
struct Two {
    writer: Hub,
    follower: Hub,
    told: mpsc::Receiver<Outgoing>,
}

impl Two {
    fn new() -> Self {
        let (sender, told) = mpsc::channel(1000);
        let (quiet, _) = mpsc::channel(1000);
        let (writer, follower) = (Hub::shared("Dusk", sender), Hub::shared("Dusk", quiet));
        writer.lead(7);
        follower.restore(writer.state());
        Self { writer, follower, told }
    }

    /// Lets the follower hear all; returns how many entries of the log there were.
    fn hear(&mut self) -> usize {
        let mut records = 0;
        while let Ok(outgoing) = self.told.try_recv() {
            match outgoing {
                Outgoing::Record(record) => {
                    records += 1;
                    let Record { position, at, change } = *record;
                    match change {
                        Change::Event { event, fate } => self.follower.take(position, at, Some(event), fate),
                        Change::Heard(tell) => self.follower.take_heard(position, tell),
                        _ => self.follower.take(position, at, None, Fate::Told),
                    }
                }
                Outgoing::Epoch(epoch) => assert!(self.follower.go_on(epoch)),
                Outgoing::News(news) => drop(self.follower.hear("writer", news)),
            }
        }
        records
    }
}

#[test]
fn who_has_all_of_an_epoch_goes_on_in_the_next_one_where_a_client_may_be_ahead() {
    let two = Two::new();
    let (sender, mut told) = mpsc::channel(10);
    let (next, lacks, has_more) = (Hub::shared("Dusk", sender), Two::new().follower, Two::new());
    next.restore(two.writer.state());
    lacks.miss(Some(Position { epoch: 7, seq: 1 }));
    has_more.writer.publish(tell("heard from one that was replaced already"));
    has_more.follower.restore(has_more.writer.state());

    assert_eq!(next.lead(9), (9, true));
    let Ok(Outgoing::Epoch(epoch)) = told.try_recv() else { panic!("others are told first of all") };
    assert!(two.follower.go_on(epoch) && two.follower.go_on(epoch), "the second time it is old");
    assert_eq!((two.follower.position(), two.follower.follows()), (Position { epoch: 9, seq: 0 }, true));
    assert!(!lacks.go_on(epoch) && !has_more.follower.go_on(epoch));
    assert_eq!(two.follower.state().log.ends(), next.state().log.ends());

    let (before, _) = admitted(&two.follower, None);
    two.follower.remove(&before);
    let resume = Resume { session: before.id, position: Position { epoch: 9, seq: 3 } };
    assert_eq!(admitted(&two.follower, Some(resume)).1.recovered, Some(true));

    // Who misses something does not say where the log ended.
    lacks.lead(11);
    next.follow();
    assert!(matches!(told.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
}

#[test]
fn clients_of_a_follower_get_what_those_of_the_writer_get_at_the_same_places() {
    let mut two = Two::new();
    let ((here, _), (there, _)) = (admitted(&two.writer, None), admitted(&two.follower, None));
    for text in ["one", "two"] {
        two.writer.publish(tell(text));
    }
    assert_eq!(two.hear(), 2);
    let lines = received(&here);
    assert_eq!((lines.len(), &lines), (2, &received(&there)), "byte for byte");
    assert_eq!(two.follower.position(), two.writer.position());
}

#[test]
fn a_session_goes_on_on_another_process_and_in_the_next_epoch() {
    let mut two = Two::new();
    let (first, _) = admitted(&two.writer, None);
    first.join("imud_gossip");
    two.writer.changed(&first, Some("imud_gossip"));
    two.writer.publish(tell("heard"));
    two.hear();
    let position = two.writer.position();
    // The writer tells its own client more than it can tell the other process before it dies.
    two.writer.publish(tell("heard by the client alone"));
    let ahead = two.writer.position();
    two.follower.lead(9);
    two.follower.publish(tell("new"));
    for (position, expected) in [(position, vec![1]), (ahead, vec![1])] {
        let (session, admission) = admitted(&two.follower, Some(Resume { session: first.id, position }));
        assert_eq!(admission.recovered, Some(true));
        assert!(session.is_on("imud_gossip"));
        assert_eq!(seqs(&session), expected, "{position:?}");
        two.follower.remove(&session);
        let _ = two
            .follower
            .hear("writer", News::Session { session: Box::new(remote(&first, position)), listen: None });
    }
}

#[test]
fn a_client_that_is_ahead_of_a_follower_gets_nothing_twice() {
    let mut two = Two::new();
    let (first, _) = admitted(&two.writer, None);
    two.hear();
    let _ = two.follower.hear(
        "writer",
        News::Session { session: Box::new(remote(&first, two.writer.position())), listen: None },
    );
    two.writer.publish(tell("one"));
    let position = two.writer.position();
    let (session, admission) = admitted(&two.follower, Some(Resume { session: first.id, position }));
    assert_eq!(admission.recovered, Some(true));
    two.writer.publish(tell("two"));
    two.hear();
    assert_eq!(seqs(&session), [2]);
}

#[test]
fn a_tell_that_nobody_heard_waits_on_all_processes_and_is_told_once_by_the_writer() {
    let mut two = Two::new();
    two.writer.publish(tell("waits"));
    two.hear();
    assert_eq!((two.writer.kept().len(), two.follower.kept().len()), (1, 1));
    let (there, _) = admitted(&two.follower, None);
    assert!(received(&there).is_empty(), "only the writer gives places");
    let news = News::Session { session: Box::new(remote(&there, two.follower.position())), listen: None };
    let _ = two.writer.hear("follower", news);
    two.hear();
    assert_eq!(seqs(&there), [2]);
    assert_eq!((two.writer.kept().len(), two.follower.kept().len()), (0, 0));
}

/// A client that was away when a tell came, and goes on with the follower from before it; what the writer is told of that.
fn goes_on_with_the_follower(two: &mut Two) -> (Arc<Session>, News) {
    let (first, _) = admitted(&two.writer, None);
    let position = two.writer.position();
    two.writer.remove(&first);
    two.writer.publish(tell("waits"));
    two.hear();
    assert_eq!((two.writer.kept().len(), two.follower.kept().len()), (1, 1));
    let (session, admission) = admitted(&two.follower, Some(Resume { session: first.id, position }));
    assert_eq!((admission.recovered, seqs(&session)), (Some(true), vec![1]));
    let news = News::Session { session: Box::new(remote(&session, position)), listen: None };
    (session, news)
}

#[test]
fn a_tell_that_one_got_who_went_on_from_before_it_waits_on_no_process() {
    let mut two = Two::new();
    let (session, news) = goes_on_with_the_follower(&mut two);
    let _ = two.writer.hear("follower", news);
    assert_eq!(two.hear(), 1);
    assert_eq!((two.writer.kept().len(), two.follower.kept().len()), (0, 0));
    two.follower.remove(&session);
    two.follower.lead(9);
    let (fresh, _) = admitted(&two.follower, None);
    assert!(received(&session).is_empty() && received(&fresh).is_empty(), "it was heard");
}

#[test]
fn a_tell_that_one_got_who_went_on_from_before_it_is_not_told_again_though_its_writer_never_knew() {
    let mut two = Two::new();
    let (session, _) = goes_on_with_the_follower(&mut two);
    let (other, _) = admitted(&two.follower, None);
    two.follower.lead(9);
    assert!(received(&session).is_empty() && received(&other).is_empty(), "it was heard");
    assert_eq!(two.follower.kept().len(), 0);
}

#[test]
fn a_tell_that_comes_to_a_follower_after_the_client_it_was_for_waits_there_for_nobody() {
    let mut two = Two::new();
    let (session, _) = admitted(&two.follower, None);
    // The writer does not know of the client yet.
    two.writer.publish(tell("hi"));
    two.hear();
    two.follower.remove(&session);
    two.follower.lead(9);
    let (fresh, _) = admitted(&two.follower, None);
    assert_eq!((seqs(&session).len(), received(&fresh).len()), (1, 0));
}

#[test]
fn of_the_stored_tells_one_who_missed_some_of_the_log_tells_those_that_it_did_not_know() {
    let mut two = Two::new();
    two.writer.publish(tell("told since"));
    two.hear();
    let (first, _) = admitted(&two.writer, None);
    two.hear();
    assert_eq!((seqs(&first), two.follower.kept().len()), (vec![2], 0));
    two.writer.remove(&first);
    two.writer.publish(tell("new"));
    // What is stored is older and newer than what the follower knows.
    let at = Timestamp::now();
    let told = KeptTell::new(Position { epoch: 7, seq: 1 }, at, Arc::new(tell("told since")));
    let stored = [vec![told], two.writer.kept()].concat();
    two.follower.miss(None);
    let (session, _) = admitted(&two.follower, None);
    assert_eq!(two.follower.lead(9), (9, false));
    assert!(two.follower.lacks_kept());
    two.follower.restore_kept(stored.clone());
    let lines = received(&session);
    assert!(lines.len() == 1 && lines[0].contains("new"), "{lines:?}");
    two.follower.restore_kept(stored);
    assert!(received(&session).is_empty() && !two.follower.lacks_kept(), "once");
}

#[test]
fn who_was_paused_does_not_tell_again_what_its_clients_heard_from_it() {
    let mut two = Two::new();
    let (session, _) = admitted(&two.writer, None);
    session.join("imud_gossip");
    two.follower.lead(9);
    // Both have the same from the bus or the router.
    for hub in [&two.writer, &two.follower] {
        hub.publish(chat("imud_gossip"));
    }
    two.follower.publish(tell("after"));
    two.writer.follow();
    two.writer.miss(None);
    two.writer.restore(two.follower.state());
    assert_eq!(seqs(&session), [1, 2], "the chat of the old epoch, and the tell of the new one");
    two.hear();
}
