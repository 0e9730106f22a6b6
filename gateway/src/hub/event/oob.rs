//! The parameters of events about mail, files and news: what other muds ask for, and what became of what we asked for.

use std::collections::BTreeMap;

use intermud3::oob::{FileEntry, Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Params, Word};
use crate::oob::desk::{Article, Group};

/// The parameters of another mud's request: from its field `from_mud` and, if there is one, the field for the user. It
/// waits for half a minute only.
macro_rules! from {
    ($params:ty $(, $user:ident)?) => {
        impl Params for $params {
            fn origin(&self) -> (Option<&str>, Option<&str>) {
                (Some(&self.from_mud), from!(@user self $($user)?))
            }

            fn is_passing(&self) -> bool {
                true
            }

            fn bulk(&self) -> usize {
                // As a client gets it, in which some characters take six bytes.
                serde_json::to_string(self).map_or(0, |json| json.len())
            }
        }
    };
    (@user $self:ident) => { None };
    (@user $self:ident $user:ident) => { Some(&$self.$user) };
}

/// A letter for users of our mud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MailReceived {
    /// To be answered by `mail_ack` within 30 s.
    pub request_id: String,
    /// The mud it comes from.
    pub from_mud: String,
    /// Who wrote it.
    pub from_user: String,
    /// Our users who are to get it, those of blind copies too.
    pub to_users: Vec<String>,
    /// To whom it is addressed, by mud.
    pub to: BTreeMap<String, Vec<String>>,
    /// Who gets a copy, by mud.
    pub cc: BTreeMap<String, Vec<String>>,
    /// What it is about.
    pub subject: String,
    /// The letter.
    pub message: String,
    /// When it was written, in seconds since 1970.
    pub send_time: i64,
}
from!(MailReceived, from_user);

/// A mud wants to know what is in a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileListRequested {
    /// To be answered by `file_reply` within 30 s.
    pub request_id: String,
    /// The mud that asks.
    pub from_mud: String,
    /// The user who asks.
    pub from_user: String,
    /// The folder, from the one that is open to all, which is empty.
    pub directory: String,
}
from!(FileListRequested, from_user);

/// A mud wants a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileGetRequested {
    /// To be answered by `file_reply` within 30 s.
    pub request_id: String,
    /// The mud that asks.
    pub from_mud: String,
    /// The user who asks.
    pub from_user: String,
    /// The file, from the folder that is open to all.
    pub path: String,
}
from!(FileGetRequested, from_user);

/// A mud sends a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FilePutRequested {
    /// To be answered by `file_reply` within 30 s.
    pub request_id: String,
    /// The mud that sends it.
    pub from_mud: String,
    /// The user who sends it.
    pub from_user: String,
    /// Where it is to go, from the folder that is open to all.
    pub path: String,
    /// What is in it.
    pub contents: String,
}
from!(FilePutRequested, from_user);

/// A mud wants to know the newsgroups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewsGroupsRequested {
    /// To be answered by `news_reply` within 30 s.
    pub request_id: String,
    /// The mud that asks.
    pub from_mud: String,
}
from!(NewsGroupsRequested);

/// A mud wants an article.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewsReadRequested {
    /// To be answered by `news_reply` within 30 s.
    pub request_id: String,
    /// The mud that asks.
    pub from_mud: String,
    /// The user who asks.
    pub from_user: String,
    /// The newsgroup.
    pub group: String,
    /// The article's number.
    pub id: i64,
}
from!(NewsReadRequested, from_user);

/// A mud publishes an article.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewsPostRequested {
    /// To be answered by `news_reply` within 30 s.
    pub request_id: String,
    /// The mud that sends it.
    pub from_mud: String,
    /// The newsgroup.
    pub group: String,
    /// What it belongs to; empty when to nothing.
    pub thread: String,
    /// What it is about.
    pub subject: String,
    /// Who wrote it.
    pub poster: String,
    /// The article.
    pub contents: String,
}
from!(NewsPostRequested, poster);

/// What became of a letter at one mud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MailResult {
    /// As `mail_send` named it.
    pub mail_id: String,
    /// The mud.
    pub mud: String,
    /// The users who have it.
    pub delivered: Vec<String>,
    /// The users who do not.
    pub failed: Vec<String>,
    /// Why nobody has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl MailResult {
    /// Nobody has it.
    pub fn failed(mail_id: String, mud: String, failed: Vec<String>, error: String) -> Self {
        Self { mail_id, mud, delivered: Vec::new(), failed, error: Some(error) }
    }
}

impl Params for MailResult {
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.mud), None)
    }
}

/// What became of something about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileOutcome {
    /// Done.
    Ok,
    /// For a reason unknown not done.
    Unknown,
    /// The path is at fault.
    BadPath,
    /// The file cannot be read.
    CannotRead,
    /// The file cannot be written.
    CannotWrite,
}

impl From<Outcome> for FileOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::OK => Self::Ok,
            Outcome::BAD_PATH => Self::BadPath,
            Outcome::CANNOT_READ => Self::CannotRead,
            Outcome::CANNOT_WRITE => Self::CannotWrite,
            Outcome(_) => Self::Unknown,
        }
    }
}

impl From<FileOutcome> for Outcome {
    fn from(outcome: FileOutcome) -> Self {
        match outcome {
            FileOutcome::Ok => Self::OK,
            FileOutcome::Unknown => Self::UNKNOWN,
            FileOutcome::BadPath => Self::BAD_PATH,
            FileOutcome::CannotRead => Self::CANNOT_READ,
            FileOutcome::CannotWrite => Self::CANNOT_WRITE,
        }
    }
}

/// A file in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes; -2 for a folder.
    pub size: i64,
    /// When it was changed, in seconds since 1970.
    #[serde(default)]
    pub time: i64,
}

impl From<FileEntry> for ListedFile {
    fn from(FileEntry { name, size, time }: FileEntry) -> Self {
        Self { name, size, time }
    }
}

impl From<ListedFile> for FileEntry {
    fn from(ListedFile { name, size, time }: ListedFile) -> Self {
        Self { name, size, time }
    }
}

/// What became of `file_list`, `file_get` or `file_put`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileResult {
    /// As the method named it.
    pub request_id: String,
    /// The mud.
    pub mud: String,
    /// `list`, `get` or `put`.
    pub operation: Word,
    /// The folder or file.
    pub path: String,
    /// What became of it.
    pub outcome: FileOutcome,
    /// What is in the folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<ListedFile>>,
    /// What is in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<String>,
    /// Why there is no answer; the outcome is unknown then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl FileResult {
    /// Nothing is known yet.
    pub fn new(request_id: String, mud: String, operation: &'static str, path: String) -> Self {
        let outcome = FileOutcome::Unknown;
        let operation = operation.into();
        Self { request_id, mud, operation, path, outcome, files: None, contents: None, error: None }
    }
}

impl Params for FileResult {
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.mud), None)
    }

    fn bulk(&self) -> usize {
        let files = self.files.iter().flatten().map(|file| file.name.len());
        self.contents.as_ref().map_or(0, String::len) + files.sum::<usize>()
    }
}

/// What became of `news_groups`, `news_read` or `news_post`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewsResult {
    /// As the method named it.
    pub request_id: String,
    /// The mud.
    pub mud: String,
    /// `groups`, `read` or `post`.
    pub operation: Word,
    /// The newsgroups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Group>>,
    /// The article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub article: Option<Article>,
    /// The number of the published article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl NewsResult {
    /// Nothing is known yet.
    pub fn new(request_id: String, mud: String, operation: &'static str) -> Self {
        let operation = operation.into();
        Self { request_id, mud, operation, groups: None, article: None, id: None, error: None }
    }
}

impl Params for NewsResult {
    fn origin(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.mud), None)
    }

    fn bulk(&self) -> usize {
        let groups = self.groups.iter().flatten().map(|group| group.group.len());
        self.article.as_ref().map_or(0, |article| article.contents.len()) + groups.sum::<usize>()
    }
}
