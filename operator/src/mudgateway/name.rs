//! Whose the name of a mud is. To have the name is to have its password, so NATS keeps beside that for which namespace it
//! is: a MudGateway that was deleted and whose mud is retained leaves nothing to the tenant who makes that mud next, and
//! operators that do not see each other's MudGateways do not give one name to two.

use mudgateway_crds::MudGateway;
use tracing::warn;

use super::rejection::Rejection;
use super::validate::Gateway;
use crate::bus::{MudName, MudState};
use crate::context::Context;
use crate::key::Key;

/// The name that a gateway has, if nobody else does.
pub fn of(gateway: &Gateway) -> MudName {
    MudName { network: gateway.network.name.clone(), mud: gateway.spec.mud.name.clone() }
}

/// The name that it claimed on another network than the one it is to be on now.
pub fn before(gateway: &MudGateway) -> Option<MudName> {
    let network = gateway.status.as_ref()?.network.as_ref()?;
    let mud = gateway.spec.mud.name.clone();
    (network != gateway.spec.network()).then(|| MudName { network: network.clone(), mud })
}

/// Claims the name for the gateway's namespace; returns whether NATS keeps it for that. Without NATS nobody gets at the
/// password, and all are looked at again when it is back.
///
/// # Errors
/// When another namespace has it.
pub async fn claim(gateway: &Gateway, context: &Context) -> Result<bool, Rejection> {
    let Some(state) = context.mud_state() else { return Ok(false) };
    let name = of(gateway);
    match state.claim(&name, &gateway.key.namespace).await {
        Ok(namespace) if namespace == gateway.key.namespace => Ok(true),
        Ok(namespace) => Err(Rejection::NameKept { mud: name.mud, network: name.network, namespace }),
        Err(error) => {
            warn!(reason = "StateUnavailable", mudgateway = %gateway.key, %error, "whose the mud's name is cannot be read");
            Ok(false)
        }
    }
}

/// Whether the name of a MudGateway's mud is another namespace's; none when nobody knows, as without NATS.
pub async fn is_anothers(state: Option<&MudState>, name: &MudName, key: &Key) -> Option<bool> {
    let namespace = state?.namespace(name).await.ok()?;
    Some(namespace.is_some_and(|namespace| namespace != key.namespace))
}
