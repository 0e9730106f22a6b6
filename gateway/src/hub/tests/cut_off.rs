//! Processes that write on though they may have a successor, or die before they have told all.

use std::time::{Duration, Instant};

use super::*;
use crate::bus::ChannelMessage;

#[test]
fn who_was_cut_off_gets_on_any_process_what_the_router_brought_its_successor_and_nothing_twice() {
    let (sender, mut told) = mpsc::channel(100);
    let (leader, follower) = (Hub::shared("Dusk", sender), Hub::shared("Dusk", mpsc::channel(100).0));
    leader.lead(7);
    leader.lead(9);
    leader.publish(Event::reconnected());
    follower.restore(leader.state());
    let relay = |number| Path::Relay { by: 1, number };
    // What a relay tells again may have been heard, but not what the router brings, too.
    let copies = [
        (relay(1), true, "old"),
        (relay(2), true, "both"),
        (Path::Router, false, "both"),
        (Path::Router, true, "new"),
    ];
    for (path, delivered, text) in copies {
        let message = ChannelMessage { message: text.to_owned(), ..said("c") };
        leader
            .publish_copy(Timestamp::now(), SaidCopy { path, stream: None, only: false, delivered, message });
    }
    while let Ok(outgoing) = told.try_recv() {
        if let Outgoing::Record(record) = outgoing
            && let Change::Copy(copy) = record.change
        {
            follower.take_said(record.position, record.at, *copy);
        }
    }
    for hub in [&leader, &follower] {
        let (before, _) = admitted(hub, None);
        before.join("c");
        hub.remove(&before);
        let resume = Resume { session: before.id, position: Position { epoch: 7, seq: log::LEAP } };
        let (session, admission) = admitted(hub, Some(resume));
        let lines = received(&session).concat();
        let heard = ["old", "both", "new"].map(|text| lines.contains(&format!("\"{text}\"")));
        assert_eq!((admission.recovered, heard), (Some(true), [false, true, true]), "{lines}");
    }
}

/// What a client hears of what a hosted mud says before the next process is accepted by the router, when it goes on there with
/// more than the process before has told.
fn hosted_heard_by_who_has_more(two: &Two) -> Vec<String> {
    let (first, _) = admitted(&two.writer, None);
    first.join("c");
    two.writer.publish(tell("told to the client alone"));
    assert_eq!(received(&first).len(), 1);
    two.follower.lead(9);
    let copy = SaidCopy { path: Path::Bus, stream: None, only: false, delivered: true, message: said("c") };
    two.follower.publish_copy(Timestamp::now(), copy);
    two.follower.publish(Event::reconnected());
    let (before, _) = admitted(&two.follower, None);
    before.join("c");
    two.follower.remove(&before);
    let resume = Resume { session: before.id, position: two.writer.position() };
    let (session, admission) = admitted(&two.follower, Some(resume));
    assert_eq!(admission.recovered, Some(true));
    received(&session)
}

#[test]
fn who_has_more_than_a_process_told_before_it_died_hears_what_was_said_since() {
    let two = Two::new();
    two.writer.certain_until(Some(Instant::now() + Duration::from_secs(60)));
    let heard = hosted_heard_by_who_has_more(&two);
    assert!(heard.len() == 2 && heard[0].contains("channel_message"), "{heard:?}");
}

#[test]
fn who_was_cut_off_had_from_there_what_the_bus_brings_its_successor() {
    let two = Two::new();
    two.writer.certain_until(Some(Instant::now()));
    let heard = hosted_heard_by_who_has_more(&two);
    assert!(heard.len() == 1 && heard[0].contains("gateway_reconnected"), "{heard:?}");
}

#[test]
fn a_process_that_may_have_a_successor_leaps_once_and_who_still_hears_it_goes_on() {
    let mut two = Two::new();
    let (there, _) = admitted(&two.follower, None);
    let publish = |two: &Two, until: Instant| {
        two.writer.certain_until(Some(until));
        two.writer.publish(tell("hi"));
        two.writer.position().seq
    };
    let (past, later) = (Instant::now(), Instant::now() + Duration::from_secs(60));
    let places = [past, past, later, past].map(|until| publish(&two, until));
    assert_eq!(places, [log::LEAP + 1, log::LEAP + 2, log::LEAP + 3, 2 * log::LEAP + 4]);
    assert_eq!(two.hear(), 4);
    assert_eq!((seqs(&there), two.follower.follows()), (places.to_vec(), true));
}

#[test]
fn who_has_what_a_process_misses_goes_on_there_and_who_lacks_some_of_it_is_told_so() {
    let mut two = Two::new();
    let (first, _) = admitted(&two.writer, None);
    two.hear();
    let places = ["missed", "missed, too", "comes with all"].map(|text| {
        two.writer.publish(tell(text));
        two.writer.position()
    });
    let resume = |hub: &Hub, position| {
        let of_first = News::Session { session: Box::new(remote(&first, position)), listen: None };
        let _ = hub.hear("writer", of_first);
        let (session, admission) = admitted(hub, Some(Resume { session: first.id, position }));
        (admission.recovered, session)
    };
    two.follower.miss(Some(places[1]));
    assert_eq!(resume(&two.follower, places[0]).0, Some(false));
    let (recovered, session) = resume(&two.follower, places[1]);
    assert_eq!(recovered, Some(true));
    two.follower.restore(two.writer.state());
    assert_eq!(seqs(&session), [places[2].seq]);

    // The same with a process that comes to write the log without them.
    let lacks = Hub::shared("Dusk", mpsc::channel(10).0);
    lacks.restore(Two::new().writer.state());
    lacks.miss(Some(places[1]));
    assert_eq!(lacks.lead(9), (9, false));
    assert_eq!(places.map(|place| resume(&lacks, place).0), [Some(false), Some(true), Some(true)]);

    let knows_nothing = Hub::shared("Dusk", mpsc::channel(10).0);
    knows_nothing.miss(Some(places[1]));
    assert_eq!(resume(&knows_nothing, places[2]).0, Some(false));
    knows_nothing.lead(9);
    assert_eq!(resume(&knows_nothing, places[2]).0, Some(false));
}
