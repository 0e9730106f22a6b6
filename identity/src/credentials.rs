//! Credentials files: NATS' own form with JWT and key, or one line with a password or a token.

use std::fmt;

use nkeys::{KeyPair, KeyPairType};

use crate::claims::UserClaims;

const JWT_BEGIN: &str = "-----BEGIN NATS USER JWT-----";
const JWT_END: &str = "------END NATS USER JWT------";
const SEED_BEGIN: &str = "-----BEGIN USER NKEY SEED-----";
const SEED_END: &str = "------END USER NKEY SEED------";

/// What a program shows to NATS. It holds secrets: its `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A JWT, and the seed of the key that it is for.
    Jwt {
        /// The JWT.
        jwt: String,
        /// The seed.
        seed: String,
    },
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
}

/// Credentials that cannot be used. The text is not repeated: it is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Nothing in it.
    #[error("the file is empty: it should hold NATS credentials, or one line with user:password or a token")]
    Empty,
    /// More than one line, and not the two blocks of NATS' form.
    #[error(
        "the file holds neither NATS credentials (a block with a user JWT and one with its nkey seed) nor one line \
         with user:password or a token"
    )]
    Form,
    /// The JWT cannot be read, or is none of a user.
    #[error("the JWT in the file is none of a NATS user")]
    Jwt,
    /// The seed is none of a user.
    #[error("the nkey seed in the file is none of a NATS user")]
    Seed,
}

impl Credentials {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`CredentialsError`] when it is of no form that we know.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        if let (Some(jwt), Some(seed)) = (block(text, "USER JWT"), block(text, "USER NKEY SEED")) {
            UserClaims::read(jwt).map_err(|_| CredentialsError::Jwt)?;
            let is_user = KeyPair::from_seed(seed).is_ok_and(|key| key.key_pair_type() == KeyPairType::User);
            if !is_user {
                return Err(CredentialsError::Seed);
            }
            return Ok(Self::Jwt { jwt: jwt.to_owned(), seed: seed.to_owned() });
        }
        let line = text.trim();
        match line.split_once(':') {
            _ if line.is_empty() => Err(CredentialsError::Empty),
            _ if line.contains(char::is_whitespace) => Err(CredentialsError::Form),
            Some((user, password)) => {
                Ok(Self::Password { user: user.to_owned(), password: password.to_owned() })
            }
            None => Ok(Self::Token(line.to_owned())),
        }
    }

    /// When they end, in seconds since 1970; none: they do not.
    pub fn expires_at(&self) -> Option<i64> {
        match self {
            Self::Jwt { jwt, .. } => UserClaims::read(jwt).ok()?.exp,
            Self::Password { .. } | Self::Token(_) => None,
        }
    }

    /// The account the user belongs to, if they say.
    pub fn account(&self) -> Option<String> {
        match self {
            Self::Jwt { jwt, .. } => Some(UserClaims::read(jwt).ok()?.account().to_owned()),
            Self::Password { .. } | Self::Token(_) => None,
        }
    }

    /// The text of a credentials file in NATS' form.
    pub(crate) fn file(jwt: &str, seed: &str) -> String {
        format!("{JWT_BEGIN}\n{jwt}\n{JWT_END}\n\n{SEED_BEGIN}\n{seed}\n{SEED_END}\n")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jwt { .. } => "Jwt",
            Self::Password { .. } => "Password",
            Self::Token(_) => "Token",
        })
    }
}

/// What stands between the lines that begin and end a block. Programs differ in the dashes.
fn block<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let is_border = |line: &str, word: &str| {
        line.starts_with("---")
            && line.trim_matches('-').trim()
                == format!(
                    "{word} {}",
                    match name {
                        "USER JWT" => "NATS USER JWT",
                        other => other,
                    }
                )
    };
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| is_border(line, "BEGIN"))?;
    let content = lines.find(|line| !line.is_empty())?;
    let end = lines.find(|line| !line.is_empty())?;
    is_border(end, "END").then_some(content)
}
