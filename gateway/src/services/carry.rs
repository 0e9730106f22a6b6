//! The way of a packet to another mud: by the router, or by the bus when the router cannot carry it.

use intermud3::Packet;

use super::Services;
use crate::bus::{Audience, Handed};
use crate::router::{Accepted, Class, NotAccepted};
use crate::sync::lock;

/// What is known of the ways to a mud.
#[derive(Clone, Copy, Debug)]
struct Ways {
    /// Our link to the router is up.
    link_up: bool,
    /// The mudlist says that the mud is not there: a router swallows what is sent to it.
    down: bool,
    /// The mud is a hosted one that has told that its link is down.
    cut: bool,
    /// The bus is there, and the mud is not our own.
    bus: bool,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Offer it to the mud's gateway.
    Bus,
    /// Give it to the router link, or let it wait for that.
    Router,
    /// Nothing more: it has arrived.
    Sent,
    /// Refuse it: the mud would not get it.
    Away,
    /// Say that nobody knows. It must not go another way as well, lest it arrive twice.
    Unknown,
}

/// The next step, with what the bus said if it was asked.
fn next(ways: Ways, handed: Option<Handed>) -> Step {
    match handed {
        Some(Handed::Taken) => Step::Sent,
        Some(Handed::Unknown) => Step::Unknown,
        None if ways.link_up && !ways.down && !ways.cut => Step::Router,
        None if ways.bus => Step::Bus,
        Some(Handed::Nobody) | None if ways.link_up || ways.down => Step::Away,
        Some(Handed::Nobody) | None => Step::Router,
    }
}

impl Services {
    /// Sends a packet to one mud.
    ///
    /// # Errors
    /// [`NotAccepted`]; nothing was sent then, unless it says that nobody knows.
    pub(super) async fn carry(&self, mud: &str, packet: Packet) -> Result<Accepted, NotAccepted> {
        let others = self.bus.as_ref().filter(|_| mud != self.mud).map(|bus| &bus.direct);
        let direct = others.filter(|direct| direct.is_connected());
        let ways = Ways {
            link_up: self.router.status().is_connected(),
            down: lock(&self.directory).is_down(mud),
            cut: others.is_some_and(|direct| direct.is_cut(mud)),
            bus: direct.is_some(),
        };
        let step = match (next(ways, None), direct) {
            (Step::Bus, Some(direct)) => next(ways, Some(direct.hand_over(mud, &packet).await?)),
            (step, _) => step,
        };
        match step {
            Step::Sent => Ok(Accepted::Sent),
            Step::Router => self.router.send(packet, Class::Direct).await,
            Step::Unknown => Err(NotAccepted::Unknown(mud.to_owned())),
            Step::Away | Step::Bus => Err(NotAccepted::Away(mud.to_owned())),
        }
    }

    /// Sends a packet to one hosted mud, by the bus whatever the links are.
    ///
    /// # Errors
    /// [`NotAccepted`]; nothing was sent then, unless it says that nobody knows.
    pub(super) async fn carry_by_bus(&self, mud: &str, packet: Packet) -> Result<Accepted, NotAccepted> {
        let direct = self.bus.as_ref().map(|bus| &bus.direct).filter(|direct| direct.is_connected());
        match direct {
            Some(direct) => match direct.hand_over(mud, &packet).await? {
                Handed::Taken => Ok(Accepted::Sent),
                Handed::Nobody => Err(NotAccepted::Away(mud.to_owned())),
                Handed::Unknown => Err(NotAccepted::Unknown(mud.to_owned())),
            },
            None => Err(NotAccepted::Away(mud.to_owned())),
        }
    }

    /// Sends a packet to every mud: by the router, and by the bus to the hosted muds that would not get it from there.
    /// While our link is down only these get it; without the bus it waits for the router.
    ///
    /// # Errors
    /// [`NotAccepted`]; nothing was sent then.
    pub(super) async fn carry_to_all(&self, packet: Packet) -> Result<Accepted, NotAccepted> {
        let link_up = self.router.status().is_connected();
        let direct = self.bus.as_ref().map(|bus| &bus.direct).filter(|direct| direct.is_connected());
        let given = match direct {
            Some(direct) if !link_up => direct.hand_to_all(&packet, Audience::All).await?,
            Some(direct) if direct.any_cut() => direct.hand_to_all(&packet, Audience::Cut).await?,
            _ => false,
        };
        if given && !link_up {
            return Ok(Accepted::Sent);
        }
        self.router.send(packet, Class::Direct).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first step, and the one after nobody took it, for each combination of what is known.
    #[test]
    fn a_packet_goes_by_the_router_when_that_carries_it_else_by_the_bus_and_never_both_ways() {
        use Step::{Away, Bus, Router};
        let table = [
            // link_up, down, cut, bus
            ((true, false, false, true), Router, None),
            ((true, false, false, false), Router, None),
            ((true, true, false, true), Bus, Some(Away)),
            ((true, false, true, true), Bus, Some(Away)),
            ((true, true, true, true), Bus, Some(Away)),
            ((true, true, false, false), Away, None),
            ((true, false, true, false), Away, None),
            // What waits for the router may still arrive, unless the mud is not there.
            ((false, false, false, true), Bus, Some(Router)),
            ((false, false, true, true), Bus, Some(Router)),
            ((false, true, false, true), Bus, Some(Away)),
            ((false, true, true, true), Bus, Some(Away)),
            ((false, false, false, false), Router, None),
            ((false, true, false, false), Away, None),
        ];
        for ((link_up, down, cut, bus), first, after_nobody) in table {
            let ways = Ways { link_up, down, cut, bus };
            assert_eq!(next(ways, None), first, "{ways:?}");
            if let Some(then) = after_nobody {
                assert_eq!(next(ways, Some(Handed::Nobody)), then, "{ways:?}");
            }
            assert_eq!(next(ways, Some(Handed::Taken)), Step::Sent);
            assert_eq!(next(ways, Some(Handed::Unknown)), Step::Unknown);
        }
    }
}
