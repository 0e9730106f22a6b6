//! What users of ours tell those of other muds and ask about them, and what others ask us.

use std::time::Instant;

use intermud3::Packet;
use intermud3::packet::{Body, ErrorPacket, UserInfo};

use super::{Rejected, Services};
use crate::bus::{Path, Scope};
use crate::hub::Change;
use crate::mud::User;
use crate::packets::{self, Question};
use crate::router::{Accepted, Class, NotAccepted};
use crate::sync::lock;

impl Services {
    /// Tells a user of another mud something, or does something to one.
    ///
    /// # Errors
    /// [`NotAccepted`]; nothing was sent then, unless it says that nobody knows.
    pub async fn tell(
        &self,
        emote: bool,
        user: &str,
        target_mud: &str,
        target_user: &str,
        message: &str,
    ) -> Result<Accepted, NotAccepted> {
        let between = packets::Between { mud: &self.mud, user, target_mud, target_user };
        self.carry(target_mud, packets::tell(between, emote, message)).await
    }

    /// Rings the bell of a user of another mud.
    ///
    /// # Errors
    /// [`NotAccepted`]; nothing was sent then, unless it says that nobody knows.
    pub async fn beep(
        &self,
        user: &str,
        target_mud: &str,
        target_user: &str,
    ) -> Result<Accepted, NotAccepted> {
        let between = packets::Between { mud: &self.mud, user, target_mud, target_user };
        self.carry(target_mud, packets::beep(between)).await
    }

    /// Asks another mud something; the answer comes as an event.
    ///
    /// # Errors
    /// [`NotAccepted`]; nothing was sent then, unless it says that nobody knows.
    pub async fn ask(
        &self,
        user: &str,
        target_mud: &str,
        question: Question<'_>,
    ) -> Result<Accepted, NotAccepted> {
        let packet = packets::question(&self.mud, user, target_mud, question);
        match question {
            Question::ChannelWho(channel) if self.scope(channel) == Scope::Provider => {
                self.carry_by_bus(target_mud, packet).await
            }
            _ => self.carry(target_mud, packet).await,
        }
    }

    /// Asks every mud whether a user is there; the answers come as events.
    ///
    /// # Errors
    /// [`NotAccepted`]; nothing was sent then, unless it says that nobody knows.
    pub async fn locate(&self, user: &str, username: &str) -> Result<Accepted, NotAccepted> {
        self.carry_to_all(packets::locate(&self.mud, user, username)).await
    }

    /// Answers a request the way it came, or says that it is not served here.
    pub(super) fn answer(&self, path: Path, packet: &Packet) {
        let presence = lock(&self.presence);
        let users = presence.users(Instant::now()).unwrap_or_default();
        let asker = &packet.header.origin_mud;
        let answer = packets::answer(&self.mud, packet, users, |channel| self.shows(path, asker, channel));
        drop(presence);
        match answer {
            Some(answer) => self.respond(path, packet, || answer),
            // A search needs no answer: the user is not here.
            None if matches!(packet.body, Body::LocateReq(_)) => {}
            None => {
                let message = format!("{} is not served here", packet.kind());
                self.refuse(path, packet, ErrorPacket::UNK_TYPE, &message);
            }
        }
    }

    /// Says that a request that is for us is not granted. Broadcasts are not answered.
    pub(super) fn refuse(&self, path: Path, packet: &Packet, code: &str, message: &str) {
        if packet.header.target_mud.as_deref() == Some(self.mud()) {
            self.respond(path, packet, || packets::error(&self.mud, packet, code, message));
        }
    }

    /// Sends an answer, unless the mud has had its share.
    pub(super) fn respond(&self, path: Path, to: &Packet, answer: impl FnOnce() -> Packet) {
        if !lock(&self.allowance).admit(Instant::now(), &to.header.origin_mud) {
            return;
        }
        match (path, &self.bus) {
            (Path::Bus, Some(bus)) => bus.direct.post(answer()),
            _ => self.router.post(answer(), Class::Answer),
        };
    }

    /// How many requests of other muds were dropped, because they asked too often.
    pub fn requests_dropped(&self) -> u64 {
        lock(&self.allowance).refused()
    }

    /// What another mud has told of a user of its own.
    pub fn known_user(&self, mud: &str, username: &str) -> Option<UserInfo> {
        lock(&self.users).get(Instant::now(), mud, username).cloned()
    }

    /// Takes what our mud tells of its users, in place of what it told before; returns how many they are.
    ///
    /// # Errors
    /// [`Rejected`] when anything is wrong with it.
    pub fn sync_presence(&self, users: Vec<User>) -> Result<usize, Rejected> {
        let now = Instant::now();
        let mut presence = lock(&self.presence);
        let count = presence.replace(now, users)?;
        if self.bus.is_some() {
            self.hub.note(Change::Presence(presence.users(now).unwrap_or_default().to_vec()));
        }
        if let Some(announced) = self.announced.as_ref().filter(|_| self.router.status().is_connected()) {
            lock(announced).update(presence.users(now).unwrap_or_default(), |info| {
                self.router.post(packets::ucache_update(&self.mud, info.clone()), Class::Background)
            });
        }
        Ok(count)
    }
}
