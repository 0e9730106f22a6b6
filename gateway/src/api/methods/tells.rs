//! What one user says or does to another.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Context, Example, Method, Place, Sent, someone};
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
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "target_user": "bob", "message": "Hello, Bob!", "from_user": "ann"}"#,
        result: r#"{"status": "sent", "message_id": "tell_Dusk_1795510800000"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = TellParams;
    type Output = Sent;

    async fn call(context: Context<'_>, params: TellParams) -> Result<Sent, RpcError> {
        let TellParams { target_mud, target_user, message, from_user } = params;
        context.check_length("message", &message)?;
        let accepted = context.services().tell(false, &from_user, &target_mud, &target_user, &message).await;
        Sent::new(accepted, "tell", &target_mud)
    }
}

/// `emoteto`.
pub(super) struct Emoteto;

/// Parameters of `emoteto`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct EmotetoParams {
    /// The user's mud.
    target_mud: String,
    /// The user.
    target_user: String,
    /// What is done; `$N` stands for the doer. `message` is as good a name.
    #[serde(alias = "message")]
    emote: String,
    /// Who does it.
    #[serde(default = "someone")]
    from_user: String,
}

impl Method for Emoteto {
    const NAME: &'static str = "emoteto";
    const SUMMARY: &'static str = "Do something to a user of another mud.";
    const PERMISSION: Option<Permission> = Some(Permission::Tell);
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "target_user": "bob", "emote": "$N waves to you.", "from_user": "ann"}"#,
        result: r#"{"status": "sent", "message_id": "emoteto_Dusk_1795510800000"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = EmotetoParams;
    type Output = Sent;

    async fn call(context: Context<'_>, params: EmotetoParams) -> Result<Sent, RpcError> {
        let EmotetoParams { target_mud, target_user, emote, from_user } = params;
        context.check_length("emote", &emote)?;
        let accepted = context.services().tell(true, &from_user, &target_mud, &target_user, &emote).await;
        Sent::new(accepted, "emoteto", &target_mud)
    }
}

/// `beep`.
pub(super) struct Beep;

/// Parameters of `beep`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct BeepParams {
    /// The user's mud.
    target_mud: String,
    /// The user.
    target_user: String,
    /// Who rings.
    #[serde(default = "someone")]
    from_user: String,
}

impl Method for Beep {
    const NAME: &'static str = "beep";
    const SUMMARY: &'static str = "Ring the bell of a user of another mud. A mud that has no bells says so by error_occurred with unk-type.";
    const PERMISSION: Option<Permission> = Some(Permission::Tell);
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "target_user": "bob", "from_user": "ann"}"#,
        result: r#"{"status": "sent", "message_id": "beep_Dusk_1795510800000"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = BeepParams;
    type Output = Sent;

    async fn call(context: Context<'_>, params: BeepParams) -> Result<Sent, RpcError> {
        let BeepParams { target_mud, target_user, from_user } = params;
        let accepted = context.services().beep(&from_user, &target_mud, &target_user).await;
        Sent::new(accepted, "beep", &target_mud)
    }
}
