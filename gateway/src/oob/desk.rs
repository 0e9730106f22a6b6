//! Requests of other muds that wait for one of our clients: the gateway itself has no mailboxes, files or news.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use intermud3::oob::{FileEntry, Outcome};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::sync::lock;

/// How long a client may take to answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The most requests that wait.
const WAITING: usize = 64;

/// How many of these of one mud.
const WAITING_PER_MUD: usize = 8;

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

/// The requests that wait. They are bounded in number and bytes, in all and for each mud, so that they fit into the
/// queue of a client that reads, and one mud leaves room for others.
#[derive(Debug)]
pub struct Desk {
    bytes: usize,
    waiting: Mutex<HashMap<Uuid, Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    mud: String,
    task: Task,
    bytes: usize,
    since: Instant,
    /// None once the other mud has left. It counts until its time is over all the same, or a mud could fill the clients'
    /// queues by coming and going.
    answer: Option<oneshot::Sender<Answer>>,
}

impl Desk {
    /// A desk for requests of so many bytes in all; one mud may have half of it.
    pub fn new(bytes: usize) -> Self {
        Self { bytes, waiting: Mutex::default() }
    }

    /// A place for one more request of a mud, of a size; none when too much waits.
    pub fn open(&self, mud: &str, task: Task, id: Uuid, bytes: usize) -> Option<Ticket<'_>> {
        let mut waiting = lock(&self.waiting);
        waiting.retain(|_, one| one.answer.is_some() || one.since.elapsed() < ANSWER_TIMEOUT);
        let (mut all, mut here, mut count) = (bytes, bytes, 0);
        for one in waiting.values() {
            all += one.bytes;
            if one.mud == mud {
                here += one.bytes;
                count += 1;
            }
        }
        if waiting.len() >= WAITING || count >= WAITING_PER_MUD || all > self.bytes || here > self.bytes / 2 {
            return None;
        }
        let (sender, answered) = oneshot::channel();
        let (mud, since) = (mud.to_owned(), Instant::now());
        waiting.insert(id, Waiting { mud, task, bytes, since, answer: Some(sender) });
        Some(Ticket { desk: self, id, answered })
    }

    /// Takes a client's answer. The first one counts.
    ///
    /// # Errors
    /// [`NotTaken`] when nobody waits for it, or not for this.
    pub fn answer(&self, id: Uuid, answer: Answer) -> Result<(), NotTaken> {
        let mut waiting = lock(&self.waiting);
        let one = waiting.get(&id).filter(|one| one.answer.is_some()).ok_or(NotTaken::NotWaiting)?;
        answer.fits(one.task)?;
        let sender = waiting.remove(&id).and_then(|one| one.answer).ok_or(NotTaken::NotWaiting)?;
        sender.send(answer).map_err(|_| NotTaken::NotWaiting)
    }
}

/// A request that waits. Dropped, it waits no more.
#[derive(Debug)]
pub struct Ticket<'a> {
    desk: &'a Desk,
    id: Uuid,
    answered: oneshot::Receiver<Answer>,
}

impl Ticket<'_> {
    /// No client was asked, so nothing waits anywhere.
    pub fn withdraw(self) {
        lock(&self.desk.waiting).remove(&self.id);
    }

    /// The answer; none when it does not come within a time, such as [`ANSWER_TIMEOUT`].
    pub async fn answer(mut self, within: Duration) -> Option<Answer> {
        tokio::time::timeout(within, &mut self.answered).await.ok()?.ok()
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(one) = lock(&self.desk.waiting).get_mut(&self.id) {
            one.answer = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(outcome: Outcome, contents: Option<&str>) -> Answer {
        Answer::File(outcome, Vec::new(), contents.map(str::to_owned))
    }

    const BYTES: usize = 1000;

    fn open<'d>(desk: &'d Desk, mud: &str, bytes: usize) -> Option<(Uuid, Ticket<'d>)> {
        let id = Uuid::new_v4();
        Some((id, desk.open(mud, Task::Mail, id, bytes)?))
    }

    #[tokio::test]
    async fn the_first_answer_counts() {
        let desk = Desk::new(BYTES);
        let (id, ticket) = open(&desk, "Dusk", 1).unwrap();
        assert_eq!(desk.answer(Uuid::new_v4(), Answer::Mail(vec![])), Err(NotTaken::NotWaiting));
        assert_eq!(desk.answer(id, Answer::Mail(vec!["ann".into()])), Ok(()));
        assert_eq!(desk.answer(id, Answer::Mail(vec![])), Err(NotTaken::NotWaiting));
        assert_eq!(ticket.answer(ANSWER_TIMEOUT).await, Some(Answer::Mail(vec!["ann".into()])));
        assert!(lock(&desk.waiting).is_empty());
    }

    #[tokio::test]
    async fn what_nobody_answers_waits_no_more() {
        let desk = Desk::new(BYTES);
        let (id, ticket) = open(&desk, "Dusk", 1).unwrap();
        assert_eq!(ticket.answer(Duration::ZERO).await, None);
        assert_eq!(desk.answer(id, Answer::Mail(vec![])), Err(NotTaken::NotWaiting));
        let (id, ticket) = open(&desk, "Dusk", 1).unwrap();
        drop(ticket);
        assert_eq!(desk.answer(id, Answer::Mail(vec![])), Err(NotTaken::NotWaiting));
        let waiting = lock(&desk.waiting).len();
        open(&desk, "Dusk", 1).unwrap().1.withdraw();
        assert_eq!(lock(&desk.waiting).len(), waiting, "withdrawn, it leaves nothing behind");
    }

    #[test]
    fn only_so_many_wait_in_all_and_of_one_mud() {
        let desk = Desk::new(BYTES);
        let mut tickets = Vec::new();
        for index in 0..WAITING {
            let mud = (index / WAITING_PER_MUD).to_string();
            tickets.push(open(&desk, &mud, 1).unwrap());
            let full = (index + 1) % WAITING_PER_MUD == 0;
            assert_eq!(open(&desk, &mud, 1).is_none(), full, "{index}");
            lock(&desk.waiting).retain(|_, one| one.answer.is_some());
        }
        assert!(open(&desk, "new", 1).is_none());
        let (id, _) = tickets[0];
        desk.answer(id, Answer::Mail(vec![])).unwrap();
        assert!(open(&desk, "new", 1).is_some());
    }

    #[test]
    fn the_bytes_are_bounded_and_who_leaves_still_counts() {
        let desk = Desk::new(BYTES);
        assert!(open(&desk, "Dusk", BYTES / 2 + 1).is_none(), "more than one mud may have");
        drop(open(&desk, "Dusk", BYTES / 2).unwrap());
        assert!(open(&desk, "Dusk", 1).is_none(), "it has come and gone");
        let (id, _ticket) = open(&desk, "Noon", BYTES / 2).unwrap();
        assert!(open(&desk, "Dawn", 1).is_none());
        desk.answer(id, Answer::Mail(vec![])).unwrap();
        assert!(open(&desk, "Dawn", BYTES / 2).is_some());
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
