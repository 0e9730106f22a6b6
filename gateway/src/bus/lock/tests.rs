use super::*;

/// A point in time, in milliseconds.
struct Clock(Instant);

impl Clock {
    fn at(&self, millis: u64) -> Instant {
        self.0 + Duration::from_millis(millis)
    }
}

fn clock() -> Clock {
    Clock(Instant::now())
}

fn entry(revision: u64, by: &str, held: bool) -> Option<Entry> {
    Some(Entry { revision, by: by.to_owned(), held })
}

/// A process that watches the key.
fn watching(clock: &Clock, key: Option<Entry>) -> SessionLock {
    let mut lock = SessionLock::new("me", false);
    lock.bus(clock.at(0), true);
    lock.seen(clock.at(0), key);
    lock
}

/// A process that has held the lock since 0 with revision 1.
fn holder(clock: &Clock) -> SessionLock {
    let mut lock = watching(clock, None);
    assert_eq!(lock.write(clock.at(0)), Some(Write { expected: None, held: true }));
    lock.wrote(clock.at(5), Ok(1));
    lock
}

#[test]
fn nothing_is_written_before_the_key_was_seen() {
    let clock = clock();
    let mut lock = SessionLock::new("me", false);
    assert_eq!((lock.write(clock.at(0)), lock.duty(clock.at(0))), (None, Duty::Unknown));
    lock.bus(clock.at(0), true);
    assert_eq!(lock.write(clock.at(9_000)), None);
    assert!(lock.should_look());
}

#[test]
fn a_lock_that_nobody_ever_held_is_taken_at_once_and_renewed_each_second() {
    let clock = clock();
    let mut lock = holder(&clock);
    assert_eq!(lock.duty(clock.at(10)), Duty::Holder);
    assert_eq!(lock.write(clock.at(999)), None);
    assert_eq!(lock.wake_at(clock.at(10)), clock.at(1000));
    assert_eq!(lock.write(clock.at(1000)), Some(Write { expected: Some(1), held: true }));
    assert_eq!(lock.write(clock.at(1001)), None, "one at a time");
    lock.wrote(clock.at(1003), Ok(2));
    assert_eq!(lock.duty(clock.at(2999)), Duty::Holder);
}

#[test]
fn a_standby_takes_over_after_three_quiet_seconds_of_a_healthy_bus() {
    let clock = clock();
    let mut lock = watching(&clock, entry(7, "other", true));
    lock.seen(clock.at(1000), entry(8, "other", true));
    assert_eq!(lock.write(clock.at(3999)), None);
    assert!(lock.ask(clock.at(3900)));
    assert_eq!(lock.wake_at(clock.at(3900)), clock.at(4000));
    assert_eq!(lock.write(clock.at(4000)), Some(Write { expected: Some(8), held: true }));
    assert_eq!(lock.duty(clock.at(4000)), Duty::Standby, "not before the answer");
    lock.wrote(clock.at(4002), Ok(9));
    assert_eq!(lock.duty(clock.at(4002)), Duty::Holder);
}

#[test]
fn seconds_without_the_bus_do_not_count() {
    let clock = clock();
    let mut lock = watching(&clock, entry(7, "other", true));
    lock.bus(clock.at(1000), false);
    assert_eq!(lock.write(clock.at(10_000)), None);
    lock.bus(clock.at(10_000), true);
    lock.seen(clock.at(10_000), entry(7, "other", true));
    assert_eq!(lock.write(clock.at(12_999)), None);
    assert!(lock.write(clock.at(13_000)).is_some());
}

#[test]
fn the_bucket_is_asked_while_the_holder_is_silent_and_its_own_silence_does_not_count() {
    let clock = clock();
    let mut lock = watching(&clock, entry(7, "other", true));
    lock.seen(clock.at(1000), entry(8, "other", true));
    assert!(!lock.ask(clock.at(2199)));
    assert_eq!(lock.wake_at(clock.at(1000)), clock.at(2200));
    assert!(lock.ask(clock.at(2200)));
    assert!(!lock.ask(clock.at(2699)), "not again at once");
    assert!(lock.ask(clock.at(2700)));
    // No answer: the bucket has no leader, and nobody can renew.
    lock.bus(clock.at(3200), false);
    assert!(!lock.ask(clock.at(3300)));
    lock.bus(clock.at(6000), true);
    lock.seen(clock.at(6000), entry(8, "other", true));
    assert_eq!(lock.write(clock.at(8999)), None);
    lock.seen(clock.at(8999), entry(9, "other", true));
    assert_eq!(lock.write(clock.at(9000)), None);
    let mut holder = holder(&clock);
    assert!(!holder.ask(clock.at(60_000)), "who holds the lock writes");
}

#[test]
fn what_is_given_back_is_taken_at_once() {
    let clock = clock();
    let mut lock = watching(&clock, entry(7, "other", true));
    lock.seen(clock.at(100), entry(8, "other", false));
    assert_eq!(lock.write(clock.at(100)), Some(Write { expected: Some(8), held: true }));
}

#[test]
fn a_holder_without_answers_keeps_its_session_but_opens_none_until_it_has_renewed() {
    let clock = clock();
    let mut lock = holder(&clock);
    lock.write(clock.at(1000)).unwrap();
    lock.wrote(clock.at(2000), Err(WriteError::Unknown));
    lock.bus(clock.at(2000), false);
    assert_eq!(lock.duty(clock.at(1999)), Duty::Holder);
    assert_eq!(lock.duty(clock.at(2000)), Duty::Holdover);
    assert_eq!(lock.duty(clock.at(600_000)), Duty::Holdover);
    lock.bus(clock.at(600_000), true);
    assert_eq!(lock.write(clock.at(600_000)), None, "it has to look first");
    lock.seen(clock.at(600_001), entry(2, "me", true));
    assert_eq!(lock.write(clock.at(600_001)), Some(Write { expected: Some(2), held: true }));
    lock.wrote(clock.at(600_003), Ok(3));
    assert_eq!(lock.duty(clock.at(600_003)), Duty::Holder);
}

#[test]
fn a_holder_that_sees_another_stops_at_once() {
    let clock = clock();
    let mut lock = holder(&clock);
    lock.seen(clock.at(500), entry(2, "other", true));
    assert_eq!(lock.duty(clock.at(500)), Duty::Standby);
    assert_eq!(lock.write(clock.at(3499)), None);
    assert!(lock.write(clock.at(3500)).is_some());
}

#[test]
fn after_a_conflict_nothing_is_written_before_somebody_has_looked() {
    let clock = clock();
    let mut lock = holder(&clock);
    lock.write(clock.at(1000)).unwrap();
    lock.wrote(clock.at(1005), Err(WriteError::Conflict));
    assert!(lock.should_look());
    assert_eq!(lock.write(clock.at(1500)), None);
    assert_eq!(lock.duty(clock.at(1500)), Duty::Holder, "nobody can have taken it yet");
    // It was an earlier write of its own that had no answer.
    lock.seen(clock.at(1501), entry(2, "me", true));
    assert_eq!(lock.write(clock.at(1501)), Some(Write { expected: Some(2), held: true }));
}

#[test]
fn news_that_was_overtaken_is_no_news() {
    let clock = clock();
    let mut lock = watching(&clock, entry(7, "other", false));
    lock.write(clock.at(0)).unwrap();
    lock.wrote(clock.at(2), Ok(9));
    lock.seen(clock.at(3), entry(8, "third", true));
    assert_eq!(lock.duty(clock.at(3)), Duty::Holder);
}

#[test]
fn a_lock_that_is_left_is_given_back_once_and_never_taken_again() {
    let clock = clock();
    let mut lock = holder(&clock);
    lock.leave();
    assert_eq!((lock.duty(clock.at(10)), lock.has_left()), (Duty::Standby, false));
    assert_eq!(lock.write(clock.at(10)), Some(Write { expected: Some(1), held: false }));
    lock.wrote(clock.at(12), Ok(2));
    assert!(lock.has_left());
    assert_eq!(lock.write(clock.at(60_000)), None);
    let mut standby = watching(&clock, entry(7, "other", true));
    standby.leave();
    assert!(standby.has_left());
}

#[test]
fn who_cannot_reach_the_router_lets_others_try_and_then_tries_again() {
    let clock = clock();
    let mut lock = holder(&clock);
    lock.yield_to_others();
    assert_eq!(lock.duty(clock.at(100)), Duty::Standby);
    lock.write(clock.at(100)).unwrap();
    lock.wrote(clock.at(102), Ok(2));
    assert_eq!(lock.write(clock.at(3101)), None);
    assert_eq!(lock.write(clock.at(3102)), Some(Write { expected: Some(2), held: true }));
}

#[test]
fn a_bucket_that_was_lost_is_first_left_to_the_holder() {
    let clock = clock();
    let mut standby = watching(&clock, entry(70, "other", true));
    standby.bus(clock.at(1000), false);
    standby.bus(clock.at(5000), true);
    standby.seen(clock.at(5000), None);
    assert_eq!(standby.write(clock.at(7999)), None);
    // Revisions count from one again.
    standby.seen(clock.at(7999), entry(1, "other", true));
    assert_eq!(standby.write(clock.at(10_998)), None);

    let mut newcomer = SessionLock::new("new", true);
    newcomer.bus(clock.at(0), true);
    newcomer.seen(clock.at(0), None);
    assert_eq!(newcomer.write(clock.at(2999)), None);
    assert!(newcomer.write(clock.at(3000)).is_some());

    let mut holder = holder(&clock);
    holder.bus(clock.at(1000), false);
    holder.bus(clock.at(5000), true);
    holder.seen(clock.at(5000), None);
    assert_eq!(holder.write(clock.at(6999)), None);
    assert_eq!(
        holder.write(clock.at(7000)),
        Some(Write { expected: None, held: true }),
        "before any standby"
    );
}
