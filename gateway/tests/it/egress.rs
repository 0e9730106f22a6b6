//! The way out to routers: by a SOCKS5 proxy (microsocks), at the operator's word, and as a changed file says.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use i3_router::RunningRouter;
use mudgateway_crds::bus::PERMIT_FILTER;
use mudgateway_crds::permit::{PermitAnswer, PermitRequest, Purpose, Step};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::support::{Gateway, Nats, WITHIN, is, registered, registered_since, router};

const PASSWORD: &str = "a password of the proxy";

/// A proxy process whose connections come from an address of its own. It is killed when dropped.
struct Proxy {
    _child: Child,
    port: u16,
}

impl Proxy {
    async fn start(from: &str, login: bool) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port();
        let mut command = Command::new("microsocks");
        command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-b", from]);
        if login {
            command.args(["-u", "mud", "-P", PASSWORD]);
        }
        let child = command.kill_on_drop(true).spawn().expect("microsocks: run scripts/setup packages");
        let listens = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(WITHIN, listens).await.expect("microsocks does not listen");
        Self { _child: child, port }
    }

    fn url(&self) -> String {
        format!("socks5://127.0.0.1:{}", self.port)
    }
}

/// The address that Dawn comes from, as the router sees it.
async fn address(router: &RunningRouter) -> String {
    let links = router.links().await;
    let link = links.iter().rev().find(|link| link.mud.as_deref() == Some("Dawn")).expect("Dawn is there");
    link.address.to_string()
}

/// A configuration file to be changed.
fn file(folder: &TempDir, more: &str) -> PathBuf {
    let path = folder.path().join("config.yaml");
    write(&path, more);
    path
}

fn write(path: &Path, more: &str) {
    let text = format!("gateway: {{auth: {{secret: '{}'}}}}\n{more}", crate::support::KEY);
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_mud_reaches_its_router_by_a_proxy_and_shows_its_login() {
    let (router, proxy) = (router().await, Proxy::start("127.0.0.7", true).await);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("username"), "mud\n").unwrap();
    std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
    let login = folder.path().display().to_string();
    let environment = [("EGRESS_PROXY", proxy.url()), ("EGRESS_LOGIN_FOLDER", login)];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let gateway = Gateway::start("Dawn", &router, &environment).await;
    registered(&router, "Dawn").await;
    assert_eq!(address(&router).await, "127.0.0.7");
    assert!(!gateway.whole_log().contains(PASSWORD));
}

#[tokio::test]
async fn a_proxy_that_does_not_want_us_is_told_from_a_router_that_is_away() {
    let (router, proxy) = (router().await, Proxy::start("127.0.0.7", true).await);
    let url = proxy.url();
    let wrong = [
        ("EGRESS_PROXY", url.as_str()),
        ("EGRESS_PROXY_USERNAME", "mud"),
        ("EGRESS_PROXY_PASSWORD", "wr0ng-one"),
    ];
    let gateway = Gateway::start("Dawn", &router, &wrong).await;
    let line = gateway.logged("ProxyFailed").await;
    assert!(line["detail"].as_str().unwrap().contains(&proxy.port.to_string()), "{line}");
    assert!(!gateway.whole_log().contains("wr0ng-one"));

    let open = Proxy::start("127.0.0.7", false).await;
    let (url, nobody) = (open.url(), "9");
    let gateway =
        Gateway::start("Dawn", &router, &[("EGRESS_PROXY", url.as_str()), ("I3_ROUTER_PORT", nobody)]).await;
    gateway.logged("RouterUnreachable").await;
}

/// The proxy is played by hand here, to see that it gets the router's name and not an address.
#[tokio::test]
async fn the_proxy_resolves_the_routers_name() {
    let (router, listener) = (router().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("socks5://{}", listener.local_addr().unwrap());
    let environment = [("EGRESS_PROXY", url.as_str()), ("I3_ROUTER_HOST", "router.invalid")];
    let _gateway = Gateway::start("Dawn", &router, &environment).await;
    let (mut stream, _) = timeout(WITHIN, listener.accept()).await.unwrap().unwrap();
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(greeting, [5, 1, 0]);
    stream.write_all(&[5, 0]).await.unwrap();
    let mut request = [0; 5];
    stream.read_exact(&mut request).await.unwrap();
    assert_eq!(request, [5, 1, 0, 3, 14], "a connection to a name of 14 letters");
    let mut name = [0; 14];
    stream.read_exact(&mut name).await.unwrap();
    assert_eq!(&name, b"router.invalid");
}

#[tokio::test]
async fn a_changed_file_is_followed_without_a_restart() {
    let (router, proxy) = (router().await, Proxy::start("127.0.0.8", false).await);
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "");
    let gateway = Gateway::start_with("Dawn", &router, &["--config", path.to_str().unwrap()]).await;
    registered(&router, "Dawn").await;
    let client = gateway.client().await;
    let mark = router.mark();
    let tell =
        |from: &str, text: &str| format!(r#"({{"tell",5,"{from}","bob","Dawn","ann","Bob","{text}",}})"#);

    write(&path, &format!("policies: {{bans: ['*@Spam']}}\negress: {{proxy: '{}'}}\n", proxy.url()));
    gateway.logged("the configuration has changed").await;
    assert!(router.send_packet("Dawn", tell("Spam", "buy")).await);
    assert!(router.send_packet("Dawn", tell("Dusk", "hello")).await);
    let event = client.wait_event(is("tell_received"), WITHIN).await.unwrap();
    assert_eq!(event["params"]["message"], "hello", "the banned mud was not heard");
    assert_eq!(address(&router).await, "127.0.0.1", "the session stayed");
    let again = router.wait_for(mark, |event| event.registered().is_some(), Duration::ZERO).await;
    assert!(again.is_none(), "no reconnect: {again:?}");

    client.call("reconnect", json!({})).await.unwrap();
    registered_since(&router, mark, "Dawn").await;
    assert_eq!(address(&router).await, "127.0.0.8");

    write(&path, "policies: {bans: [nonsense]}\n");
    gateway.logged("keeping the configuration that was read before").await;
}

/// Answers what a gateway asks, as the operator would, until all answers are given; then nobody is there.
async fn operator(nats: &Nats, answers: Vec<PermitAnswer>) -> Vec<PermitRequest> {
    let client = async_nats::connect(nats.url()).await.unwrap();
    let mut requests = client.subscribe(PERMIT_FILTER).await.unwrap();
    client.flush().await.unwrap();
    let mut seen = Vec::new();
    let mut answers = answers.into_iter();
    while let Ok(Some(message)) = timeout(WITHIN, requests.next()).await {
        let request: PermitRequest = serde_json::from_slice(&message.payload).unwrap();
        let asks = matches!(request.step, Step::Ask { .. });
        seen.push(request);
        if let Some(reply) = message.reply {
            let answer = answers.next().expect("one question more than answers");
            client.publish(reply, serde_json::to_vec(&answer).unwrap().into()).await.unwrap();
            client.flush().await.unwrap();
        }
        if !asks {
            break;
        }
    }
    seen
}

#[tokio::test]
async fn a_gateway_connects_when_the_operator_says_so() {
    let (router, nats) = (router().await, Nats::start().await);
    let wait = PermitAnswer::Wait { milliseconds: 2100, ahead: 2 };
    let go = PermitAnswer::Granted { valid_milliseconds: 1000 };
    let url = nats.url();
    let environment = [("NATS_URL", url.as_str()), ("EGRESS_ADDRESS", "10.0.0.1")];
    let (gateway, seen) =
        tokio::join!(Gateway::start("Dawn", &router, &environment), operator(&nats, vec![wait, go]));
    registered(&router, "Dawn").await;
    let waited = gateway.logged("WaitingForPermit").await;
    assert!(waited["detail"].as_str().unwrap().contains("2 muds go before"), "{waited}");
    let [first, second, last] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(
        (first.router.as_str(), first.egress.as_str()),
        (router.addr().to_string().as_str(), "10.0.0.1")
    );
    let Step::Ask { purpose, known, .. } = first.step else { panic!("{first:?}") };
    assert_eq!((purpose, known), (Purpose::Connect, false));
    let Step::Ask { waited_milliseconds, .. } = second.step else { panic!("{second:?}") };
    assert!(waited_milliseconds >= 2100, "{waited_milliseconds}");
    assert_eq!(last.step, Step::Used);
}

#[tokio::test]
async fn a_full_address_is_told_and_who_has_no_operator_connects_all_the_same() {
    let (router, nats) = (router().await, Nats::start().await);
    let url = nats.url();
    let environment = [("NATS_URL", url.as_str())];
    let full = vec![PermitAnswer::AddressFull { muds: 32 }];
    let (gateway, seen) = tokio::join!(Gateway::start("Dawn", &router, &environment), operator(&nats, full));
    assert_eq!(seen.len(), 1);
    let line = gateway.logged("AddressFull").await;
    assert!(line["detail"].as_str().unwrap().contains("32 muds are registered"), "{line}");
    // The operator is gone by now.
    let client = gateway.client().await;
    client.call("reconnect", json!({})).await.unwrap();
    registered(&router, "Dawn").await;
}
