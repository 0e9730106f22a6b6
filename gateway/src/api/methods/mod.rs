//! The methods of the API: one type each, with its parameters and result as types, and one table of all.

mod channels;
mod control;
mod desk;
mod files;
mod lists;
mod mail;
mod news;
mod owned;
mod presence;
mod questions;
mod session;
mod tells;
mod waiting;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Api;
use super::rpc::{GATEWAY_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, PERMISSION_DENIED, Request, RpcError};
use crate::hub::{Session, Transport};
use crate::keys::Permission;
use crate::router::{Accepted, NotAccepted};
use crate::services::Services;

type Answer = Result<Value, RpcError>;

/// An answer that is being made.
type Pending<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// The longest name of a channel, in characters. Dead Souls routers make none with more than 80
/// (dead-souls-router rule 13).
const CHANNEL_NAME: usize = 128;

/// The longest name of a user or a mud, in characters, with the codes of its colours. Neither the protocol nor a router knows a
/// limit, but on the bus all that a mud says together must fit a message.
const NAME: usize = 256;

/// What a method works on.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) api: &'a Api,
    pub(super) session: &'a Arc<Session>,
    /// The request's id.
    pub(super) id: Uuid,
}

impl<'a> Context<'a> {
    fn services(&self) -> &'a Services {
        &self.api.services
    }

    /// Refuses a text that is longer than may be sent.
    fn check_length(&self, field: &str, text: &str) -> Result<(), RpcError> {
        Self::check_limit(field, text, self.services().policy().message_length)
    }

    /// Refuses a name no channel has. It would become a part of a subject on the bus, and NATS closes a connection
    /// that names one of more than 4 KiB.
    fn check_channel(channel: &str) -> Result<(), RpcError> {
        Self::check_limit("channel", channel, CHANNEL_NAME)
    }

    /// Refuses names that are too long.
    fn check_names(names: &[(&str, &str)]) -> Result<(), RpcError> {
        names.iter().try_for_each(|(field, name)| Self::check_limit(field, name, NAME))
    }

    /// Refuses a speaker whose names are too long.
    fn check_speaker(user: &str, visname: Option<&str>) -> Result<(), RpcError> {
        Self::check_names(&[("from_user", user), ("visname", visname.unwrap_or_default())])
    }

    fn check_limit(field: &str, text: &str, limit: usize) -> Result<(), RpcError> {
        if text.chars().count() <= limit {
            return Ok(());
        }
        Err(RpcError {
            code: INVALID_PARAMS,
            message: format!("Invalid parameter: {field} must have at most {limit} characters"),
            data: Some(json!({"field": field, "expected": format!("at most {limit} characters")})),
        })
    }
}

/// An example of a method's use, in JSON. Times, ids and positions in the result stand for any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Example {
    pub(super) params: &'static str,
    pub(super) result: &'static str,
}

/// A method of the API.
trait Method {
    /// Its name on the wire.
    const NAME: &'static str;
    /// What it does, for the API's description.
    const SUMMARY: &'static str;
    /// What a key must allow; none: any key will do.
    const PERMISSION: Option<Permission>;
    /// An example of its use; a test replays it.
    const EXAMPLE: Example;
    /// Which process of the mud can do it.
    const PLACE: Place = Place::Here;
    /// Its parameters, by name.
    type Params: DeserializeOwned + JsonSchema + Send;
    /// Its result.
    type Output: Serialize + JsonSchema;

    /// Does it.
    fn call(
        context: Context<'_>,
        params: Self::Params,
    ) -> impl Future<Output = Result<Self::Output, RpcError>> + Send;
}

/// Which process of a mud can do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Any: it has all that is needed.
    Here,
    /// The one that holds the session; it may be done again when nobody knows whether it was done.
    HolderAgain,
    /// The one that holds the session, and only once.
    HolderOnce,
}

/// A method as the table holds it.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) permission: Option<Permission>,
    pub(super) params: fn(&mut SchemaGenerator) -> Schema,
    pub(super) output: fn(&mut SchemaGenerator) -> Schema,
    pub(super) example: Example,
    place: Place,
    call: for<'a> fn(Context<'a>, Map<String, Value>) -> Pending<'a>,
}

const fn entry<M: Method>() -> Entry {
    Entry {
        name: M::NAME,
        summary: M::SUMMARY,
        permission: M::PERMISSION,
        params: |schemas| M::Params::json_schema(schemas),
        output: |schemas| M::Output::json_schema(schemas),
        example: M::EXAMPLE,
        place: M::PLACE,
        call: |context, params| {
            Box::pin(async move {
                let output = M::call(context, decode(params)?).await?;
                serde_json::to_value(output).map_err(|error| RpcError::internal(&error))
            })
        },
    }
}

/// Every method but `authenticate`, which is what makes the others possible.
pub(super) const METHODS: &[Entry] = &[
    entry::<channels::Join>(),
    entry::<channels::Leave>(),
    entry::<channels::Send>(),
    entry::<channels::Emote>(),
    entry::<channels::List>(),
    entry::<channels::History>(),
    entry::<questions::ChannelWho>(),
    entry::<owned::Create>(),
    entry::<owned::Administer>(),
    entry::<owned::Admins>(),
    entry::<owned::Filter>(),
    entry::<owned::Remove>(),
    entry::<tells::Tell>(),
    entry::<tells::Emoteto>(),
    entry::<tells::Beep>(),
    entry::<questions::Who>(),
    entry::<questions::Finger>(),
    entry::<questions::Locate>(),
    entry::<questions::UserInfo>(),
    entry::<mail::MailSend>(),
    entry::<mail::MailAck>(),
    entry::<files::FileList>(),
    entry::<files::FileGet>(),
    entry::<files::FilePut>(),
    entry::<files::FileReply>(),
    entry::<news::NewsGroups>(),
    entry::<news::NewsRead>(),
    entry::<news::NewsPost>(),
    entry::<news::NewsReply>(),
    entry::<lists::Mudlist>(),
    entry::<presence::Sync>(),
    entry::<session::SetOptions>(),
    entry::<session::Status>(),
    entry::<session::Ping>(),
    entry::<session::Heartbeat>(),
    entry::<control::Stats>(),
    entry::<control::Reconnect>(),
];

/// A method and the parameters it cannot do without.
struct Known {
    entry: &'static Entry,
    required: Vec<String>,
}

static KNOWN: LazyLock<HashMap<&'static str, Known>> = LazyLock::new(|| {
    METHODS.iter().map(|entry| (entry.name, Known { entry, required: required(entry) })).collect()
});

fn required(entry: &Entry) -> Vec<String> {
    let schema = (entry.params)(&mut SchemaGenerator::default());
    let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Calls a method. The name that comes back is one of ours, also for a method we do not have: it is a metric label.
pub(super) async fn call(context: Context<'_>, request: &Request) -> (&'static str, Answer) {
    let Some(key) = context.session.key() else {
        return ("unauthenticated", Err(super::not_authenticated(context.session.transport)));
    };
    let Some(known) = KNOWN.get(request.method.as_str()) else {
        let shown: String = request.method.chars().take(64).collect();
        return ("unknown", Err(RpcError::new(METHOD_NOT_FOUND, format!("Unknown method: {shown}"))));
    };
    let entry = known.entry;
    if !key.permissions().grant(entry.permission) {
        return (entry.name, Err(permission_denied(entry)));
    }
    if let Err(limited) = key.use_for(entry.name) {
        return (entry.name, Err(super::rate_limited(context.session.transport, limited)));
    }
    if let Err(missing) = check_required(&known.required, &request.params) {
        return (entry.name, Err(missing));
    }
    (entry.name, answer(context, entry, request.params.clone()).await)
}

/// Does it, or lets the process do it that can.
async fn answer(context: Context<'_>, entry: &Entry, params: Map<String, Value>) -> Answer {
    if let (Some(forward), Place::HolderAgain | Place::HolderOnce) = (&context.api.forward, entry.place)
        && !context.services().leads()
        && let Some(answer) =
            forward.call(context.id, entry.name, params.clone(), entry.place == Place::HolderAgain).await
    {
        return answer;
    }
    (entry.call)(context, params).await
}

/// Does something for a client of another process, which has checked that it may. `maybe_done` says that a process that
/// held the session before may have done it.
pub(super) async fn answer_for_another(
    api: &Api,
    id: Uuid,
    method: &str,
    params: Map<String, Value>,
    maybe_done: bool,
) -> Answer {
    let known = KNOWN.get(method).filter(|known| known.entry.place != Place::Here);
    let Some(known) = known else {
        return Err(RpcError::new(
            METHOD_NOT_FOUND,
            "another process of this mud has a version that knows more",
        ));
    };
    if maybe_done && known.entry.place == Place::HolderOnce {
        return Err(super::forward::unknown());
    }
    let session = Session::new(Transport::Tcp, std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
    (known.entry.call)(Context { api, session: &session, id }, params).await
}

fn permission_denied(entry: &Entry) -> RpcError {
    let needed = entry.permission.map_or("", Permission::as_str);
    RpcError {
        code: PERMISSION_DENIED,
        message: format!("Permission denied: {} needs a key with the permission {needed}", entry.name),
        data: Some(json!({"permission": needed})),
    }
}

/// One error that names all that is missing. A text of nothing but blanks is as good as none.
fn check_required(required: &[String], params: &Map<String, Value>) -> Result<(), RpcError> {
    let given = |name: &str| params.get(name).or_else(|| params.get(alias(name)?));
    let is_missing = |name: &&String| match given(name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    };
    let missing: Vec<&str> = required.iter().filter(is_missing).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(RpcError {
        code: INVALID_PARAMS,
        message: format!("Missing required parameters: {}", missing.join(", ")),
        data: Some(json!({"missing": missing})),
    })
}

/// The other name of a parameter: the published clients send an emote as `message`.
fn alias(name: &str) -> Option<&'static str> {
    (name == "emote").then_some("message")
}

/// Reads parameters into their type; an error names the field. Null counts as not given.
fn decode<P: DeserializeOwned>(mut params: Map<String, Value>) -> Result<P, RpcError> {
    params.retain(|_, value| !value.is_null());
    serde_path_to_error::deserialize(Value::Object(params))
        .map_err(|error| RpcError::invalid(&error.path().to_string(), &error.inner().to_string()))
}

/// The result of what is sent to other muds.
#[derive(Serialize, JsonSchema)]
struct Sent {
    /// `sent` once the router link, or the gateway of a mud of the same provider, took it, or on a channel of the provider's
    /// the bus stored it; `queued` while it waits for that.
    status: &'static str,
    /// Names this message.
    message_id: String,
}

impl Sent {
    fn new(accepted: Result<Accepted, NotAccepted>, kind: &str, target: &str) -> Result<Self, RpcError> {
        match accepted {
            Ok(accepted) => Ok(Self {
                status: accepted.as_str(),
                message_id: format!("{kind}_{target}_{}", jiff::Timestamp::now().as_millisecond()),
            }),
            Err(error) => Err(not_accepted(&error)),
        }
    }
}

/// The error for what is not accepted. What has to do with a mud names it.
fn not_accepted(error: &NotAccepted) -> RpcError {
    let data = match error {
        NotAccepted::Away(mud) | NotAccepted::Unknown(mud) => {
            Some(json!({"field": "target_mud", "mud_name": mud}))
        }
        NotAccepted::Full | NotAccepted::BusFull | NotAccepted::Unwritable(_) => None,
    };
    RpcError { data, ..RpcError::new(GATEWAY_ERROR, error.to_string()) }
}

/// A method without parameters.
#[derive(serde::Deserialize, JsonSchema)]
struct Nothing {}

/// Who speaks when nobody is named: the Python gateway's word.
fn someone() -> String {
    "Someone".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_methods_have_one_name_and_each_says_what_it_does() {
        assert_eq!(KNOWN.len(), METHODS.len());
        assert!(METHODS.iter().all(|entry| !entry.summary.is_empty() && entry.name != "authenticate"));
    }

    #[test]
    fn what_is_missing_is_named_at_once_and_blanks_are_nothing() {
        let params = json!({"target_mud": " ", "message": "hi"});
        let error = check_required(&KNOWN["tell"].required, params.as_object().unwrap()).unwrap_err();
        assert_eq!(error.message, "Missing required parameters: target_mud, target_user");
    }

    #[test]
    fn a_parameter_of_the_wrong_type_is_named() {
        let params = json!({"channel": "c", "listen_only": "yes"}).as_object().unwrap().clone();
        let error = decode::<<channels::Join as Method>::Params>(params).err().unwrap();
        assert_eq!((error.code, &error.data.unwrap()["field"]), (INVALID_PARAMS, &json!("listen_only")));
        let null = json!({"channel": "c", "listen_only": null}).as_object().unwrap().clone();
        assert!(decode::<<channels::Join as Method>::Params>(null).is_ok());
    }
}
