//! What the processes of a mud have in common, as the services of each see it: one writes the log, the others follow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use intermud3::Packet;
use intermud3::lpc::Limits;
use intermud3::packet::{Body, ChanlistReply, ChannelEntry, Header, Mudlist};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Directory, Followed, Presence, Said, Services};
use crate::bus::lock::{Duty, LockListener};
use crate::bus::{Remembered, StreamPlace};
use crate::hub::{
    Admission, Change, Changed, EventLog, Fate, HubState, KeptTell, Logged, News, Record, Session,
};
use crate::mud::{Position, SessionStatus, User};
use crate::sync::lock;

/// The most muds in one record: with all they say of themselves they fit into a message.
const MUDS: usize = 100;

/// The largest piece of a list; NATS takes no message over 1 MiB.
const LIMITS: Limits = Limits { output_bytes: 900_000, ..Limits::DEFAULT };

/// The bytes of a part of a snapshot, about; one that holds a single large thing may have more.
const PART: usize = 200_000;

/// What the process that writes the log tells each second, and when its session changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// How far the log is.
    pub position: Position,
    /// How its session with the router is.
    pub status: SessionStatus,
}

/// A part of all that a process needs to go on where another is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The first part.
    Start {
        /// How far the log is.
        position: Position,
        /// After which place its events are all there.
        complete_after: Position,
        /// Where earlier epochs ended.
        ends: Vec<Position>,
        /// How far the stream of the bus was read.
        stream: Option<StreamPlace>,
        /// How the session with the router is.
        status: Box<SessionStatus>,
    },
    /// Recent events.
    Events(Vec<KeptTell>),
    /// Tells that wait for a client.
    Kept(Vec<KeptTell>),
    /// What was said on channels.
    History(Vec<Said>),
    /// Messages whose twins may still come.
    Echoes(Vec<Remembered>),
    /// A piece of a list, as a packet.
    List(String),
    /// Who is on our mud, and how long ago it told.
    Presence(Duration, Vec<User>),
    /// The last part.
    End,
}

impl LockListener for Services {
    fn position(&self) -> Position {
        self.hub.position()
    }

    fn read_log(&self, end: Option<Position>) -> BoxFuture<'_, ()> {
        Box::pin(self.read_up_to(end.unwrap_or_default()))
    }

    fn certain_until(&self, until: Option<Instant>) {
        self.hub.certain_until(until);
    }

    fn on_duty(&self, duty: Duty, epoch: u64) {
        *lock(&self.duty) = duty;
        match duty {
            Duty::Holder if !self.leads() => {
                let (epoch, complete) = self.hub.lead(epoch);
                tracing::info!(epoch, complete, "writing the log");
                if let Some(bus) = &self.bus {
                    bus.relay.begin(Instant::now(), complete);
                }
            }
            Duty::Standby | Duty::Unknown if self.leads() => self.hub.follow(),
            _ => {}
        }
    }
}

impl Services {
    /// Whether this process writes the log: it may hold the session with the router.
    pub fn leads(&self) -> bool {
        self.hub.leads()
    }

    /// Waits until all that has come of the log is read, and all up to a place. Who knows anyway that it misses something does
    /// not wait.
    async fn read_up_to(&self, end: Position) {
        if !self.hub.follows() {
            return;
        }
        if !self.following.read_up_to(end).await {
            tracing::warn!(position = ?self.hub.position(), ?end, "what was written to the log last is missing");
            self.log_is_read();
            self.hub.miss((end != Position::default()).then_some(end));
        }
    }

    /// Up to where the log is to be read; none: nobody waits for that. Who reads it says when it is, and nothing is left.
    pub fn to_read(&self) -> watch::Receiver<Option<Position>> {
        self.following.to_read()
    }

    /// The log is read as far as it is to be.
    pub fn log_is_read(&self) {
        self.following.note_read();
    }

    /// What this process is among those of the mud, in a word.
    pub fn role(&self) -> &'static str {
        match (&self.bus, self.leads()) {
            (None, _) => "alone",
            (Some(_), true) => "holder",
            (Some(_), false) => "standby",
        }
    }

    /// How the mud's session with the router is, whichever process holds it.
    pub fn network_status(&self) -> SessionStatus {
        let followed = if self.leads() { None } else { self.following.status() };
        followed.unwrap_or_else(|| self.router.status())
    }

    /// Changes whenever the process that holds the session tells how it is.
    pub fn followed(&self) -> watch::Receiver<Option<Followed>> {
        self.following.told()
    }

    /// A session gets events from now on; what it wanted before it came here is switched on, and of what all clients are
    /// on what is not on already.
    pub fn admit(&self, session: &Arc<Session>, admission: &Admission) {
        let mut channels = session.subscription().channels;
        channels.retain(|channel| admission.recovered.is_some() || !self.is_wanted(channel));
        self.hub.admit(session, admission);
        for channel in channels {
            self.listen(&channel);
        }
    }

    /// Whether this process knows one that holds the session and is there.
    pub fn knows_holder(&self) -> bool {
        self.following.status().is_some()
    }

    /// What the others are told each second.
    pub fn beat(&self) -> Beat {
        Beat { position: self.hub.position(), status: self.router.status() }
    }

    /// Takes what the process that writes the log tells.
    pub fn on_beat(&self, beat: &Beat) {
        if beat.position.epoch >= self.hub.position().epoch {
            self.following.hear(beat.status.clone());
        }
    }

    /// Takes an entry of the log, the next one after those that were taken.
    pub fn apply(&self, record: Record) {
        let Record { position, at, change } = record;
        match change {
            Change::Event { event, fate } => self.hub.take(position, at, Some(event), fate),
            Change::Copy(copy) => {
                lock(&self.copies).admit(Instant::now(), copy.path, &copy.message);
                self.reached(copy.stream);
                if copy.delivered {
                    lock(&self.history).record(Said { message: copy.message.clone(), at });
                }
                self.hub.take_said(position, at, *copy);
            }
            Change::List(list) => {
                self.take_list(&mut lock(&self.directory), &list);
                self.hub.take(position, at, None, Fate::Told);
            }
            Change::Presence(users) => {
                // It was checked where it was told.
                let _ = lock(&self.presence).replace(Instant::now(), users);
                self.hub.take(position, at, None, Fate::Told);
            }
            Change::Heard(tell) => self.hub.take_heard(position, tell),
            Change::Lost => self.hub.take(position, at, None, Fate::Told),
        }
    }

    /// All that another process needs to go on, in parts that fit into messages each.
    pub fn snapshot(&self) -> Vec<Part> {
        // No copy of a message is decided about meanwhile, so that all is of one moment.
        let copies = lock(&self.copies);
        let HubState { log, kept } = self.hub.state();
        let mut parts = vec![Part::Start {
            position: log.position(),
            complete_after: log.complete_after(),
            ends: log.ends(),
            stream: *lock(&self.stream),
            status: Box::new(self.router.status()),
        }];
        let event = |logged: &Logged| KeptTell {
            position: logged.position,
            at: logged.at,
            event: Arc::clone(&logged.event),
            here_alone: logged.here_alone,
        };
        parts.extend(in_parts(log.recent().map(event), Part::Events));
        parts.extend(in_parts(kept, Part::Kept));
        parts.extend(in_parts(copies.remembered(Instant::now()), Part::Echoes));
        parts.extend(in_parts(lock(&self.history).all(), Part::History));
        drop(copies);
        let (lists, presence) =
            (lock(&self.directory).lists(MUDS), lock(&self.presence).told(Instant::now()));
        parts.extend(lists.iter().filter_map(written).map(Part::List));
        parts.extend(presence.map(|(age, users)| Part::Presence(age, users)));
        parts.push(Part::End);
        parts
    }

    /// Takes the place of the process that told all this. False: it is no snapshot, or one of the past.
    pub fn restore(&self, parts: Vec<Part>) -> bool {
        let mut parts = parts.into_iter();
        let Some(Part::Start { position, complete_after, ends, stream, status }) = parts.next() else {
            return false;
        };
        if self.leads() || position.epoch < self.hub.position().epoch {
            return false;
        }
        let (mut recent, mut kept, mut echoes) = (Vec::new(), Vec::new(), Vec::new());
        let mut directory = Directory::default();
        for part in parts {
            match part {
                Part::Events(events) => {
                    let logged = |KeptTell { position, at, event, here_alone }| Logged {
                        position,
                        event,
                        at,
                        here_alone,
                    };
                    recent.extend(events.into_iter().map(logged));
                }
                Part::Kept(tells) => kept.extend(tells),
                Part::Echoes(remembered) => echoes.extend(remembered),
                Part::History(said) => lock(&self.history).restore(said),
                Part::List(list) => self.take_list(&mut directory, &list),
                Part::Presence(age, users) => {
                    *lock(&self.presence) = Presence::of(Instant::now(), age, users)
                }
                Part::Start { .. } | Part::End => {}
            }
        }
        *lock(&self.directory) = directory;
        lock(&self.copies).restore(Instant::now(), echoes);
        *lock(&self.stream) = stream;
        self.hub.restore(HubState { log: EventLog::of(position, complete_after, ends, recent), kept });
        self.on_beat(&Beat { position, status: *status });
        true
    }

    /// Takes what another process tells of its sessions.
    pub fn on_news(&self, from: &str, news: News) {
        let changed = self.hub.hear(from, news);
        self.switch_changed(changed);
    }

    /// Forgets the sessions of processes that tell nothing any more.
    pub fn forget_silent(&self) {
        let changed = self.hub.forget_silent();
        self.switch_changed(changed);
    }

    /// Only the process that holds the session can switch channels.
    fn switch_changed(&self, changed: Changed) {
        if !self.leads() {
            return;
        }
        // Most who come are on channels that are on already; who asks for one has it switched on again.
        let comes = !changed.came.is_empty();
        for channel in changed.joined.iter().filter(|channel| !(comes && self.is_always_on(channel))) {
            self.listen(channel);
        }
        for channel in &changed.left {
            self.unlisten_if_unused(channel);
        }
    }

    /// How far the stream of the bus was read, by whatever process.
    pub fn stream_place(&self) -> Option<StreamPlace> {
        *lock(&self.stream)
    }

    pub(super) fn reached(&self, stream: Option<StreamPlace>) {
        if let Some(place) = stream {
            *lock(&self.stream) = Some(place);
        }
    }

    /// Tells the other processes of a change of the mudlist.
    pub(super) fn note_muds(&self, router: &str, list: &Mudlist) {
        for muds in list.muds.chunks(MUDS) {
            let piece = Mudlist { id: list.id, muds: muds.to_vec(), unreadable: Vec::new() };
            self.note_list(router, Body::Mudlist(piece));
        }
    }

    /// Tells the other processes of the channels, all of them: that one ended is known here alone.
    pub(super) fn note_channels(&self, router: &str) {
        let (channels, (_, id)) = {
            let directory = lock(&self.directory);
            (directory.channels(), directory.ids())
        };
        let entry = |channel: super::Channel| {
            (channel.name, Some(ChannelEntry { host: channel.owner, kind: channel.kind }))
        };
        let channels = channels.into_iter().map(entry).collect();
        self.note_list(router, Body::ChanlistReply(ChanlistReply { id, channels }));
    }

    fn note_list(&self, router: &str, body: Body) {
        if self.bus.is_some() {
            let packet = Packet { header: Header::to_all(router, None::<String>), body };
            self.hub.note(written(&packet).map_or(Change::Lost, Change::List));
        }
    }

    fn take_list(&self, directory: &mut Directory, text: &str) {
        match Packet::decode(text.as_bytes()) {
            Ok(packet) => directory.take(Instant::now(), packet),
            Err(error) => tracing::warn!(%error, "a list of another process cannot be read"),
        }
    }
}

/// A list as text; none when it is too long.
fn written(packet: &Packet) -> Option<String> {
    let text =
        packet.encode_with(&LIMITS).map_err(|error| tracing::warn!(%error, "a list is too large to be told"));
    String::from_utf8(text.ok()?.to_vec()).ok()
}

/// Divides things so that each part fits into a message.
fn in_parts<T: Serialize>(things: impl IntoIterator<Item = T>, part: impl Fn(Vec<T>) -> Part) -> Vec<Part> {
    let (mut parts, mut some, mut bytes) = (Vec::new(), Vec::new(), 0);
    for thing in things {
        let size = serde_json::to_vec(&thing).map_or(0, |json| json.len());
        if bytes + size > PART && !some.is_empty() {
            parts.push(part(std::mem::take(&mut some)));
            bytes = 0;
        }
        bytes += size;
        some.push(thing);
    }
    if !some.is_empty() {
        parts.push(part(some));
    }
    parts
}
