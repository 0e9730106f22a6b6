//! Channels of our own: made, ended and administered at the router, and what is said on filtered ones.

use std::time::Instant;

use intermud3::Packet;
use intermud3::packet::{
    Body, ChanAdminlist, ChanFilter, ChannelAdd, ChannelAdmin, ChannelRemove, ErrorPacket, Header,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::filter::{Decision, decide};
use super::{Channel, Services, inbound};
use crate::bus::{Path, Scope};
use crate::hub::{Event, FilterRequested};
use crate::router::{Class, NotAccepted};
use crate::sync::lock;

/// The longest name of a channel, in characters (dead-souls-router rule 13).
const NAME: usize = 80;

/// The most muds in one change of a channel's list.
const MUDS: usize = 100;

/// Why nothing is asked of the router.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// No name for a channel.
    #[error("a channel's name has 1 to {NAME} printable characters")]
    Name,
    /// The channel is there.
    #[error("the channel {channel} is there already; it belongs to {owner}")]
    Exists {
        /// The channel.
        channel: String,
        /// Whose it is.
        owner: String,
    },
    /// It is another mud's.
    #[error("the channel {channel} belongs to {owner}, and only its owner may do this")]
    NotOurs {
        /// The channel.
        channel: String,
        /// Whose it is.
        owner: String,
    },
    /// The router has no such channel.
    #[error("the router has no channel {channel}; channel_list tells which there are")]
    Unknown {
        /// The channel.
        channel: String,
    },
    /// It is a channel of the provider's.
    #[error("the channel {channel} is one of the provider's, of which the router knows nothing")]
    Provider {
        /// The channel.
        channel: String,
    },
    /// No muds, or too many, or no names.
    #[error("name 1 to {MUDS} muds in add and remove together")]
    Muds,
    /// No router to ask.
    #[error("there is no session with the router now; nothing was sent, try again later")]
    NoRouter,
    /// Too much waits, or it has no form on the wire.
    #[error(transparent)]
    NotAccepted(#[from] NotAccepted),
}

impl Services {
    /// Asks the router to make a channel of ours; the channel list shows it when it is there.
    ///
    /// # Errors
    /// [`ChannelError`] when it cannot be, or cannot be asked.
    pub async fn create_channel(&self, user: &str, channel: &str, kind: i64) -> Result<(), ChannelError> {
        self.check_network(channel)?;
        if let Some(owner) = self.channel_owner(channel) {
            return Err(ChannelError::Exists { channel: channel.to_owned(), owner });
        }
        self.order(user, Body::ChannelAdd(ChannelAdd { channel: channel.to_owned(), kind })).await
    }

    /// Asks the router to end a channel of ours; it vanishes from the channel list.
    ///
    /// # Errors
    /// [`ChannelError`] when it is not ours, or the router cannot be asked.
    pub async fn remove_channel(&self, user: &str, channel: &str) -> Result<(), ChannelError> {
        self.check_ours(channel)?;
        // Before it is sent, since the list may be here before `order` returns.
        lock(&self.directory).leave(Instant::now(), channel);
        self.order(user, Body::ChannelRemove(ChannelRemove { channel: channel.to_owned() })).await
    }

    /// Asks the router to put muds on the list of a channel of ours, and to take others off. A router does not
    /// tell that it has done so.
    ///
    /// # Errors
    /// [`ChannelError`] when it is not ours, or the router cannot be asked.
    pub async fn administer_channel(
        &self,
        user: &str,
        channel: &str,
        add: Vec<String>,
        remove: Vec<String>,
    ) -> Result<(), ChannelError> {
        let is_name = |mud: &String| !mud.is_empty() && !mud.chars().any(char::is_control);
        if !(1..=MUDS).contains(&(add.len() + remove.len())) || !add.iter().chain(&remove).all(is_name) {
            return Err(ChannelError::Muds);
        }
        self.check_ours(channel)?;
        self.order(user, Body::ChannelAdmin(ChannelAdmin { channel: channel.to_owned(), add, remove })).await
    }

    /// Asks the router which muds are on a channel's list. Not all routers know the question.
    ///
    /// # Errors
    /// [`ChannelError`] when the router cannot be asked.
    pub async fn ask_channel_admins(&self, user: &str, channel: &str) -> Result<(), ChannelError> {
        self.check_network(channel)?;
        self.order(user, Body::ChanAdminlist(ChanAdminlist { channel: channel.to_owned() })).await
    }

    /// A channel by its exact name; none when the router has not told of it.
    pub fn channel(&self, name: &str) -> Option<Channel> {
        lock(&self.directory).channel(name).cloned()
    }

    /// Whose a channel is.
    pub(super) fn channel_owner(&self, channel: &str) -> Option<String> {
        self.channel(channel).map(|channel| channel.owner)
    }

    /// Changes whenever the channel list does.
    pub fn channel_lists(&self) -> watch::Receiver<u64> {
        self.channel_lists.subscribe()
    }

    /// A client has decided about a message on a filtered channel; false when it waits no longer.
    pub fn decide(&self, id: Uuid, decision: &Decision) -> bool {
        let request = lock(&self.filter).take(id);
        request.map(|request| self.settle(request, decision)).is_some()
    }

    /// What is due each second.
    pub fn on_second(&self, now: Instant) {
        self.deliver_late(now);
        let due = lock(&self.filter).due(now);
        for request in due {
            self.settle(request, &self.undecided());
        }
    }

    /// The router asks whether a message may be said on a filtered channel of ours.
    pub(super) fn on_filter_request(&self, packet: &Packet, from_router: bool, request: &ChanFilter) {
        let ours = self.channel_owner(&request.channel).as_deref() == Some(self.mud());
        if !from_router || !ours {
            let message = "only the router may ask, and only the owner of a channel";
            return self.refuse(Path::Router, packet, ErrorPacket::NOT_ALLOWED, message);
        }
        let said = request.message().ok().and_then(|packet| inbound::channel_message(&packet));
        let Some(said) = said.filter(|said| said.channel == request.channel) else {
            tracing::debug!(channel = request.channel, "ignored a request to filter what is no message");
            return;
        };
        let id = Uuid::new_v4();
        let waits = lock(&self.filter).wait(Instant::now(), id, request.clone());
        if !waits {
            self.settle(request.clone(), &self.undecided());
        } else if !self.hub.publish(Event::FilterRequested(FilterRequested::new(id, said))) {
            // Nobody is there to decide. Who has just come and decided all the same was faster.
            self.decide(id, &self.undecided());
        }
    }

    fn settle(&self, request: ChanFilter, decision: &Decision) {
        if let (Some(reply), Some(router)) = (decide(request, decision), self.router.status().router) {
            let header = Header::to_mud(self.mud(), &router);
            self.router.post(Packet { header, body: Body::ChanFilterReply(reply) }, Class::Channel);
        }
    }

    fn undecided(&self) -> Decision {
        lock(&self.filter).undecided()
    }

    fn check_network(&self, channel: &str) -> Result<(), ChannelError> {
        check_name(channel)?;
        match self.scope(channel) {
            Scope::Network => Ok(()),
            Scope::Provider => Err(ChannelError::Provider { channel: channel.to_owned() }),
        }
    }

    fn check_ours(&self, channel: &str) -> Result<(), ChannelError> {
        self.check_network(channel)?;
        match self.channel_owner(channel) {
            Some(owner) if owner == self.mud() => Ok(()),
            Some(owner) => Err(ChannelError::NotOurs { channel: channel.to_owned(), owner }),
            None => Err(ChannelError::Unknown { channel: channel.to_owned() }),
        }
    }

    /// Asks something of the router, in the name of a user: its errors are addressed to that user.
    async fn order(&self, user: &str, body: Body) -> Result<(), ChannelError> {
        let status = self.router.status();
        let (true, Some(router)) = (status.is_connected(), status.router) else {
            return Err(ChannelError::NoRouter);
        };
        let header = Header { origin_user: Some(user.to_owned()), ..Header::to_mud(self.mud(), &router) };
        self.router.send(Packet { header, body }, Class::Direct).await?;
        Ok(())
    }
}

fn check_name(channel: &str) -> Result<(), ChannelError> {
    let is_name = (1..=NAME).contains(&channel.chars().count()) && !channel.chars().any(char::is_control);
    if is_name { Ok(()) } else { Err(ChannelError::Name) }
}
