//! A connection to another mud, driven by its [`Conversation`].

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use intermud3::OobPacket;
use intermud3::frame::MudModeCodec;
use tokio::time::{sleep_until, timeout};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

use crate::net::Stream;
use crate::oob::conversation::{Conversation, End, Step};

/// The longest frame, in bytes, both ways: what the specification lets a mud send.
pub const FRAME: usize = 256 * 1024;

/// How long one write may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a frame may stay incomplete.
const STALL: Duration = Duration::from_secs(30);

/// How often that is looked at.
const STALL_CHECK: Duration = Duration::from_secs(5);

/// A connection and how far the conversation on it is.
pub struct Line {
    frames: Framed<Stream, MudModeCodec>,
    /// How far it is.
    pub conversation: Conversation,
    stop: CancellationToken,
}

impl Line {
    /// A line over a connection.
    pub fn new(stream: Stream, conversation: Conversation, stop: CancellationToken) -> Self {
        let frames = Framed::new(stream, MudModeCodec::with_limits(FRAME, FRAME));
        Self { frames, conversation, stop }
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// How the conversation ends, when the other mud does not take it.
    pub async fn send(&mut self, packet: &OobPacket) -> Result<(), End> {
        let bytes = packet.encode().map_err(|error| {
            tracing::warn!(%error, kind = packet.kind(), "a packet cannot be written");
            End::Protocol
        })?;
        match timeout(WRITE_TIMEOUT, self.frames.send(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Lost),
            Err(_) => Err(End::TimedOut),
        }
    }

    /// Reads until there is something to decide: a caller, a request, a reply, or our turn. What the protocol itself wants
    /// answered is answered.
    ///
    /// # Errors
    /// How the conversation ended.
    pub async fn step(&mut self) -> Result<Step, End> {
        let mut look = tokio::time::interval(STALL_CHECK);
        loop {
            let step = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(End::Stopped),
                () = sleep_until(self.conversation.deadline().into()) => {
                    match self.conversation.due(Instant::now()) {
                        Some(end) => return Err(end),
                        None => continue,
                    }
                }
                _ = look.tick() => {
                    let checked = self.frames.codec_mut().check_stall(Instant::now(), STALL);
                    checked.map_err(|_| End::TimedOut)?;
                    continue;
                }
                frame = self.frames.next() => match frame {
                    Some(Ok(frame)) => match OobPacket::decode(&frame) {
                        Ok(packet) => self.conversation.receive(Instant::now(), packet),
                        Err(_) => self.conversation.unreadable(),
                    },
                    Some(Err(intermud3::FrameError::Io(_))) | None => return Err(End::Lost),
                    Some(Err(_)) => return Err(End::Protocol),
                }
            };
            match step {
                Step::Nothing => {}
                Step::Send(packet) => self.send(&packet).await?,
                Step::Close(end) => return Err(end),
                step => return Ok(step),
            }
        }
    }
}
