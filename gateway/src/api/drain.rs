//! The end of a gateway: its clients are warned, then closed in waves, so that they do not all come back at once.

use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use tokio::time::{sleep, timeout};

use super::Api;
use crate::hub::{CloseReason, Event, Session};

/// How many clients are closed together.
const WAVE: usize = 50;

/// The longest time from one wave to the next; with many clients there is less, so that the last is in time.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long clients are asked to stay away after they are closed, in seconds.
const STAY_AWAY: std::ops::Range<f64> = 1.0..10.0;

/// How long clients may take to go once all are closed.
const CLIENTS_GO: Duration = Duration::from_secs(3);

/// Ends all client connections: no new ones, a warning, waves, and then whoever is left.
pub async fn run(api: &Api, random: &mut impl Rng) {
    api.draining.cancel();
    let mut sessions = api.services.hub.sessions();
    sessions.shuffle(random);
    for session in &sessions {
        api.services.hub.publish_to(session, &Event::shutdown_warning(stay_away(random)));
    }
    close_in_waves(&sessions, api.limits.drain).await;
    api.shutdown.cancel();
    api.connections.close();
    if timeout(CLIENTS_GO, api.connections.wait()).await.is_err() {
        tracing::warn!("some clients did not go in time");
    }
}

async fn close_in_waves(sessions: &[Arc<Session>], within: Duration) {
    let interval = interval(sessions.len(), within);
    for (number, wave) in sessions.chunks(WAVE).enumerate() {
        if number > 0 {
            sleep(interval).await;
        }
        for session in wave {
            session.queue.close(CloseReason::ShuttingDown);
        }
    }
}

/// The time from one wave to the next, so that the last one is within the time there is.
fn interval(clients: usize, within: Duration) -> Duration {
    let later_waves = clients.div_ceil(WAVE).saturating_sub(1);
    match u32::try_from(later_waves) {
        Ok(0) => Duration::ZERO,
        Ok(waves) => (within / waves).min(INTERVAL),
        Err(_) => Duration::ZERO,
    }
}

/// How long a client should wait, in seconds with one decimal.
fn stay_away(random: &mut impl Rng) -> f64 {
    (random.random_range(STAY_AWAY) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn the_last_wave_is_within_the_time_however_many_clients_there_are() {
        let within = Duration::from_secs(5);
        for clients in [0, 1, WAVE, WAVE + 1, 1000, 100_000] {
            let waves = u32::try_from(clients.div_ceil(WAVE).saturating_sub(1)).unwrap();
            let last = interval(clients, within) * waves;
            assert!(last <= within, "{clients} clients: {last:?}");
        }
        assert_eq!(interval(WAVE, within), Duration::ZERO, "few clients need no time");
        assert_eq!(interval(2 * WAVE, within), INTERVAL);
        assert!(interval(1000, within) * 19 > within.mul_f64(0.99), "many take all the time there is");
    }

    #[test]
    fn a_thousand_clients_are_asked_to_come_back_at_different_times() {
        let mut random = StdRng::seed_from_u64(7);
        let mut in_each_second = [0; 11];
        for _ in 0..1000 {
            let wait = stay_away(&mut random);
            assert!((STAY_AWAY.start..=STAY_AWAY.end).contains(&wait), "{wait}");
            in_each_second[wait as usize] += 1;
        }
        assert!(in_each_second.iter().all(|count| *count < 200), "{in_each_second:?}");
    }
}
