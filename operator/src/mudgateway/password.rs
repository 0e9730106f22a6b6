//! The mirror of a mud's router password in a Secret: what NATS loses comes back from there. To lose the password locks
//! a mud out of its own name.
//!
//! The Secret belongs to the MudGateway only where that asks for its deletion: otherwise it outlives it, like the mud's
//! state on NATS, and can be restored from a backup before its MudGateway has another uid.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use mudgateway_crds::mudgateway::DeletionPolicy;
use mudgateway_crds::status::Reason;
use tracing::{info, warn};

use super::own_secrets::OwnSecret;
use super::validate::{Gateway, is_owned};
use super::{apply, build, name, status};
use crate::bus::{MudName, MudState, Password, StateError};
use crate::context::Context;

/// The entries of the Secret.
const NETWORK: &str = "network";
const MUD: &str = "mud";
const PASSWORD: &str = "password";

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// This password goes to the Secret.
    Mirror(Password),
    /// This password goes to NATS.
    Restore(Password),
}

/// Decides by what NATS has and what the Secret has. Pure.
pub fn next(gateway: &Gateway, stored: Option<Password>, mirror: Option<&OwnSecret>) -> Step {
    let kept = mirror
        .filter(|mirror| is_of(mirror, &name::of(gateway)))
        .and_then(|mirror| mirror.data.get(PASSWORD).and_then(|password| Password::parse(&password.0)));
    match (stored, kept) {
        (Some(stored), _) if mirror.is_some_and(|mirror| stands(gateway, stored, mirror)) => Step::Nothing,
        (Some(stored), _) => Step::Mirror(stored),
        (None, Some(kept)) => Step::Restore(kept),
        (None, None) => Step::Nothing,
    }
}

/// Carries it out. Without NATS there is nothing to do: it is looked at again when NATS is back.
///
/// # Errors
/// When the Secret cannot be written.
pub async fn keep(
    gateway: &Gateway,
    mirror: Option<&OwnSecret>,
    context: &Context,
) -> Result<(), apply::Error> {
    let Some(state) = context.mud_state() else { return Ok(()) };
    let name = name::of(gateway);
    let stored = match state.password(&name).await {
        Ok(stored) => stored,
        Err(error) => {
            warn!(reason = "StateUnavailable", mudgateway = %gateway.key, %error, "the router password cannot be read");
            return Ok(());
        }
    };
    match next(gateway, stored, mirror) {
        Step::Nothing => Ok(()),
        Step::Mirror(password) => {
            apply::secret(&context.secrets, &gateway.key.namespace, &secret(gateway, password)).await?;
            info!(mudgateway = %gateway.key, "mirrored the router password");
            Ok(())
        }
        Step::Restore(password) => {
            restore(gateway, &state, &name, password, context).await;
            Ok(())
        }
    }
}

async fn restore(gateway: &Gateway, state: &MudState, name: &MudName, password: Password, context: &Context) {
    let outcome: Result<bool, StateError> = state.restore(name, password).await;
    match outcome {
        Ok(true) => {
            info!(mudgateway = %gateway.key, "restored the router password from its Secret");
            let note = "NATS had lost the mud's router password; it has it again, from its Secret";
            status::tell(context, &gateway.key, Reason::PasswordRestored, note).await;
        }
        Ok(false) => {}
        Err(error) => {
            warn!(reason = "StateUnavailable", mudgateway = %gateway.key, %error, "the router password was not restored");
        }
    }
}

/// The Secret.
fn secret(gateway: &Gateway, password: Password) -> Secret {
    let mut metadata = build::metadata(gateway, build::router_password_name(&gateway.key.name));
    if gateway.spec.deletion_policy == DeletionPolicy::Retain {
        metadata.owner_references = None;
    }
    let MudName { network, mud } = name::of(gateway);
    let entries = [(NETWORK, network), (MUD, mud), (PASSWORD, password.text())];
    let entries = entries.map(|(entry, text)| (entry.to_owned(), ByteString(text.into_bytes())));
    Secret {
        metadata,
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from(entries)),
        ..Default::default()
    }
}

fn is_of(mirror: &OwnSecret, name: &MudName) -> bool {
    mirror.text(NETWORK) == Some(&name.network) && mirror.text(MUD) == Some(&name.mud)
}

/// Whether the Secret is as it should be.
fn stands(gateway: &Gateway, password: Password, mirror: &OwnSecret) -> bool {
    let wanted = secret(gateway, password);
    let labels = mirror.metadata.labels.as_ref();
    let labelled =
        wanted.labels().iter().all(|(name, value)| labels.and_then(|labels| labels.get(name)) == Some(value));
    let owned = gateway.spec.deletion_policy == DeletionPolicy::Delete;
    labelled
        && is_owned(&mirror.metadata, &gateway.owner.uid) == owned
        && wanted.data.as_ref() == Some(&mirror.data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::mudgateway::dereference::Facts;
    use crate::mudgateway::validate::validate;
    use crate::testing::{gateway, settings};

    fn valid(policy: DeletionPolicy) -> Gateway {
        let mut object = gateway("tenant-a", "luminari", "LuminariMUD");
        object.spec.deletion_policy = policy;
        validate(&Key::of(&object), &object, &Facts::default(), &settings()).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::parse(text.as_bytes()).unwrap()
    }

    fn mirror(gateway: &Gateway, text: &str) -> OwnSecret {
        OwnSecret::from(secret(gateway, password(text)))
    }

    #[test]
    fn what_nats_has_is_mirrored_once() {
        let gateway = valid(DeletionPolicy::Retain);
        let new = Some(password("42"));
        assert_eq!(next(&gateway, None, None), Step::Nothing, "a mud that was never on the network");
        assert_eq!(next(&gateway, new, None), Step::Mirror(password("42")));
        assert_eq!(next(&gateway, new, Some(&mirror(&gateway, "42"))), Step::Nothing);
        assert_eq!(next(&gateway, new, Some(&mirror(&gateway, "41"))), Step::Mirror(password("42")));
        let mut unlabelled = mirror(&gateway, "42");
        unlabelled.metadata.labels = None;
        assert_eq!(next(&gateway, new, Some(&unlabelled)), Step::Mirror(password("42")));
    }

    #[test]
    fn what_nats_lost_is_restored_for_the_same_mud_only() {
        let gateway = valid(DeletionPolicy::Retain);
        assert_eq!(next(&gateway, None, Some(&mirror(&gateway, "42"))), Step::Restore(password("42")));
        for (entry, text) in [(MUD, "Other"), (NETWORK, "*other"), (PASSWORD, "no number")] {
            let mut other = mirror(&gateway, "42");
            other.data.insert(entry.to_owned(), ByteString(text.as_bytes().to_vec()));
            assert_eq!(next(&gateway, None, Some(&other)), Step::Nothing, "{entry}");
        }
    }

    #[test]
    fn the_secret_goes_with_its_mudgateway_only_when_that_is_asked_for() {
        let (retain, delete) = (valid(DeletionPolicy::Retain), valid(DeletionPolicy::Delete));
        assert_eq!(secret(&retain, password("42")).metadata.owner_references, None);
        assert_eq!(
            secret(&delete, password("42")).metadata.owner_references,
            Some(vec![delete.owner.clone()])
        );
        for (gateway, other) in [(&retain, &delete), (&delete, &retain)] {
            let step = next(gateway, Some(password("42")), Some(&mirror(other, "42")));
            assert_eq!(step, Step::Mirror(password("42")), "a changed policy");
        }
    }
}
