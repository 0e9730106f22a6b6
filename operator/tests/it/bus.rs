//! What the gateways report over a real NATS, and what happens without one.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream::stream::{DiscardPolicy, StorageType};
use mudgateway_crds::MudGateway;
use mudgateway_crds::bus::{CHANNEL_STREAM, CHANNEL_STREAM_SUBJECTS, REPORT_BUCKET, STATE_BUCKET};
use mudgateway_crds::report::REPORT_TTL_SECONDS;
use mudgateway_crds::report::SessionReason::{RouterRefused, SessionEstablished, Standby};
use mudgateway_crds::status::ConditionType;
use mudgateway_identity::{Authority, Issuer, Seeds, Subject, Validity, issue, signing_key};
use serde_json::json;

use crate::harness::{NO_NATS, Operator, PATIENCE, Space, eventually, message, says, wait_for_event};
use crate::nats::{Nats, report, report_by};

#[tokio::test(flavor = "multi_thread")]
async fn reports_drive_connected() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    let bucket = nats.reports().await;
    eventually("a session", async || (operator.metric("i3op_bus_connected").await == 1.0).then_some(()))
        .await;
    space.wait_for("luminari", ConditionType::Accepted, "True", "Accepted").await;

    report(&bucket, &space, "luminari", RouterRefused).await;
    let gateway = space.wait_for("luminari", ConditionType::Connected, "False", "RouterRefused").await;
    assert_eq!(message(&gateway, ConditionType::Connected), "the gateway says RouterRefused");
    let status = gateway.status.unwrap();
    assert_eq!((status.holder.as_deref(), status.router), (Some("luminari-gateway-pod"), None));

    report(&bucket, &space, "luminari", SessionEstablished).await;
    let gateway = space.wait_for("luminari", ConditionType::Connected, "True", "SessionEstablished").await;
    let router = gateway.status.unwrap().router.unwrap();
    assert_eq!(router.name, "*demo");
    assert_eq!(router.connected_since.unwrap().0.to_string(), "2026-11-23T07:00:00Z");

    // A gateway that goes for good may take its report away.
    bucket.delete(mudgateway_crds::bus::report_key(&space.name, "luminari")).await.unwrap();
    space.wait_for("luminari", ConditionType::Connected, "Unknown", "WaitingForGateway").await;

    // Nobody's reports, and no reports, harm nobody.
    report(&bucket, &space, "nobody", SessionEstablished).await;
    bucket.put(format!("{}.luminari", space.name), "no JSON".into()).await.unwrap();
    let invalid = "i3op_bus_errors_total{reason=\"InvalidReport\"}";
    eventually("the count", async || (operator.metric(invalid).await == 1.0).then_some(())).await;
    report(&bucket, &space, "luminari", SessionEstablished).await;
    space.wait_for("luminari", ConditionType::Connected, "True", "SessionEstablished").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_and_the_buckets_are_bounded() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    nats.reports().await;
    let jetstream = nats.jetstream().await;

    let channels = jetstream.get_stream(CHANNEL_STREAM).await.unwrap().cached_info().config.clone();
    assert_eq!(channels.subjects, [CHANNEL_STREAM_SUBJECTS]);
    assert_eq!((channels.max_age.as_secs(), channels.max_bytes), (600, 64 << 20));
    assert_eq!(channels.max_messages_per_subject, 5_000);
    assert_eq!((channels.duplicate_window.as_secs(), channels.discard), (120, DiscardPolicy::Old));
    for (bucket, storage, seconds) in
        [(STATE_BUCKET, StorageType::File, 0), (REPORT_BUCKET, StorageType::Memory, 30)]
    {
        let config = jetstream.get_stream(format!("KV_{bucket}")).await.unwrap().cached_info().config.clone();
        assert_eq!((config.storage, config.max_age.as_secs()), (storage, seconds), "{bucket}");
        assert_eq!(config.max_messages_per_subject, 1, "{bucket}");
        assert!(config.max_bytes > 0 && config.max_message_size > 0, "{bucket}");
    }
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_for_the_muds_state_is_a_setting_and_its_fill_is_told() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    nats.reports().await;
    let state = nats.jetstream().await.get_key_value(STATE_BUCKET).await.unwrap();
    state.put("a.b.mudlist", vec![b'x'; 100_000].into()).await.unwrap();
    operator.stop().await;

    // Of a bucket that is there already, too.
    let operator = Operator::start_with(&space, &nats.url(), &["--nats-state-mib=32"]).await;
    eventually("the fill", async || {
        let fill = operator.metric("i3op_nats_state_bytes").await;
        (100_000.0..110_000.0).contains(&fill).then_some(())
    })
    .await;
    assert_eq!(operator.metric("i3op_nats_state_limit_bytes").await, f64::from(32 << 20));
    let stream = nats.jetstream().await.get_stream(format!("KV_{STATE_BUCKET}")).await.unwrap();
    assert_eq!(stream.cached_info().config.max_bytes, 32 << 20);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nats_loses_is_made_again() {
    let (space, mut nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    report(&nats.reports().await, &space, "luminari", SessionEstablished).await;
    space.wait_for("luminari", ConditionType::Accepted, "True", "Accepted").await;

    nats.kill().await;
    eventually("the loss", async || (operator.metric("i3op_bus_connected").await == 0.0).then_some(())).await;
    // Reconciling goes on meanwhile.
    space.create("dawn", "DawnMUD", json!({})).await;
    space.wait_for("dawn", ConditionType::Accepted, "True", "Accepted").await;

    nats.revive_empty().await;
    let bucket = nats.reports().await;
    report(&bucket, &space, "dawn", SessionEstablished).await;
    space.wait_for("dawn", ConditionType::Connected, "True", "SessionEstablished").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_operator_hears_at_once_what_was_reported() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    report(&nats.reports().await, &space, "luminari", RouterRefused).await;
    operator.stop().await;

    report(&nats.reports().await, &space, "luminari", SessionEstablished).await;
    let operator = Operator::start(&space, &nats.url()).await;
    space.wait_for("luminari", ConditionType::Connected, "True", "SessionEstablished").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fail_over_is_told_though_the_operator_was_restarted_meanwhile() {
    let (space, nats) = (Space::new().await, Nats::start().await);
    let operator = Operator::start(&space, &nats.url()).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    let bucket = nats.reports().await;
    space.wait_for("luminari", ConditionType::Accepted, "True", "Accepted").await;
    report_by(&bucket, &space, "luminari", "a", SessionEstablished).await;
    space.wait_for("luminari", ConditionType::Connected, "True", "SessionEstablished").await;
    // As a pod does that takes over: it tells of itself before it is logged in.
    report_by(&bucket, &space, "luminari", "b", Standby).await;
    space.wait_for("luminari", ConditionType::Connected, "False", "Standby").await;
    operator.stop().await;

    let operator = Operator::start(&space, &nats.url()).await;
    report_by(&bucket, &space, "luminari", "b", SessionEstablished).await;
    let gateway = space.wait_for("luminari", ConditionType::Connected, "True", "SessionEstablished").await;
    assert_eq!(gateway.status.unwrap().last_error, None);
    let event = wait_for_event(&space, "luminari", "FailedOver").await;
    let note = "pod luminari-gateway-b is logged in at the router, after pod luminari-gateway-a";
    assert_eq!(event.note.as_deref(), Some(note));
    operator.stop().await;
}

/// Takes as long as a report holds.
#[tokio::test(flavor = "multi_thread")]
async fn without_nats_everything_but_connected_is_known() {
    let space = Space::new().await;
    let operator = Operator::start(&space, NO_NATS).await;
    space.create("luminari", "LuminariMUD", json!({})).await;
    space.wait_for("luminari", ConditionType::Programmed, "False", "Progressing").await;
    space
        .wait_within(
            Duration::from_secs(REPORT_TTL_SECONDS) + PATIENCE,
            "luminari",
            "without a bus",
            |gateway: &MudGateway| says(gateway, ConditionType::Connected, "Unknown", "BusUnavailable"),
        )
        .await;
    operator.stop().await;
}

/// A CA, and a certificate of it for a server on this machine with its key: in files of a folder.
fn certificates(folder: &Path, name: &str) {
    let write = |end: &str, text: String| std::fs::write(folder.join(format!("{name}.{end}")), text).unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    write("ca", ca.pem());
    write("crt", params.signed_by(&key, &ca).unwrap().pem());
    write("key", key.serialize_pem());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_nats_by_its_ca_a_wrong_one_is_told_and_the_end_of_credentials_too() {
    let (space, folder) = (Space::new().await, tempfile::tempdir().unwrap());
    certificates(folder.path(), "server");
    certificates(folder.path(), "stranger");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let config = format!("tls {{cert_file: {:?}, key_file: {:?}}}\n", path("server.crt"), path("server.key"));
    let nats = Nats::start_with(None, &config).await;
    std::fs::copy(path("stranger.ca"), path("ca")).unwrap();
    // A server that asks nobody who he is takes any; these end.
    let seeds = Seeds::new([1, 2, 3, 4, 5, 6, 7, 8].map(|byte| [byte; 32]));
    let authority = Authority::new(&seeds, 0, &[]).unwrap();
    let (seed, account) = signing_key(&authority.signing_key);
    let issuer = Issuer::new(seed, account.unwrap()).unwrap();
    let subject = Subject { network: "*test", mud: "operator", namespace: "x", name: "operator" };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let credentials = issue(&issuer, &subject, Validity { now, lasts: 86_400 }, [7; 32]).unwrap();
    std::fs::write(path("credentials"), credentials).unwrap();
    let (ca, credentials) = (path("ca"), path("credentials"));
    let flags = ["--nats-ca-file", ca.as_str(), "--nats-credentials-file", credentials.as_str()];

    let operator = Operator::start_with(&space, &nats.url().replace("nats://", "tls://"), &flags).await;
    let untrusted = "i3op_bus_errors_total{reason=\"CertificateUntrusted\"}";
    eventually("the reason", async || (operator.metric(untrusted).await >= 1.0).then_some(())).await;
    assert_eq!(operator.metric("i3op_bus_connected").await, 0.0);
    let ends = operator.metric("i3op_nats_credentials_expiry_timestamp_seconds").await;
    assert_eq!(ends as i64, now + 86_400);

    std::fs::copy(path("server.ca"), path("ca")).unwrap();
    eventually("a session", async || (operator.metric("i3op_bus_connected").await == 1.0).then_some(()))
        .await;
    operator.stop().await;
}
