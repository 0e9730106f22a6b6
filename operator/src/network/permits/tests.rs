use super::*;

const INTERVAL: Duration = Duration::from_millis(1100);
const PACE: Pace = Pace { interval: INTERVAL, muds_per_address: 3 };
const ROUTER: &str = "router.example:8787";

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn mud(name: &str) -> Mud {
    Mud { network: "i4".to_owned(), name: name.to_owned() }
}

fn nobody() -> BTreeSet<Mud> {
    BTreeSet::new()
}

/// A question of a mud that the router knows and that has just begun to ask.
fn ask(permits: &mut Permits, now: Instant, name: &str, purpose: Purpose) -> PermitAnswer {
    waited(permits, now, name, purpose, Duration::ZERO)
}

fn waited(
    permits: &mut Permits,
    now: Instant,
    name: &str,
    purpose: Purpose,
    waited: Duration,
) -> PermitAnswer {
    let (mud, registered) = (mud(name), nobody());
    let question = Question {
        mud: &mud,
        router: ROUTER,
        egress: "node-1",
        waited,
        purpose,
        known: true,
        registered: &registered,
    };
    permits.ask(now, PACE, &question)
}

fn wait(answer: &PermitAnswer) -> (Duration, u32) {
    match answer {
        PermitAnswer::Wait { milliseconds, ahead } => (millis(*milliseconds), *ahead),
        other => panic!("not to wait but {other:?}"),
    }
}

fn used(permits: &mut Permits, now: Instant, name: &str) {
    permits.used(now, INTERVAL, ROUTER, &mud(name));
}

#[test]
fn the_first_goes_at_once_and_the_next_an_interval_later() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    assert_eq!(ask(&mut permits, start, "A", Purpose::Connect), granted());
    used(&mut permits, start + millis(20), "A");
    let answer = ask(&mut permits, start + millis(50), "B", Purpose::Connect);
    assert_eq!(wait(&answer), (millis(1050), 0));
    let early = ask(&mut permits, start + millis(1000), "B", Purpose::Connect);
    assert_eq!(wait(&early), (millis(100), 0));
    assert_eq!(ask(&mut permits, start + INTERVAL, "B", Purpose::Connect), granted());
}

#[test]
fn a_slow_connection_moves_the_next_one() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    ask(&mut permits, start, "A", Purpose::Connect);
    assert!(matches!(ask(&mut permits, start + INTERVAL, "B", Purpose::Connect), PermitAnswer::Wait { .. }));
    used(&mut permits, start + millis(1200), "A");
    // The router may have accepted the connection only just before A noticed.
    let answer = ask(&mut permits, start + millis(1210), "B", Purpose::Connect);
    assert_eq!(wait(&answer).0, millis(990));
    assert_eq!(ask(&mut permits, start + millis(2200), "B", Purpose::Connect), granted());
}

#[test]
fn a_permit_of_which_nothing_is_heard_holds_nobody_up_for_long() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    ask(&mut permits, start, "A", Purpose::Connect);
    assert!(matches!(
        ask(&mut permits, start + millis(2990), "B", Purpose::Connect),
        PermitAnswer::Wait { .. }
    ));
    assert_eq!(ask(&mut permits, start + LOST, "B", Purpose::Connect), granted());
}

#[test]
fn what_is_given_back_is_for_the_next_at_once() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    ask(&mut permits, start, "A", Purpose::Connect);
    permits.given_back(start + millis(10), ROUTER, &mud("A"));
    assert_eq!(ask(&mut permits, start + millis(11), "B", Purpose::Connect), granted());
}

#[test]
fn who_waited_longest_goes_first_also_at_a_new_operator() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    ask(&mut permits, start, "other", Purpose::Connect);
    used(&mut permits, start, "other");
    let waits = |permits: &mut Permits, name, seconds| {
        waited(permits, start + millis(1), name, Purpose::Connect, Duration::from_secs(seconds))
    };
    assert_eq!(wait(&waits(&mut permits, "short", 1)).1, 0);
    assert_eq!(wait(&waits(&mut permits, "long", 100)).1, 0);
    assert_eq!(wait(&waits(&mut permits, "middle", 50)).1, 1);
    assert_eq!(wait(&waits(&mut permits, "short", 1)).1, 2);
}

#[test]
fn who_takes_over_goes_before_all_who_wait() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    ask(&mut permits, start, "A", Purpose::Connect);
    used(&mut permits, start, "A");
    for name in ["B", "C"] {
        waited(&mut permits, start + millis(1), name, Purpose::Connect, Duration::from_secs(60));
    }
    let answer = ask(&mut permits, start + millis(2), "D", Purpose::TakeOver);
    assert_eq!(wait(&answer), (millis(1098), 0));
    assert_eq!(ask(&mut permits, start + INTERVAL, "D", Purpose::TakeOver), granted());
}

#[test]
fn a_successor_goes_at_once_by_the_permit_of_who_went() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    assert_eq!(ask(&mut permits, start, "A", Purpose::HandOver), granted());
    assert_eq!(ask(&mut permits, start + millis(5), "A", Purpose::HandOver), granted());
    assert!(matches!(ask(&mut permits, start + millis(9), "B", Purpose::Connect), PermitAnswer::Wait { .. }));
    assert_eq!(ask(&mut permits, start + millis(900), "A", Purpose::TakeOver), granted());
    used(&mut permits, start + millis(910), "A");
    let answer = ask(&mut permits, start + millis(911), "B", Purpose::Connect);
    assert_eq!(wait(&answer).0, millis(1089));
}

#[test]
fn a_permit_without_a_successor_is_free_after_a_while() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    ask(&mut permits, start, "A", Purpose::HandOver);
    assert_eq!(ask(&mut permits, start + RESERVED, "B", Purpose::Connect), granted());
}

#[test]
fn who_does_not_ask_again_in_time_loses_the_turn_but_not_the_place() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    ask(&mut permits, start, "A", Purpose::Connect);
    used(&mut permits, start, "A");
    let head = waited(&mut permits, start + millis(1), "late", Purpose::Connect, Duration::from_secs(9));
    assert_eq!(wait(&head).0, millis(1099));
    let next = ask(&mut permits, start + millis(2), "B", Purpose::Connect);
    assert_eq!(wait(&next), (millis(2198), 1));
    // At the head's turn only the head may go, for a moment.
    let at = start + INTERVAL;
    assert_eq!(wait(&ask(&mut permits, at, "B", Purpose::Connect)), (GRACE, 1));
    let at = at + GRACE + millis(1);
    assert_eq!(ask(&mut permits, at, "B", Purpose::Connect), granted());
    used(&mut permits, at, "B");
    assert_eq!(wait(&ask(&mut permits, at + millis(1), "late", Purpose::Connect)).1, 0);
}

#[test]
fn unknown_muds_beyond_the_limit_are_refused_and_known_ones_are_not() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    let registered: BTreeSet<Mud> = ["A", "B", "C"].map(mud).into();
    let mut ask = |name: &str, known, registered: &BTreeSet<Mud>| {
        let mud = mud(name);
        let question = Question {
            mud: &mud,
            router: ROUTER,
            egress: "node-1",
            waited: Duration::ZERO,
            purpose: Purpose::Connect,
            known,
            registered,
        };
        permits.ask(start, PACE, &question)
    };
    assert_eq!(ask("D", false, &registered), PermitAnswer::AddressFull { muds: 3 });
    // One of those that are there may come again.
    assert_eq!(ask("C", false, &registered), granted());
    assert!(matches!(ask("D", true, &registered), PermitAnswer::Wait { .. }));
}

#[test]
fn those_let_through_count_before_they_report() {
    let (mut permits, mut now) = (Permits::default(), Instant::now());
    let mut answers = Vec::new();
    for name in ["A", "B", "C", "D"] {
        let (mud, registered) = (mud(name), nobody());
        let question = Question {
            mud: &mud,
            router: ROUTER,
            egress: "node-1",
            waited: Duration::ZERO,
            purpose: Purpose::Connect,
            known: false,
            registered: &registered,
        };
        answers.push(permits.ask(now, PACE, &question));
        permits.used(now, INTERVAL, ROUTER, &mud);
        now += INTERVAL;
    }
    assert_eq!(answers, [granted(), granted(), granted(), PermitAnswer::AddressFull { muds: 3 }]);
}

#[test]
fn there_is_a_bound_on_routers() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    let (mud, registered) = (mud("A"), nobody());
    let mut ask = |now, router: &str| {
        let question = Question {
            mud: &mud,
            router,
            egress: "node-1",
            waited: Duration::ZERO,
            purpose: Purpose::Connect,
            known: true,
            registered: &registered,
        };
        permits.ask(now, PACE, &question)
    };
    for index in 0..DOORS {
        assert_eq!(ask(start, &format!("h:{index}")), granted());
    }
    assert_eq!(ask(start, "one:more"), PermitAnswer::Noted);
    assert_eq!(ask(start + GONE, "one:more"), granted());
}

/// A fleet that loses its router at once: every mud asks again exactly when it is told, and connecting takes some
/// milliseconds.
#[test]
fn a_fleet_of_200_is_back_in_200_intervals() {
    let (mut permits, start) = (Permits::default(), Instant::now());
    // When each asks the next time; all begin within half a second.
    let mut asks: Vec<(Instant, usize)> =
        (0..200).map(|index| (start + millis(index * 2), usize::try_from(index).unwrap())).collect();
    let mut granted_at = Vec::new();
    let mut questions = 0;
    while !asks.is_empty() {
        let next = (0..asks.len()).min_by_key(|index| asks[*index]).unwrap();
        let (at, index) = asks[next];
        let (now, name) = (at + millis(1), format!("mud {index}"));
        questions += 1;
        match waited(&mut permits, now, &name, Purpose::Connect, now - start) {
            PermitAnswer::Wait { milliseconds, .. } => asks[next].0 = now + millis(milliseconds),
            answer => {
                assert_eq!(answer, granted());
                used(&mut permits, now + millis(7), &name);
                granted_at.push(now);
                asks.swap_remove(next);
            }
        }
    }
    assert!(granted_at.windows(2).all(|pair| pair[1] - pair[0] >= INTERVAL - MARGIN), "too soon");
    let last = *granted_at.last().unwrap() - start;
    assert!(last < INTERVAL * 200, "{last:?}");
    assert!(questions < 200 * 60, "{questions} questions");
}
