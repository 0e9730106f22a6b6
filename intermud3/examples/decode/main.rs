//! Prints the packets of a capture, one a line, without their secrets.
//!
//! ```sh
//! cargo run -p intermud3 --example decode -- intermud3/tests/data/dead-souls-1.log
//! echo 00 00 00 04 31 32 33 00 | cargo run -p intermud3 --example decode
//! ```
//!
//! A capture is a text: see `tests/data/README.md` for recorded exchanges; lines of hex digits are taken too.
//! Frames may be spread over lines. Other lines are passed over.

mod capture;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::ExitCode;

use bytes::BytesMut;
use intermud3::frame::{MAX_INPUT, split};
use intermud3::{OobPacket, Packet, PacketError};

fn main() -> ExitCode {
    let input: Result<Box<dyn Read>, std::io::Error> = match std::env::args().nth(1).as_deref() {
        None | Some("-") => Ok(Box::new(std::io::stdin())),
        Some(path) => std::fs::File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
    };
    match input.and_then(|input| print(BufReader::new(input), &mut std::io::stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decode: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(capture: impl BufRead, out: &mut impl Write) -> std::io::Result<()> {
    let mut streams: BTreeMap<String, BytesMut> = BTreeMap::new();
    for line in capture.lines() {
        let line = line?;
        let Some(chunk) = capture::chunk(&line) else { continue };
        // The connection and the direction, without the time.
        let connection = chunk.label.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        let stream = streams.entry(connection).or_default();
        stream.extend_from_slice(&chunk.bytes);
        loop {
            match split(stream, MAX_INPUT) {
                Ok(Some(text)) => {
                    writeln!(out, "{}", format!("{} {}", chunk.label, describe(&text)).trim_start())?
                }
                Ok(None) => break,
                Err(error) => {
                    writeln!(out, "{} !! {error}", chunk.label)?;
                    stream.clear();
                    break;
                }
            }
        }
    }
    Ok(())
}

/// A packet of a router's connection, or else one from mud to mud.
fn describe(text: &[u8]) -> String {
    let in_band = match Packet::decode(text) {
        Err(PacketError::NoHeader) => None,
        other => Some(other.map(|packet| packet.to_string())),
    };
    let packet = in_band.unwrap_or_else(|| OobPacket::decode(text).map(|packet| packet.to_string()));
    packet.unwrap_or_else(|error| format!("!! {error}"))
}
