use super::*;
use crate::bus::{ChannelKind, ChannelMessage};
use crate::packets;

fn tell(text: &str) -> Packet {
    let between = packets::Between { mud: "Dawn", user: "ann", target_mud: "Dusk", target_user: "bob" };
    packets::tell(between, false, text)
}

fn chat(text: &str) -> Packet {
    packets::channel(&ChannelMessage {
        mud: "Dawn".into(),
        user: "ann".into(),
        channel: "imud_gossip".into(),
        kind: ChannelKind::Message,
        visname: "Ann".into(),
        message: text.into(),
        target: None,
    })
}

fn left_over(text: &str, time: Duration) -> Left {
    Left { id: 0, class: Class::Direct, packet: tell(text), time }
}

fn sent_at(outbox: &mut Outbox, now: Instant) -> Vec<Packet> {
    let mut packets = Vec::new();
    while let Next::Send(entry) = outbox.next(now) {
        packets.push(entry.packet.clone());
        outbox.note_gone(&entry);
        entry.taken();
    }
    packets
}

#[test]
fn tells_go_before_chatter_and_each_class_stays_in_order() {
    let now = Instant::now();
    let mut outbox = Outbox::new(10, 0);
    for packet in [chat("1"), chat("2")] {
        outbox.push(now, packet, Class::Channel).unwrap();
    }
    for packet in [tell("1"), tell("2")] {
        outbox.push(now, packet, Class::Direct).unwrap();
    }
    assert_eq!(sent_at(&mut outbox, now), [tell("1"), tell("2"), chat("1"), chat("2")]);
}

/// What goes from a moment on, each at the first moment at which it may.
fn paced(outbox: &mut Outbox, start: Instant, seconds: u32) -> Vec<Instant> {
    let (mut sent, mut now) = (Vec::new(), start);
    while now < start + SECOND * seconds {
        match outbox.next(now) {
            Next::Send(_) => sent.push(now),
            Next::At(then) => {
                assert!(then > now, "waiting must make progress");
                now = then;
            }
            Next::Empty => break,
        }
    }
    sent
}

#[test]
fn never_more_than_the_limit_in_any_second() {
    let start = Instant::now();
    let mut outbox = Outbox::new(400, 0);
    for index in 0..400 {
        outbox.push(start, chat(&index.to_string()), Class::Channel).unwrap();
    }
    let sent = paced(&mut outbox, start, 60);
    for window in sent.windows(PACKETS_PER_SECOND + 1) {
        assert!(window[PACKETS_PER_SECOND] - window[0] >= SECOND);
    }
    // A link may take a quarter of a second longer for some than for others.
    for window in sent.windows(11) {
        assert!(window[10] - window[0] >= Duration::from_millis(1250));
    }
    assert_eq!(sent.len(), 400);
    assert!(sent[399] - start < SECOND * 50, "and yet as many on average: {:?}", sent[399] - start);
}

#[test]
fn answers_go_behind_tells_leave_room_for_chatter_and_keep_nothing_out() {
    let now = Instant::now();
    let mut outbox = Outbox::new(1000, 0);
    for index in 0..100 {
        outbox.push(now, tell(&format!("answer {index}")), Class::Answer).unwrap();
    }
    assert_eq!(outbox.push(now, tell("one too many"), Class::Answer).err(), Some(NotAccepted::Full));
    for index in 0..10 {
        outbox.push(now, chat(&index.to_string()), Class::Channel).unwrap();
    }
    outbox.push(now, tell("1"), Class::Direct).unwrap();
    let first = sent_at(&mut outbox, now);
    assert_eq!(first[..3], [tell("1"), tell("answer 0"), tell("answer 1")]);
    assert_eq!(first[5..], [chat("0"), chat("1"), chat("2")]);
    // Alone they have no more than their half either.
    let second = sent_at(&mut outbox, now + SECOND * 2);
    assert_eq!(second.iter().filter(|packet| packet.kind() == "tell").count(), PACKETS_PER_SECOND / 2);
}

#[test]
fn what_nobody_waits_for_goes_last_and_one_a_second() {
    let start = Instant::now();
    let mut outbox = Outbox::new(1000, 0);
    for index in 0..50 {
        outbox.push(start, tell(&format!("news {index}")), Class::Background).unwrap();
    }
    assert_eq!(outbox.push(start, tell("one too many"), Class::Background).err(), Some(NotAccepted::Full));
    outbox.push(start, chat("1"), Class::Channel).unwrap();
    assert_eq!(sent_at(&mut outbox, start), [chat("1"), tell("news 0")]);
    let Next::At(then) = outbox.next(start) else { panic!("the pace holds") };
    assert_eq!(then, start + SECOND);
    assert_eq!(sent_at(&mut outbox, then), [tell("news 1")]);
}

#[test]
fn a_registration_counts_six_and_subscriptions_nothing() {
    let now = Instant::now();
    let mut outbox = Outbox::new(100, 0);
    outbox.registered(now);
    for index in 0..20 {
        outbox.push(now, chat(&index.to_string()), Class::Channel).unwrap();
        let listen = packets::channel_listen("Dawn", "*test", "imud_gossip", true);
        outbox.push(now, listen, Class::Control).unwrap();
    }
    let sent = sent_at(&mut outbox, now);
    assert_eq!(sent.iter().filter(|packet| packet.kind() == "channel-listen").count(), 20);
    assert_eq!(sent.iter().filter(|packet| packet.kind() == "channel-m").count(), 2);
}

#[test]
fn what_waits_too_long_comes_out_and_whoever_waits_for_it_learns() {
    let start = Instant::now();
    let mut outbox = Outbox::new(10, 0);
    let mut chatted = outbox.push(start, chat("late"), Class::Channel).unwrap();
    let mut told = outbox.push(start, tell("late"), Class::Direct).unwrap();
    assert!(outbox.expired(start + Duration::from_secs(59)).is_empty());
    let expired: Vec<_> =
        outbox.expired(start + Duration::from_secs(60)).into_iter().map(|entry| entry.packet).collect();
    assert_eq!(expired, [chat("late")]);
    assert!(chatted.try_recv().is_err());
    sent_at(&mut outbox, start + Duration::from_secs(61));
    assert_eq!(told.try_recv(), Ok(()));
}

#[test]
fn the_capacity_holds_and_what_could_not_be_sent_stays_first() {
    let now = Instant::now();
    let mut outbox = Outbox::new(2, 0);
    outbox.push(now, tell("1"), Class::Direct).unwrap();
    outbox.push(now, tell("2"), Class::Direct).unwrap();
    assert_eq!(outbox.push(now, tell("3"), Class::Direct).err(), Some(NotAccepted::Full));
    let Next::Send(entry) = outbox.next(now) else { unreachable!("two wait") };
    outbox.restore(*entry);
    assert_eq!(sent_at(&mut outbox, now), [tell("1"), tell("2")]);
}

#[test]
fn what_has_no_form_on_the_wire_is_not_accepted() {
    let mut outbox = Outbox::new(3, 0);
    let refused = outbox.push(Instant::now(), tell(&"x".repeat(300_000)), Class::Direct).err().unwrap();
    assert!(matches!(refused, NotAccepted::Unwritable(EncodeError::TooLong { .. })), "{refused}");
    assert_eq!(outbox.len(), 0);
}

#[test]
fn what_an_earlier_process_left_goes_first_and_expires_when_it_would_have() {
    let start = Instant::now();
    let mut outbox = Outbox::new(2, 0);
    outbox.push(start, tell("new"), Class::Direct).unwrap();
    let left = [("1", 5), ("2", 10), ("3", 9999)];
    let left = left.map(|(text, time)| left_over(text, Duration::from_secs(time)));
    outbox.take_over(start, left.into());
    assert_eq!(outbox.expired(start + Duration::from_secs(10)).len(), 2);
    let Next::Send(entry) = outbox.next(start) else { panic!("3 waits") };
    assert_eq!((entry.packet, entry.expires), (tell("3"), start + Class::Direct.time_to_live()));
}

#[test]
fn what_another_process_has_found_is_forgotten_here() {
    let start = Instant::now();
    let mut outbox = Outbox::new(10, 0);
    outbox.push(start, tell("kept"), Class::Direct).unwrap();
    assert_eq!(outbox.offer().count(), 1);
    outbox.push(start, tell("later"), Class::Direct).unwrap();
    outbox.set_kept();
    outbox.forget_kept();
    let Next::Send(entry) = outbox.next(start) else { panic!("one waits") };
    assert_eq!(entry.packet, tell("later"));
}

#[test]
fn what_waits_is_bounded_in_bytes_as_they_are_kept_and_each_kind_by_itself() {
    let now = Instant::now();
    for text in ["x".repeat(2000), "\"\\\u{1b}[1m".repeat(200)] {
        let mut outbox = Outbox::new(1000, 0);
        while outbox.push(now, tell(&text), Class::Direct).is_ok() {}
        assert!((100..600).contains(&outbox.len()), "{}", outbox.len());
        assert!(outbox.bytes(true) <= KEPT_BYTES && outbox.bytes(true) > KEPT_BYTES * 9 / 10);
        for class in [Class::Direct, Class::Channel] {
            assert_eq!(outbox.push(now, tell(&text), class).err(), Some(NotAccepted::Full));
        }
        outbox.push(now, tell(&text), Class::Answer).unwrap();
        let one = left_over(&text, Duration::from_secs(9));
        assert_eq!(outbox.take_in(now, vec![one.clone()]), Err(NotAccepted::Full));
        let Next::Send(_) = outbox.next(now) else { panic!("they wait") };
        assert_eq!(outbox.take_in(now, vec![one.clone(), one.clone()]), Err(NotAccepted::Full));
        assert_eq!(outbox.take_in(now, vec![one]), Ok(()));
    }
}

#[test]
fn while_another_process_may_use_the_name_its_registration_and_pace_fit_beside() {
    let start = Instant::now();
    let mut outbox = Outbox::new(100, 0);
    for index in 0..60 {
        outbox.push(start, chat(&index.to_string()), Class::Channel).unwrap();
    }
    outbox.set_shared(start, true);
    let shared = paced(&mut outbox, start, SHARED_FOR.as_secs() as u32);
    assert_eq!(shared.len() as u64, SHARED_FOR.as_secs() * SHARED_PACE as u64);
    assert!(shared.windows(3).all(|window| window[2] - window[0] >= SECOND));
    assert_eq!(SHARED_PACE + PACKETS_PER_SECOND, 10);
    assert_eq!(sent_at(&mut outbox, start + SHARED_FOR + SECOND).len(), PACKETS_PER_SECOND);

    let again = start + SHARED_FOR + SECOND * 3;
    outbox.set_shared(again, false);
    outbox.set_shared(again, true);
    assert_eq!(sent_at(&mut outbox, again).len(), SHARED_PACE);
    outbox.set_shared(again, false);
    assert_eq!(sent_at(&mut outbox, again).len(), PACKETS_PER_SECOND - SHARED_PACE);
}

#[test]
fn while_another_process_may_use_the_name_what_it_would_find_is_left_to_it() {
    let start = Instant::now();
    let mut outbox = Outbox::new(100, 0);
    outbox.push(start, chat("offered"), Class::Channel).unwrap();
    assert_eq!(outbox.offer().count(), 1);
    outbox.push(start, chat("later"), Class::Channel).unwrap();
    outbox.push(start, tell("not offered"), Class::Direct).unwrap();
    outbox.set_shared(start, true);
    assert_eq!(sent_at(&mut outbox, start), [tell("not offered")]);
    assert!(matches!(outbox.next(start), Next::At(then) if then == start + SHARED_FOR));
    // Nobody has taken it.
    assert_eq!(sent_at(&mut outbox, start + SHARED_FOR), [chat("offered"), chat("later")]);
}

#[test]
fn what_went_of_what_another_process_may_find_is_told_as_long_as_it_matters() {
    let start = Instant::now();
    let mut outbox = Outbox::new(100, 40);
    for text in ["1", "2"] {
        outbox.push(start, tell(text), Class::Direct).unwrap();
    }
    assert_eq!(outbox.offer().map(|entry| entry.id).collect::<Vec<_>>(), [41, 42]);
    outbox.push(start, chat("3"), Class::Channel).unwrap();
    sent_at(&mut outbox, start);
    assert_eq!(outbox.gone(start), [41, 42]);
    outbox.forget_gone(41);
    assert_eq!(outbox.gone(start), [42]);
    outbox.forget_gone(7);
    assert_eq!(outbox.gone(start), [42], "it was forgotten before");
    assert!(outbox.gone(start + Class::Direct.time_to_live()).is_empty());
}

#[test]
fn what_a_link_that_stood_still_brings_at_once_counts_when_it_comes() {
    let start = Instant::now();
    let mut outbox = Outbox::new(100, 0);
    for index in 0..20 {
        outbox.push(start, chat(&index.to_string()), Class::Channel).unwrap();
    }
    let moved = start + SECOND * 5;
    outbox.probed(moved);
    outbox.delayed(moved, 6);
    assert_eq!(sent_at(&mut outbox, moved).len(), PACKETS_PER_SECOND - 7);
    assert_eq!(sent_at(&mut outbox, moved + LOOKED_BACK).len(), PACKETS_PER_SECOND);
}
