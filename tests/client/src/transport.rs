//! Both transports as a stream and a sink of texts.

use std::io;
use std::pin::Pin;

use futures::{Sink, SinkExt, Stream, StreamExt, future, stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config, connect_async_with_config};
use tokio_util::codec::{Framed, LinesCodec};

use crate::{Closed, ConnectError};

/// The longest message to read.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// Texts, and then how it ended.
pub(crate) type Incoming = Pin<Box<dyn Stream<Item = Result<String, Closed>> + Send>>;

/// Where texts go. Closing it says good-bye.
pub(crate) type Outgoing = Pin<Box<dyn Sink<String, Error = io::Error> + Send>>;

/// Which transport a URL asks for.
pub(crate) enum Target<'u> {
    WebSocket,
    Tcp(&'u str),
}

impl<'u> Target<'u> {
    pub(crate) fn of(url: &'u str) -> Result<Self, ConnectError> {
        let wrong = || ConnectError::Url { url: url.to_owned() };
        match url.split_once("://").ok_or_else(wrong)? {
            ("ws", rest) if !rest.is_empty() => Ok(Target::WebSocket),
            ("tcp", address) => {
                let (host, port) = address.trim_end_matches('/').rsplit_once(':').ok_or_else(wrong)?;
                let right = !host.is_empty() && port.parse::<u16>().is_ok();
                right.then(|| Target::Tcp(address.trim_end_matches('/'))).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

pub(crate) async fn web_socket(
    url: &str,
    api_key: Option<&str>,
) -> Result<(Outgoing, Incoming), ConnectError> {
    let failed = |source| ConnectError::WebSocket { url: url.to_owned(), source: Box::new(source) };
    let mut request = url.into_client_request().map_err(failed)?;
    if let Some(key) = api_key {
        let key = HeaderValue::from_str(key).map_err(|_| ConnectError::Header { url: url.to_owned() })?;
        request.headers_mut().insert("X-API-Key", key);
    }
    let (socket, _) = connect_async_with_config(request, Some(limits()), true).await.map_err(failed)?;
    Ok(messages(socket))
}

/// WebSocket over a stream that is there already.
pub(crate) async fn web_socket_over(
    name: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<(Outgoing, Incoming), ConnectError> {
    let failed = |source| ConnectError::WebSocket { url: name.to_owned(), source: Box::new(source) };
    // Whoever is in front of a gateway looks at host and path.
    let url = if name.contains("://") { name } else { "ws://gateway/ws" };
    let opened = client_async_with_config(url, stream, Some(limits())).await;
    Ok(messages(opened.map_err(failed)?.0))
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE))
}

fn messages<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    socket: WebSocketStream<S>,
) -> (Outgoing, Incoming) {
    let (sink, stream) = socket.split();
    let sink = sink.with(|text: String| future::ready(Ok(Message::text(text))));
    (
        Box::pin(sink.sink_map_err(|error: tungstenite::Error| io::Error::other(error))),
        Box::pin(texts(stream)),
    )
}

/// The texts of a WebSocket; pings are answered by the library, other frames are of no interest.
fn texts(
    messages: impl Stream<Item = Result<Message, tungstenite::Error>>,
) -> impl Stream<Item = Result<String, Closed>> {
    messages.filter_map(|message| {
        future::ready(match message {
            Ok(Message::Text(text)) => Some(Ok(text.as_str().to_owned())),
            Ok(Message::Close(frame)) => Some(Err(frame.map_or_else(Closed::default, |frame| Closed {
                code: Some(frame.code.into()),
                reason: frame.reason.as_str().to_owned(),
            }))),
            Ok(_) => None,
            Err(error) => Some(Err(Closed { code: None, reason: error.to_string() })),
        })
    })
}

pub(crate) async fn tcp(url: &str, address: &str) -> Result<(Outgoing, Incoming), ConnectError> {
    let failed = |source| ConnectError::Io { url: url.to_owned(), source };
    let socket = TcpStream::connect(address).await.map_err(failed)?;
    socket.set_nodelay(true).map_err(failed)?;
    Ok(lines(socket))
}

/// One message a line, over any stream.
pub(crate) fn lines(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> (Outgoing, Incoming) {
    let (sink, stream) = Framed::new(stream, LinesCodec::new_with_max_length(MAX_MESSAGE)).split::<String>();
    let lines = stream
        .map(|line| line.map_err(|error| Closed { code: None, reason: error.to_string() }))
        .chain(stream::once(future::ready(Err(Closed::default()))));
    (Box::pin(sink.sink_map_err(io::Error::other)), Box::pin(lines))
}
