//! What the router brings waits until what hosted muds said before is read from the bus: else it would overtake that.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// How long it waits at most.
const LIMIT: Duration = Duration::from_millis(500);

/// Waits until the bus was read up to where it is; without a bus, not at all.
pub(super) async fn catch_up(caught_up: Option<watch::Receiver<bool>>) {
    if let Some(mut caught_up) = caught_up
        && timeout(LIMIT, caught_up.wait_for(|caught_up| *caught_up)).await.is_err()
    {
        tracing::warn!("what hosted muds said before is not read yet: some of it may come out of order");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn the_router_waits_for_the_bus_but_not_for_ever() {
        let bus = watch::Sender::new(true);
        for caught_up in [None, Some(bus.subscribe())] {
            assert!(timeout(Duration::ZERO, catch_up(caught_up)).await.is_ok());
        }
        bus.send_replace(false);
        let mut waiting = std::pin::pin!(catch_up(Some(bus.subscribe())));
        assert!(timeout(Duration::ZERO, &mut waiting).await.is_err());
        bus.send_replace(true);
        assert!(timeout(Duration::ZERO, waiting).await.is_ok());
        bus.send_replace(false);
        let start = Instant::now();
        catch_up(Some(bus.subscribe())).await;
        assert!(start.elapsed() >= LIMIT);
    }
}
