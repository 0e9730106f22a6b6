//! Requests of other muds that wait for one of our clients: the gateway itself has no mailboxes, files or news.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use intermud3::oob::{FileEntry, Outcome};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::sync::lock;

/// How long a client may take to answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The most requests that wait.
const WAITING: usize = 64;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Deliver a letter.
    Mail,
    /// List a folder.
    FileList,
    /// Give a file.
    FileGet,
    /// Keep a file.
    FilePut,
    /// List the newsgroups.
    NewsGroups,
    /// Give an article.
    NewsRead,
    /// Publish an article.
    NewsPost,
}

/// What a client answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The letter was delivered, but not to these users.
    Mail(Vec<String>),
    /// What became of it, and what is in the folder or the file.
    File(Outcome, Vec<FileEntry>, Option<String>),
    /// The newsgroups.
    Groups(Vec<Group>),
    /// The article.
    Article(Article),
    /// The published article's number.
    Published(i64),
    /// Why there is no news.
    NoNews(String),
}

/// A newsgroup.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Group {
    /// Its name.
    pub group: String,
    /// The number of its first article.
    pub first_id: i64,
    /// The number of its last article.
    pub last_id: i64,
}

/// An article.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Article {
    /// When it was published, in seconds since 1970.
    pub posting_time: i64,
    /// What it belongs to; empty when to nothing.
    #[serde(default)]
    pub thread: String,
    /// What it is about.
    #[serde(default)]
    pub subject: String,
    /// Who wrote it.
    pub poster: String,
    /// The article.
    pub contents: String,
}

/// Why an answer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Nobody waits for it.
    #[error(
        "no request with this request_id waits: it was answered, or took too long (30 s), or the other mud left"
    )]
    NotWaiting,
    /// It is no answer to what was asked.
    #[error("{0}")]
    Misfit(&'static str),
}

impl Answer {
    /// Whether this answers what was asked.
    fn fits(&self, task: Task) -> Result<(), NotTaken> {
        let done = |outcome: &Outcome| *outcome == Outcome::OK;
        let misfit = match (task, self) {
            (Task::Mail, Self::Mail(_))
            | (Task::FilePut, Self::File(..))
            | (Task::FileList, Self::File(..))
            | (Task::NewsGroups, Self::Groups(_))
            | (Task::NewsRead, Self::Article(_))
            | (Task::NewsPost, Self::Published(_))
            | (Task::NewsGroups | Task::NewsRead | Task::NewsPost, Self::NoNews(_)) => return Ok(()),
            (Task::FileGet, Self::File(outcome, _, contents)) if contents.is_some() || !done(outcome) => {
                return Ok(());
            }
            (Task::FileGet, Self::File(..)) => "an outcome ok of a file_get_requested needs contents",
            (Task::Mail, _) => "the request is a letter: answer it by mail_ack",
            (Task::FileList | Task::FileGet | Task::FilePut, _) => {
                "the request is about a file: use file_reply"
            }
            (Task::NewsGroups, _) => "the request is for newsgroups: give groups or error in a news_reply",
            (Task::NewsRead, _) => "the request is for an article: give article or error in a news_reply",
            (Task::NewsPost, _) => "the request publishes an article: give its id or error in a news_reply",
        };
        Err(NotTaken::Misfit(misfit))
    }
}

/// The requests that wait.
#[derive(Debug, Default)]
pub struct Desk {
    waiting: Mutex<HashMap<Uuid, (Task, oneshot::Sender<Answer>)>>,
}

impl Desk {
    /// A place for one more request; none when too many wait.
    pub fn open(&self, task: Task) -> Option<Ticket<'_>> {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= WAITING {
            return None;
        }
        let (id, (sender, answered)) = (Uuid::new_v4(), oneshot::channel());
        waiting.insert(id, (task, sender));
        Some(Ticket { desk: self, id, answered })
    }

    /// Takes a client's answer. The first one counts.
    ///
    /// # Errors
    /// [`NotTaken`] when nobody waits for it, or not for this.
    pub fn answer(&self, id: Uuid, answer: Answer) -> Result<(), NotTaken> {
        let mut waiting = lock(&self.waiting);
        let (task, _) = waiting.get(&id).ok_or(NotTaken::NotWaiting)?;
        answer.fits(*task)?;
        let (_, sender) = waiting.remove(&id).ok_or(NotTaken::NotWaiting)?;
        sender.send(answer).map_err(|_| NotTaken::NotWaiting)
    }
}

/// A request that waits. Dropped, it waits no more.
#[derive(Debug)]
pub struct Ticket<'a> {
    desk: &'a Desk,
    /// Its name to the clients.
    pub id: Uuid,
    answered: oneshot::Receiver<Answer>,
}

impl Ticket<'_> {
    /// The answer; none when it does not come within a time, such as [`ANSWER_TIMEOUT`].
    pub async fn answer(mut self, within: Duration) -> Option<Answer> {
        tokio::time::timeout(within, &mut self.answered).await.ok()?.ok()
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        lock(&self.desk.waiting).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(outcome: Outcome, contents: Option<&str>) -> Answer {
        Answer::File(outcome, Vec::new(), contents.map(str::to_owned))
    }

    #[tokio::test]
    async fn the_first_answer_counts() {
        let desk = Desk::default();
        let ticket = desk.open(Task::Mail).unwrap();
        let id = ticket.id;
        assert_eq!(desk.answer(Uuid::new_v4(), Answer::Mail(vec![])), Err(NotTaken::NotWaiting));
        assert_eq!(desk.answer(id, Answer::Mail(vec!["ann".into()])), Ok(()));
        assert_eq!(desk.answer(id, Answer::Mail(vec![])), Err(NotTaken::NotWaiting));
        assert_eq!(ticket.answer(ANSWER_TIMEOUT).await, Some(Answer::Mail(vec!["ann".into()])));
    }

    #[tokio::test]
    async fn what_nobody_answers_waits_no_more() {
        let desk = Desk::default();
        let ticket = desk.open(Task::Mail).unwrap();
        let id = ticket.id;
        assert_eq!(ticket.answer(Duration::ZERO).await, None);
        assert_eq!(desk.answer(id, Answer::Mail(vec![])), Err(NotTaken::NotWaiting));
        let id = desk.open(Task::Mail).unwrap().id;
        assert_eq!(desk.answer(id, Answer::Mail(vec![])), Err(NotTaken::NotWaiting), "dropped");
    }

    #[test]
    fn only_so_many_wait() {
        let desk = Desk::default();
        let mut tickets: Vec<_> = (0..WAITING).map(|_| desk.open(Task::FilePut).unwrap()).collect();
        assert!(desk.open(Task::Mail).is_none());
        tickets.pop();
        assert!(desk.open(Task::Mail).is_some());
    }

    #[test]
    fn an_answer_must_fit_what_was_asked() {
        let groups = Answer::Groups(vec![]);
        let article = Answer::Article(Article {
            posting_time: 1,
            thread: String::new(),
            subject: String::new(),
            poster: "bob".into(),
            contents: "x".into(),
        });
        let answers = [
            Answer::Mail(vec![]),
            file(Outcome::OK, None),
            file(Outcome::OK, Some("x")),
            file(Outcome::CANNOT_READ, None),
            groups,
            article,
            Answer::Published(1),
            Answer::NoNews("no".into()),
        ];
        let fitting = [
            (Task::Mail, [true, false, false, false, false, false, false, false]),
            (Task::FileList, [false, true, true, true, false, false, false, false]),
            (Task::FileGet, [false, false, true, true, false, false, false, false]),
            (Task::FilePut, [false, true, true, true, false, false, false, false]),
            (Task::NewsGroups, [false, false, false, false, true, false, false, true]),
            (Task::NewsRead, [false, false, false, false, false, true, false, true]),
            (Task::NewsPost, [false, false, false, false, false, false, true, true]),
        ];
        for (task, expected) in fitting {
            let fits: Vec<_> = answers.iter().map(|answer| answer.fits(task).is_ok()).collect();
            assert_eq!(fits, expected, "{task:?}");
        }
    }
}
