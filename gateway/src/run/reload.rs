//! Follows changes of files while the gateway runs: keys, certificates, and what of the configuration can change.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mudgateway_telemetry::hangup::Hangup;
use mudgateway_telemetry::log::{Handle, Levels};
use tokio::sync::watch;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Source};
use crate::keys::Keyring;
use crate::net::Tls;
use crate::router::{RouterHandle, Rules};
use crate::services::Services;

/// How often files are looked at: a new key works, an old one ends, and a new certificate is shown within this.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What follows changes of files.
pub(super) struct Followed {
    pub keyring: Arc<Keyring>,
    pub tls: Option<Arc<Tls>>,
    pub source: Option<Source>,
    pub log: Handle,
    pub levels: Levels,
    pub rules: watch::Sender<Rules>,
    pub router: RouterHandle,
    pub services: Arc<Services>,
}

impl Followed {
    /// Looks for changed files now and then, and at once when SIGHUP comes, until it is to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut look = interval(LOOK_EVERY);
        let mut hangup = Hangup::listen();
        let mut last_problem = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
                () = hangup.next() => {}
            }
            let problem = self.reload_keys().err();
            if problem != last_problem
                && let Some(problem) = &problem
            {
                tracing::warn!(problem, "keeping what was read before");
            }
            last_problem = problem;
            if let Err(problem) = self.reload_config() {
                tracing::warn!(problem, "keeping the configuration that was read before");
            }
        }
    }

    /// What a key's end takes with it are the sessions that use it.
    fn reload_keys(&self) -> Result<(), String> {
        if self.keyring.reload(Timestamp::now()).map_err(|error| error.to_string())? {
            tracing::info!("the API keys have changed");
            self.services.hub.close_revoked(|key| self.keyring.holds(key));
        }
        if let Some(tls) = &self.tls
            && tls.reload().map_err(|error| error.to_string())?
        {
            tracing::info!("the TLS certificate has changed");
        }
        Ok(())
    }

    /// Routers, pace, egress, policies and what is logged are followed; all else is read once.
    fn reload_config(&mut self) -> Result<(), String> {
        let Some(source) = &mut self.source else { return Ok(()) };
        let Some(Config { rules, policy, log, .. }) = source.reload()? else { return Ok(()) };
        if log.levels != self.levels {
            self.log.set(&log.levels);
            self.levels = log.levels;
        }
        let ignored = policy.ignore.len();
        self.router.set_pace(rules.packets_per_second);
        self.services.set_policy(policy);
        let (pace, routers, egress) =
            (rules.packets_per_second, rules.routers.len(), rules.egress.name().to_owned());
        self.rules.send_if_modified(|current| {
            let changed = *current != rules;
            *current = rules;
            changed
        });
        // Who reads this may count on it.
        tracing::info!(
            ignored,
            pace,
            routers,
            egress,
            "the configuration has changed; what else it says takes effect at the next start"
        );
        Ok(())
    }
}
