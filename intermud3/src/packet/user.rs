//! From one user to another, and about users.

use crate::layout::{Field, Fields, Layout, Refused, layout};
use crate::lpc::Sink;

layout! {
    /// `tell` and `emoteto`: one user says something to another, or does. 8 elements.
    ///
    /// `({"tell",5,"MudA","bob","MudB","ann","Bob","hi",})`
    /// `({"emoteto",5,"MudA","bob","MudB","ann","Bob","$N waves to you.",})`
    ///
    /// The target user goes in lower case ([`Header::to_user`](super::Header::to_user) sees to it). What is
    /// sent to a mud that the router knows but that is not connected is lost without a word; only a name it
    /// never heard of brings an `error` with `unk-dst` (Dead Souls).
    #[derive(Eq)]
    pub struct Tell {
        /// The sender's name to show; 0 reads as empty.
        visname: String = text,
        /// What is said. In an `emoteto` `$N` stands for the sender.
        message: String,
    }
}

layout! {
    /// `beep`: one user rings another's bell. 7 elements. Not in the specification; Diku muds with the AFKMud
    /// client.
    ///
    /// `({"beep",5,"MudA","bob","MudB","ann","Bob",})`
    #[derive(Eq)]
    pub struct Beep {
        /// The sender's name to show; 0 reads as empty.
        visname: String = text,
    }
}

layout! {
    /// `who-reply`: who is on a mud. 7 elements; answers `who-req`.
    ///
    /// `({"who-reply",5,"MudB",0,"MudA","bob",({({"Ann",0,"extra",}),}),})`
    #[derive(Eq)]
    pub struct WhoReply {
        /// The users; an element that is 0 is passed over.
        who: Vec<WhoEntry>,
    }
}

layout! {
    /// A user in a [`WhoReply`]: `({visname,idle,extra})`.
    #[derive(Eq)]
    pub struct WhoEntry {
        /// The name to show; 0 reads as empty.
        visname: String = text,
        /// Seconds without a command.
        idle: i64,
        /// Title, level, or what the mud likes; 0 reads as empty.
        extra: String = text,
    }
}

layout! {
    /// `finger-req`: a user asks about another. 7 elements.
    ///
    /// `({"finger-req",5,"MudA","bob","MudB",0,"ann",})`
    #[derive(Eq)]
    pub struct FingerReq {
        /// Whom it is about.
        username: String,
    }
}

layout! {
    /// `finger-reply`: what a mud tells about a user. 15 elements; answers `finger-req`. What the mud keeps to
    /// itself is 0. A number where a text belongs, such as a level, reads as its digits.
    ///
    /// `({"finger-reply",5,"MudB",0,"MudA","bob","Ann","Ann the Brave","Ann Smith","ann@example.org",
    /// "Sun Nov 22 18:00:00 2026",-1,0,"wizard","No plan.",})`
    #[derive(Eq)]
    pub struct FingerReply {
        /// The name to show.
        visname: Option<String> = lax,
        /// Name and title.
        title: Option<String> = lax,
        /// The person's name.
        real_name: Option<String> = lax,
        /// The person's address.
        email: Option<String> = lax,
        /// When the user logged in, or out if not there, in words.
        loginout_time: Option<String> = lax,
        /// Seconds without a command, -1 if not logged in.
        idle: i64,
        /// The host the user comes from.
        ip_name: Option<String> = lax,
        /// The user's rank on the mud.
        level: Option<String> = lax,
        /// Plan, project, or what the mud likes.
        extra: Option<String> = lax,
    }
}

layout! {
    /// `locate-req`: is this user on any mud? 7 elements, target 0; Dead Souls sends it to every mud, the
    /// sender included.
    ///
    /// `({"locate-req",5,"MudA","bob",0,0,"ann",})`
    #[derive(Eq)]
    pub struct LocateReq {
        /// Whom to look for.
        username: String,
    }
}

/// `locate-reply`: the user is here. 10 elements, or 8 from muds of protocol 1 and 2; answers `locate-req`, and
/// only if so.
///
/// `({"locate-reply",5,"MudB",0,"MudA","bob","MudB","Ann",0,"st",})`
/// `({"locate-reply",5,"MudB",0,"MudA","bob","MudB","Ann",})`
///
/// Dead Souls makes 10 of 8 with two zeros, and 8 of 10 for muds of protocol 1 and 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocateReply {
    /// The mud the user is on.
    pub located_mud: String,
    /// The user's name to show; 0 reads as empty.
    pub located_visname: String,
    /// Seconds without a command. `None` in the form of 8 elements.
    pub idle: Option<i64>,
    /// "link-dead", "editing" and so on; 0 or a string. Not written where `idle` is `None`.
    pub status: Option<String>,
}

impl Layout for LocateReply {
    const FIELDS: std::ops::RangeInclusive<usize> = 2..=4;

    fn read(fields: &mut Fields<'_>) -> Result<Self, Refused> {
        if fields.count() == 3 {
            return Err(fields.wrong_count(4));
        }
        Ok(Self {
            located_mud: fields.next("located_mud")?,
            located_visname: fields.text("located_visname")?,
            idle: fields.trailing("idle")?,
            status: fields.next("status")?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        self.located_mud.write(sink);
        self.located_visname.write(sink);
        if let Some(idle) = self.idle {
            idle.write(sink);
            self.status.write(sink);
        }
    }
}
