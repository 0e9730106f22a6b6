//! Framing.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use intermud3::frame::{MAX_INPUT, MAX_OUTPUT, Stall, append, split};
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

#[test]
fn a_frame_incomplete_for_too_long_is_stalled() {
    let (start, limit) = (Instant::now(), Duration::from_secs(30));
    let at = |seconds| start + Duration::from_secs(seconds);
    let (mut codec, mut buffer) = (MudModeCodec::new(), BytesMut::new());
    let mut read = |codec: &mut MudModeCodec, bytes: &[u8]| {
        buffer.extend_from_slice(bytes);
        while codec.decode(&mut buffer).unwrap().is_some() {}
    };

    read(&mut codec, b"");
    assert!(codec.check_stall(at(0), limit).is_ok());
    assert!(codec.check_stall(at(1000), limit).is_ok(), "nothing has come, so nothing is missing");
    read(&mut codec, b"\0\0\0\x041");
    assert!(codec.check_stall(at(1000), limit).is_ok());
    read(&mut codec, b"2");
    assert!(codec.check_stall(at(1029), limit).is_ok(), "a byte more is no frame more");
    let error = codec.check_stall(at(1030), limit).unwrap_err();
    assert!(matches!(error, FrameError::Stalled { len: 6, waited } if waited == limit));
    assert_eq!(error.to_string(), "a frame incomplete for 30 s, with 6 bytes of it here");
    // The rest, and the beginning of the next, for which the time starts anew.
    read(&mut codec, b"3\0\0\0");
    assert!(codec.check_stall(at(1031), limit).is_ok());
    assert!(codec.check_stall(at(1060), limit).is_ok());
    assert!(codec.check_stall(at(1061), limit).is_err());
    read(&mut codec, b"\0\x02x\0");
    assert!(codec.check_stall(at(9999), limit).is_ok());
}

#[test]
fn a_clock_that_goes_back_stalls_nothing() {
    let (start, limit) = (Instant::now(), Duration::from_secs(30));
    let mut stall = Stall::default();
    stall.progress(1, false);
    assert!(stall.check(start + limit, limit).is_ok());
    assert!(stall.check(start, limit).is_ok());
    assert!(stall.check(start + 2 * limit, limit).is_err());
}

#[test]
fn a_stream_that_ends_inside_a_frame_is_an_error() {
    let mut codec = MudModeCodec::new();
    assert!(matches!(codec.decode_eof(&mut BytesMut::from(&b"\0\0\0\x041"[..])), Err(FrameError::Io(_))));
    assert!(codec.decode_eof(&mut BytesMut::new()).unwrap().is_none());
}
