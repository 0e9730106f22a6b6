//! Recorded sessions against the router: what it answers is what the real one answered, but for passwords,
//! the order of mappings, and times. Ids count from another start, the same all the way.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use bytes::BytesMut;
use i3_router::core::Conn;
use i3_router::frame::{frame, split};
use i3_router::{Config, Event};
use intermud3::{Mapping, Value, lpc};

use crate::mud::password_in;
use crate::sim::Sim;

const SESSION_1: &str = include_str!("../data/session-1.log");
const SESSION_2: &str = include_str!("../data/session-2.log");
const SESSION_3: &str = include_str!("../data/session-3.log");
const SESSION_4: &str = include_str!("../data/session-4.log");
const SESSION_8: &str = include_str!("../data/session-8.log");

/// The beat of the recorded router, on the whole.
const BEAT: Duration = Duration::from_millis(1_005);

/// Of recorded ids over ours.
const MUDLIST_IDS: i64 = 1;
const CHANLIST_IDS: i64 = 7;

#[test]
fn sessions_1_to_4_are_answered_as_they_were() {
    let mut replay = Replay::new();
    replay.play(SESSION_1);
    replay.play(SESSION_2);
    replay.play(SESSION_3);
    replay.play(SESSION_4);
    assert_eq!((replay.packets, replay.ends), (289, 15));
}

#[test]
fn session_8_after_a_crash_is_answered_as_it_was() {
    let mut replay = Replay::new();
    replay.play(SESSION_1);
    replay.play(SESSION_2);
    // Both muds were still connected when the router crashed.
    let connected: Vec<&str> = SESSION_3.lines().filter(|line| !line.contains("close")).collect();
    replay.play(&connected.join("\n"));
    replay.sim.restart();
    replay.play(SESSION_8);
}

struct Replay {
    sim: Sim,
    /// The links of the session by name, with what was read from them and not complete yet.
    links: HashMap<String, (Conn, BytesMut)>,
    /// Recorded passwords and ours.
    passwords: BTreeMap<i64, i64>,
    /// What each link was sent, then and now: news of muds, and all the rest.
    recorded: BTreeMap<(Conn, bool), Vec<Frame>>,
    replayed: BTreeMap<(Conn, bool), Vec<Frame>>,
    packets: usize,
    ends: usize,
}

impl Replay {
    fn new() -> Self {
        let channels =
            ["dchat", "dead_souls", "dead_test4", "free_speech", "imud_code", "imud_gossip", "lpuni"];
        let config = Config {
            channels: channels.map(str::to_owned).to_vec(),
            heartbeat: BEAT,
            crash_above: Some(64_000),
            ..Config::strict()
        };
        Self {
            sim: Sim::new(config),
            links: HashMap::new(),
            passwords: BTreeMap::new(),
            recorded: BTreeMap::new(),
            replayed: BTreeMap::new(),
            packets: 0,
            ends: 0,
        }
    }

    fn play(&mut self, log: &str) {
        let lines: Vec<Line> = log.lines().filter_map(Line::read).collect();
        let begin = self.begin(&lines);
        for line in &lines {
            self.sim.pass_to(begin + line.at);
            self.step(line);
            self.collect();
        }
        self.compare();
        // What is still to be told is not in the logs.
        self.sim.pass(Duration::from_secs(60));
        self.links.values().for_each(|(conn, _)| drop(self.sim.take(*conn)));
        self.links.clear();
    }

    /// When the session begins, so that its beats are the router's.
    fn begin(&self, lines: &[Line]) -> Duration {
        let beat = |line: &&Line| matches!(&line.what, What::Got(frame) if frame.is_news() && frame.text().contains(",0,0,0,"));
        let first = lines.iter().find(beat).unwrap().at;
        let beats = (self.sim.now - self.sim.start + first).as_nanos() / BEAT.as_nanos() + 1;
        BEAT * u32::try_from(beats).unwrap() - first
    }

    fn step(&mut self, line: &Line) {
        match &line.what {
            What::Connected(address) => {
                let conn = self.sim.connect_from(*address);
                self.links.insert(line.link.clone(), (conn, BytesMut::new()));
            }
            What::Sent(bytes) => self.send(&line.link, bytes),
            What::Got(frame) => {
                self.packets += 1;
                let conn = self.links[&line.link].0;
                self.recorded.entry((conn, frame.is_news())).or_default().push(frame.clone());
            }
            What::Hung => {
                if let Some((conn, _)) = self.links.get(&line.link) {
                    self.sim.hang_up(*conn);
                }
            }
            What::Ended => {
                self.ends += 1;
                let conn = self.links[&line.link].0;
                let closed =
                    |event: &Event| matches!(event, Event::Closed { conn: ended, .. } if *ended == conn);
                assert!(self.sim.events.iter().any(closed), "{line:?}: it was closed");
            }
            What::Sliced => {
                let text = r#"({"tell",5,"MudA","bob","MudB","ann","Bob","sliced",})"#;
                frame(text.as_bytes(), true).chunks(1).for_each(|byte| self.send("MudA", byte));
            }
        }
    }

    fn send(&mut self, link: &str, bytes: &[u8]) {
        let (conn, buffer) = self.links.get_mut(link).unwrap();
        buffer.extend_from_slice(bytes);
        loop {
            match split(buffer) {
                Ok(Some(body)) => {
                    let mut text = String::from_utf8_lossy(&body).into_owned();
                    if body.starts_with(b"({\"startup") {
                        for (recorded, ours) in &self.passwords {
                            text = text.replace(&recorded.to_string(), &ours.to_string());
                        }
                        self.sim.send(*conn, text);
                    } else {
                        self.sim.send(*conn, body);
                    }
                }
                Ok(None) => return,
                Err(_) => return self.sim.hang_up(*conn),
            }
        }
    }

    /// Takes what was sent, and learns passwords from replies.
    fn collect(&mut self) {
        for (conn, _) in self.links.values() {
            for text in self.sim.take(*conn) {
                let frame = Frame { bytes: frame(text.as_bytes(), true).to_vec(), whole: true };
                let replayed = self.replayed.entry((*conn, frame.is_news())).or_default();
                replayed.push(frame);
            }
        }
        for (key, recorded) in &self.recorded {
            let Some(replayed) = self.replayed.get(key) else { continue };
            for (theirs, ours) in recorded.iter().zip(replayed) {
                if theirs.text().starts_with("({\"startup-reply") {
                    self.passwords.insert(password_in(theirs.text()), password_in(ours.text()));
                }
            }
        }
    }

    fn compare(&mut self) {
        let (recorded, replayed) = (std::mem::take(&mut self.recorded), std::mem::take(&mut self.replayed));
        let keys = |frames: &BTreeMap<(Conn, bool), Vec<Frame>>| frames.keys().copied().collect::<Vec<_>>();
        assert_eq!(keys(&recorded), keys(&replayed), "the same links are sent something");
        for (key, theirs) in recorded {
            let [theirs, ours] = [&theirs, &replayed[&key]].map(|frames| in_order(frames));
            for (n, (theirs, ours)) in theirs.iter().zip(&ours).enumerate() {
                if theirs.whole {
                    assert_eq!(ours.normal(0), theirs.normal(1), "packet {n} to {key:?}");
                } else if theirs.is_news() {
                    assert_eq!(ours.outline(), theirs.outline(), "packet {n} to {key:?}");
                } else {
                    assert!(ours.bytes.starts_with(&theirs.bytes), "packet {n} to {key:?}");
                }
            }
            assert_eq!(ours.len(), theirs.len(), "packets to {key:?}: {ours:#?}");
        }
    }
}

/// With the muds of each second list by name.
fn in_order(frames: &[Frame]) -> Vec<&Frame> {
    let mut frames: Vec<&Frame> = frames.iter().collect();
    let start = |frame: &Frame| frame.text()[..frame.text().find("([").unwrap_or(0)].to_owned();
    let again = |one: &&Frame, next: &&Frame| start(one).contains(",0,0,0,") && start(one) == start(next);
    frames.chunk_by_mut(again).for_each(|list| list.sort_by_key(|frame| frame.text()));
    frames
}

/// A frame of the router's; not whole if the log has only its beginning.
#[derive(Clone)]
struct Frame {
    bytes: Vec<u8>,
    whole: bool,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl Frame {
    fn text(&self) -> &str {
        let text = std::str::from_utf8(&self.bytes[4..]).unwrap();
        text.strip_suffix('\0').unwrap_or(text)
    }

    /// A mudlist that the router sends.
    fn is_news(&self) -> bool {
        self.text().starts_with(r#"({"mudlist",5,"*test","#)
    }

    /// All but the id and the muds, whose order is lost with the end: what stands before them, and how long they
    /// are.
    fn outline(&self) -> (&str, usize) {
        let length = u32::from_be_bytes(*self.bytes.first_chunk().unwrap()) as usize;
        let muds = self.text().find("([").unwrap();
        let id = self.text()[..muds - 1].rfind(',').unwrap() + 1;
        (&self.text()[..id], length - muds)
    }

    /// With mappings in order, without passwords, and with ids less so many times the difference.
    fn normal(&self, times: i64) -> Value {
        // The recorded router's own channels belong to its host.
        let text = self.text().replace(r#"({"Frontiers",0,})"#, r#"({"*test",0,})"#);
        let Value::Array(mut items) = sorted(lpc::decode(text.as_bytes()).unwrap()) else { panic!("{text}") };
        let change = match items[0].as_str() {
            Some("mudlist") if self.is_news() => Some((6, MUDLIST_IDS)),
            Some("chanlist-reply") => Some((6, CHANLIST_IDS)),
            Some("startup-reply") => {
                items[7] = Value::ZERO;
                None
            }
            _ => None,
        };
        if let Some((at, difference)) = change {
            items[at] = Value::Int(items[at].as_int().unwrap() - times * difference);
        }
        Value::Array(items)
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Mapping(mapping) => {
            let mut pairs: Vec<(Value, Value)> =
                mapping.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            pairs.sort_by_key(|(key, _)| format!("{key:?}"));
            Value::Mapping(Mapping::from(pairs))
        }
        other => other,
    }
}

#[derive(Debug)]
struct Line {
    at: Duration,
    link: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Connected(IpAddr),
    Sent(Vec<u8>),
    Got(Frame),
    /// The client closes.
    Hung,
    /// The client saw the end.
    Ended,
    /// The next packet goes out one byte at a time, and is not in the log.
    Sliced,
}

impl Line {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (seconds, link, way) = (words.next()?, words.next()?, words.next()?);
        let rest = line.split_once(way)?.1.trim();
        let what = match way {
            ">>>" => What::Sent(sent(rest)),
            "<<<" => What::Got(got(rest)),
            "<<X" => What::Ended,
            "---" => match rest.strip_prefix("connected from ") {
                Some(address) => What::Connected(address.split_once(':')?.0.parse().unwrap()),
                None => What::Hung,
            },
            "#" if rest.ends_with("1-byte slices") => What::Sliced,
            _ => return None,
        };
        let at = Duration::from_secs_f64(seconds.parse().unwrap());
        Some(Self { at, link: link.to_owned(), what })
    }
}

/// What a mud sent; a frame that was cut is made whole again: it goes on as it was and ends as it must.
fn sent(literal: &str) -> Vec<u8> {
    let cut = literal.strip_suffix(" bytes)'").and_then(|cut| cut.rsplit_once("..."));
    let start = match cut {
        Some((start, _)) => start,
        None if literal.ends_with('\'') => return unquoted(literal),
        None => literal,
    };
    let mut bytes = unquoted(&format!("{start}'"));
    let total = 4 + u32::from_be_bytes(*bytes.first_chunk().unwrap()) as usize;
    let zeros = bytes[bytes.len() - 2..].contains(&b'0');
    let end: &[u8] = match bytes.last() {
        _ if zeros => b"}),})\0",
        Some(b'A'..=b'Z') => b"\",})\0",
        _ => b"\0",
    };
    while bytes.len() < total - end.len() {
        bytes.push(match bytes[bytes.len() - 1] {
            b',' if zeros => b'0',
            b'0' | b')' => b',',
            b',' => b'}',
            b'}' => b')',
            same => same,
        });
    }
    bytes.extend_from_slice(end);
    bytes
}

fn got(literal: &str) -> Frame {
    let whole = literal.ends_with('\'') && literal.len() > 1;
    let literal = if whole { literal.to_owned() } else { format!("{literal}'") };
    Frame { bytes: unquoted(&literal), whole }
}

/// A Python string literal to bytes.
fn unquoted(literal: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = literal[1..literal.len() - 1].bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            },
            plain => plain,
        });
    }
    bytes
}
