//! How much memory reading and writing take, at worst and at best. A program of its own, with one test: what is
//! counted is what the whole process allocates.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::alloc::System;

use intermud3::{OobPacket, Packet, lpc};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn stats<T>(work: impl FnOnce() -> T) -> Stats {
    let region = Region::new(ALLOCATOR);
    drop(work());
    region.change()
}

/// What is repeated in the worst texts, most values in least bytes.
const WORST: &[(&str, &str, &str)] = &[
    ("({", "0,", "})"),
    ("({({", "0,", "})})"),
    ("({([", "0:0,", "])})"),
    ("(/", "0,", "/)"),
    ("([", "0:0,", "])"),
    ("({", "({}),", "})"),
    ("({", "([]),", "})"),
    ("({", r#""","#, "})"),
    ("({", r#""\",","#, "})"),
    ("({", "\"\r\",", "})"),
    ("({", "1.0,", "})"),
    ("({", "({0,0,0,0,0,}),", "})"),
    (r#"({"mudlist",5,"r",0,"A",0,1,(["#, r#""":0,"#, "]),})"),
    (r#"({"chanlist-reply",5,"r",0,"A",0,1,(["#, r#""":0,"#, "]),})"),
    (r#"({"chanlist-reply",5,"r",0,"A",0,1,(["#, r#""":({0,0}),"#, "]),})"),
    (r#"({"who-reply",5,"A",0,"B","b",({"#, "0,", "}),})"),
    (r#"({"who-reply",5,"A",0,"B","b",({"#, "({0,0,0,}),", "}),})"),
    (r#"({"chan-who-reply",5,"A",0,"B","b","c",({"#, r#""","#, "}),})"),
    (r#"({"irn-mudlist-delta",5,"A",0,"B",0,1,(["#, r#""":([]),"#, "]),})"),
    (r#"({"x",5,"A",0,"B",0,"#, "0,", "})"),
    (r#"({"mail-ack",(["#, "0:({}),", "]),})"),
];

/// Enough for what does not depend on the text.
const FIXED: usize = 1024;

#[test]
fn memory_is_in_proportion_to_the_text() {
    for (start, repeated, end) in WORST {
        for times in [1, 10, 1_000, 16_385, 20_000] {
            let text = format!("{start}{}{end}", repeated.repeat(times));
            let within = |what: &str, stats: Stats, multiple: usize| {
                let used = stats.bytes_allocated;
                assert!(
                    used <= FIXED + multiple * text.len(),
                    "{what} {start}{repeated}: {used} of {}",
                    text.len()
                );
            };
            let bytes = text.as_bytes();
            within("value", stats(|| lpc::decode(bytes)), 50);
            within("packet", stats(|| Packet::decode(bytes)), 105);
            within("OOB packet", stats(|| OobPacket::decode(bytes)), 60);
        }
    }
    hostile_texts_take_nothing();
    common_packets_take_few_allocations();
}

fn hostile_texts_take_nothing() {
    let deep = "({".repeat(500_000);
    let long = vec![b'0'; 3 << 20];
    let announced = [0x00, 0x1f, 0xff, 0xff, b'('];
    assert!(stats(|| Packet::decode(deep.as_bytes())).bytes_allocated < 16 * 1024);
    assert!(stats(|| Packet::decode(&long)).bytes_allocated < FIXED);
    let mut buffer = bytes::BytesMut::from(&announced[..]);
    assert_eq!(
        stats(|| intermud3::frame::split(&mut buffer, intermud3::frame::MAX_INPUT)).bytes_allocated,
        0
    );
}

/// The list of values, and each text once.
fn common_packets_take_few_allocations() {
    let said = br#"({"channel-m",5,"MudA","bob",0,0,"imud_gossip","Bob","hello, all of you out there",})"#;
    assert_eq!(stats(|| Packet::decode(said)).allocations, 7);
    let packet = Packet::decode(said).unwrap();
    assert!(stats(|| packet.encode()).allocations <= 2);
}
