//! Files.

use std::fmt::{Display, Formatter};

use crate::Value;
use crate::layout::{At, Field, Refused, layout};
use crate::lpc::Sink;

layout! {
    /// `file-list-req`: what is in a folder? 4 elements; `file-list-reply` answers.
    ///
    /// `({"file-list-req","MudA","bob","/open",})`
    #[derive(Eq)]
    pub struct FileListReq {
        /// The sender's name.
        mud: String,
        /// Who asks.
        user: String,
        /// The folder.
        dir: String,
    }
}

layout! {
    /// `file-list-reply`: what is in a folder. 3 elements; answers `file-list-req`.
    ///
    /// `({"file-list-reply","bob",({({"news.txt",120,1795418241,}),}),})`
    #[derive(Eq)]
    pub struct FileListReply {
        /// Who asked.
        user: String,
        /// The files; an element that is 0 is passed over.
        files: Vec<FileEntry>,
    }
}

layout! {
    /// A file in a [`FileListReply`]: `({name,size,time})`.
    #[derive(Eq)]
    pub struct FileEntry {
        /// Its name.
        name: String,
        /// Its size in bytes; -2 for a folder.
        size: i64,
        /// When it was changed, in seconds since 1970.
        time: i64,
    }
}

layout! {
    /// `file-put`: keep this file. 6 elements; `file-put-ack` answers.
    ///
    /// `({"file-put",3,"MudA","bob","news.txt","What is new",})`
    #[derive(Eq)]
    pub struct FilePut {
        /// The sender's number for it.
        id: i64,
        /// The sender's name.
        mud: String,
        /// Who sends it.
        user: String,
        /// The name it is to have.
        name: String,
        /// What is in it.
        contents: String,
    }
}

layout! {
    /// `file-put-ack`: what became of a `file-put`. 3 elements.
    ///
    /// `({"file-put-ack",3,1,})`
    #[derive(Eq)]
    pub struct FilePutAck {
        /// The number of the `file-put`.
        id: i64,
        /// What became of it.
        outcome: Outcome,
    }
}

layout! {
    /// `file-get-req`: a file, please. 5 elements; `file-get-reply` answers.
    ///
    /// `({"file-get-req",4,"MudA","bob","news.txt",})`
    #[derive(Eq)]
    pub struct FileGetReq {
        /// The sender's number for it.
        id: i64,
        /// The sender's name.
        mud: String,
        /// Who asks.
        user: String,
        /// The file.
        name: String,
    }
}

layout! {
    /// `file-get-reply`: a file. 4 elements; answers `file-get-req`.
    ///
    /// `({"file-get-reply",4,1,"What is new",})`
    #[derive(Eq)]
    pub struct FileGetReply {
        /// The number of the `file-get-req`.
        id: i64,
        /// Whether it is there.
        outcome: Outcome,
        /// What is in it; 0 reads as empty.
        contents: String = text,
    }
}

/// Whether a file could be put or got: 1 yes, 0 no, -1 the path is at fault, -2 it cannot be read, -3 it cannot
/// be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome(pub i64);

impl Outcome {
    /// Done.
    pub const OK: Self = Self(1);
    /// For a reason unknown not done.
    pub const UNKNOWN: Self = Self(0);
    /// The path is at fault.
    pub const BAD_PATH: Self = Self(-1);
    /// The file cannot be read.
    pub const CANNOT_READ: Self = Self(-2);
    /// The file cannot be written.
    pub const CANNOT_WRITE: Self = Self(-3);
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::OK => f.write_str("ok"),
            Self::BAD_PATH => f.write_str("bad path"),
            Self::CANNOT_READ => f.write_str("cannot read"),
            Self::CANNOT_WRITE => f.write_str("cannot write"),
            Self(n) => write!(f, "failed ({n})"),
        }
    }
}

impl Field for Outcome {
    fn read(value: Value, at: At<'_>) -> Result<Self, Refused> {
        i64::read(value, at).map(Self)
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.int(self.0);
    }
}

layout! {
    /// `oob-file-req`: a file, please. 2 elements. Dead Souls, between muds of that kind, for upgrades.
    ///
    /// `({"oob-file-req","/secure/upgrades/txt/upgrades.txt",})`
    #[derive(Eq)]
    pub struct OobFileReq {
        /// The file.
        name: String,
    }
}

layout! {
    /// `oob-file`: a part of a file. 4 elements; answers `oob-file-req`. Dead Souls.
    ///
    /// `({"oob-file","/secure/upgrades/txt/upgrades.txt",1,"...",})`
    #[derive(Eq)]
    pub struct OobFile {
        /// The file.
        name: String,
        /// Which part; the first is 1.
        part: i64,
        /// What is in it, at most 60,000 bytes; 0 reads as empty.
        contents: String = text,
    }
}

layout! {
    /// `oob-file-error`: no file. 2 elements, or 3 with the name. Dead Souls.
    ///
    /// `({"oob-file-error","File access denied.",})`
    /// `({"oob-file-error","That's a directory.","/secure/upgrades",})`
    #[derive(Eq)]
    pub struct OobFileError {
        /// Why.
        message: String,
        /// Which.
        name: Option<String> = trailing,
    }
}
