//! Cuts what a gateway sends into messages, without copying what comes whole.

use std::io::BufRead;

use crate::error::Error;

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// WebSocket, with a handshake.
    WebSocket,
    /// One message a line.
    Tcp,
    /// WebSocket frames from the first byte on: what the bare send loop writes.
    Bare,
}

/// One thing a gateway sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A JSON-RPC message.
    Message(&'a [u8]),
    /// A ping, which wants to be answered.
    Ping(&'a [u8]),
    /// The word that the connection ends.
    Close,
}

/// Cuts a stream into items; keeps no more than one that is not whole yet.
#[derive(Debug)]
pub struct Cutter {
    transport: Transport,
    partial: Vec<u8>,
}

/// What the front of some bytes is.
enum Front<'a> {
    /// An item and how long it is.
    Whole(usize, Item<'a>),
    /// Not an item yet; at least so many bytes are missing.
    Missing(usize),
}

impl Cutter {
    /// A cutter for a transport.
    pub fn new(transport: Transport) -> Self {
        Self { transport, partial: Vec::new() }
    }

    /// Takes the next piece of the stream and gives each item that is whole now to `take`.
    ///
    /// # Errors
    /// [`Error::Protocol`] when a server may not send this.
    pub fn feed(&mut self, mut piece: &[u8], take: &mut impl FnMut(Item<'_>)) -> Result<(), Error> {
        while !self.partial.is_empty() && !piece.is_empty() {
            let (wanted, rest) = piece.split_at(self.missing(piece)?.min(piece.len()));
            self.partial.extend_from_slice(wanted);
            piece = rest;
            if let Front::Whole(_, item) = front(self.transport, &self.partial)? {
                take(item);
                self.partial.clear();
            }
        }
        while let Front::Whole(len, item) = front(self.transport, piece)? {
            take(item);
            piece = &piece[len..];
        }
        self.partial.extend_from_slice(piece);
        Ok(())
    }

    /// How much of the next piece belongs to the item that is not whole yet.
    fn missing(&self, piece: &[u8]) -> Result<usize, Error> {
        match self.transport {
            Transport::Tcp => Ok(line_len(piece).unwrap_or(piece.len())),
            Transport::WebSocket | Transport::Bare => match frame_front(&self.partial)? {
                Front::Missing(count) => Ok(count),
                Front::Whole(..) => Ok(0),
            },
        }
    }
}

fn front(transport: Transport, bytes: &[u8]) -> Result<Front<'_>, Error> {
    match transport {
        Transport::Tcp => Ok(match line_len(bytes) {
            Some(len) => Front::Whole(len, Item::Message(&bytes[..len - 1])),
            None => Front::Missing(1),
        }),
        Transport::WebSocket | Transport::Bare => frame_front(bytes),
    }
}

/// How long the first line is, its end included.
fn line_len(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    // The standard library's fast search for a byte; reading from memory cannot fail.
    let len = rest.skip_until(b'\n').unwrap_or(0);
    (len > 0 && bytes[len - 1] == b'\n').then_some(len)
}

/// Reads the front as an unmasked, unfragmented frame (RFC 6455 section 5.2).
fn frame_front(bytes: &[u8]) -> Result<Front<'_>, Error> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(Front::Missing(2 - bytes.len()));
    };
    if second & 0x80 != 0 {
        return Err(Error::Protocol("a masked frame"));
    }
    let (header, payload) = match (second & 0x7f, rest) {
        (126, [a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        (126, _) => return Ok(Front::Missing(2 - rest.len())),
        (127, _) => return Err(Error::Protocol("a frame of more than 64 KiB")),
        (short, _) => (2, usize::from(short)),
    };
    let len = header + payload;
    if bytes.len() < len {
        return Ok(Front::Missing(len - bytes.len()));
    }
    let payload = &bytes[header..len];
    match first {
        0x81 => Ok(Front::Whole(len, Item::Message(payload))),
        0x89 => Ok(Front::Whole(len, Item::Ping(payload))),
        0x88 => Ok(Front::Whole(len, Item::Close)),
        _ => Err(Error::Protocol("a frame of a kind that was not expected")),
    }
}

/// A client's frame: masked, as it must be, with a mask that changes nothing. For up to 64 KiB.
pub fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(len) if len < 126 => frame.push(0x80 | len),
        _ => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = client_frame(first & 0x0f, payload);
        let header = if payload.len() < 126 { 2 } else { 4 };
        frame[1] &= 0x7f;
        frame.drain(header..header + 4);
        frame
    }

    /// What is cut out of a stream that comes in pieces of a size.
    fn cut(transport: Transport, stream: &[u8], size: usize) -> Result<Vec<String>, Error> {
        let mut cutter = Cutter::new(transport);
        let mut items = Vec::new();
        for piece in stream.chunks(size) {
            cutter.feed(piece, &mut |item| items.push(shown(&item)))?;
        }
        assert!(cutter.partial.is_empty());
        Ok(items)
    }

    fn shown(item: &Item<'_>) -> String {
        match item {
            Item::Message(text) => format!("message {}", text.len()),
            Item::Ping(text) => format!("ping {}", String::from_utf8_lossy(text)),
            Item::Close => "close".to_owned(),
        }
    }

    #[test]
    fn frames_are_cut_whatever_the_pieces() {
        let stream = [
            frame(0x81, b"short"),
            frame(0x81, &[b'x'; 310]),
            frame(0x89, b"p"),
            frame(0x81, b""),
            frame(0x81, &[b'y'; 65_535]),
            frame(0x88, &[3, 233]),
        ]
        .concat();
        let expected = ["message 5", "message 310", "ping p", "message 0", "message 65535", "close"];
        for size in [1, 2, 3, 7, 311, 4096, stream.len()] {
            assert_eq!(cut(Transport::WebSocket, &stream, size).unwrap(), expected, "pieces of {size}");
        }
    }

    #[test]
    fn lines_are_cut_whatever_the_pieces() {
        let stream = format!("{{}}\n{}\n\n", "x".repeat(310));
        for size in [1, 2, 5, 311, stream.len()] {
            let items = cut(Transport::Tcp, stream.as_bytes(), size).unwrap();
            assert_eq!(items, ["message 2", "message 310", "message 0"], "pieces of {size}");
        }
    }

    #[test]
    fn what_a_server_may_not_send_is_an_error() {
        for bytes in [client_frame(1, b"masked"), vec![0x01, 0x00], vec![0x81, 127, 0, 0]] {
            assert!(cut(Transport::WebSocket, &bytes, bytes.len()).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_clients_frame_is_masked_with_nothing() {
        assert_eq!(client_frame(1, b"hi"), [0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
        let long = client_frame(1, &[b'x'; 200]);
        assert_eq!((&long[..4], long.len()), (&[0x81, 0xfe, 0, 200][..], 208));
    }
}
