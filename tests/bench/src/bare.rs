//! The bare send loop: what the same deliveries cost a thread that does nothing but send. No gateway can do with less
//! at the same number of messages a send, so the gateway's figures are best read as multiples of these.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use crate::error::Error;
use crate::figure::Figure;
use crate::process::own_thread_time;
use crate::report::Results;
use crate::scenario::{Bench, milliseconds, per_delivery};
use crate::stamp::{Clock, Stamp};
use crate::swarm::{Endpoint, Swarm};
use crate::wire::Transport;

/// How many messages are written at once in a flood.
const BATCH: u64 = 32;

/// How long a message is for a WebSocket client, header included.
const MESSAGE: usize = 310;

/// Measures the bare send loop.
///
/// # Errors
/// When a client does not get everything.
pub async fn measure(bench: &Bench, results: &mut Results) -> Result<(), Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let endpoint = Endpoint { address: listener.local_addr()?, transport: Transport::Bare, stalls: false };
    let swarm = Swarm::connect(&bench.driver, endpoint, bench.plan.clients, bench.clock).await?;
    let mut sender = Sender::accept(&listener, bench.plan.clients, bench.clock)?;
    let clients = bench.plan.clients as u64;

    let used = block_in_place(|| sender.paced(bench.plan.rate, bench.plan.paced))?;
    let paced = sender.next;
    swarm.heard(paced, Duration::from_secs(5)).await?;
    results.add(Figure::BarePacedCpu, per_delivery(used, paced * clients));
    results.add(Figure::BarePacedP99, milliseconds(swarm.tally.latencies().value_at_quantile(0.99)));

    for (figure, batch) in [(Figure::BareSingleCpu, 1), (Figure::BareFloodCpu, BATCH)] {
        let said = sender.next;
        let used = block_in_place(|| sender.flood(batch, bench.plan.flood / 4))?;
        swarm.heard(sender.next, Duration::from_secs(5)).await?;
        results.add(figure, per_delivery(used, (sender.next - said) * clients));
    }
    Ok(())
}

struct Sender {
    clients: Vec<TcpStream>,
    clock: Clock,
    frame: Vec<u8>,
    next: u64,
}

impl Sender {
    /// Takes on the clients, which are connected already.
    fn accept(listener: &TcpListener, count: usize, clock: Clock) -> Result<Self, Error> {
        let mut clients = Vec::new();
        for _ in 0..count {
            let (client, _) = listener.accept()?;
            client.set_nodelay(true)?;
            client.set_write_timeout(Some(Duration::from_secs(5)))?;
            clients.push(client);
        }
        // The header of a frame of 126 to 65,535 bytes.
        let mut frame = vec![0x81, 126];
        frame.extend(u16::try_from(MESSAGE - 4).unwrap_or(0).to_be_bytes());
        frame.extend(Stamp { sequence: 0, due: 0 }.text().bytes().cycle().take(MESSAGE - 4));
        Ok(Self { clients, clock, frame, next: 0 })
    }

    fn paced(&mut self, rate: u32, duration: Duration) -> Result<Duration, Error> {
        let before = own_thread_time()?;
        let (period, start) = (Duration::from_secs(1) / rate, self.clock.nanos());
        for index in 0..u64::from(rate) * duration.as_secs() {
            let due = start + index * period.as_nanos() as u64;
            thread::sleep(Duration::from_nanos(due.saturating_sub(self.clock.nanos())));
            self.send(1, due)?;
        }
        Ok(own_thread_time()? - before)
    }

    fn flood(&mut self, batch: u64, duration: Duration) -> Result<Duration, Error> {
        let (before, until) = (own_thread_time()?, Instant::now() + duration);
        while Instant::now() < until {
            self.send(batch, 0)?;
        }
        Ok(own_thread_time()? - before)
    }

    fn send(&mut self, count: u64, due: u64) -> Result<(), Error> {
        let mut frames = self.frame.repeat(usize::try_from(count).unwrap_or(1));
        for frame in frames.chunks_exact_mut(MESSAGE) {
            Stamp { sequence: self.next, due }.write_over(&mut frame[4..]);
            self.next += 1;
        }
        for client in &mut self.clients {
            client.write_all(&frames)?;
        }
        Ok(())
    }
}
