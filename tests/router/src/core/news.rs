//! What muds are told of each other (rules 7 and 8).

use std::sync::Arc;
use std::time::Instant;

use intermud3::Value;

use super::lists::{Entry, Layout, fields};
use super::{Conn, Core, MAX_MUDS, Mud};

/// News and ends that may wait.
const MAX_NEWS: usize = 8 * MAX_MUDS;

/// Something about a mud, as it was when it happened, and for those who were there then.
pub(super) struct News {
    mud: String,
    /// None: it asked to be deleted.
    entry: Option<(bool, Arc<Entry>)>,
    audience: Vec<Conn>,
}

impl Core {
    /// Rule 7: a mud registered.
    pub(super) fn tell_soon(&mut self, now: Instant, name: &str) {
        let due = self.beat(now + self.config.up_delay);
        self.tell_at(due, name);
        self.tell_peers_of_mud(name);
    }

    /// Rule 8: a mud went. What is told is what is true a beat before it is told; of a mud that was deleted,
    /// that it was, without waiting for that beat.
    pub(super) fn tell_later(&mut self, now: Instant, name: &str) {
        let due = self.beat(now + self.config.down_delay.saturating_sub(self.config.heartbeat));
        self.ended.insert((due, name.to_owned()));
        if self.ended.len() > MAX_NEWS {
            self.ended.pop_first();
        }
        self.tell_peers_of_mud(name);
    }

    pub(super) fn tell_due_ends(&mut self, now: Instant) {
        while self.ended.first().is_some_and(|(due, _)| *due <= now) {
            let Some((due, name)) = self.ended.pop_first() else { return };
            let deleted = self.muds.get(&name).is_none_or(|mud| mud.entry.is_none());
            self.tell_at(if deleted { due } else { due + self.config.heartbeat }, &name);
        }
    }

    pub(super) fn tell_due_news(&mut self, now: Instant) {
        while let Some(due) = self.news.first_entry().filter(|first| first.key().0 <= now) {
            let ((_, id), news) = due.remove_entry();
            self.spread(id, &news);
        }
    }

    fn tell_at(&mut self, due: Instant, name: &str) {
        let (id, news) = self.news_of(name);
        self.news.insert((due, id), news);
        if self.news.len() > MAX_NEWS {
            self.news.pop_first();
        }
    }

    fn news_of(&mut self, name: &str) -> (i64, News) {
        self.mudlist_id += 1;
        let mud = self.muds.get(name);
        let entry = |mud: &Mud| mud.entry.as_ref().map(|entry| (mud.is_up(), Arc::clone(entry)));
        let audience = self.up().map(|(conn, _, _)| conn).collect();
        (self.mudlist_id, News { mud: name.to_owned(), entry: mud.and_then(entry), audience })
    }

    /// To everybody, the mud itself included. Rule 46: of the muds that speak protocol 1 or 2 only one gets
    /// it, because all of them are written the same packet, and the last one's name is on it.
    fn spread(&mut self, id: i64, news: &News) {
        let mut last_old = None;
        for &conn in &news.audience {
            let Some(name) = self.mud_on(conn).map(str::to_owned) else { continue };
            if self.muds.get(&name).is_some_and(|mud| mud.protocol < 3) {
                last_old = Some((conn, name));
            } else {
                self.send_news(conn, &name, id, news, Layout::Full);
            }
        }
        if let Some((conn, name)) = last_old {
            self.send_news(conn, &name, id, news, Layout::Old);
        }
    }

    fn send_news(&mut self, conn: Conn, to: &str, id: i64, news: &News, layout: Layout) {
        let entry = news.entry.as_ref().map(|(up, entry)| entry.write(*up, layout));
        let entry = (news.mud.clone(), entry.unwrap_or(Value::ZERO));
        self.send_own(conn, "mudlist", to.into(), fields(id, [entry]));
    }
}
