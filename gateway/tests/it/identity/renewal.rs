//! Credentials that end, and new ones.

use std::path::Path;
use std::time::Duration;

use async_nats::{Event, ServerError};
use mudgateway_identity::{Authority, Credentials, Login, Seeds, Subject, Validity, issue};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::support::{WITHIN, hear, received, router, say};
use super::{Secured, issuer, metrics, now};

/// How long credentials are good for that end while a test runs, in seconds. The gateway looks for new ones every 2 s.
const SHORT: i64 = 7;

/// Somebody with the same credentials, whom the server tells when they have ended.
async fn witness(secured: &Secured, credentials: &str) -> mpsc::UnboundedReceiver<()> {
    let (ended, wait) = mpsc::unbounded_channel();
    let login = Login::default().with_credentials(Credentials::parse(credentials).unwrap());
    let client = login
        .options()
        .event_callback(move |event| {
            if let Event::Disconnected | Event::ServerError(ServerError::AuthorizationViolation) = event {
                let _ = ended.send(());
            }
            std::future::ready(())
        })
        .connect(secured.nats.url())
        .await
        .unwrap();
    client.flush().await.unwrap();
    // The client lives as long as its connection's task, which goes on until it is let in no more.
    tokio::spawn(async move {
        let _client = client;
        std::future::pending::<()>().await;
    });
    wait
}

/// When the credentials end that a gateway has, in seconds since 1970.
fn expiry(metrics: &str) -> i64 {
    let line =
        metrics.lines().find_map(|line| line.strip_prefix("bus_credentials_expiry_timestamp_seconds "));
    line.unwrap().trim().parse::<f64>().unwrap() as i64
}

#[tokio::test]
async fn new_credentials_take_effect_and_neither_router_nor_client_notices() {
    let (router, secured) = (router().await, Secured::start().await);
    let (dawn, dusk) = (secured.gateway("Dawn", &router).await, secured.gateway("Dusk", &router).await);
    let (ann, bob) = (dawn.listener().await, dusk.listener().await);
    let mark = router.mark();
    // These end while the test runs.
    let short = secured.identity("Dawn", SHORT, 1);
    let mut ended = witness(&secured, &short).await;
    let connections = async || metrics(&dawn).await.matches("bus_reconnects_total 2").count();
    replace(Path::new(&secured.file("Dawn")), &short);
    dawn.logged("the files for NATS have changed").await;
    replace(Path::new(&secured.file("Dawn")), &secured.identity("Dawn", 3600, 2));
    timeout(WITHIN, ended.recv()).await.expect("the server lets them in no more").unwrap();
    let again = async {
        while connections().await == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(WITHIN, again).await.expect("the gateway is there with the new ones");

    say(&ann, &["with the new ones"]).await;
    hear(&bob, &["with the new ones"]).await;
    received(&router, mark, "with the new ones").await;
    assert!(expiry(&metrics(&dawn).await) > now() + 3000);
    let registered_again = |event: &i3_router::Event| event.registered() == Some("Dawn");
    assert!(router.wait_for(mark, registered_again, Duration::from_millis(200)).await.is_none());
    assert_eq!(ann.call("status", json!({})).await.unwrap()["connected"], true);
    let metrics = metrics(&dawn).await;
    assert!(
        metrics.contains("reason=\"CredentialsExpired\"} 0") && metrics.contains("bus_connected 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn credentials_that_ended_are_told_and_new_ones_bring_the_bus_back() {
    let (router, secured) = (router().await, Secured::start().await);
    let dawn = secured.gateway("Dawn", &router).await;
    let client = dawn.listener().await;
    // Good for as long as it takes to connect with them.
    replace(Path::new(&secured.file("Dawn")), &secured.identity("Dawn", 4, 1));
    dawn.logged("\"reason\":\"CredentialsExpired\"").await;
    assert_eq!(client.call("status", json!({})).await.unwrap()["connected"], true, "the session is kept");
    let told = metrics(&dawn).await;
    assert!(!told.contains("bus_troubles_total{reason=\"CredentialsExpired\"} 0"), "{told}");
    replace(Path::new(&secured.file("Dawn")), "no credentials at all");
    dawn.logged("\"reason\":\"CredentialsUnreadable\"").await;
    replace(Path::new(&secured.file("Dawn")), &foreign("Dawn"));
    dawn.logged("\"reason\":\"AuthorizationViolation\"").await;
    replace(Path::new(&secured.file("Dawn")), &secured.identity("Dawn", 3600, 2));
    let back = async {
        while !metrics(&dawn).await.contains("bus_connected 1") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let back = timeout(Duration::from_secs(20), back).await;
    assert!(back.is_ok(), "{}", dawn.whole_log());
    assert!(!dawn.whole_log().contains("NKEY SEED"), "no secret is logged");
}

/// An identity that the server does not know the signer of.
fn foreign(mud: &str) -> String {
    let seeds = Seeds { signing: [8; 32], ..Seeds::new([[0; 32]; 8]) };
    let signer = issuer(&Authority::new(&seeds, now(), &[]).unwrap());
    let subject = Subject { network: "*test", mud, namespace: "tenant", name: "dawn" };
    issue(&signer, &subject, Validity { now: now(), lasts: 3600 }, [2; 32]).unwrap()
}

/// As the kubelet does: a reader sees the old file or the new one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}
