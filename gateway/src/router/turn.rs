//! Waiting for the turn to connect to a router, and saying what became of it.

use std::time::{Duration, Instant};

use mudgateway_crds::permit::{PermitRequest, Purpose, Step};
use mudgateway_crds::report::SessionReason;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::ended::{Ended, ended};
use crate::bus::{Permits, Turn};
use crate::router::RouterAddress;

/// How long the hand-over waits for the successor's turn: the session is kept meanwhile.
pub(super) const HAND_OVER: Duration = Duration::from_secs(5);

/// Waiting for longer than this is worth telling.
const TOLD_AFTER: Duration = Duration::from_secs(2);

/// A router that has not answered within this accepted the connection long ago: it refuses by silence.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// The way to one router, for which the operator keeps a queue.
pub(super) struct Door<'a> {
    permits: &'a Permits,
    router: String,
    egress: String,
}

/// A permit that is in use. When this is dropped, but soon in any case, the operator is told to let others connect.
pub(super) struct InUse {
    _done: oneshot::Sender<()>,
}

/// The right to connect now. What became of it should be told.
pub(super) struct Permit {
    /// Until when connecting may begin; none: nobody was there to give a permit.
    until: Option<Instant>,
}

impl Permit {
    pub(super) fn is_void(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now > until)
    }
}

impl<'a> Door<'a> {
    pub(super) fn new(permits: &'a Permits, router: &RouterAddress, egress: String) -> Self {
        Self { permits, router: router.host_and_port(), egress }
    }

    /// Waits for the turn. `waits` is told how many muds go before, if it takes a while.
    pub(super) async fn turn(
        &self,
        purpose: Purpose,
        known: bool,
        waits: impl Fn(u32),
    ) -> Result<Permit, Ended> {
        let started = Instant::now();
        loop {
            let step = Step::Ask { waited_milliseconds: milliseconds(started.elapsed()), purpose, known };
            match self.permits.ask(&self.request(step)).await {
                Turn::Now(until) => return Ok(Permit { until: Some(until) }),
                Turn::NobodyToAsk => return Ok(Permit { until: None }),
                Turn::AddressFull { muds } => {
                    let message = format!(
                        "{muds} muds are registered with {} from the address of {}, and it refuses more that it does \
                         not know: spread them over more addresses (egress.proxy), or raise limits.mudsPerAddress",
                        self.router, self.egress
                    );
                    return Err(Ended { slow: true, ..ended(SessionReason::AddressFull, message) });
                }
                Turn::Later { wait, ahead } => {
                    if started.elapsed() + wait > TOLD_AFTER {
                        waits(ahead);
                    }
                    sleep(wait).await;
                }
            }
        }
    }

    /// The mud is connected. That the router has accepted it, and from when on it accepts another, only its answer
    /// shows: until then the kernel alone may have.
    pub(super) fn in_use(&self) -> InUse {
        let (done, answered) = oneshot::channel();
        let (permits, router, egress) = (self.permits.clone(), self.router.clone(), self.egress.clone());
        tokio::spawn(async move {
            // Dropped, or too late: both mean the same.
            let _ = timeout(ANSWERED_WITHIN, answered).await;
            permits.tell(router, egress, Step::Used).await;
        });
        InUse { _done: done }
    }

    /// The router has seen nothing of the mud.
    pub(super) async fn give_back(&self) {
        self.permits.tell(self.router.clone(), self.egress.clone(), Step::GivenBack).await;
    }

    fn request(&self, step: Step) -> PermitRequest {
        PermitRequest { router: self.router.clone(), egress: self.egress.clone(), step }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
