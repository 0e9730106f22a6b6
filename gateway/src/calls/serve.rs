//! Their turn: what other muds ask for is put before our clients.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use intermud3::oob::{FileGetReply, FileListReply, FilePutAck, Mail, MailAck, OobBegin, Outcome};
use intermud3::packet::ErrorPacket;
use intermud3::{OobPacket, Value};
use uuid::Uuid;

use super::Driver;
use super::line::{FRAME, Line};
use crate::hub::{
    Event, FileGetRequested, FileListRequested, FilePutRequested, MailReceived, NewsGroupsRequested,
    NewsPostRequested, NewsReadRequested,
};
use crate::mud::Service;
use crate::oob::conversation::{End, Step};
use crate::oob::desk::{ANSWER_TIMEOUT, Answer, Article, Group, Task};
use crate::oob::path;

/// What goes back: a reply, or the code and words of an error.
pub(super) type Reply = Result<OobPacket, (&'static str, String)>;

/// The codes of these errors.
pub(super) const CODES: [&str; 4] =
    [ErrorPacket::NOT_IMP, ErrorPacket::NOT_ALLOWED, ErrorPacket::BAD_PKT, ErrorPacket::BAD_DIRECTORY];

/// Lets a caller in, if it may, and answers requests until the conversation ends; returns how.
pub(super) async fn their_turn(driver: &Driver, line: &mut Line, from: IpAddr) -> End {
    loop {
        let done = match line.step().await {
            Ok(Step::Caller(begin)) => let_in(driver, line, begin, from).await,
            Ok(Step::Request(request)) => one(driver, line, request).await,
            Ok(_) => return End::Protocol,
            Err(end) => return end,
        };
        if let Err(end) = done {
            return end;
        }
    }
}

async fn let_in(driver: &Driver, line: &mut Line, begin: OobBegin, from: IpAddr) -> Result<(), End> {
    let admitted = driver.admits(&begin, from).await;
    match line.conversation.admit(Instant::now(), begin, admitted) {
        Step::Send(welcome) => line.send(&welcome).await,
        Step::Close(end) => Err(end),
        _ => Err(End::Protocol),
    }
}

/// Answers one request. The line is read meanwhile, so that a mud that leaves is noticed.
async fn one(driver: &Driver, line: &mut Line, request: OobPacket) -> Result<(), End> {
    let from = line.conversation.peer().unwrap_or_default().to_owned();
    let reply = {
        let answering = driver.answer(&from, &request);
        tokio::pin!(answering);
        tokio::select! {
            reply = &mut answering => reply,
            ended = line.step() => return Err(ended.err().unwrap_or(End::Protocol)),
        }
    };
    let too_long = || Err((ErrorPacket::NOT_ALLOWED, "the answer is too long for one packet".to_owned()));
    let reply = reply.and_then(|packet| if fits(&packet) { Ok(packet) } else { too_long() });
    let reply = reply.unwrap_or_else(|(code, words)| line.conversation.error(code, &words, Some(&request)));
    match line.conversation.reply(Instant::now(), reply) {
        Some(reply) => line.send(&reply).await,
        None => Err(End::Protocol),
    }
}

/// Whether a packet, with its NUL, is as long as a frame may be at most.
pub(super) fn fits(packet: &OobPacket) -> bool {
    packet.encode().is_ok_and(|text| text.len() < FRAME)
}

/// The answer of the process that holds the session.
pub(super) async fn answer(driver: &Driver, from: &str, request: &OobPacket) -> Reply {
    let service = match request {
        OobPacket::Mail(_) => Service::Mail,
        OobPacket::FileListReq(_) | OobPacket::FileGetReq(_) | OobPacket::FilePut(_) => Service::File,
        _ => Service::News,
    };
    if !driver.oob().offer().has(service) {
        return Err((ErrorPacket::NOT_IMP, format!("{} is not offered here", service.as_str())));
    }
    if driver.services.policy().ignores_user(user(request), from) {
        return Err((ErrorPacket::NOT_ALLOWED, "this user is not listened to here".to_owned()));
    }
    match request {
        OobPacket::Mail(letter) => mail(driver, from, letter).await,
        OobPacket::FileListReq(_) | OobPacket::FileGetReq(_) | OobPacket::FilePut(_) => {
            file(driver, from, request).await
        }
        request => news(driver, from, request).await,
    }
}

/// Who asks, as far as the request says.
fn user(request: &OobPacket) -> &str {
    match request {
        OobPacket::Mail(letter) => &letter.orig_user,
        OobPacket::FileListReq(request) => &request.user,
        OobPacket::FileGetReq(request) => &request.user,
        OobPacket::FilePut(request) => &request.user,
        OobPacket::NewsReadReq(request) => request.header.origin_user.as_deref().unwrap_or_default(),
        OobPacket::NewsPostReq(post) => &post.poster,
        _ => "",
    }
}

/// Puts a mud's request before the clients; none when nobody may answer it, nobody does, or too much waits.
async fn ask(driver: &Driver, from: &str, task: Task, event: impl FnOnce(String) -> Event) -> Option<Answer> {
    let id = Uuid::new_v4();
    let event = event(id.to_string());
    let ticket = driver.oob().desk.open(from, task, id, event.bulk())?;
    if !driver.services.hub.publish(event) {
        ticket.withdraw();
        return None;
    }
    ticket.answer(ANSWER_TIMEOUT).await
}

/// A letter: whoever it cannot be delivered to is named. Nobody is said to have it unless a client says so.
async fn mail(driver: &Driver, from: &str, letter: &Mail) -> Reply {
    let to_users = recipients(driver.services.mud(), letter);
    let ack = |failed: Vec<String>| Ok(OobPacket::MailAck(MailAck { failed: vec![(letter.id, failed)] }));
    if to_users.is_empty() {
        return Err((ErrorPacket::BAD_PKT, "the letter is for nobody here".to_owned()));
    }
    let received = |request_id| {
        Event::MailReceived(MailReceived {
            request_id,
            from_mud: from.to_owned(),
            from_user: letter.orig_user.clone(),
            to_users: to_users.clone(),
            to: by_mud(&letter.to),
            cc: by_mud(&letter.cc),
            subject: letter.subject.clone(),
            message: letter.contents.clone(),
            send_time: letter.send_time,
        })
    };
    match ask(driver, from, Task::Mail, received).await {
        Some(Answer::Mail(failed)) => {
            let named = |user: &String| failed.iter().any(|name| name.eq_ignore_ascii_case(user));
            ack(to_users.iter().filter(|user| named(user)).cloned().collect())
        }
        _ => ack(to_users),
    }
}

/// Our users a letter is for, each once, in the order of the letter.
fn recipients(mud: &str, letter: &Mail) -> Vec<String> {
    let ours = |list: &[(String, Vec<String>)]| -> Vec<String> {
        let ours = list.iter().filter(|(name, _)| name.eq_ignore_ascii_case(mud));
        ours.flat_map(|(_, users)| users.clone()).collect()
    };
    let mut users: Vec<String> = Vec::new();
    for user in ours(&letter.to).into_iter().chain(ours(&letter.cc)).chain(letter.bcc.clone()) {
        if !users.iter().any(|known| known.eq_ignore_ascii_case(&user)) {
            users.push(user);
        }
    }
    users
}

fn by_mud(list: &[(String, Vec<String>)]) -> BTreeMap<String, Vec<String>> {
    let mut muds = BTreeMap::<_, Vec<String>>::new();
    for (mud, users) in list {
        muds.entry(mud.clone()).or_default().extend(users.iter().cloned());
    }
    muds
}

async fn file(driver: &Driver, from: &str, request: &OobPacket) -> Reply {
    match request {
        OobPacket::FileListReq(request) => {
            let Some(directory) = path::normalise(&request.dir) else {
                return Err(no_folder(Outcome::BAD_PATH));
            };
            let (from_mud, from_user) = (from.to_owned(), request.user.clone());
            let event = |request_id| {
                Event::FileListRequested(FileListRequested { request_id, from_mud, from_user, directory })
            };
            match ask(driver, from, Task::FileList, event).await {
                Some(Answer::File(Outcome::OK, files, _)) => {
                    Ok(OobPacket::FileListReply(FileListReply { user: request.user.clone(), files }))
                }
                Some(Answer::File(outcome, ..)) => Err(no_folder(outcome)),
                _ => Err(no_folder(Outcome::UNKNOWN)),
            }
        }
        OobPacket::FileGetReq(request) => {
            let (from_mud, from_user) = (from.to_owned(), request.user.clone());
            let event = |request_id, path| {
                Event::FileGetRequested(FileGetRequested { request_id, from_mud, from_user, path })
            };
            let (outcome, contents) = of_file(driver, from, Task::FileGet, &request.name, event).await;
            Ok(OobPacket::FileGetReply(FileGetReply { id: request.id, outcome, contents }))
        }
        OobPacket::FilePut(request) => {
            let (from_mud, from_user) = (from.to_owned(), request.user.clone());
            let contents = request.contents.clone();
            let event = |request_id, path| {
                Event::FilePutRequested(FilePutRequested { request_id, from_mud, from_user, path, contents })
            };
            let (outcome, _) = of_file(driver, from, Task::FilePut, &request.name, event).await;
            Ok(OobPacket::FilePutAck(FilePutAck { id: request.id, outcome }))
        }
        _ => Err((ErrorPacket::NOT_IMP, "this is not served here".to_owned())),
    }
}

/// What becomes of a file, and what is in it. A path that is none, or the folder itself, is not asked about.
async fn of_file(
    driver: &Driver,
    from: &str,
    task: Task,
    name: &str,
    event: impl FnOnce(String, String) -> Event,
) -> (Outcome, String) {
    let Some(path) = path::normalise(name).filter(|path| !path.is_empty()) else {
        return (Outcome::BAD_PATH, String::new());
    };
    match ask(driver, from, task, |request_id| event(request_id, path)).await {
        Some(Answer::File(Outcome::OK, _, contents)) => (Outcome::OK, contents.unwrap_or_default()),
        Some(Answer::File(outcome, ..)) => (outcome, String::new()),
        _ => (Outcome::UNKNOWN, String::new()),
    }
}

/// A list has no place for an outcome, so a folder that cannot be listed is an error.
fn no_folder(outcome: Outcome) -> (&'static str, String) {
    (ErrorPacket::BAD_DIRECTORY, format!("the directory cannot be listed: {outcome}"))
}

async fn news(driver: &Driver, from: &str, request: &OobPacket) -> Reply {
    let from_mud = from.to_owned();
    let answer = match request {
        OobPacket::NewsReadReq(request) => {
            let from_user = request.header.origin_user.clone().unwrap_or_default();
            let (group, id) = (request.group.clone(), request.id);
            let event = |request_id| {
                Event::NewsReadRequested(NewsReadRequested { request_id, from_mud, from_user, group, id })
            };
            ask(driver, from, Task::NewsRead, event).await
        }
        OobPacket::NewsPostReq(post) => {
            let post = (**post).clone();
            let event = |request_id| {
                Event::NewsPostRequested(NewsPostRequested {
                    request_id,
                    from_mud,
                    group: post.group,
                    thread: post.thread,
                    subject: post.subject,
                    poster: post.poster,
                    contents: post.contents,
                })
            };
            ask(driver, from, Task::NewsPost, event).await
        }
        _ => {
            let event = |request_id| Event::NewsGroupsRequested(NewsGroupsRequested { request_id, from_mud });
            ask(driver, from, Task::NewsGroups, event).await
        }
    };
    match answer {
        Some(Answer::Groups(groups)) => {
            Ok(OobPacket::Bare(Value::Array(groups.into_iter().map(group).collect())))
        }
        Some(Answer::Article(article)) => Ok(OobPacket::Bare(self::article(article))),
        Some(Answer::Published(id)) => Ok(OobPacket::Bare(Value::Int(id))),
        Some(Answer::NoNews(why)) => Err((ErrorPacket::NOT_ALLOWED, why)),
        _ => Err((ErrorPacket::NOT_IMP, "nobody serves news here now".to_owned())),
    }
}

fn group(group: Group) -> Value {
    Value::Array(vec![group.group.into(), group.first_id.into(), group.last_id.into()])
}

fn article(article: Article) -> Value {
    let Article { posting_time, thread, subject, poster, contents } = article;
    Value::Array(vec![posting_time.into(), thread.into(), subject.into(), poster.into(), contents.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(to: &str, cc: &str, bcc: &str) -> Mail {
        let text = format!(r#"({{"mail",7,"bob",([{to}]),([{cc}]),({{{bcc}}}),1,"Hello","Hi",}})"#);
        match OobPacket::decode(text.as_bytes()).unwrap() {
            OobPacket::Mail(letter) => *letter,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_letter_is_for_our_users_in_any_of_its_lists_once() {
        let letter = letter(
            r#""Dawn":({"ann","Cid",}),"Other":({"zoe",}),"#,
            r#""DAWN":({"cid","dan",}),"#,
            r#""eve","ANN","#,
        );
        assert_eq!(recipients("Dawn", &letter), ["ann", "Cid", "dan", "eve"]);
        assert_eq!(recipients("Nobody", &letter), ["eve", "ANN"]);
    }

    #[test]
    fn what_is_longer_than_a_frame_does_not_fit() {
        let reply = |len: usize| {
            OobPacket::FileGetReply(FileGetReply { id: 1, outcome: Outcome::OK, contents: "x".repeat(len) })
        };
        let around = r#"({"file-get-reply",1,1,"",})"#.len() + 1;
        assert!(fits(&reply(FRAME - around)) && !fits(&reply(FRAME - around + 1)));
    }
}
