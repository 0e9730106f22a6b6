//! Mudmode framing: a 4-byte big-endian length, then that many bytes of LPC text and a NUL.
//!
//! The length counts the NUL: the int 123 is `00 00 00 04 31 32 33 00`. CoffeeMud sends no NUL (and a length
//! without it), some C clients send several, or NULs inside the text in place of carriage returns. So NULs at
//! the end are cut off, however many there are, and a NUL inside reads as a space.
//!
//! A peer that stops in the middle of a frame keeps the connection looking alive. [`Stall`] notices it: it has
//! no clock, and is told the time.

use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest frame to accept, NUL included: 2 MiB, as the specification asks of new programs.
pub const MAX_INPUT: usize = 2 * 1024 * 1024;

/// The longest frame to send, NUL included: 256 KiB. Dead Souls takes exactly this and closes on one more.
pub const MAX_OUTPUT: usize = 256 * 1024;

const HEADER: usize = 4;

/// Why a stream of frames cannot go on: past each of these the next frame cannot be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A length over the limit.
    #[error("a frame of {len} bytes, over the limit of {limit}")]
    TooLong {
        /// The length announced, or of the frame to send.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// A frame stayed incomplete for too long: see [`Stall`].
    #[error("a frame incomplete for {} s, with {len} bytes of it here", waited.as_secs())]
    Stalled {
        /// How many bytes of it have come, those of its length included.
        len: usize,
        /// For how long it has been waited for.
        waited: Duration,
    },
    /// A length of 0. Drivers close the connection on it, too.
    #[error("a frame of length 0")]
    Empty,
    /// The stream ended inside a frame, or could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Takes the next whole frame off the front of `buffer`: its text, without trailing NULs and with inner ones
/// made blank. `None` when more bytes are needed. Nothing is allocated on the strength of an announced
/// length.
pub fn split(buffer: &mut BytesMut, max_len: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(header) = buffer.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes(*header) as usize;
    if len == 0 {
        return Err(FrameError::Empty);
    }
    if len > max_len {
        return Err(FrameError::TooLong { len, limit: max_len });
    }
    if buffer.len() < HEADER + len {
        return Ok(None);
    }
    buffer.advance(HEADER);
    let mut text = buffer.split_to(len);
    let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    text.truncate(end);
    text.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
    Ok(Some(text.freeze()))
}

/// Appends a frame with `text` and its NUL to `buffer`.
pub fn append(text: &[u8], buffer: &mut BytesMut, max_len: usize) -> Result<(), FrameError> {
    let len = text.len() + 1;
    let header = match u32::try_from(len) {
        Ok(header) if len <= max_len => header,
        _ => return Err(FrameError::TooLong { len, limit: max_len }),
    };
    buffer.reserve(HEADER + len);
    buffer.put_u32(header);
    buffer.put_slice(text);
    buffer.put_u8(0);
    Ok(())
}

/// Notices a frame that stays incomplete.
///
/// ```
/// # use std::time::{Duration, Instant};
/// # use intermud3::frame::Stall;
/// let (start, limit) = (Instant::now(), Duration::from_secs(30));
/// let mut stall = Stall::default();
/// stall.progress(3, false); // three bytes are waiting for the rest of their frame
/// assert!(stall.check(start, limit).is_ok());
/// assert!(stall.check(start + limit, limit).is_err());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stall {
    /// How many bytes of an incomplete frame have come.
    waiting: usize,
    /// When that frame was first seen by [`Stall::check`].
    since: Option<Instant>,
}

impl Stall {
    /// Takes note of what [`split`] did: how many bytes it left, and whether it took a frame off before them.
    pub fn progress(&mut self, waiting: usize, took_frame: bool) {
        self.waiting = waiting;
        if took_frame || waiting == 0 {
            self.since = None;
        }
    }

    /// To be called now and then, a few times within `limit`: an error if the same frame has been incomplete at
    /// every call for that long.
    pub fn check(&mut self, now: Instant, limit: Duration) -> Result<(), FrameError> {
        if self.waiting == 0 {
            return Ok(());
        }
        let waited = now.saturating_duration_since(*self.since.get_or_insert(now));
        if waited < limit { Ok(()) } else { Err(FrameError::Stalled { len: self.waiting, waited }) }
    }
}

/// Mudmode frames for `tokio_util::codec::Framed`: [`split`] and [`append`] with limits.
///
/// Any error means that the connection is of no more use.
#[cfg(feature = "codec")]
#[derive(Debug, Clone)]
pub struct MudModeCodec {
    max_input: usize,
    max_output: usize,
    stall: Stall,
}

#[cfg(feature = "codec")]
mod codec {
    use tokio_util::codec::{Decoder, Encoder};

    use super::*;

    impl MudModeCodec {
        /// A codec with the limits [`MAX_INPUT`] and [`MAX_OUTPUT`].
        pub fn new() -> Self {
            Self::with_limits(MAX_INPUT, MAX_OUTPUT)
        }

        /// A codec with limits of one's own; both count the NUL.
        pub fn with_limits(max_input: usize, max_output: usize) -> Self {
            Self { max_input, max_output, stall: Stall::default() }
        }

        /// An error if a frame has been incomplete for `limit`: [`Stall::check`] of what was read.
        pub fn check_stall(&mut self, now: Instant, limit: Duration) -> Result<(), FrameError> {
            self.stall.check(now, limit)
        }
    }

    impl Default for MudModeCodec {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Decoder for MudModeCodec {
        type Item = Bytes;
        type Error = FrameError;

        fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
            let frame = split(buffer, self.max_input)?;
            self.stall.progress(buffer.len(), frame.is_some());
            Ok(frame)
        }
    }

    impl Encoder<Bytes> for MudModeCodec {
        type Error = FrameError;

        fn encode(&mut self, text: Bytes, buffer: &mut BytesMut) -> Result<(), FrameError> {
            append(&text, buffer, self.max_output)
        }
    }
}
