//! What a check found.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// It works, but somebody should know.
    Warning,
    /// It does not work.
    Wrong,
}

impl Level {
    /// The level as it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "WARNING",
            Self::Wrong => "WRONG",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about: `cluster`, or namespace and name of a MudGateway.
    pub subject: String,
    /// The check, in one word.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Makes the findings of one check.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// What it is about.
    pub subject: &'a str,
    /// The check.
    pub name: &'static str,
}

impl Check<'_> {
    /// As it should be.
    pub fn ok(self, message: impl Into<String>) -> Finding {
        self.finding(Level::Ok, message.into(), None)
    }

    /// It could not be looked at.
    pub fn unknown(self, message: &str) -> Finding {
        let mut lines = message.splitn(2, '\n');
        let message = format!("could not be looked at: {}", lines.next().unwrap_or_default());
        self.finding(Level::Unknown, message, lines.next().map(str::to_owned))
    }

    /// It works, but somebody should know.
    pub fn warning(self, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Level::Warning, message.into(), Some(remedy.into()))
    }

    /// It does not work.
    pub fn wrong(self, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Level::Wrong, message.into(), Some(remedy.into()))
    }

    fn finding(self, level: Level, message: String, remedy: Option<String>) -> Finding {
        Finding { subject: self.subject.to_owned(), check: self.name, level, message, remedy }
    }
}
