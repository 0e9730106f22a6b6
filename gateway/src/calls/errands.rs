//! What our clients ask of other muds. The result of each errand goes to the clients as an event.

use std::collections::BTreeMap;

use intermud3::oob::{FileGetReq, FileListReq, FilePut, Mail, NewsPostReq, NewsReadReq};
use intermud3::text::clean;
use intermud3::{Header, OobPacket, Value};
use jiff::Timestamp;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::outbound::{Call, Failure};
use super::{Driver, Unavailable};
use crate::hub::{Event, FileOutcome, FileResult, ListedFile, MailResult, NewsResult};
use crate::mud::Service;
use crate::oob::desk::{Article, Group};

/// Muds and users on each.
pub type Recipients = BTreeMap<String, Vec<String>>;

/// A letter to send.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Who writes it.
    pub from_user: String,
    /// To whom.
    pub to: Recipients,
    /// Who gets a copy.
    pub cc: Recipients,
    /// Who gets a copy that the others are not told of.
    pub bcc: Recipients,
    /// What it is about.
    pub subject: String,
    /// The letter.
    pub message: String,
}

/// Something to do with a file.
#[derive(Clone, Debug)]
pub enum FileErrand {
    /// List a folder.
    List(String),
    /// Get a file.
    Get(String),
    /// Put a file with these contents there.
    Put(String, String),
}

/// Something to do with news.
#[derive(Clone, Debug)]
pub enum NewsErrand {
    /// List the newsgroups.
    Groups,
    /// Read an article of a group.
    Read(String, i64),
    /// Publish an article.
    Post {
        /// The newsgroup.
        group: String,
        /// What it belongs to.
        thread: String,
        /// What it is about.
        subject: String,
        /// Who wrote it.
        poster: String,
        /// The article.
        contents: String,
    },
}

/// Errands on their way: their name, and their results.
pub struct Underway<T> {
    /// Stands in the events, too.
    pub id: String,
    /// One for each mud.
    pub results: Vec<JoinHandle<T>>,
}

impl Driver {
    /// Sends a letter to every mud it has a recipient on.
    ///
    /// # Errors
    /// [`Unavailable`] when one of the muds cannot be called; it is sent to none then.
    pub fn send_mail(&self, letter: &Letter) -> Result<Underway<MailResult>, Unavailable> {
        let id = Uuid::new_v4().to_string();
        let mut muds: Vec<&String> =
            [&letter.to, &letter.cc, &letter.bcc].into_iter().flatten().map(|(mud, _)| mud).collect();
        muds.sort();
        muds.dedup();
        let calls: Result<Vec<Call>, Unavailable> =
            muds.into_iter().map(|mud| self.reserve(mud, Service::Mail)).collect();
        let number = self.oob().next_number();
        let results = calls?.into_iter().map(|call| {
            let users = letter.users_on(&call.mud);
            let packet = OobPacket::Mail(Box::new(letter.packet(number, &call.mud)));
            let (driver, mail_id) = (self.clone(), id.clone());
            self.oob().tasks.spawn(async move {
                let mud = call.mud.clone();
                let result = mail_result(mail_id, mud, users, call.exchange(packet).await);
                driver.services.hub.publish(Event::MailResult(result.clone()));
                result
            })
        });
        let results = results.collect();
        Ok(Underway { id, results })
    }

    /// Does something with a file of another mud.
    ///
    /// # Errors
    /// [`Unavailable`] when the mud cannot be called.
    pub fn file(
        &self,
        mud: &str,
        user: &str,
        errand: FileErrand,
    ) -> Result<Underway<FileResult>, Unavailable> {
        let call = self.reserve(mud, Service::File)?;
        let (id, number) = (Uuid::new_v4().to_string(), self.oob().next_number());
        let (ours, user) = (self.services.mud().to_owned(), user.to_owned());
        let (operation, path, packet) = match errand {
            FileErrand::List(dir) => {
                let request = FileListReq { mud: ours, user, dir: dir.clone() };
                ("list", dir, OobPacket::FileListReq(request))
            }
            FileErrand::Get(name) => {
                let request = FileGetReq { id: number, mud: ours, user, name: name.clone() };
                ("get", name, OobPacket::FileGetReq(request))
            }
            FileErrand::Put(name, contents) => {
                let request = FilePut { id: number, mud: ours, user, name: name.clone(), contents };
                ("put", name, OobPacket::FilePut(request))
            }
        };
        let blank = FileResult::new(id.clone(), call.mud.clone(), operation, path);
        let driver = self.clone();
        let result = self.oob().tasks.spawn(async move {
            let result = file_result(blank, call.exchange(packet).await);
            driver.services.hub.publish(Event::FileResult(result.clone()));
            result
        });
        Ok(Underway { id, results: vec![result] })
    }

    /// Does something with the news of another mud.
    ///
    /// # Errors
    /// [`Unavailable`] when the mud cannot be called.
    pub fn news(
        &self,
        mud: &str,
        user: &str,
        errand: NewsErrand,
    ) -> Result<Underway<NewsResult>, Unavailable> {
        let call = self.reserve(mud, Service::News)?;
        let id = Uuid::new_v4().to_string();
        let ours = self.services.mud().to_owned();
        let (operation, packet) = match errand {
            NewsErrand::Groups => ("groups", OobPacket::NewsGrplistReq),
            NewsErrand::Read(group, id) => {
                let header = Header::to_all(ours, Some(user));
                ("read", OobPacket::NewsReadReq(Box::new(NewsReadReq { header, group, id })))
            }
            NewsErrand::Post { group, thread, subject, poster, contents } => {
                let player_port = i64::from(self.oob().rules.player_port);
                let (subject, contents) = (clean(&subject).into_owned(), clean(&contents).into_owned());
                let post = NewsPostReq { mud: ours, player_port, group, thread, subject, poster, contents };
                ("post", OobPacket::NewsPostReq(Box::new(post)))
            }
        };
        let blank = NewsResult::new(id.clone(), call.mud.clone(), operation);
        let driver = self.clone();
        let result = self.oob().tasks.spawn(async move {
            let result = news_result(blank, call.exchange(packet).await);
            driver.services.hub.publish(Event::NewsResult(result.clone()));
            result
        });
        Ok(Underway { id, results: vec![result] })
    }
}

impl Letter {
    /// The users on a mud that get it, each once.
    fn users_on(&self, mud: &str) -> Vec<String> {
        let mut users: Vec<String> = Vec::new();
        for user in [&self.to, &self.cc, &self.bcc].into_iter().filter_map(|list| list.get(mud)).flatten() {
            if !users.iter().any(|known| known.eq_ignore_ascii_case(user)) {
                users.push(user.clone());
            }
        }
        users
    }

    /// The letter as one mud gets it: of the blind copies it is told its own alone.
    fn packet(&self, id: i64, mud: &str) -> Mail {
        let list = |recipients: &Recipients| recipients.clone().into_iter().collect();
        Mail {
            id,
            orig_user: self.from_user.clone(),
            to: list(&self.to),
            cc: list(&self.cc),
            bcc: self.bcc.get(mud).cloned().unwrap_or_default(),
            send_time: Timestamp::now().as_second(),
            subject: clean(&self.subject).into_owned(),
            contents: clean(&self.message).into_owned(),
        }
    }
}

/// Who got a letter and who did not: whoever the acknowledgement does not name got it.
fn mail_result(
    mail_id: String,
    mud: String,
    users: Vec<String>,
    reply: Result<OobPacket, Failure>,
) -> MailResult {
    let unreadable = Failure::Unreadable(mud.clone());
    let failed: Vec<String> = match reply {
        Ok(OobPacket::MailAck(ack)) => ack.failed.into_iter().flat_map(|(_, failed)| failed).collect(),
        Ok(_) => return MailResult::failed(mail_id, mud, users, unreadable.to_string()),
        Err(failure) => return MailResult::failed(mail_id, mud, users, failure.to_string()),
    };
    // A mud may add words, or its own name, to a user's.
    let is_failed = |user: &String| {
        let user = user.to_lowercase();
        failed
            .iter()
            .any(|name| name.split('@').next().is_some_and(|name| name.trim().to_lowercase() == user))
    };
    let (failed, delivered): (Vec<_>, Vec<_>) = users.into_iter().partition(is_failed);
    MailResult { mail_id, mud, delivered, failed, error: None }
}

fn file_result(blank: FileResult, reply: Result<OobPacket, Failure>) -> FileResult {
    match reply {
        Ok(OobPacket::FileListReply(list)) => FileResult {
            outcome: FileOutcome::Ok,
            files: Some(list.files.into_iter().map(ListedFile::from).collect()),
            ..blank
        },
        Ok(OobPacket::FileGetReply(reply)) => {
            let outcome = FileOutcome::from(reply.outcome);
            let contents = (outcome == FileOutcome::Ok).then_some(reply.contents);
            FileResult { outcome, contents, ..blank }
        }
        Ok(OobPacket::FilePutAck(ack)) => FileResult { outcome: ack.outcome.into(), ..blank },
        Ok(_) => FileResult { error: Some(Failure::Unreadable(blank.mud.clone()).to_string()), ..blank },
        Err(failure) => FileResult { error: Some(failure.to_string()), ..blank },
    }
}

fn news_result(blank: NewsResult, reply: Result<OobPacket, Failure>) -> NewsResult {
    let value = match reply {
        Ok(OobPacket::Bare(value)) => value,
        Ok(_) => Value::ZERO,
        Err(failure) => return NewsResult { error: Some(failure.to_string()), ..blank },
    };
    let read = match blank.operation.as_ref() {
        "groups" => groups(&value).map(|groups| NewsResult { groups: Some(groups), ..blank.clone() }),
        "read" => article(&value).map(|article| NewsResult { article: Some(article), ..blank.clone() }),
        _ => value.as_int().filter(|id| *id > 0).map(|id| NewsResult { id: Some(id), ..blank.clone() }),
    };
    let unreadable =
        || NewsResult { error: Some(Failure::Unreadable(blank.mud.clone()).to_string()), ..blank.clone() };
    read.unwrap_or_else(unreadable)
}

/// `({({group,first_id,last_id}),})`
fn groups(value: &Value) -> Option<Vec<Group>> {
    let group = |value: &Value| match value.as_array()? {
        [group, first_id, last_id, ..] => Some(Group {
            group: group.as_str()?.to_owned(),
            first_id: first_id.as_int()?,
            last_id: last_id.as_int()?,
        }),
        _ => None,
    };
    value.as_array()?.iter().map(group).collect()
}

/// `({posting_time,thread_id,subject,poster,contents})`
fn article(value: &Value) -> Option<Article> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match value.as_array()? {
        [posting_time, thread, subject, poster, contents, ..] => Some(Article {
            posting_time: posting_time.as_int()?,
            thread: text(thread),
            subject: text(subject),
            poster: text(poster),
            contents: contents.as_str()?.to_owned(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipients(list: &[(&str, &[&str])]) -> Recipients {
        let users = |users: &[&str]| users.iter().map(|user| (*user).to_owned()).collect();
        list.iter().map(|(mud, names)| ((*mud).to_owned(), users(names))).collect()
    }

    fn packet(text: &str) -> OobPacket {
        OobPacket::decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_mud_is_told_of_its_own_blind_copies_alone() {
        let letter = Letter {
            from_user: "ann".into(),
            to: recipients(&[("Dusk", &["bob"]), ("Noon", &["cid"])]),
            cc: recipients(&[("Dusk", &["Bob", "dan"])]),
            bcc: recipients(&[("Dusk", &["eve"]), ("Noon", &["fay"])]),
            subject: "Hello\u{7}".into(),
            message: "Hi\r\nthere".into(),
        };
        let mail = letter.packet(7, "Dusk");
        assert_eq!((mail.bcc, mail.to.len(), mail.cc.len()), (vec!["eve".to_owned()], 2, 1));
        assert_eq!((mail.subject.as_str(), mail.contents.as_str()), ("Hello", "Hi\nthere"));
        assert_eq!(letter.users_on("Dusk"), ["bob", "dan", "eve"]);
        assert_eq!(letter.users_on("Noon"), ["cid", "fay"]);
    }

    #[test]
    fn who_is_not_named_as_failed_has_the_letter() {
        let users = || vec!["bob".to_owned(), "Cid".to_owned()];
        let result = |reply| mail_result("m".into(), "Dusk".into(), users(), reply);
        let acknowledged =
            |failed: &str| result(Ok(packet(&format!(r#"({{"mail-ack",([7:({{{failed}}}),]),}})"#))));
        assert_eq!(acknowledged("").delivered, users());
        assert_eq!(acknowledged(r#""cid@Dusk","#).failed, ["Cid"]);
        assert_eq!(acknowledged(r#""BOB","Cid","#).failed, users());
        let failed = result(Err(Failure::NoKey("Dusk".into())));
        assert_eq!((failed.delivered.len(), failed.failed), (0, users()));
        assert_eq!(failed.error.unwrap(), "Dusk did not answer auth-mud-req");
    }

    #[test]
    fn replies_about_news_are_read_as_far_as_they_make_sense() {
        let result = |operation, reply: &str| {
            news_result(NewsResult::new("r".into(), "Dusk".into(), operation), Ok(packet(reply)))
        };
        let groups = result("groups", r#"({({"code",1,12,}),})"#).groups.unwrap();
        assert_eq!(groups, [Group { group: "code".into(), first_id: 1, last_id: 12 }]);
        let article = result("read", r#"({1795418241,0,"s","bob","x",})"#).article.unwrap();
        assert_eq!(
            (article.posting_time, article.thread.as_str(), article.poster.as_str()),
            (1_795_418_241, "", "bob")
        );
        assert_eq!(result("post", "13").id, Some(13));
        for (operation, reply) in
            [("groups", "13"), ("groups", "({7,})"), ("read", "0"), ("post", "({})"), ("post", "0")]
        {
            let error = result(operation, reply).error;
            assert_eq!(
                error.as_deref(),
                Some("Dusk sent a reply that cannot be read"),
                "{operation} {reply}"
            );
        }
    }
}
