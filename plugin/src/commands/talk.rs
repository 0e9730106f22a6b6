//! `tail`, `say` and `tell`: through a gateway, in the name of its mud.

use std::time::Duration;

use mudclient::WaitError;
use serde_json::{Value, json};

use super::print;
use crate::cli::{Address, Output, Through};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::gateway::{self, Gateway};
use crate::gateway_client::{self, Session};
use crate::table::harmless;
use crate::tls::Identity;

/// What is said on channels.
const SPOKEN: &[&str] = &["channel_message", "channel_emote"];

/// How long a quiet connection is left alone before it is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(20);

/// Between two attempts to come back.
const RETRY: Duration = Duration::from_secs(1);

/// How many attempts in a row may fail: a rollout takes some seconds.
const ATTEMPTS: u32 = 60;

/// Says something on a channel.
pub(super) async fn say(
    cluster: &Cluster,
    channel: &str,
    text: &str,
    through: &Through,
    from: &str,
) -> Result<()> {
    let params = json!({"channel": channel, "message": text, "from_user": from});
    send(cluster, through, "channel_send", params).await
}

/// Tells a user of another mud something.
pub(super) async fn tell(
    cluster: &Cluster,
    to: &Address,
    text: &str,
    through: &Through,
    from: &str,
) -> Result<()> {
    let params = json!({"target_mud": to.mud, "target_user": to.user, "message": text, "from_user": from});
    send(cluster, through, "tell", params).await
}

async fn send(cluster: &Cluster, through: &Through, method: &str, params: Value) -> Result<()> {
    let gateway = gateway::pick(cluster, through.gateway.as_deref()).await?;
    let identity = Identity::read(&through.certificate)?;
    let session = gateway_client::session(cluster, &gateway, identity.as_ref(), &[]).await?;
    let answer = session.client.call(method, params).await?;
    print(&match answer["status"].as_str() {
        Some("queued") => format!(
            "queued: {} has no link to the router just now, or much to send; it goes out as soon as it can\n",
            harmless(&gateway.mud)
        ),
        status => format!("{} by {}\n", status.unwrap_or("sent"), harmless(&gateway.mud)),
    })
}

/// Follows a channel, and comes back where it was when the pod goes.
pub(super) async fn tail(
    cluster: &Cluster,
    channel: &str,
    through: &Through,
    history: u16,
    output: Output,
) -> Result<()> {
    let gateway = gateway::pick(cluster, through.gateway.as_deref()).await?;
    let identity = Identity::read(&through.certificate)?;
    let identity = identity.as_ref();
    let mut session = gateway_client::session(cluster, &gateway, identity, SPOKEN).await?;
    session.client.call("channel_join", json!({"channel": channel})).await?;
    if history > 0 {
        let before =
            session.client.call("channel_history", json!({"channel": channel, "limit": history})).await?;
        for message in before["messages"].as_array().into_iter().flatten() {
            print(&line(message["type"] == "emote", message, output))?;
        }
    }
    eprintln!("following {channel} through {}; Ctrl+C ends it", gateway.path());
    loop {
        follow(&mut session, output).await?;
        eprintln!("the connection ended; coming back");
        session = come_back(cluster, &gateway, identity, &session, channel).await?;
    }
}

/// Prints what comes, until the connection ends.
async fn follow(session: &mut Session, output: Output) -> Result<()> {
    loop {
        match session.client.next_event(QUIET).await {
            Ok(event) => {
                let params = &event["params"];
                if params["seq"].is_u64() {
                    session.position = json!({"epoch": params["epoch"], "seq": params["seq"]});
                }
                if let Some(kind) = event["method"].as_str().filter(|kind| SPOKEN.contains(kind)) {
                    print(&line(kind == "channel_emote", params, output))?;
                }
            }
            Err(WaitError::TimedOut { .. }) => {
                // A connection that died without a word answers this no more.
                if session.client.call("ping", json!({})).await.is_err() {
                    return Ok(());
                }
            }
            Err(WaitError::Closed { .. }) => return Ok(()),
        }
    }
}

/// A new session, with the pod that holds the router session now, where the old one ended.
async fn come_back(
    cluster: &Cluster,
    gateway: &Gateway,
    identity: Option<&Identity>,
    old: &Session,
    channel: &str,
) -> Result<Session> {
    let mut attempt = 1;
    loop {
        match again(cluster, gateway, identity, old, channel).await {
            Ok(session) => return Ok(session),
            // These do not mend themselves.
            Err(
                error @ (Error::Forbidden(_)
                | Error::Unauthorized(_)
                | Error::NotFound { .. }
                | Error::NoCertificate(_)),
            ) => return Err(error),
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(_) => tokio::time::sleep(RETRY).await,
        }
        attempt += 1;
    }
}

async fn again(
    cluster: &Cluster,
    gateway: &Gateway,
    identity: Option<&Identity>,
    old: &Session,
    channel: &str,
) -> Result<Session> {
    let here = Cluster { client: cluster.client.clone(), namespace: gateway.namespace.clone() };
    let gateway = gateway::get(&here, &gateway.name).await?;
    let (key, pod) =
        futures::try_join!(gateway_client::key(&here, &gateway), gateway_client::pod(&here, &gateway))?;
    let resume = json!({"session_id": old.id, "epoch": old.position["epoch"], "seq": old.position["seq"]});
    let session =
        gateway_client::connect(&here, &gateway, identity, &pod, key.text(), SPOKEN, Some(resume)).await?;
    if session.recovered != Some(true) {
        eprintln!("what was said meanwhile may be missing");
        session.client.call("channel_join", json!({"channel": channel})).await?;
    }
    Ok(session)
}

/// A message as one line.
fn line(is_emote: bool, message: &Value, output: Output) -> String {
    if output == Output::Json {
        return format!("{message}\n");
    }
    let text = |field: &str| harmless(message[field].as_str().unwrap_or_default());
    let time = text("timestamp");
    let time = time.split_once('T').map_or(time.as_str(), |(_, time)| time.get(..8).unwrap_or(time));
    let name = match text("visname") {
        name if name.is_empty() => text("from_user"),
        name => name,
    };
    let speaker = format!("{name}@{}", text("from_mud"));
    if is_emote {
        let target = format!("{}@{}", text("target_visname"), text("target_mud"));
        format!("{time} * {}\n", text("message").replace("$N", &speaker).replace("$O", &target))
    } else {
        format!("{time} {speaker}: {}\n", text("message"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_harmless_line() {
        let message = json!({"timestamp": "2026-11-25T10:00:01.123456Z", "visname": "Ann", "from_user": "ann",
            "from_mud": "Dusk", "message": "hi\u{1b}[2J\nall"});
        assert_eq!(line(false, &message, Output::Text), "10:00:01 Ann@Dusk: hi[2Jall\n");
        let emote = json!({"timestamp": "2026-11-25T10:00:01Z", "visname": "", "from_user": "ann", "from_mud": "Dusk",
            "message": "$N waves."});
        assert_eq!(line(true, &emote, Output::Text), "10:00:01 * ann@Dusk waves.\n");
        assert_eq!(line(true, &json!({"a": 1}), Output::Json), "{\"a\":1}\n");
        assert_eq!(line(false, &json!({}), Output::Text), " @: \n");
    }
}
