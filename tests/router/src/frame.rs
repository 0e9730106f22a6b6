//! Frames as a driver cuts them: unlike `intermud3` it keeps every byte, so that what a NUL inside does can be
//! seen.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// The longest frame, its NUL included. A driver's `maximum byte transfer`.
pub const MAX_FRAME: usize = 256 * 1024;

const HEADER: usize = 4;

/// Why the connection has to be closed.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// No frame has this length.
    #[error("a frame of {0} bytes")]
    Length(u32),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Takes the body of the next whole frame off the front of `buffer`. None when more bytes are needed; a length
/// that cannot be is an error before a byte of the body is there.
pub fn split(buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some(header) = buffer.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*header);
    let len = length as usize;
    if len == 0 || len > MAX_FRAME {
        return Err(FrameError::Length(length));
    }
    if buffer.len() < HEADER + len {
        return Ok(None);
    }
    buffer.advance(HEADER);
    Ok(Some(buffer.split_to(len).freeze()))
}

/// A frame of a text, with a NUL or without.
pub fn frame(text: &[u8], nul: bool) -> Bytes {
    let len = text.len() + usize::from(nul);
    let mut frame = BytesMut::with_capacity(HEADER + len);
    // Nobody writes texts of 4 GiB here.
    frame.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    frame.put_slice(text);
    if nul {
        frame.put_u8(0);
    }
    frame.freeze()
}

/// [`split`] for `tokio_util`.
pub(crate) struct Frames;

impl Decoder for Frames {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        split(buffer)
    }
}
