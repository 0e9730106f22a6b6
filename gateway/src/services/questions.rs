//! What users of ours tell those of other muds and ask about them, and what others ask us.

use std::time::Instant;

use intermud3::Packet;
use intermud3::packet::{Body, ErrorPacket};

use super::{Question, Services, packets};
use crate::router::{Accepted, Class, Full};
use crate::sync::lock;

impl Services {
    /// Tells a user of another mud something, or does something to one.
    ///
    /// # Errors
    /// [`Full`] when too much waits for the router.
    pub async fn tell(
        &self,
        emote: bool,
        user: &str,
        target_mud: &str,
        target_user: &str,
        message: &str,
    ) -> Result<Accepted, Full> {
        let between = packets::Between { mud: &self.mud, user, target_mud, target_user };
        self.router.send(packets::tell(between, emote, message), Class::Direct).await
    }

    /// Asks another mud something; the answer comes as an event.
    ///
    /// # Errors
    /// [`Full`] when too much waits for the router.
    pub async fn ask(&self, user: &str, target_mud: &str, question: Question<'_>) -> Result<Accepted, Full> {
        self.router.send(packets::question(&self.mud, user, target_mud, question), Class::Direct).await
    }

    /// Asks every mud whether a user is there; the answers come as events.
    ///
    /// # Errors
    /// [`Full`] when too much waits for the router.
    pub async fn locate(&self, user: &str, username: &str) -> Result<Accepted, Full> {
        self.router.send(packets::locate(&self.mud, user, username), Class::Direct).await
    }

    /// Answers a request, or says that it is not served here.
    pub(super) fn answer(&self, packet: &Packet) {
        let presence = lock(&self.presence);
        let users = presence.users(Instant::now()).unwrap_or_default();
        let answer = packets::answer(&self.mud, packet, users, |channel| self.is_wanted(channel));
        drop(presence);
        let needed = !matches!(packet.body, Body::LocateReq(_));
        let refusal = || {
            let message = format!("{} is not served here", packet.kind());
            packets::error(&self.mud, packet, ErrorPacket::UNK_TYPE, &message)
        };
        if let Some(answer) = answer.or_else(|| needed.then(refusal)) {
            self.router.post(answer, Class::Direct);
        }
    }
}
