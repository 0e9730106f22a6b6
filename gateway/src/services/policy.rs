//! Whom we do not listen to, and how much may be said at once.

use intermud3::packet::Header;

/// A pattern `user@mud`, in which `*` stands for anything; upper and lower case are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    user: String,
    mud: String,
}

/// A text that is no pattern.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form user@mud, such as *@SpamMUD or troll@*")]
pub struct NoPattern(String);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`NoPattern`] when the part before or behind the `@` is missing.
    pub fn parse(text: &str) -> Result<Self, NoPattern> {
        match text.rsplit_once('@') {
            Some((user, mud)) if !user.is_empty() && !mud.is_empty() => {
                Ok(Self { user: user.to_lowercase(), mud: mud.to_lowercase() })
            }
            _ => Err(NoPattern(text.to_owned())),
        }
    }

    fn covers(&self, user: &str, mud: &str) -> bool {
        matches(&self.mud, mud) && matches(&self.user, user)
    }
}

/// Whether a text is what a pattern says. It takes time in proportion to the product of their lengths at worst.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

/// The rules for what comes in and goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whose packets are dropped.
    pub ignore: Vec<Pattern>,
    /// The longest text of a message, in characters.
    pub message_length: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { ignore: Vec::new(), message_length: 2048 }
    }
}

impl Policy {
    /// Whether a packet from here is to be dropped.
    pub fn ignores(&self, header: &Header) -> bool {
        self.ignores_user(header.origin_user.as_deref().unwrap_or_default(), &header.origin_mud)
    }

    /// Whether what a user of a mud says is to be dropped.
    pub fn ignores_user(&self, user: &str, mud: &str) -> bool {
        if self.ignore.is_empty() {
            return false;
        }
        let (user, mud) = (user.to_lowercase(), mud.to_lowercase());
        self.ignore.iter().any(|pattern| pattern.covers(&user, &mud))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignores(pattern: &str, user: &str, mud: &str) -> bool {
        let policy = Policy { ignore: vec![Pattern::parse(pattern).unwrap()], ..Policy::default() };
        policy.ignores_user(user, mud)
    }

    #[test]
    fn patterns_cover_users_and_muds() {
        let cases = [
            ("*@SpamMUD", "anyone", "spammud", true),
            ("*@SpamMUD", "anyone", "SpamMUD2", false),
            ("*@spam*", "", "SpamMUD2", true),
            ("troll@*", "Troll", "Any Mud", true),
            ("troll@*", "trolls", "Any Mud", false),
            ("t*l*@*x*", "tall ones", "axb", true),
            ("t*l@*", "tall ones", "axb", false),
            ("a*a@m", "a", "m", false),
            ("a@b@m", "a@b", "m", true),
        ];
        for (pattern, user, mud, expected) in cases {
            assert_eq!(ignores(pattern, user, mud), expected, "{pattern} {user}@{mud}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "mud", "@mud", "user@", "@"] {
            assert_eq!(Pattern::parse(text), Err(NoPattern(text.to_owned())));
        }
    }
}
