//! The users of our mud.

use intermud3::packet::UserInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// A user's gender, as the protocol knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gender {
    /// Male.
    Male,
    /// Female.
    Female,
    /// Neither, or nobody's business.
    #[default]
    Neuter,
}

impl Gender {
    /// The gender a number on the wire stands for; unknown ones are neuter.
    pub fn of(number: i64) -> Self {
        match number {
            UserInfo::MALE => Self::Male,
            UserInfo::FEMALE => Self::Female,
            _ => Self::Neuter,
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Male => UserInfo::MALE,
            Self::Female => UserInfo::FEMALE,
            Self::Neuter => UserInfo::NEUTER,
        }
    }
}

/// A user of our mud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct User {
    /// The name; required.
    pub name: String,
    /// The title.
    pub title: String,
    /// The race.
    pub race: String,
    /// The guild.
    pub guild: String,
    /// Where the user is.
    pub location: String,
    /// A word about the user, such as `away`.
    pub status: String,
    /// The level, 0 to 1000.
    pub level: i64,
    /// Idle for so many seconds, at most a year.
    pub idle: i64,
    /// When the user came: seconds since 1970, or a text.
    #[serde(deserialize_with = "login_time")]
    pub login_time: String,
    /// `male`, `female` or `neuter`.
    pub gender: Gender,
}

impl User {
    /// What other muds are told of the user's name.
    pub fn info(&self) -> UserInfo {
        UserInfo {
            username: self.name.to_lowercase(),
            visname: self.name.clone(),
            gender: self.gender.number(),
        }
    }
}

/// Numbers and texts are both in use.
fn login_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Seconds(f64),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Seconds(seconds) if (0.0..=32_503_680_000.0).contains(&seconds) => Ok(seconds.to_string()),
        Either::Seconds(_) => Err(serde::de::Error::custom("seconds since 1970, at most 32503680000")),
        Either::Text(text) => Ok(text),
    }
}
