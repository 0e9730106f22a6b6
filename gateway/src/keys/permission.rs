//! What a key allows.

use std::collections::BTreeSet;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A group of methods and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Tells and emotes to users.
    Tell,
    /// Channels.
    Channel,
    /// Questions about muds and users.
    Info,
    /// Letters.
    Mail,
    /// Files.
    File,
    /// News.
    News,
    /// Control of the gateway itself.
    Admin,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 7] =
        [Self::Tell, Self::Channel, Self::Info, Self::Mail, Self::File, Self::News, Self::Admin];

    /// The permission as it stands in configuration and errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::Channel => "channel",
            Self::Info => "info",
            Self::Mail => "mail",
            Self::File => "file",
            Self::News => "news",
            Self::Admin => "admin",
        }
    }

    /// What it opens, in words.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Tell => "Tells and emotes to users.",
            Self::Channel => "Channels.",
            Self::Info => "Questions about muds and users.",
            Self::Mail => "Letters to and from users of other muds.",
            Self::File => "Files of other muds, and files for them.",
            Self::News => "News of other muds, and news for them.",
            Self::Admin => "Control of the gateway itself, and of channels of one's own.",
        }
    }
}

/// A set of permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions(BTreeSet<Permission>);

/// A name that stands for no permission.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a permission: use tell, channel, info, mail, file, news, admin or *")]
pub struct UnknownPermission(String);

impl Permissions {
    /// Every permission.
    pub fn all() -> Self {
        Self(Permission::ALL.into())
    }

    /// The permissions that names stand for; a plural is as good, and `*` is all.
    ///
    /// # Errors
    /// [`UnknownPermission`] for the first name that stands for none.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownPermission> {
        let mut set = BTreeSet::new();
        for name in names {
            match name {
                "*" => set.extend(Permission::ALL),
                name => {
                    set.insert(name.parse()?);
                }
            }
        }
        Ok(Self(set))
    }

    /// Whether a permission is among them; none needed is always granted.
    pub fn grant(&self, permission: Option<Permission>) -> bool {
        permission.is_none_or(|permission| self.0.contains(&permission))
    }
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let singular = name.strip_suffix('s').unwrap_or(name);
        Self::ALL
            .into_iter()
            .find(|permission| [name, singular].contains(&permission.as_str()))
            .ok_or_else(|| UnknownPermission(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_permissions() {
        let some = Permissions::parse(["tells", "channel"]).unwrap();
        assert!(some.grant(Some(Permission::Tell)) && some.grant(Some(Permission::Channel)));
        assert!(
            !some.grant(Some(Permission::Info)) && !some.grant(Some(Permission::Admin)) && some.grant(None)
        );
        let services = Permissions::parse(["mail", "files", "news"]).unwrap();
        let wanted = [Permission::Mail, Permission::File, Permission::News];
        assert!(wanted.into_iter().all(|permission| services.grant(Some(permission))));
        assert_eq!(Permissions::parse(["*"]), Ok(Permissions::all()));
        assert_eq!(Permissions::parse(["tell", "root"]), Err(UnknownPermission("root".into())));
    }
}
