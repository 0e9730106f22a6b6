//! Framing.

use bytes::{Bytes, BytesMut};
use intermud3::frame::{MAX_INPUT, MAX_OUTPUT, append, split};
use intermud3::{FrameError, MudModeCodec};
use tokio_util::codec::{Decoder, Encoder};

fn frames(bytes: &[u8]) -> Vec<Bytes> {
    let mut buffer = BytesMut::from(bytes);
    std::iter::from_fn(|| split(&mut buffer, MAX_INPUT).unwrap()).collect()
}

#[test]
fn a_frame_counts_its_nul() {
    let mut buffer = BytesMut::new();
    append(b"123", &mut buffer, MAX_OUTPUT).unwrap();
    assert_eq!(buffer, &b"\0\0\0\x04123\0"[..]);
    assert_eq!(frames(&buffer), ["123"]);
}

#[test]
fn nuls_may_be_missing_or_many() {
    assert_eq!(frames(b"\0\0\0\x03123"), ["123"]);
    assert_eq!(frames(b"\0\0\0\x06123\0\0\0"), ["123"]);
    assert_eq!(frames(b"\0\0\0\x051\x0023\0"), ["1 23"]);
    assert_eq!(frames(b"\0\0\0\x02\0\0"), [""]);
}

#[test]
fn frames_arrive_in_any_pieces() {
    let stream = b"\0\0\0\x021\0\0\0\0\x0222\0\0\0\x033\x003";
    let mut buffer = BytesMut::new();
    let mut codec = MudModeCodec::new();
    let mut got = Vec::new();
    for byte in stream {
        buffer.extend_from_slice(&[*byte]);
        got.extend(codec.decode(&mut buffer).unwrap());
    }
    assert_eq!(got, ["1", "22", "3 3"]);
}

#[test]
fn lengths_out_of_bounds_end_the_stream() {
    let read = |header: u32| split(&mut BytesMut::from(&header.to_be_bytes()[..]), MAX_INPUT);
    assert!(matches!(read(0), Err(FrameError::Empty)));
    assert!(matches!(read(MAX_INPUT as u32), Ok(None)));
    for len in [MAX_INPUT as u32 + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        let error = read(len).unwrap_err();
        assert!(matches!(error, FrameError::TooLong { len: l, limit: MAX_INPUT } if l == len as usize));
    }
}

#[test]
fn an_announced_length_allocates_nothing() {
    let mut buffer = BytesMut::from(&[0, 0x1f, 0xff, 0xff][..]);
    let before = buffer.capacity();
    assert!(split(&mut buffer, MAX_INPUT).unwrap().is_none());
    assert_eq!(buffer.capacity(), before);
}

#[test]
fn dead_souls_limit_holds_for_output() {
    let mut buffer = BytesMut::new();
    let mut codec = MudModeCodec::new();
    codec.encode(Bytes::from(vec![b'1'; MAX_OUTPUT - 1]), &mut buffer).unwrap();
    assert_eq!(buffer[..4], 262_144_u32.to_be_bytes());
    let error = codec.encode(Bytes::from(vec![b'1'; MAX_OUTPUT]), &mut buffer).unwrap_err();
    assert_eq!(error.to_string(), "a frame of 262145 bytes, over the limit of 262144");
}
