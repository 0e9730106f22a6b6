//! A server that does what the called method says.

use futures::{Sink, SinkExt, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::codec::{Framed, LinesCodec};

const WELCOME: &str = r#"{"jsonrpc":"2.0","method":"welcome","params":{"service":"test"}}"#;

/// Starts a WebSocket server; the URL to reach it.
pub(crate) async fn web_socket() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_web_socket(stream));
        }
    });
    url
}

/// Starts a TCP server that says this first; the URL to reach it.
pub(crate) async fn tcp_saying(first: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut lines = Framed::new(stream, LinesCodec::new());
            tokio::spawn(async move {
                for line in first {
                    lines.send(*line).await.unwrap();
                }
                let (sink, stream) = lines.split::<String>();
                serve(sink, stream.filter_map(async |line| line.ok())).await;
            });
        }
    });
    url
}

pub(crate) async fn tcp() -> String {
    tcp_saying(&[WELCOME]).await
}

async fn serve_web_socket(stream: TcpStream) {
    let mut key = None;
    #[allow(clippy::result_large_err, reason = "the type is the library's")]
    let note_key = |request: &Request, response: Response| {
        key = request.headers().get("X-API-Key").map(|key| key.to_str().unwrap().to_owned());
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, note_key).await.unwrap();
    if let Some(key) = key {
        let event = json!({ "jsonrpc": "2.0", "method": "header", "params": { "key": key } });
        socket.send(Message::text(event.to_string())).await.unwrap();
    }
    let (mut sink, stream) = socket.split();
    let texts = stream.filter_map(async |message| match message {
        Ok(Message::Text(text)) => Some(text.as_str().to_owned()),
        _ => None,
    });
    let texts_sink = (&mut sink).with(async |text: String| Ok::<_, Error>(Message::text(text)));
    serve(Box::pin(texts_sink), texts).await;
    let frame = CloseFrame { code: 4008.into(), reason: "slow consumer".into() };
    // The client may be gone.
    let _ = sink.send(Message::Close(Some(frame))).await;
}

/// Answers until it is told to close, or the client is gone.
async fn serve<E: std::fmt::Debug>(
    mut sink: impl Sink<String, Error = E> + Unpin,
    texts: impl Stream<Item = String>,
) {
    let mut texts = std::pin::pin!(texts);
    let mut held = Vec::new();
    while let Some(text) = texts.next().await {
        let Ok(request) = serde_json::from_str::<Value>(&text) else {
            sink.send(r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Invalid JSON"}}"#.into())
                .await
                .unwrap();
            continue;
        };
        let id = &request["id"];
        let result = |result: Value| json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        let error = |code: i64, message: &str| {
            let error = json!({ "code": code, "message": message, "data": { "method": request["method"] } });
            json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()
        };
        let answers = match request["method"].as_str().unwrap() {
            "authenticate" if request["params"]["api_key"] == "good" => {
                vec![result(json!({ "status": "authenticated", "mud_name": "MudA" }))]
            }
            "authenticate" => vec![error(-32000, "Invalid API key")],
            "echo" => vec![result(request["params"].clone())],
            // So many events, then the answer.
            "events" => {
                let count = request["params"]["count"].as_u64().unwrap();
                let event = |n| json!({ "jsonrpc": "2.0", "method": "n", "params": { "n": n } }).to_string();
                (0..count).map(event).chain([result(Value::Null)]).collect()
            }
            // Its answer comes behind the next one.
            "later" => {
                held.push(result(json!("late")));
                vec![]
            }
            // Over two lines, so for WebSocket only.
            "pretty" => vec![format!("{{\"jsonrpc\":\"2.0\",\n\"id\":{id},\"result\":1}}")],
            "silent" => vec![],
            "close" => return,
            _ => vec![error(-32601, "Unknown method")],
        };
        let held = if answers.is_empty() { vec![] } else { std::mem::take(&mut held) };
        for answer in answers.into_iter().chain(held) {
            sink.send(answer).await.unwrap();
        }
    }
}
