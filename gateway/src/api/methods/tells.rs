//! Tells.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Context, Method, Sent, someone};
use crate::api::rpc::RpcError;
use crate::keys::Permission;

/// `tell`.
pub(super) struct Tell;

/// Parameters of `tell`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct TellParams {
    /// The user's mud.
    target_mud: String,
    /// The user.
    target_user: String,
    /// The text.
    message: String,
    /// Who tells it.
    #[serde(default = "someone")]
    from_user: String,
}

impl Method for Tell {
    const NAME: &'static str = "tell";
    const SUMMARY: &'static str = "Tell a user of another mud something.";
    const PERMISSION: Option<Permission> = Some(Permission::Tell);
    type Params = TellParams;
    type Output = Sent;

    async fn call(context: Context<'_>, params: TellParams) -> Result<Sent, RpcError> {
        let TellParams { target_mud, target_user, message, from_user } = params;
        context.check_length("message", &message)?;
        let accepted = context.services().tell(&from_user, &target_mud, &target_user, &message).await;
        Sent::new(accepted, "tell", &target_mud)
    }
}
