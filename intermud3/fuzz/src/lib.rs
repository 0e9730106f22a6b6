//! What must hold for any input. The fuzz targets call these functions with bytes of their own, the ordinary
//! tests (`tests/it/corpus.rs`) with the corpus.
#![allow(clippy::unwrap_used, reason = "a panic is how a fuzz target reports")]

pub mod naive;

use std::time::{Duration, Instant};

use bytes::BytesMut;
use intermud3::frame::{MAX_OUTPUT, append, split};
use intermud3::lpc::{self, Limits};
use intermud3::{EncodeError, FrameError, MudModeCodec, OobPacket, Packet, pinkfish, text as texts};
use tokio_util::codec::Decoder;

/// Writing has no limits here but that of depth, so that whatever was read can be written.
const WRITE: Limits = Limits { output_bytes: usize::MAX / 2, output_elements: usize::MAX, ..Limits::DEFAULT };

/// LPC text is read as a naive reader reads it, and written in a form that reads the same.
pub fn lpc(data: &[u8]) {
    let read = lpc::decode(data);
    assert_eq!(read.as_ref().ok(), naive::read(data).as_ref());
    let Ok(value) = read else { return };
    let written = lpc::encode_with(&value, &WRITE).unwrap();
    assert!(std::str::from_utf8(&written).is_ok() && !written.contains(&0));
    assert_eq!(lpc::decode(&written).unwrap(), value);
    match lpc::encode(&value) {
        Ok(strictly) => assert_eq!(strictly, written),
        Err(error) => {
            assert!(matches!(error, EncodeError::TooLong { .. } | EncodeError::TooManyElements { .. }))
        }
    }
}

/// A stream gives the same frames and the same error however it is cut. The first byte says how many of the
/// next bytes are sizes of cuts; the rest is the stream.
pub fn frame(data: &[u8]) {
    let Some((&cuts, rest)) = data.split_first() else { return };
    let (cuts, stream) = rest.split_at(rest.len().min(usize::from(cuts)));
    let limit = 4096;
    let whole = frames(&mut BytesMut::from(stream), limit);

    let (mut codec, mut buffer, mut rest) =
        (MudModeCodec::with_limits(limit, limit), BytesMut::new(), stream);
    let mut got = Frames::default();
    let mut cuts = cuts.iter().map(|&cut| usize::from(cut));
    while !rest.is_empty() && got.error.is_none() {
        let (piece, after) = rest.split_at(cuts.next().unwrap_or(usize::MAX).min(rest.len()));
        buffer.extend_from_slice(piece);
        rest = after;
        got.take(|| codec.decode(&mut buffer));
    }
    assert_eq!(got, whole);
    stalls(&mut codec, got.error.is_none() && !buffer.is_empty());

    let mut again = BytesMut::new();
    for text in &whole.texts {
        append(text, &mut again, MAX_OUTPUT).unwrap();
    }
    assert_eq!(frames(&mut again, MAX_OUTPUT), Frames { texts: whole.texts, error: None });
}

/// A frame is stalled if, and only if, a part of it has come.
fn stalls(codec: &mut MudModeCodec, incomplete: bool) {
    let (start, limit) = (Instant::now(), Duration::from_secs(30));
    assert!(codec.check_stall(start, limit).is_ok());
    let later = codec.check_stall(start + limit, limit);
    assert!(!incomplete || matches!(later, Err(FrameError::Stalled { .. })));
}

#[derive(Debug, Default, PartialEq)]
struct Frames {
    texts: Vec<bytes::Bytes>,
    error: Option<String>,
}

impl Frames {
    fn take(&mut self, mut next: impl FnMut() -> Result<Option<bytes::Bytes>, FrameError>) {
        loop {
            match next() {
                Ok(Some(text)) => {
                    assert!(!text.contains(&0));
                    self.texts.push(text);
                }
                Ok(None) => return,
                Err(error) => {
                    self.error = Some(error.to_string());
                    return;
                }
            }
        }
    }
}

fn frames(buffer: &mut BytesMut, limit: usize) -> Frames {
    let mut frames = Frames::default();
    frames.take(|| split(buffer, limit));
    frames
}

/// A packet that is read is written in a form that reads the same, and is shown on one short line.
pub fn packet(data: &[u8]) {
    let Ok(packet) = Packet::decode(data) else { return };
    let written = packet.encode_with(&WRITE).unwrap();
    assert_eq!(Packet::decode(&written).unwrap(), packet);
    let value = packet.to_value();
    assert_eq!(lpc::decode(&written).unwrap(), value);
    assert_eq!(Packet::from_value(value).unwrap(), packet);
    assert!(packet.body.label() == packet.kind() || packet.body.label() == "other");
    is_log_line(&packet.to_string());
}

/// The same for out-of-band packets.
pub fn oob(data: &[u8]) {
    let Ok(packet) = OobPacket::decode(data) else { return };
    let written = packet.encode_with(&WRITE).unwrap();
    assert_eq!(OobPacket::decode(&written).unwrap(), packet);
    let value = packet.to_value();
    assert_eq!(lpc::decode(&written).unwrap(), value);
    assert_eq!(OobPacket::from_value(value).unwrap(), packet);
    is_log_line(&packet.to_string());
}

fn is_log_line(line: &str) {
    assert!(!line.contains(char::is_control));
    assert!(line.len() < 30_000, "{} bytes", line.len());
}

/// Texts: cleaning and colours.
pub fn text(data: &[u8]) {
    let text = texts::decode(data.to_vec());
    if let Ok(utf8) = std::str::from_utf8(data) {
        assert_eq!(text, utf8);
    }
    let clean = texts::clean(&text);
    assert_eq!(texts::clean(&clean), clean);
    assert!(!clean.contains(|c: char| c.is_control() && !['\n', '\t', '\x1b'].contains(&c)));

    assert_eq!(pinkfish::to_plain(&pinkfish::escape(&text)), text);
    assert_eq!(pinkfish::to_ansi(&pinkfish::escape(&text)), text);
    let (plain, ansi, html) = (pinkfish::to_plain(&text), pinkfish::to_ansi(&text), pinkfish::to_html(&text));
    assert!(plain.len() <= text.len());
    assert!(ansi.len() <= 30 * text.len() && html.len() <= 30 * text.len());
    if !text.contains('\x1b') {
        assert_eq!(without_sequences(&ansi), plain);
    }
    is_html(&html);
}

fn without_sequences(ansi: &str) -> String {
    let mut parts = ansi.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').unwrap().1)
}

/// Only spans, each closed, none inside another, and no character that means something else.
fn is_html(html: &str) {
    let mut rest = html;
    while let Some((text, from_tag)) = rest.split_once('<') {
        assert!(is_html_text(text));
        let (tag, inside) = from_tag.split_once('>').unwrap();
        let class = tag.strip_prefix("span class=\"").and_then(|tag| tag.strip_suffix('"')).unwrap();
        assert!(class.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte == b' '));
        let (text, after) = inside.split_once("</span>").unwrap();
        assert!(is_html_text(text));
        rest = after;
    }
    assert!(is_html_text(rest));
}

fn is_html_text(text: &str) -> bool {
    let entities = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
    let known = text.match_indices('&').all(|(at, _)| entities.iter().any(|e| text[at..].starts_with(e)));
    known
        && !text.contains(|c: char| {
            ['<', '>', '"', '\''].contains(&c) || (c.is_control() && c != '\n' && c != '\t')
        })
}
