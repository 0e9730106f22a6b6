//! The addresses of NATS servers.

use async_nats::ServerAddr;

/// An address that cannot be used. It is not repeated, for there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is none.
    #[error(
        "is no list of NATS addresses such as nats://host:4222 or tls://host:4222, with commas between them"
    )]
    Invalid,
    /// It holds a user, a password or a token.
    #[error(
        "must not hold a user, a password or a token, which would be seen in logs and configuration: put them into a \
         credentials file, as one line user:password"
    )]
    Secret,
}

/// Reads addresses with commas between them.
///
/// # Errors
/// [`AddressError`] for the first that cannot be used.
pub fn parse_servers(urls: &str) -> Result<Vec<ServerAddr>, AddressError> {
    urls.split(',').map(|url| server(url.trim())).collect()
}

fn server(url: &str) -> Result<ServerAddr, AddressError> {
    if url.contains('@') {
        return Err(AddressError::Secret);
    }
    let server: ServerAddr = url.parse().map_err(|_| AddressError::Invalid)?;
    let known = matches!(server.scheme(), "nats" | "tls") && !server.host().is_empty();
    if known { Ok(server) } else { Err(AddressError::Invalid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_servers_may_be_named_and_no_secrets() {
        let hosts =
            |urls| parse_servers(urls).map(|servers| servers.iter().map(|s| s.host().to_owned()).collect());
        assert_eq!(hosts("nats://a:4222, tls://b.c:4223"), Ok(vec!["a".to_owned(), "b.c".to_owned()]));
        assert_eq!(hosts("a"), Ok(vec!["a".to_owned()]));
        for (urls, expected) in [
            ("nats://ann:hunter2@a:4222", AddressError::Secret),
            ("nats://a:4222,nats://hunter2@b:4222", AddressError::Secret),
            ("", AddressError::Invalid),
            ("http://a:4222", AddressError::Invalid),
            ("ws://a:4222", AddressError::Invalid),
            ("nats://a:port", AddressError::Invalid),
        ] {
            assert_eq!(hosts(urls), Err(expected), "{urls}");
            assert!(!expected.to_string().contains("hunter2"));
        }
    }
}
