//! Letters to and from users of other muds, out of band.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::desk::{AnswerTaken, take_answer};
use super::waiting::Waiting;
use super::{Context, Example, Method, Place, someone};
use crate::api::rpc::{INVALID_PARAMS, RpcError};
use crate::calls::errands::{Letter, Recipients};
use crate::hub::MailResult;
use crate::keys::Permission;
use crate::oob::desk::Answer;

/// The most users one letter may be for.
const RECIPIENTS: usize = 100;

/// `mail_send`.
pub(super) struct MailSend;

/// Parameters of `mail_send`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct MailSendParams {
    /// To whom: users by mud.
    to: Recipients,
    /// Who gets a copy: users by mud.
    #[serde(default)]
    cc: Recipients,
    /// Who gets a copy that the others are not told of: users by mud.
    #[serde(default)]
    bcc: Recipients,
    /// What it is about.
    #[serde(default)]
    subject: String,
    /// The letter.
    message: String,
    /// Who writes it.
    #[serde(default = "someone")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

/// Result of `mail_send`.
#[derive(Serialize, JsonSchema)]
pub(super) struct MailSent {
    /// `requested`: a `mail_result` will come for each mud; `success`: here they are, and everybody has it; `failed`: here
    /// they are, and somebody does not have it.
    status: &'static str,
    /// Names the letter in the events.
    mail_id: String,
    /// What became of it at each mud.
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<MailResult>>,
}

impl Method for MailSend {
    const NAME: &'static str = "mail_send";
    const SUMMARY: &'static str = "Send a letter to users of other muds.";
    const PERMISSION: Option<Permission> = Some(Permission::Mail);
    const EXAMPLE: Example = Example {
        params: r#"{"to": {"Dusk": ["bob", "zoe"]}, "subject": "Hello", "message": "How are you?", "from_user": "ann",
            "timeout": 20}"#,
        result: r#"{"status": "failed", "mail_id": "5a2f6f1f-7c0b-4e6a-9d53-0b5f9c1e7c11",
            "results": [{"mail_id": "5a2f6f1f-7c0b-4e6a-9d53-0b5f9c1e7c11", "mud": "Dusk", "delivered": ["bob"],
                         "failed": ["zoe"]}]}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = MailSendParams;
    type Output = MailSent;

    async fn call(context: Context<'_>, params: MailSendParams) -> Result<MailSent, RpcError> {
        let MailSendParams { to, cc, bcc, subject, message, from_user, waiting } = params;
        check_recipients([&to, &cc, &bcc])?;
        let letter = Letter { from_user, to, cc, bcc, subject, message };
        let underway = context.driver().send_mail(&letter).map_err(super::desk::unavailable)?;
        let mail_id = underway.id.clone();
        let results = match waiting.until() {
            Some(until) => Some(super::desk::finished(underway, until).await?),
            None => None,
        };
        let status = match &results {
            None => "requested",
            Some(results) if results.iter().all(|result| result.failed.is_empty()) => "success",
            Some(_) => "failed",
        };
        Ok(MailSent { status, mail_id, results })
    }
}

/// At least one user, not too many, and none without a name.
fn check_recipients(lists: [&Recipients; 3]) -> Result<(), RpcError> {
    let users: Vec<_> = lists.into_iter().flat_map(|list| list.values()).flatten().collect();
    let empty_mud = lists.into_iter().any(|list| list.values().any(Vec::is_empty));
    let blank = users.iter().any(|user| user.trim().is_empty());
    if !users.is_empty() && users.len() <= RECIPIENTS && !blank && !empty_mud {
        return Ok(());
    }
    let expected = format!("1 to {RECIPIENTS} users in all, each with a name, as in {{\"Dusk\": [\"bob\"]}}");
    Err(RpcError {
        code: INVALID_PARAMS,
        message: format!("Invalid parameter: to: expected {expected}"),
        data: Some(serde_json::json!({"field": "to", "expected": expected})),
    })
}

/// `mail_ack`.
pub(super) struct MailAck;

/// Parameters of `mail_ack`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct MailAckParams {
    /// As in the `mail_received`.
    request_id: String,
    /// The users who do not have the letter.
    #[serde(default)]
    failed: Vec<String>,
}

impl Method for MailAck {
    const NAME: &'static str = "mail_ack";
    const SUMMARY: &'static str = "Tell that a letter was delivered, and to whom it could not be.";
    const PERMISSION: Option<Permission> = Some(Permission::Mail);
    const EXAMPLE: Example = Example {
        params: r#"{"request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11", "failed": ["zoe"]}"#,
        result: r#"{"status": "success", "request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = MailAckParams;
    type Output = AnswerTaken;

    async fn call(context: Context<'_>, params: MailAckParams) -> Result<AnswerTaken, RpcError> {
        take_answer(context, params.request_id, Answer::Mail(params.failed))
    }
}
