//! Faults on request: a listener of its own, and the client of it.
//!
//! One request a line, `cut MUD`, `restore MUD` or `muds`; the answer is any number of lines and then `ok`,
//! or `error` and a reason. `muds` gives a line a mud: `up` or `down`, `cut` or `-`, the address, the name,
//! with tabs between them.

use std::io;
use std::net::SocketAddr;

use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

use crate::{MudInfo, RunningRouter};

/// The longest line.
const MAX_LINE: usize = 4_096;

/// Listens for requests until the future is dropped.
pub async fn serve(listener: TcpListener, router: RunningRouter) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // One at a time is enough for a person or a script, and bounds what a broken one can hold.
        if let Err(error) = answer_all(stream, &router).await {
            tracing::debug!(%error, "control connection");
        }
    }
}

async fn answer_all(stream: TcpStream, router: &RunningRouter) -> Result<(), LinesCodecError> {
    let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(MAX_LINE));
    while let Some(line) = lines.next().await {
        for answer in answer(&line?, router).await {
            lines.feed(answer).await?;
        }
        SinkExt::<String>::flush(&mut lines).await?;
    }
    Ok(())
}

async fn answer(line: &str, router: &RunningRouter) -> Vec<String> {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("cut", mud) if !mud.is_empty() => router.cut(mud).await,
        ("restore", mud) if !mud.is_empty() => router.restore(mud).await,
        ("muds", "") => {
            let muds = router.muds().await;
            return muds.iter().map(describe).chain(["ok".to_owned()]).collect();
        }
        _ => return vec!["error expected `cut MUD`, `restore MUD` or `muds`".to_owned()],
    }
    vec!["ok".to_owned()]
}

fn describe(mud: &MudInfo) -> String {
    let state = if mud.up { "up" } else { "down" };
    let cut = if mud.cut { "cut" } else { "-" };
    format!("{state}\t{cut}\t{}\t{}", mud.address, mud.name.escape_debug())
}

/// Sends one request; the lines of the answer without the last.
pub async fn request(control: impl ToSocketAddrs, request: &str) -> io::Result<Vec<String>> {
    let stream = TcpStream::connect(control).await?;
    let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(MAX_LINE));
    lines.send(request).await.map_err(io::Error::other)?;
    let mut answer = Vec::new();
    while let Some(line) = lines.next().await {
        let line = line.map_err(io::Error::other)?;
        if line == "ok" {
            return Ok(answer);
        }
        if let Some(reason) = line.strip_prefix("error ") {
            return Err(io::Error::other(reason.to_owned()));
        }
        answer.push(line);
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Where the program listens for requests unless told otherwise.
pub const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8788);
