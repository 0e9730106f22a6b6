//! Waits for other muds that call us.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::line::Line;
use super::{Driver, serve};
use crate::metrics::Called;
use crate::net::{Listener, Stream};
use crate::oob::conversation::{Conversation, End};
use crate::sync::lock;

/// How many muds may be connected at a time.
const CONNECTIONS: usize = 32;

/// How many of these from one address.
const CONNECTIONS_PER_ADDRESS: usize = 8;

/// Accepts muds until the gateway ends.
pub async fn run(driver: Driver, mut listener: Listener) {
    let callers = Arc::new(Callers::default());
    let oob = driver.oob();
    loop {
        let (stream, peer) = tokio::select! {
            () = oob.stop.cancelled() => return,
            accepted = listener.next() => accepted,
        };
        match Callers::admit(&callers, peer.ip()) {
            Some(place) => {
                let driver = driver.clone();
                oob.tasks.spawn(async move {
                    converse(&driver, stream, peer).await;
                    drop(place);
                });
            }
            None => driver.metrics.oob.conversation(Called::Us, End::Busy),
        }
    }
}

async fn converse(driver: &Driver, stream: Stream, peer: SocketAddr) {
    let services = &driver.services;
    let conversation = Conversation::answer(Instant::now(), services.mud());
    let mut line = Line::new(stream, conversation, driver.oob().stop.clone());
    let end = serve::their_turn(driver, &mut line, peer.ip().to_canonical()).await;
    driver.metrics.oob.conversation(Called::Us, end);
    match line.conversation.peer() {
        Some(mud) => tracing::info!(%peer, mud, end = end.as_str(), "an out-of-band conversation ended"),
        // Anybody can connect, as often as they like.
        None => tracing::debug!(%peer, end = end.as_str(), "a caller was not let in"),
    }
}

/// How many muds are connected, by address.
#[derive(Debug, Default)]
struct Callers(Mutex<HashMap<IpAddr, usize>>);

/// A place for one of them.
#[derive(Debug)]
struct Place {
    callers: Arc<Callers>,
    address: IpAddr,
}

impl Callers {
    /// A place for one more; none when there are enough.
    fn admit(callers: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut counts = lock(&callers.0);
        let all: usize = counts.values().sum();
        let here = counts.get(&address).copied().unwrap_or(0);
        if all >= CONNECTIONS || here >= CONNECTIONS_PER_ADDRESS {
            return None;
        }
        counts.insert(address, here + 1);
        Some(Place { callers: Arc::clone(callers), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.callers.0);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    #[test]
    fn places_are_bounded_in_all_and_for_each_address() {
        let callers = Arc::new(Callers::default());
        let mut places: Vec<_> =
            (0..CONNECTIONS_PER_ADDRESS).map(|_| Callers::admit(&callers, address(1)).unwrap()).collect();
        assert!(Callers::admit(&callers, address(1)).is_none());
        for index in CONNECTIONS_PER_ADDRESS..CONNECTIONS {
            let last = 2 + u8::try_from(index / CONNECTIONS_PER_ADDRESS).unwrap();
            places.push(Callers::admit(&callers, address(last)).unwrap());
        }
        assert!(Callers::admit(&callers, address(99)).is_none());
        drop(places);
        assert!(lock(&callers.0).is_empty());
    }
}
