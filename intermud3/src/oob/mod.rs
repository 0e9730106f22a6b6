//! Out-of-band (OOB) packets: mail, files and news, over a TCP connection from mud to mud.
//!
//! The framing and the LPC text are those of the connection to a router, but the packets have no header: an
//! array of a type name and the fields of that type. Requests and replies alternate:
//!
//! 1. The originator gets a session key by `auth-mud-req` and [`AuthMudReply`](crate::packet::AuthMudReply) on
//!    the router's connection (or sends `oob-req` where the other mud has no service `auth`), connects to the
//!    other mud's TCP port, and sends [`OobBegin`] with the key. The other checks it and answers with an
//!    `OobBegin` of its own; Dead Souls with an [`OobReply`].
//! 2. It sends one request, waits for the reply, and so on: `mail` for `mail-ack`, `file-put` for
//!    `file-put-ack`, ... The replies to news requests are bare values.
//! 3. It ends its turn with [`OobEnd`]. The other may now send requests, or ends with an `OobEnd` too; then the
//!    originator closes.
//!
//! Names of files are paths inside a folder open to all: `..` is collapsed, a leading `/` ignored.

mod file;
mod mail;
mod session;

use std::fmt::{Display, Formatter};

use bytes::Bytes;

use crate::layout::{Fields, Refused, kinds};
use crate::lpc::{self, Bracket, Builder, EncodeError, Limits, Sink, Writer};
use crate::packet::{Plain, Unknown, display_error, split};
use crate::{PacketError, Value};

pub use file::{
    FileEntry, FileGetReply, FileGetReq, FileListReply, FileListReq, FilePut, FilePutAck, OobFile,
    OobFileError, OobFileReq, Outcome,
};
pub use mail::{Mail, MailAck, NewsPostReq, NewsReadReq};
pub use session::{OobBegin, OobEnd, OobError, OobReply};

/// How many elements there are before the fields: the type's name.
const HEADER: usize = 1;

kinds! {
    /// A packet on an out-of-band connection.
    pub enum OobPacket {
        typed {
            Begin(OobBegin) = "oob-begin",
            End(OobEnd) = "oob-end",
            Error(Box<OobError>) = "error",
            /// The same as `error`; Lima reads it.
            OobError(Box<OobError>) = "oob-error",
            Mail(Box<Mail>) = "mail",
            MailAck(MailAck) = "mail-ack",
            FileListReq(FileListReq) = "file-list-req",
            FileListReply(FileListReply) = "file-list-reply",
            FilePut(FilePut) = "file-put",
            FilePutAck(FilePutAck) = "file-put-ack",
            FileGetReq(FileGetReq) = "file-get-req",
            FileGetReply(FileGetReply) = "file-get-reply",
            NewsReadReq(Box<NewsReadReq>) = "news-read-req",
            NewsPostReq(Box<NewsPostReq>) = "news-post-req",
            Reply(OobReply) = "oob-reply",
            File(OobFile) = "oob-file",
            FileReq(OobFileReq) = "oob-file-req",
            FileError(OobFileError) = "oob-file-error",
            /// Dead Souls; tells that all parts of a file were sent.
            FileEnd(OobReply) = "oob-file-end",
        }
        bare {
            /// Which newsgroups are there? 1 element; the reply is `({({group,first_id,last_id}),})`.
            ///
            /// `({"news-grplist-req",})`
            NewsGrplistReq = "news-grplist-req",
        }
        other {
            /// Any other type.
            Unknown(Unknown),
            /// Not an array that begins with a type: a reply to a news request.
            Bare(Value),
        }
    }
}

impl OobPacket {
    /// Reads the text of one frame, within the default [`Limits`].
    pub fn decode(text: &[u8]) -> Result<Self, PacketError> {
        Self::decode_with(text, &Limits::DEFAULT)
    }

    /// Reads the text of one frame, within limits of one's own.
    pub fn decode_with(text: &[u8], limits: &Limits) -> Result<Self, PacketError> {
        Self::from_value(lpc::decode_with(text, limits)?)
    }

    /// Reads a packet from its value.
    pub fn from_value(value: Value) -> Result<Self, PacketError> {
        let begins_with_a_type =
            matches!(&value, Value::Array(items) if matches!(items.first(), Some(Value::String(_))));
        if !begins_with_a_type {
            return Ok(Self::Bare(value));
        }
        let (kind, rest) = split(value).ok_or(PacketError::NoHeader)?;
        Self::read(kind, rest).map_err(|refused| *refused)
    }

    fn read(kind: String, rest: std::vec::IntoIter<Value>) -> Result<Self, Refused> {
        let mut fields = Fields::new(&kind, HEADER, rest);
        match Self::read_known(&kind, &mut fields)? {
            Some(packet) => Ok(packet),
            None => {
                let fields = fields.rest();
                Ok(Self::Unknown(Unknown { kind, fields }))
            }
        }
    }

    /// Writes the packet as the text of a frame, within the default [`Limits`].
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        self.encode_with(&Limits::DEFAULT)
    }

    /// Writes the packet within limits of one's own.
    pub fn encode_with(&self, limits: &Limits) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::new(limits);
        self.write(&mut writer);
        writer.finish()
    }

    /// The packet as a value.
    pub fn to_value(&self) -> Value {
        let mut builder = Builder::new();
        self.write(&mut builder);
        builder.finish()
    }

    /// The packet's type, as on the wire; empty for a bare value.
    pub fn kind(&self) -> &str {
        match self {
            Self::Unknown(unknown) => &unknown.kind,
            Self::Bare(_) => "",
            known => known.label(),
        }
    }

    fn write(&self, sink: &mut impl Sink) {
        let fields = match self {
            Self::Bare(value) => return sink.value(value),
            Self::Unknown(unknown) => unknown.fields.as_slice(),
            _ => &[],
        };
        sink.open(Bracket::Array, HEADER + fields.len());
        sink.string(self.kind());
        fields.iter().for_each(|field| sink.value(field));
        self.write_known(sink);
        sink.close(Bracket::Array);
    }
}

impl Display for OobPacket {
    /// `mail: 7 from bob to 1 muds, "Hello", 120 bytes`: on one line, for logs, without secrets and contents.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bare(value) => return write!(f, "a bare {}", value.type_name()),
            packet => write!(f, "{}: ", Plain(packet.kind()))?,
        }
        match self {
            Self::Begin(begin) => write!(f, "{}, type {}, token ***", Plain(&begin.mud), begin.auth_type),
            Self::End(end) => write!(f, "{}", Plain(&end.mud)),
            Self::Error(error) | Self::OobError(error) => display_error(f, &error.error),
            Self::Mail(mail) => {
                write!(f, "{} from {} to {} muds, ", mail.id, Plain(&mail.orig_user), mail.to.len())?;
                write!(f, "\"{}\", {} bytes", Plain(&mail.subject), mail.contents.len())
            }
            Self::MailAck(ack) => write!(f, "{} mails", ack.failed.len()),
            Self::FileListReq(req) => {
                write!(f, "{} of {}@{}", Plain(&req.dir), Plain(&req.user), Plain(&req.mud))
            }
            Self::FileListReply(reply) => write!(f, "{} files", reply.files.len()),
            Self::FilePut(put) => write!(f, "{}: {}, {} bytes", put.id, Plain(&put.name), put.contents.len()),
            Self::FilePutAck(ack) => write!(f, "{}: {}", ack.id, ack.outcome),
            Self::FileGetReq(req) => write!(f, "{}: {}", req.id, Plain(&req.name)),
            Self::FileGetReply(reply) => write!(f, "{}: {}", reply.id, reply.outcome),
            Self::NewsReadReq(req) => write!(f, "{} {}", Plain(&req.group), req.id),
            Self::NewsPostReq(req) => {
                write!(f, "{} by {}, \"{}\"", Plain(&req.group), Plain(&req.poster), Plain(&req.subject))
            }
            Self::Reply(reply) | Self::FileEnd(reply) => write!(f, "\"{}\"", Plain(&reply.message)),
            Self::File(file) => {
                write!(f, "{} part {}, {} bytes", Plain(&file.name), file.part, file.contents.len())
            }
            Self::FileReq(req) => write!(f, "{}", Plain(&req.name)),
            Self::FileError(error) => write!(f, "\"{}\"", Plain(&error.message)),
            Self::NewsGrplistReq => f.write_str("no fields"),
            Self::Unknown(unknown) => write!(f, "{} fields", unknown.fields.len()),
            Self::Bare(_) => Ok(()),
        }
    }
}
