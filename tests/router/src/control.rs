//! Faults on request: HTTP on a port of its own, and the client of it.
//!
//! | request | |
//! |---|---|
//! | `GET /muds`, `/channels`, `/links` | lists, as JSON: [`MudInfo`], [`ChannelInfo`], [`LinkInfo`] |
//! | `POST /muds/NAME/cut`, `/restore` | [`RunningRouter::cut`], [`RunningRouter::restore`] |
//! | `POST /muds/NAME/half-open`, `/resume` | [`RunningRouter::half_open`], [`RunningRouter::resume`] |
//! | `POST /muds/NAME/delay?ms=N` | [`RunningRouter::delay`] |
//! | `POST /muds/NAME/slice?bytes=N` | [`RunningRouter::slice`]; 1 if not given |
//! | `POST /muds/NAME/raw` | [`RunningRouter::send_raw`] of the body |
//! | `POST /muds/NAME/packet` | [`RunningRouter::send_packet`] of the body |
//! | `POST /restart` | [`RunningRouter::restart`] |
//!
//! A name is percent-encoded. The answer to what has none is 204; 404 when the mud has no link.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use crate::{ChannelInfo, LinkInfo, MudInfo, RunningRouter};

/// Where the program listens for requests unless told otherwise.
pub const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8788);

/// The most a request or an answer may have.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Answers requests until the future is dropped.
pub async fn serve(listener: TcpListener, router: RunningRouter) -> io::Result<()> {
    let routes = Router::new()
        .route("/muds", get(muds))
        .route("/channels", get(channels))
        .route("/links", get(links))
        .route("/muds/{mud}/{action}", post(act))
        .route("/restart", post(restart))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    axum::serve(listener, routes.with_state(router)).await
}

async fn muds(State(router): State<RunningRouter>) -> Json<Vec<MudInfo>> {
    Json(router.muds().await)
}

async fn channels(State(router): State<RunningRouter>) -> Json<Vec<ChannelInfo>> {
    Json(router.channels().await)
}

async fn links(State(router): State<RunningRouter>) -> Json<Vec<LinkInfo>> {
    Json(router.links().await)
}

async fn restart(State(router): State<RunningRouter>) -> StatusCode {
    router.restart().await;
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Options {
    #[serde(default)]
    ms: u64,
    #[serde(default = "one")]
    bytes: usize,
}

fn one() -> usize {
    1
}

type Failure = (StatusCode, String);

async fn act(
    State(router): State<RunningRouter>,
    Path((mud, action)): Path<(String, String)>,
    Query(options): Query<Options>,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    let has_link = match &*action {
        "half-open" => router.half_open(&mud).await,
        "resume" => router.resume(&mud).await,
        "raw" => router.send_raw(&mud, body).await,
        "packet" => router.send_packet(&mud, body).await,
        _ => {
            match &*action {
                "cut" => router.cut(&mud).await,
                "restore" => router.restore(&mud).await,
                "delay" => router.delay(&mud, Duration::from_millis(options.ms)).await,
                "slice" => router.slice(&mud, options.bytes).await,
                _ => return Err((StatusCode::NOT_FOUND, format!("there is no action {action:?}"))),
            }
            true
        }
    };
    if has_link {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err((StatusCode::NOT_FOUND, format!("{mud:?} has no link")))
    }
}

/// The path of an action on a mud.
pub fn path(mud: &str, action: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    format!("/muds/{}/{action}", mud.bytes().map(encode).collect::<String>())
}

/// Sends one request; the body of the answer, which is an error unless the status is 2xx.
pub async fn request(
    control: impl ToSocketAddrs,
    method: &str,
    path: &str,
    body: &[u8],
) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(control).await?;
    let len = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: i3-router\r\nContent-Length: {len}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    stream.take(MAX_BODY as u64).read_to_end(&mut answer).await?;
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let body = answer.split_off(head + 4);
    let status = answer.split(|byte| *byte == b' ').nth(1);
    if status.is_some_and(|status| status.starts_with(b"2")) {
        return Ok(body);
    }
    Err(io::Error::other(String::from_utf8_lossy(&body).into_owned()))
}
