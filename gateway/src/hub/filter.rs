//! Which events a session wants.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::Event;

/// What is let through: only what is in `allow`, when that is given, and never what is in `deny`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Nothing but these; all when it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<HashSet<String>>,
    /// Not these.
    pub deny: HashSet<String>,
}

impl Selection {
    fn admits(&self, value: &str) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.contains(value)) && !self.deny.contains(value)
    }

    fn len(&self) -> usize {
        self.deny.len() + self.allow.as_ref().map_or(0, HashSet::len)
    }
}

/// How colour codes (`%^RED%^`) in texts are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// As they came.
    #[default]
    Raw,
    /// Left out.
    Plain,
    /// As ANSI escape sequences.
    Ansi,
}

/// What a session wants to get, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Events by name.
    pub events: Selection,
    /// Channel events by channel.
    pub channels: Selection,
    /// Events by the mud they come from.
    pub muds: Selection,
    /// Events by the user they come from.
    pub users: Selection,
    /// Leave out what our own mud said on channels.
    pub exclude_self: bool,
    /// How colour codes are delivered.
    pub colour: Colour,
}

/// The most entries in all selections of a session together.
pub const SELECTION_ENTRIES: usize = 1000;

impl Options {
    /// Whether the selections are of a size we keep.
    pub fn is_bounded(&self) -> bool {
        [&self.events, &self.channels, &self.muds, &self.users].iter().map(|one| one.len()).sum::<usize>()
            <= SELECTION_ENTRIES
    }

    /// Whether an event passes. `own_mud` is ours.
    pub fn admit(&self, event: &Event, own_mud: &str) -> bool {
        let (mud, user) = event.origin();
        self.events.admits(event.name())
            && event.channel().is_none_or(|channel| self.channels.admits(channel))
            && mud.is_none_or(|mud| self.muds.admits(mud))
            && user.is_none_or(|user| self.users.admits(user))
            && !(self.exclude_self && event.channel().is_some() && mud == Some(own_mud))
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::{chat, tell};
    use super::*;

    fn set(values: &[&str]) -> HashSet<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn everything_passes_unless_something_is_asked_for() {
        let options = Options::default();
        assert!(options.admit(&chat("imud_gossip"), "Dawn") && options.admit(&tell("hi"), "Dawn"));
        assert!(options.admit(&Event::reconnected(), "Dawn"));
    }

    #[test]
    fn each_selection_looks_at_its_own_field() {
        let deny = |values: &[&str]| Selection { allow: None, deny: set(values) };
        let allow = |values: &[&str]| Selection { allow: Some(set(values)), deny: HashSet::new() };
        let cases = [
            (Options { events: deny(&["channel_message"]), ..Options::default() }, false, true),
            (Options { events: allow(&["channel_message"]), ..Options::default() }, true, false),
            (Options { channels: deny(&["imud_gossip"]), ..Options::default() }, false, true),
            (Options { channels: allow(&["other"]), ..Options::default() }, false, true),
            (Options { muds: deny(&["Dawn"]), ..Options::default() }, false, false),
            (Options { users: allow(&["ann"]), ..Options::default() }, true, true),
            (Options { users: deny(&["ann"]), ..Options::default() }, false, false),
            // Only what we said on channels ourselves is our own echo.
            (Options { exclude_self: true, ..Options::default() }, false, true),
        ];
        for (options, chats, tells) in cases {
            assert_eq!(options.admit(&chat("imud_gossip"), "Dawn"), chats, "{options:?}");
            assert_eq!(options.admit(&tell("hi"), "Dawn"), tells, "{options:?}");
        }
    }

    #[test]
    fn selections_are_bounded() {
        let many = (0..=SELECTION_ENTRIES).map(|index| index.to_string()).collect();
        let options = Options { users: Selection { allow: None, deny: many }, ..Options::default() };
        assert!(!options.is_bounded() && Options::default().is_bounded());
    }
}
