//! What the link follows while it runs: a change is used without a restart.

use std::fmt;
use std::path::PathBuf;

/// The routers and the way there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The routers, in order of preference; never empty. A change is used at the next attempt.
    pub routers: Vec<RouterAddress>,
    /// The most packets in any second. A change is used at once.
    pub packets_per_second: usize,
    /// How connections leave. A change is used at the next attempt.
    pub egress: Egress,
}

/// One router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterAddress {
    /// Its exact name, which a registration must carry.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl RouterAddress {
    /// Host and port as one text.
    pub fn host_and_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for RouterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.name, self.host, self.port)
    }
}

/// How connections to routers leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// The proxy; none: directly.
    pub proxy: Option<Proxy>,
    /// What names the address that routers see when there is no proxy, so that the operator can count muds by it.
    pub address: Option<String>,
}

/// A SOCKS5 proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Who we are for it.
    pub login: Login,
}

/// A login for a proxy. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// The proxy asks for none.
    None,
    /// A user name and a password.
    Given(String, String),
    /// The files `username` and `password` in this folder, read for each connection.
    Folder(PathBuf),
}

impl Egress {
    /// What names the address that a router sees.
    pub fn name(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("socks5://{proxy}"),
            None => self.address.clone().unwrap_or_else(|| "direct".to_owned()),
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Given(..) => f.write_str("Given(..)"),
            Self::Folder(folder) => f.debug_tuple("Folder").field(folder).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_name_and_a_login_is_not_shown() {
        let login = Login::Given("user".into(), "hidden".into());
        let proxy = Proxy { host: "2001:db8::1".into(), port: 1080, login };
        assert!(!format!("{proxy:?}").contains("hidden"));
        let mut egress = Egress { proxy: Some(proxy), address: Some("10.0.0.1".into()) };
        assert_eq!(egress.name(), "socks5://[2001:db8::1]:1080");
        egress.proxy = None;
        assert_eq!(egress.name(), "10.0.0.1");
        assert_eq!(Egress::default().name(), "direct");
    }
}
