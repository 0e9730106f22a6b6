//! Another mud of the network, on a thread of its own: the one that speaks. Nothing paces it but the clock.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::stamp::{Clock, Stamp};
use crate::swarm::CHANNEL;

/// Short, so that an event is about 310 bytes for the client, with 80 of text.
const NAME: &str = "Bench";

/// How many messages are written at once in a flood.
const BATCH: u64 = 32;

/// How long one write or the answer to the registration may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The mud that speaks.
pub struct Speaker {
    stream: TcpStream,
    clock: Clock,
    /// A frame with a message, whose stamp is written over for each.
    frame: Vec<u8>,
    stamp_at: usize,
    next: u64,
}

/// How to speak in time.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Messages in a second.
    pub rate: u32,
    /// How many.
    pub count: u64,
    /// Whether clients record how late they are.
    pub recorded: bool,
}

impl Speaker {
    /// Registers with a router.
    ///
    /// # Errors
    /// When the router does not answer.
    pub fn join(router: SocketAddr, router_name: &str, clock: Clock) -> Result<Self, Error> {
        let mut stream = TcpStream::connect(router)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&framed(&startup(router_name)))?;
        let mut answer = [0; 256];
        let len = stream.read(&mut answer)?;
        if !answer[..len].windows(13).any(|text| text == b"startup-reply") {
            return Err(Error::Unseen("the speaker's registration"));
        }
        stream.set_read_timeout(None)?;
        let mut replies = stream.try_clone()?;
        // The router gives a speaker its own words, too. This ends when the speaker is dropped.
        thread::Builder::new().name("speaker's ear".to_owned()).spawn(move || {
            let mut sink = vec![0; 64 * 1024];
            while replies.read(&mut sink).is_ok_and(|len| len > 0) {}
        })?;
        let frame = framed(&message());
        let stamp_at = frame.iter().position(|byte| *byte == b'#').unwrap_or(frame.len());
        Ok(Self { stream, clock, frame, stamp_at, next: 0 })
    }

    /// How many messages it has said.
    pub fn said(&self) -> u64 {
        self.next
    }

    /// Speaks at a steady pace as long as `go_on` says so. A message that could not be said in time still counts
    /// from when it was due.
    ///
    /// # Errors
    /// When the router does not read.
    pub fn paced(&mut self, pace: Pace, go_on: impl Fn() -> bool) -> Result<(), Error> {
        let period = 1_000_000_000 / u64::from(pace.rate);
        let start = self.clock.nanos();
        for index in 0..pace.count {
            if !go_on() {
                return Ok(());
            }
            let due = start + index * period;
            thread::sleep(Duration::from_nanos(due.saturating_sub(self.clock.nanos())));
            self.say(1, if pace.recorded { due } else { 0 })?;
        }
        Ok(())
    }

    /// Speaks as fast as the slowest client hears, with at most `window` messages under way.
    ///
    /// # Errors
    /// When the router does not read.
    pub fn flood(&mut self, window: u64, duration: Duration, slowest: impl Fn() -> u64) -> Result<(), Error> {
        let until = Instant::now() + duration;
        while Instant::now() < until {
            if self.next + BATCH > slowest() + window {
                thread::sleep(Duration::from_micros(50));
            } else {
                self.say(BATCH, 0)?;
            }
        }
        Ok(())
    }

    /// Says so many messages at once, whoever can follow or not.
    ///
    /// # Errors
    /// When the router does not read.
    pub fn burst(&mut self, count: u64) -> Result<(), Error> {
        self.say(count, 0)
    }

    fn say(&mut self, count: u64, due: u64) -> Result<(), Error> {
        let mut frames = self.frame.repeat(usize::try_from(count).unwrap_or(1));
        for frame in frames.chunks_exact_mut(self.frame.len()) {
            Stamp { sequence: self.next, due }.write_over(&mut frame[self.stamp_at..]);
            self.next += 1;
        }
        Ok(self.stream.write_all(&frames)?)
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // Fails only when the router has closed it already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// The length, the text and a NUL, which counts.
fn framed(text: &str) -> Vec<u8> {
    let len = u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
    [&len.to_be_bytes()[..], text.as_bytes(), &[0]].concat()
}

/// Written by hand, as all else that is said here: so the bench speaks to a router as any other program does.
fn startup(router: &str) -> String {
    format!(
        "({{\"startup-req-3\",5,\"{NAME}\",0,\"{router}\",0,0,0,0,4000,0,0,\"None\",\"None\",\"None\",\"LP\",\"closed\",\
         \"nobody@example.org\",([\"channel\":1,]),([]),}})"
    )
}

fn message() -> String {
    let text = Stamp { sequence: 0, due: 0 }.text();
    format!("({{\"channel-m\",5,\"{NAME}\",\"ann\",0,0,\"{CHANNEL}\",\"Ann\",\"{text}\",}})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_its_nul() {
        assert_eq!(framed("123"), b"\0\0\0\x04123\0");
    }

    #[test]
    fn the_stamp_is_all_that_differs_between_messages() {
        let text = message();
        let at = text.find('#').unwrap();
        let other = Stamp { sequence: 7, due: 9 };
        let mut changed = text.clone().into_bytes();
        other.write_over(&mut changed[at..]);
        assert_eq!(String::from_utf8(changed).unwrap(), text.replace(&text[at..at + 80], &other.text()));
    }
}
