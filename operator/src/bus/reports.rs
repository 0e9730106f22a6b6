//! What the gateways last said of their router sessions, and for how long that holds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mudgateway_crds::report::{GatewayReport, REPORT_TTL_SECONDS};

use crate::key::Key;

/// How long a report holds from when it came in, by our own clock: the clocks of others may be wrong.
const TTL: Duration = Duration::from_secs(REPORT_TTL_SECONDS);

/// What is known of a gateway's router session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Session {
    /// The gateway reported lately.
    Reported(GatewayReport),
    /// The bus works, and the gateway has not reported lately.
    Silent,
    /// The bus is away, and the last report is too old.
    BusAway,
    /// The operator has just started, or reached the bus again, and could not hear of every gateway yet.
    NotYetKnown,
}

#[derive(Debug)]
struct Received {
    /// None: the gateway took its report away.
    report: Option<GatewayReport>,
    at: Instant,
}

/// The last report of each gateway, while it holds. Bounded: the caller records only those of existing objects.
#[derive(Debug)]
pub struct Reports {
    received: HashMap<Key, Received>,
    connected: bool,
    /// When every gateway had the time to report, since the start or since the bus came back.
    settled_at: Instant,
    settled: bool,
}

impl Reports {
    /// No reports yet, for an operator that starts now.
    pub fn new(now: Instant) -> Self {
        Self { received: HashMap::new(), connected: false, settled_at: now + TTL, settled: false }
    }

    /// Takes in a report, or that a gateway took its report away, and says whether that is news: a renewal is not, and
    /// neither is one client more or less.
    pub fn record(&mut self, key: Key, report: Option<GatewayReport>, now: Instant) -> bool {
        let is_news = self.received.get(&key).is_none_or(|last| {
            !last.holds(now) || last.report.as_ref().map(telling) != report.as_ref().map(telling)
        });
        self.received.insert(key, Received { report, at: now });
        is_news
    }

    /// Forgets what a gateway reported.
    pub fn forget(&mut self, key: &Key) {
        self.received.remove(key);
    }

    /// Notes whether the bus can be reached and says whether that is news.
    pub fn set_connected(&mut self, connected: bool, now: Instant) -> bool {
        let news = std::mem::replace(&mut self.connected, connected) != connected;
        if news {
            // Whoever was silent while it was away may report yet.
            (self.settled, self.settled_at) = (!connected, now + TTL);
        }
        news
    }

    /// What is known of a gateway's router session now.
    pub fn session(&self, key: &Key, now: Instant) -> Session {
        match self.received.get(key).filter(|received| received.holds(now)) {
            Some(Received { report: Some(report), .. }) => Session::Reported(report.clone()),
            None if !self.settled => Session::NotYetKnown,
            _ if self.connected => Session::Silent,
            _ => Session::BusAway,
        }
    }

    /// Those who are connected to a router, and what they reported.
    pub fn connected(&self, now: Instant) -> impl Iterator<Item = (&Key, &GatewayReport)> {
        let held = self.received.iter().filter(move |(_, received)| received.holds(now));
        let reports = held.filter_map(|(key, received)| Some((key, received.report.as_ref()?)));
        reports.filter(|(_, report)| report.is_connected())
    }

    /// Drops the reports that no longer hold, and returns whose session is to be looked at again: theirs, and
    /// those of all who are silent when the operator has waited long enough.
    pub fn expire<'a>(&mut self, everyone: impl Iterator<Item = &'a Key>, now: Instant) -> Vec<Key> {
        let expired: Vec<Key> =
            self.received.extract_if(|_, received| !received.holds(now)).map(|(key, _)| key).collect();
        if self.settled || now < self.settled_at {
            return expired;
        }
        self.settled = true;
        self.silent(everyone)
    }

    /// Those who have no report.
    pub fn silent<'a>(&self, everyone: impl Iterator<Item = &'a Key>) -> Vec<Key> {
        everyone.filter(|key| !self.received.contains_key(key)).cloned().collect()
    }
}

/// What of a report is worth writing to the status at once: of the clients only whether there are any.
fn telling(report: &GatewayReport) -> GatewayReport {
    GatewayReport { clients: report.clients.map(|clients| clients.min(1)), ..report.clone() }
}

impl Received {
    fn holds(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < TTL
    }
}

#[cfg(test)]
mod tests {
    use mudgateway_crds::report::SessionReason;

    use super::*;

    fn report(reason: SessionReason) -> GatewayReport {
        GatewayReport {
            holder: "pod".to_owned(),
            reason,
            message: String::new(),
            router: None,
            router_address: None,
            egress: None,
            clients: None,
            connected_since: None,
        }
    }

    fn key(name: &str) -> Key {
        Key::new("ns", name)
    }

    #[test]
    fn a_renewal_is_no_news_and_keeps_the_report_alive() {
        let start = Instant::now();
        let mut reports = Reports::new(start);
        let up = report(SessionReason::SessionEstablished);
        assert!(reports.record(key("a"), Some(up.clone()), start));
        assert!(!reports.record(key("a"), Some(up.clone()), start + TTL / 2));
        assert_eq!(reports.session(&key("a"), start + TTL), Session::Reported(up));
        assert!(reports.record(key("a"), Some(report(SessionReason::SessionLost)), start + TTL));
    }

    #[test]
    fn the_first_client_and_the_end_of_the_last_are_news() {
        let start = Instant::now();
        let mut reports = Reports::new(start);
        let with = |clients| {
            Some(GatewayReport { clients: Some(clients), ..report(SessionReason::SessionEstablished) })
        };
        let news = [0, 1, 7, 200, 0].map(|clients| reports.record(key("a"), with(clients), start));
        assert_eq!(news, [true, true, false, false, true]);
        reports.record(key("a"), with(3), start);
        reports.record(key("a"), with(5), start);
        let Session::Reported(last) = reports.session(&key("a"), start) else { panic!() };
        assert_eq!(last.clients, Some(5), "what is written is what was said last");
    }

    #[test]
    fn an_old_report_counts_as_none() {
        let start = Instant::now();
        let mut reports = Reports::new(start);
        reports.set_connected(true, start);
        reports.record(key("a"), Some(report(SessionReason::SessionEstablished)), start);
        assert_eq!(reports.expire([].iter(), start + TTL / 2), []);
        assert_eq!(
            reports.expire([].iter(), start + TTL),
            [] as [Key; 0],
            "settling asks for the silent ones"
        );
        assert_eq!(reports.session(&key("a"), start + TTL), Session::Silent);

        reports.record(key("a"), Some(report(SessionReason::SessionEstablished)), start + TTL);
        assert_eq!(reports.expire([].iter(), start + TTL * 2), [key("a")]);
    }

    #[test]
    fn silence_means_nothing_until_every_gateway_had_the_time_to_report() {
        let start = Instant::now();
        let mut reports = Reports::new(start);
        let everyone = [key("a"), key("b")];
        assert_eq!(reports.session(&key("a"), start), Session::NotYetKnown);
        reports.record(key("b"), Some(report(SessionReason::Connecting)), start + TTL / 2);
        assert_eq!(reports.expire(everyone.iter(), start + TTL), [key("a")]);
        assert_eq!(reports.session(&key("a"), start + TTL), Session::BusAway);
    }

    #[test]
    fn when_the_bus_is_back_silence_means_nothing_either_for_a_while() {
        let start = Instant::now();
        let mut reports = Reports::new(start);
        let everyone = [key("a"), key("b")];
        reports.set_connected(true, start);
        reports.expire(everyone.iter(), start + TTL);
        assert_eq!(reports.session(&key("a"), start + TTL), Session::Silent);
        assert!(reports.set_connected(false, start + TTL));
        assert_eq!(reports.session(&key("a"), start + TTL), Session::BusAway, "that is said at once");

        let back = start + TTL * 3;
        assert!(reports.set_connected(true, back) && !reports.set_connected(true, back + TTL));
        assert_eq!(reports.session(&key("a"), back), Session::NotYetKnown);
        reports.record(key("b"), Some(report(SessionReason::SessionEstablished)), back + TTL / 2);
        assert_eq!(reports.expire(everyone.iter(), back + TTL / 2), []);
        assert_eq!(reports.expire(everyone.iter(), back + TTL), [key("a")]);
        assert_eq!(reports.session(&key("a"), back + TTL), Session::Silent);
    }

    #[test]
    fn a_report_taken_away_is_silence_at_once() {
        let start = Instant::now();
        let mut reports = Reports::new(start);
        reports.set_connected(true, start);
        reports.record(key("a"), Some(report(SessionReason::ShuttingDown)), start);
        assert!(reports.record(key("a"), None, start));
        assert!(!reports.record(key("a"), None, start));
        assert_eq!(reports.session(&key("a"), start), Session::Silent);
    }
}
