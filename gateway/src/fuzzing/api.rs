//! Clients: one message, and a whole stream of a TCP client.

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use bytes::{Bytes, BytesMut};
use intermud3::Packet;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

use crate::api::rpc::{BATCH, IdScanner};
use crate::api::tcp::{Incoming, LineDecoder};
use crate::api::{Api, Limits};
use crate::hub::{CloseReason, SESSION_CHANNELS, Session, Transport};
use crate::keys::{KeySource, KeySpec, Keyring, Permissions, Rate, RateLimits};
use crate::metrics::Metrics;
use crate::router::{LinkEvent, LinkListener, OUTBOX_PACKETS, RouterHandle};
use crate::services::{Services, Setup};

/// The longest message in bytes: short, so that inputs pass it.
const MESSAGE: usize = 1000;

/// The one valid API key.
const KEY: &str = "key";

/// One mud that is up, without services of its own, and one that is down: no method finds anybody to connect to.
const MUDS: &str = r#"({"mudlist",5,"*test",0,"Dawn",0,7,(["Dusk":({-1,"127.0.0.3",4000,0,0,"L","B","D","LP","open","a@b",(["tell":1,]),([]),}),"Noon":({0,"127.0.0.4",4000,0,0,"L","B","D","LP","open","a@b",(["tell":1,]),([]),}),]),})"#;

/// Drives the methods. Nothing may block in it: each is polled once.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().unwrap());

/// One message of a WebSocket client that may do everything.
pub fn request(data: &[u8]) {
    scanned_in_pieces(data);
    let client = Client::new(Transport::WebSocket, true);
    client.say(data);
    client.is_bounded();
}

/// The id is found alike in one piece and in many.
fn scanned_in_pieces(data: &[u8]) {
    let scan = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut scanner = IdScanner::default();
        pieces.for_each(|piece| scanner.feed(piece));
        scanner.id()
    };
    let id = scan(&mut std::iter::once(data));
    assert_eq!(id, scan(&mut data.chunks(7)));
    assert!(id.is_none_or(|id| is_id(&id)));
}

/// The stream of a TCP client. The first byte says whether it is authenticated before (odd) or not, the low half of
/// the second how many of the next are sizes of pieces; the rest is the stream.
pub fn session(data: &[u8]) {
    let [authenticated, cuts, rest @ ..] = data else { return };
    let (cuts, stream) = rest.split_at(rest.len().min(usize::from(cuts & 0x0f)));
    assert_eq!(outline(lines(stream, cuts)), outline(lines(stream, &[])));

    let client = Client::new(Transport::Tcp, authenticated % 2 == 1);
    for line in lines(stream, cuts) {
        match line {
            Incoming::Line(line) => client.say(&line),
            Incoming::TooLong(scanner) => {
                client.api.refuse_oversized(&client.session, scanner);
                client.hears(&Expected::Rejection);
            }
        }
    }
    client.is_bounded();
}

/// The lines of a stream that comes in pieces of these sizes, then the rest in one.
fn lines(mut stream: &[u8], cuts: &[u8]) -> Vec<Incoming> {
    let (mut decoder, mut buffer) = (LineDecoder::new(MESSAGE), BytesMut::new());
    let mut cuts = cuts.iter().map(|&cut| usize::from(cut));
    let mut lines = Vec::new();
    while !stream.is_empty() {
        let (piece, after) = stream.split_at(cuts.next().unwrap_or(usize::MAX).min(stream.len()));
        buffer.extend_from_slice(piece);
        stream = after;
        while let Some(line) = decoder.decode(&mut buffer).unwrap() {
            lines.push(line);
        }
        assert!(buffer.len() <= MESSAGE, "{} bytes of a line are kept", buffer.len());
    }
    lines
}

/// Lines so that they can be compared: the text, or the id of one that is too long.
fn outline(lines: Vec<Incoming>) -> Vec<Result<Bytes, Option<Value>>> {
    let outline = |line| match line {
        Incoming::Line(line) => Ok(line),
        Incoming::TooLong(scanner) => Err(scanner.id()),
    };
    lines.into_iter().map(outline).collect()
}

/// A client of a gateway that has no router now.
struct Client {
    api: Api,
    session: Arc<Session>,
    router: RouterHandle,
}

impl Client {
    fn new(transport: Transport, authenticated: bool) -> Self {
        let router = RouterHandle::default();
        let setup = Setup { mud: "Dawn".to_owned(), epoch: 1, history: 10, ..Setup::default() };
        let services = Services::new(setup, router.clone(), None);
        services.on_link(LinkEvent::Packet(Packet::decode(MUDS.as_bytes()).unwrap()));
        let limits = Limits { message_bytes: MESSAGE, ..Limits::default() };
        let api = Api::new(
            Arc::new(services),
            Arc::new(keyring()),
            Arc::new(Metrics::default()),
            limits,
            None,
            CancellationToken::new(),
        );
        let session = Session::new(transport, [127, 0, 0, 1].into(), limits.queue_bytes);
        if authenticated {
            let key = api.keyring.find(KEY).unwrap();
            let admission = api.services.hub.authenticate(&session, key, None);
            api.services.hub.admit(&session, &admission);
        }
        Self { api, session, router }
    }

    /// Hands a message over. Who waits for another mud's answer is left waiting: nobody answers here.
    fn say(&self, text: &[u8]) {
        let done = RUNTIME.block_on(async {
            let handled = std::pin::pin!(self.api.handle(&self.session, text));
            futures::poll!(handled).is_ready()
        });
        if done {
            self.hears(&expected(text));
        } else {
            assert!(waits(&serde_json::from_slice(text).unwrap()), "it neither answers nor waits");
            self.hears(&Expected::Single(None));
        }
    }

    /// Checks what the client is sent after one message: events, and the answer that is due.
    fn hears(&self, expected: &Expected) {
        let lines = self.session.queue.take();
        if self.session.queue.closed().is_some() {
            return;
        }
        let messages = lines.iter().map(|line| {
            let (text, end) = line.bytes().split_at(line.bytes().len() - 1);
            assert!(end == b"\n" && !text.contains(&b'\n'));
            serde_json::from_slice::<Value>(text).unwrap()
        });
        let answers: Vec<_> = messages.filter(|message| message.get("method").is_none()).collect();
        assert!(answers.len() <= 1, "{answers:?} to one message");
        expected.is_met_by(answers.first());
    }

    /// It was closed for no other reason than that it does not read, and what it left behind is bounded.
    fn is_bounded(&self) {
        assert!(self.session.queue.closed().is_none_or(|reason| reason == CloseReason::SlowConsumer));
        assert!(self.session.subscription().channels.len() <= SESSION_CHANNELS);
        assert!(self.router.waiting() <= OUTBOX_PACKETS);
        assert!(self.api.services.oob.tasks.is_empty(), "somebody is called");
    }
}

/// One key that may do everything, as often as it wants.
fn keyring() -> Keyring {
    let often = Rate { per_minute: NonZeroU32::MAX, burst: NonZeroU32::MAX };
    let source = KeySource::Given(KEY.to_owned());
    let spec = KeySpec { source, permissions: Permissions::all(), rate: Some(often), expires: None };
    Keyring::load(vec![spec], RateLimits::default(), Timestamp::UNIX_EPOCH).unwrap()
}

/// What has to come back for a message, as JSON-RPC 2.0 has it.
#[derive(Debug, PartialEq)]
enum Expected {
    /// An error that may carry the id that the broken message seems to have.
    Rejection,
    /// An answer with this id. Without one: no answer, or an error that carries none.
    Single(Option<Value>),
    /// The same for each of a batch, in one message; none if nothing is due.
    Batch(Vec<Option<Value>>),
}

/// A second reader, as simple as can be: to hold the real one against.
fn expected(text: &[u8]) -> Expected {
    if text.len() > MESSAGE {
        return Expected::Rejection;
    }
    match serde_json::from_slice(text) {
        Err(_) => Expected::Rejection,
        Ok(Value::Array(all)) if (1..=BATCH).contains(&all.len()) => {
            Expected::Batch(all.iter().map(id).collect())
        }
        Ok(request) => Expected::Single(id(&request)),
    }
}

fn id(request: &Value) -> Option<Value> {
    request.get("id").filter(|id| is_id(id)).cloned()
}

fn is_id(id: &Value) -> bool {
    id.is_string() || id.is_i64() || id.is_u64()
}

impl Expected {
    fn is_met_by(&self, answer: Option<&Value>) {
        match (self, answer) {
            (Self::Rejection, Some(answer)) => assert!(is_answer(answer) && answer.get("error").is_some()),
            (Self::Single(Some(id)), Some(answer)) => {
                assert!(is_answer(answer) && answer.get("id") == Some(id), "{answer} to {id}");
            }
            (Self::Single(None), Some(answer)) => {
                assert!(is_answer(answer) && answer.get("id").is_none() && answer.get("error").is_some());
            }
            (Self::Single(None), None) => {}
            (Self::Batch(ids), answers) => {
                let answers = answers.map_or(&[][..], |answers| answers.as_array().unwrap());
                assert!(answers.iter().all(is_answer) && answers.len() <= ids.len());
                let answered: Vec<_> = answers.iter().filter_map(|answer| answer.get("id")).collect();
                assert_eq!(answered, ids.iter().flatten().collect::<Vec<_>>());
            }
            (expected, None) => panic!("no answer to {expected:?}"),
        }
    }
}

/// A result or an error; an error has a code and says something.
fn is_answer(answer: &Value) -> bool {
    let error = answer.get("error");
    answer["jsonrpc"] == json!("2.0")
        && answer.get("id").is_none_or(is_id)
        && answer.get("result").is_some() != error.is_some()
        && error.is_none_or(|error| {
            error["code"].is_i64() && error["message"].as_str().is_some_and(|message| !message.is_empty())
        })
}

/// Whether a request, or one of a batch, asks to wait for an answer.
fn waits(message: &Value) -> bool {
    match message {
        Value::Array(all) => all.iter().any(waits),
        request => ["wait", "timeout"].iter().any(|name| request["params"].get(name).is_some()),
    }
}
