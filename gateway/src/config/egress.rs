//! How connections to routers leave.

use super::layers::Layers;
use crate::router::{Egress, Login, Proxy};

const PROXY: &str = "egress.proxy";

/// The port of SOCKS5 proxies.
const SOCKS_PORT: u16 = 1080;

/// Reads how connections leave.
pub(super) fn egress(layers: &mut Layers<'_>) -> Egress {
    let login = login(layers);
    let proxy = layers.text(PROXY).and_then(|url| match address(&url) {
        Some((host, port)) => Some(Proxy { host, port, login: login.clone() }),
        None => {
            // There may be a password in it.
            let form =
                "is not of the form socks5://host:port; user name and password have settings of their own";
            layers.problem(PROXY, form);
            None
        }
    });
    if proxy.is_none() && login != Login::None {
        layers.problem(PROXY, "is missing, but there is a login for it");
    }
    Egress { proxy, address: layers.text("egress.address") }
}

fn login(layers: &mut Layers<'_>) -> Login {
    let folder = layers.text("egress.login_folder");
    match (layers.text("egress.proxy_username"), layers.text("egress.proxy_password"), folder) {
        (None, None, None) => Login::None,
        (None, None, Some(folder)) => Login::Folder(folder.into()),
        (Some(username), Some(password), None) => Login::Given(username, password),
        _ => {
            layers.problem(
                "egress.proxy_username",
                "needs egress.proxy_password, too, or give egress.login_folder alone",
            );
            Login::None
        }
    }
}

/// Host and port of a proxy's URL.
fn address(url: &str) -> Option<(String, u16)> {
    let rest = url.strip_prefix("socks5://").or_else(|| url.strip_prefix("socks5h://"))?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            (host, port.strip_prefix(':').map_or(Some(SOCKS_PORT), |port| port.parse().ok())?)
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (rest, SOCKS_PORT),
        },
    };
    let good = !host.is_empty() && port != 0 && !host.contains(['@', '/', ' ', '[']);
    good.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_by_its_url() {
        let cases = [
            ("socks5://proxy.example:1081", Some(("proxy.example", 1081))),
            ("socks5h://10.0.0.1", Some(("10.0.0.1", 1080))),
            ("socks5://[2001:db8::1]:9/", Some(("2001:db8::1", 9))),
            ("socks5://[2001:db8::1]", Some(("2001:db8::1", 1080))),
            ("http://proxy.example:80", None),
            ("socks5://user:secret@proxy.example:80", None),
            ("socks5://proxy.example:0", None),
            ("socks5://:1080", None),
            ("proxy.example:1080", None),
        ];
        for (url, expected) in cases {
            let address = address(url);
            assert_eq!(address.as_ref().map(|(host, port)| (host.as_str(), *port)), expected, "{url}");
        }
    }
}
