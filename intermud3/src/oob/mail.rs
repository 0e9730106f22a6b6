//! Mail and news.

use crate::layout::{Field, Fields, Layout, Refused, layout};
use crate::lpc::Sink;
use crate::packet::Header;

layout! {
    /// `mail`: a letter to users of the mud it is sent to. 9 elements; `mail-ack` answers.
    ///
    /// `({"mail",7,"bob",(["MudB":({"ann",}),]),([]),({}),1795418241,"Hello","How are you?",})`
    #[derive(Eq)]
    pub struct Mail {
        /// The sender's number for it, for the `mail-ack`.
        id: i64,
        /// Who wrote it.
        orig_user: String,
        /// Muds and the users on each it is for.
        to: Vec<(String, Vec<String>)>,
        /// Those who get a copy.
        cc: Vec<(String, Vec<String>)>,
        /// Users of the mud it is sent to who get a blind copy.
        bcc: Vec<String>,
        /// When it was written, in seconds since 1970.
        send_time: i64,
        /// What it is about; 0 reads as empty.
        subject: String = text,
        /// The letter.
        contents: String,
    }
}

layout! {
    /// `mail-ack`: which letters arrived. 2 elements; answers `mail`.
    ///
    /// `({"mail-ack",([7:({"ann",}),]),})`
    #[derive(Eq)]
    pub struct MailAck {
        /// The number of each letter, and the users it could not be delivered to.
        failed: Vec<(i64, Vec<String>)>,
    }
}

layout! {
    /// `news-post-req`: publish an article. 8 elements; the reply is its number, an int, or an `error`.
    ///
    /// `({"news-post-req","MudA",4000,"lima.code","<thread>","Hello","bob","How are you?",})`
    ///
    /// The specification of news is unfinished, and no program is known that has it.
    #[derive(Eq)]
    pub struct NewsPostReq {
        /// The sender's name.
        mud: String,
        /// Where its players log in.
        player_port: i64,
        /// The newsgroup.
        group: String,
        /// What it belongs to; 0 reads as empty.
        thread: String = text,
        /// What it is about; 0 reads as empty.
        subject: String = text,
        /// Who wrote it.
        poster: String,
        /// The article.
        contents: String,
    }
}

/// `news-read-req`: an article, please. 8 elements: the specification gives it the header of packets on a
/// router's connection. The reply is `({posting_time,thread_id,subject,poster,contents,})`.
///
/// `({"news-read-req",5,"MudA","bob",0,0,"lima.code",12,})`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewsReadReq {
    /// From whom; to nobody.
    pub header: Header,
    /// The newsgroup.
    pub group: String,
    /// The article's number.
    pub id: i64,
}

impl Layout for NewsReadReq {
    const FIELDS: std::ops::RangeInclusive<usize> = 7..=7;

    fn read(fields: &mut Fields<'_>) -> Result<Self, Refused> {
        Ok(Self { header: Header::read(fields)?, group: fields.next("group")?, id: fields.next("id")? })
    }

    fn write(&self, sink: &mut impl Sink) {
        self.header.write(sink);
        self.group.write(sink);
        self.id.write(sink);
    }
}
