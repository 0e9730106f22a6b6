//! What the mud tells of its users.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Context, Example, Method, Place};
use crate::api::rpc::{INVALID_PARAMS, RpcError};
use crate::keys::Permission;
use crate::mud::User;

/// `presence_sync`.
pub(super) struct Sync;

/// Parameters of `presence_sync`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SyncParams {
    /// All users that are on the mud, in place of those told before; at most 512.
    users: Vec<User>,
}

/// Result of `presence_sync`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Synchronized {
    /// Always `synchronized`.
    status: &'static str,
    /// The mud.
    mud_name: String,
    /// How many users.
    count: usize,
}

impl Method for Sync {
    const NAME: &'static str = "presence_sync";
    const SUMMARY: &'static str =
        "Tell who is on the mud; other muds' questions are answered from it for 30 s.";
    const PERMISSION: Option<Permission> = Some(Permission::Info);
    const EXAMPLE: Example = Example {
        params: r#"{"users": [{"name": "Ann", "title": "the Brave", "level": 5, "idle": 7}]}"#,
        result: r#"{"status": "synchronized", "mud_name": "Dawn", "count": 1}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = SyncParams;
    type Output = Synchronized;

    async fn call(context: Context<'_>, params: SyncParams) -> Result<Synchronized, RpcError> {
        let services = context.services();
        let count = services.sync_presence(params.users).map_err(|rejected| RpcError {
            data: Some(json!({"field": "users", "expected": rejected.to_string()})),
            ..RpcError::new(INVALID_PARAMS, format!("Invalid parameter: {rejected}"))
        })?;
        Ok(Synchronized { status: "synchronized", mud_name: services.mud().to_owned(), count })
    }
}
