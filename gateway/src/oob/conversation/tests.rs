use intermud3::oob::MailAck;
use proptest::prelude::*;

use super::*;

const MAIL: &str = r#"({"mail",7,"bob",(["Dawn":({"ann",}),]),([]),({}),1795418241,"Hello","Hi",})"#;
const ACK: &str = r#"({"mail-ack",([7:({}),]),})"#;
const END: &str = r#"({"oob-end","Dusk",})"#;
const ERROR: &str = r#"({"error",5,"Dusk",0,"Dawn",0,"not-imp","no",0,})"#;

/// Requests and their replies.
const REQUESTS_AND_REPLIES: [(&str, &str); 7] = [
    (MAIL, ACK),
    (r#"({"file-list-req","Dusk","bob","/",})"#, r#"({"file-list-reply","bob",({}),})"#),
    (r#"({"file-put",3,"Dusk","bob","a.txt","A",})"#, r#"({"file-put-ack",3,1,})"#),
    (r#"({"file-get-req",4,"Dusk","bob","a.txt",})"#, r#"({"file-get-reply",4,1,"A",})"#),
    (r#"({"news-read-req",5,"Dusk","bob",0,0,"code",12,})"#, r#"({1795418241,"t","s","bob","x",})"#),
    (r#"({"news-post-req","Dusk",4000,"code","t","s","bob","x",})"#, "13"),
    (r#"({"news-grplist-req",})"#, r#"({({"code",1,12,}),})"#),
];

fn packet(text: &str) -> OobPacket {
    OobPacket::decode(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn text(packet: &OobPacket) -> String {
    String::from_utf8(packet.encode().unwrap().to_vec()).unwrap()
}

/// Feeds a packet.
fn receive(conversation: &mut Conversation, now: Instant, text: &str) -> Step {
    conversation.receive(now, packet(text))
}

/// A conversation in which Dusk called and was let in.
fn called(now: Instant) -> Conversation {
    let mut conversation = Conversation::answer(now, "Dawn");
    let begin = OobBegin { mud: "Dusk".into(), auth_type: 1, auth_token: 42 };
    let step = receive(&mut conversation, now, r#"({"oob-begin","Dusk",1,42,})"#);
    assert_eq!(step, Step::Caller(begin.clone()));
    assert_eq!(conversation.admit(now, begin, true), Step::Send(packet(r#"({"oob-begin","Dawn",0,0,})"#)));
    assert_eq!(conversation.peer(), Some("Dusk"));
    conversation
}

/// A conversation in which Dawn calls Dusk and was let in.
fn calling(now: Instant) -> Conversation {
    let (mut conversation, begin) = Conversation::originate(now, "Dawn", "Dusk", Some(42));
    assert_eq!(begin, packet(r#"({"oob-begin","Dawn",1,42,})"#));
    assert_eq!(receive(&mut conversation, now, r#"({"oob-begin","Dusk",0,0,})"#), Step::OurTurn);
    conversation
}

fn error_code(step: Step) -> (String, String) {
    match step {
        Step::Send(OobPacket::Error(error)) => (error.error.code, error.error.message),
        other => panic!("no error: {other:?}"),
    }
}

fn wrong_time() -> (String, String) {
    ("bad-proto".into(), "packet came at wrong time".into())
}

#[test]
fn every_request_is_answered_in_turn_and_the_caller_closes() {
    let now = Instant::now();
    let mut conversation = called(now);
    for (request, reply) in REQUESTS_AND_REPLIES {
        assert_eq!(receive(&mut conversation, now, request), Step::Request(packet(request)));
        assert_eq!(error_code(receive(&mut conversation, now, request)), wrong_time(), "lockstep");
        conversation.strikes = 0;
        assert_eq!(conversation.reply(now, packet(reply)), Some(packet(reply)));
        assert_eq!(conversation.reply(now, packet(reply)), None, "one reply a request");
    }
    assert_eq!(receive(&mut conversation, now, END), Step::Send(packet(r#"({"oob-end","Dawn",})"#)));
    assert_eq!(conversation.due(now + CLOSE_TIMEOUT), Some(End::Done));
}

#[test]
fn every_reply_to_our_requests_is_taken_and_then_the_turn_is_theirs() {
    let now = Instant::now();
    for (request, reply) in REQUESTS_AND_REPLIES {
        let mut conversation = calling(now);
        assert_eq!(conversation.request(now, packet(request)), Some(packet(request)));
        assert_eq!(conversation.request(now, packet(request)), None, "lockstep");
        let other = if reply == ACK { r#"({"file-put-ack",3,1,})"# } else { ACK };
        assert_eq!(error_code(receive(&mut conversation, now, other)), wrong_time());
        assert_eq!(receive(&mut conversation, now, reply), Step::Reply(packet(reply)));
        // The roles flip: Dusk may ask, and ends the conversation.
        assert_eq!(conversation.end_turn(now), Some(packet(r#"({"oob-end","Dawn",})"#)));
        assert_eq!(conversation.request(now, packet(request)), None, "it is their turn");
        assert_eq!(receive(&mut conversation, now, MAIL), Step::Request(packet(MAIL)));
        assert!(conversation.reply(now, packet(ACK)).is_some());
        assert_eq!(receive(&mut conversation, now, END), Step::Close(End::Done));
    }
}

#[test]
fn a_request_after_the_end_opens_the_turn_again() {
    let now = Instant::now();
    let mut conversation = called(now);
    assert!(matches!(receive(&mut conversation, now, END), Step::Send(_)));
    assert_eq!(receive(&mut conversation, now, MAIL), Step::Request(packet(MAIL)));
    assert!(conversation.reply(now, packet(ACK)).is_some());
    assert!(matches!(receive(&mut conversation, now, END), Step::Send(OobPacket::End(_))));
    assert_eq!(receive(&mut conversation, now, END), Step::Close(End::Done), "both have said so");
}

#[test]
fn a_caller_without_a_right_is_shut_out() {
    let now = Instant::now();
    let mut conversation = Conversation::answer(now, "Dawn");
    let Step::Caller(begin) = receive(&mut conversation, now, r#"({"oob-begin","Dusk",1,41,})"#) else {
        panic!("somebody calls");
    };
    // It does not wait for its verdict.
    assert_eq!(error_code(receive(&mut conversation, now, MAIL)).0, ErrorPacket::BAD_PROTO);
    assert_eq!(conversation.admit(now, begin.clone(), false), Step::Close(End::Refused));
    assert_eq!(called(now).admit(now, begin, true), Step::Close(End::Refused), "once");
    let mut conversation = Conversation::answer(now, "Dawn");
    let ourselves = r#"({"oob-begin","Dawn",1,42,})"#;
    assert_eq!(receive(&mut conversation, now, ourselves), Step::Close(End::Refused), "never ourselves");
}

#[test]
fn nothing_is_served_before_the_beginning() {
    let now = Instant::now();
    for (request, reply) in REQUESTS_AND_REPLIES {
        let mut conversation = Conversation::answer(now, "Dawn");
        let step = receive(&mut conversation, now, request);
        let Step::Send(error) = &step else { panic!("{step:?}") };
        let kind = packet(request).kind().to_owned();
        let expected = format!(
            r#"({{"error",5,"Dawn",0,0,0,"bad-proto","packet came at wrong time",({{"{kind}",}}),}})"#
        );
        assert_eq!(text(error), expected);
        assert_eq!(error_code(receive(&mut conversation, now, reply)), wrong_time());
        assert_eq!(error_code(receive(&mut conversation, now, END)), wrong_time());
    }
}

#[test]
fn unknown_types_are_named_as_such_at_any_time() {
    let now = Instant::now();
    let unknown = r#"({"frobnicate",1,})"#;
    let expected = ("unk-type".to_owned(), "unknown packet type".to_owned());
    for mut conversation in [Conversation::answer(now, "Dawn"), called(now), calling(now)] {
        assert_eq!(error_code(receive(&mut conversation, now, unknown)), expected);
    }
}

#[test]
fn an_error_never_answers_an_error() {
    let now = Instant::now();
    for error in [ERROR, r#"({"oob-error","not-imp","no",})"#] {
        for mut conversation in [Conversation::answer(now, "Dawn"), called(now), calling(now)] {
            assert_eq!(receive(&mut conversation, now, error), Step::Nothing);
        }
        let mut conversation = calling(now);
        conversation.request(now, packet(MAIL)).unwrap();
        assert_eq!(receive(&mut conversation, now, error), Step::Reply(packet(error)));
        assert!(conversation.request(now, packet(MAIL)).is_some(), "it is our turn again");
    }
}

#[test]
fn who_we_call_lets_us_in_or_not() {
    let now = Instant::now();
    let welcome = |answer: &str| {
        let (mut conversation, begin) = Conversation::originate(now, "Dawn", "Dusk", None);
        assert_eq!(begin, packet(r#"({"oob-begin","Dawn",0,0,})"#));
        receive(&mut conversation, now, answer)
    };
    assert_eq!(welcome(r#"({"oob-begin","Dusk",0,0,})"#), Step::OurTurn);
    assert_eq!(welcome(r#"({"oob-reply","Welcome to the OOB service on Dusk",})"#), Step::OurTurn);
    assert_eq!(welcome(r#"({"oob-begin","Other",0,0,})"#), Step::Close(End::Refused));
    assert_eq!(welcome(ERROR), Step::Close(End::Refused));
    assert_eq!(welcome(END), Step::Close(End::Refused));
    assert_eq!(error_code(welcome(MAIL)), wrong_time());
}

#[test]
fn who_hangs_up_in_place_of_a_reply_ends_it() {
    let now = Instant::now();
    let mut conversation = calling(now);
    conversation.request(now, packet(MAIL)).unwrap();
    let word = r#"({"oob-reply","one moment",})"#;
    assert_eq!(receive(&mut conversation, now, word), Step::Nothing, "a friendly word is no reply");
    assert_eq!(receive(&mut conversation, now, END), Step::Close(End::Refused));
}

#[test]
fn every_state_has_its_time() {
    let start = Instant::now();
    let waits = |conversation: &Conversation, limit: Duration| {
        assert_eq!(conversation.due(start + limit - Duration::from_millis(1)), None);
        assert_eq!(conversation.due(start + limit), Some(End::TimedOut));
    };
    waits(&Conversation::answer(start, "Dawn"), BEGIN_TIMEOUT);
    waits(&Conversation::originate(start, "Dawn", "Dusk", None).0, BEGIN_TIMEOUT);
    waits(&called(start), IDLE_LIMIT);
    let mut conversation = calling(start);
    conversation.request(start, packet(MAIL)).unwrap();
    waits(&conversation, REPLY_TIMEOUT);
    receive(&mut conversation, start, ACK);
    conversation.end_turn(start).unwrap();
    assert_eq!(conversation.due(start + CLOSE_TIMEOUT), Some(End::Done), "we have what we called for");
    // A request keeps the conversation alive, and errors do not.
    let later = start + IDLE_LIMIT / 2;
    let mut conversation = called(start);
    receive(&mut conversation, later, ERROR);
    assert_eq!(conversation.deadline(), start + IDLE_LIMIT);
    receive(&mut conversation, later, MAIL);
    assert_eq!(conversation.deadline(), later + IDLE_LIMIT);
}

#[test]
fn who_sends_nothing_of_use_or_far_too_much_is_left() {
    let now = Instant::now();
    let mut conversation = called(now);
    for _ in 1..STRIKES {
        receive(&mut conversation, now, ACK);
    }
    assert_eq!(receive(&mut conversation, now, ACK), Step::Close(End::Protocol));
    let mut conversation = called(now);
    for _ in 0..REQUESTS {
        assert!(matches!(receive(&mut conversation, now, MAIL), Step::Request(_)));
        let ack = OobPacket::MailAck(MailAck { failed: vec![] });
        conversation.reply(now, ack).unwrap();
    }
    assert_eq!(receive(&mut conversation, now, MAIL), Step::Close(End::Protocol));
}

/// What can happen to a conversation.
#[derive(Clone, Debug)]
enum Happens {
    Comes(usize, bool),
    WeAsk,
    WeReply,
    WeEnd,
    TimePasses(u64),
}

fn all_packets() -> Vec<OobPacket> {
    let others = [
        END,
        ERROR,
        r#"({"oob-begin","Dusk",1,42,})"#,
        r#"({"oob-begin","Dawn",0,0,})"#,
        r#"({"oob-error","a","b",})"#,
        r#"({"oob-reply","hi",})"#,
        r#"({"oob-file-req","/f",})"#,
        r#"({"oob-file-end","x",})"#,
        r#"({"frobnicate",})"#,
        "0",
        r#""text""#,
    ];
    let pairs = REQUESTS_AND_REPLIES.iter().flat_map(|(request, reply)| [*request, *reply]);
    pairs.chain(others).map(packet).collect()
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0..all_packets().len(), any::<bool>()).prop_map(|(index, admits)| Happens::Comes(index, admits)),
        1 => Just(Happens::WeAsk),
        2 => Just(Happens::WeReply),
        1 => Just(Happens::WeEnd),
        1 => (0..700u64).prop_map(Happens::TimePasses),
    ]
}

proptest! {
    /// Whatever comes in whatever order: no panic, no request before the beginning, a reply only to a request, no
    /// error in answer to an error, and an end in bounded time.
    #[test]
    fn any_order_of_packets_keeps_the_rules(originates: bool, story in prop::collection::vec(happens(), 0..60)) {
        let (mut now, packets) = (Instant::now(), all_packets());
        let mut conversation = if originates {
            Conversation::originate(now, "Dawn", "Dusk", Some(1)).0
        } else {
            Conversation::answer(now, "Dawn")
        };
        let (mut let_in, mut asked) = (false, false);
        for what in story {
            match what {
                Happens::Comes(index, admits) => {
                    let packet = packets[index].clone();
                    let is_error = matches!(packet, OobPacket::Error(_) | OobPacket::OobError(_));
                    let step = match conversation.receive(now, packet) {
                        Step::Caller(begin) => conversation.admit(now, begin, admits),
                        step => step,
                    };
                    match step {
                        Step::Send(OobPacket::Error(_)) => prop_assert!(!is_error),
                        Step::Send(OobPacket::Begin(_)) => let_in = true,
                        Step::OurTurn => let_in = true,
                        Step::Request(_) => prop_assert!(let_in),
                        Step::Reply(_) => prop_assert!(std::mem::take(&mut asked)),
                        Step::Close(_) => return Ok(()),
                        Step::Send(_) | Step::Nothing | Step::Caller(_) => {}
                    }
                }
                Happens::WeAsk => {
                    if conversation.request(now, packet(MAIL)).is_some() {
                        prop_assert!(originates && let_in && !asked);
                        asked = true;
                    }
                }
                Happens::WeReply => {
                    conversation.reply(now, packet(ACK));
                }
                Happens::WeEnd => {
                    conversation.end_turn(now);
                }
                Happens::TimePasses(seconds) => {
                    now += Duration::from_secs(seconds);
                    if conversation.due(now).is_some() {
                        return Ok(());
                    }
                }
            }
            prop_assert!(conversation.deadline() <= now + IDLE_LIMIT);
        }
    }
}
