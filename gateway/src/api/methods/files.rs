//! Files of other muds, and of ours for them, out of band. Files are texts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::desk::{AnswerTaken, finished_one, take_answer, unavailable};
use super::waiting::Waiting;
use super::{Context, Example, Method, Place, someone};
use crate::api::rpc::RpcError;
use crate::calls::errands::FileErrand;
use crate::hub::{FileOutcome, FileResult, ListedFile};
use crate::keys::Permission;
use crate::oob::desk::Answer;

/// Result of what is asked about a file.
#[derive(Serialize, JsonSchema)]
pub(super) struct FileAsked {
    /// `requested`: a `file_result` will come; `success` or `failed`: here it is.
    status: &'static str,
    /// Names it in the event.
    request_id: String,
    /// The mud.
    mud: String,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<FileOutcome>,
    /// What is in the folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<ListedFile>>,
    /// What is in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<String>,
}

/// Asks, and waits if that is wanted.
async fn ask(
    context: Context<'_>,
    mud: String,
    user: &str,
    waiting: &Waiting,
    errand: FileErrand,
) -> Result<FileAsked, RpcError> {
    let underway = context.driver().file(&mud, user, errand).map_err(unavailable)?;
    let request_id = underway.id.clone();
    let Some(until) = waiting.until() else {
        let (outcome, files, contents) = (None, None, None);
        return Ok(FileAsked { status: "requested", request_id, mud, outcome, files, contents });
    };
    let result: FileResult =
        finished_one(underway, until, |result: &FileResult| result.error.clone()).await?;
    let FileResult { outcome, files, contents, .. } = result;
    let status = if outcome == FileOutcome::Ok { "success" } else { "failed" };
    Ok(FileAsked { status, request_id, mud, outcome: Some(outcome), files, contents })
}

/// `file_list`.
pub(super) struct FileList;

/// Parameters of `file_list`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct FileListParams {
    /// The mud.
    target_mud: String,
    /// The folder; none: the one that is open to all.
    #[serde(default)]
    directory: String,
    /// Who asks.
    #[serde(default = "someone")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for FileList {
    const NAME: &'static str = "file_list";
    const SUMMARY: &'static str = "Ask what is in a folder of another mud.";
    const PERMISSION: Option<Permission> = Some(Permission::File);
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "directory": "maps", "from_user": "ann", "timeout": 20}"#,
        result: r#"{"status": "success", "request_id": "5a2f6f1f-7c0b-4e6a-9d53-0b5f9c1e7c11", "mud": "Dusk", "outcome": "ok",
            "files": [{"name": "inn.txt", "size": 7, "time": 1795418241}]}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = FileListParams;
    type Output = FileAsked;

    async fn call(context: Context<'_>, params: FileListParams) -> Result<FileAsked, RpcError> {
        let FileListParams { target_mud, directory, from_user, waiting } = params;
        ask(context, target_mud, &from_user, &waiting, FileErrand::List(directory)).await
    }
}

/// `file_get`.
pub(super) struct FileGet;

/// Parameters of `file_get`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct FileGetParams {
    /// The mud.
    target_mud: String,
    /// The file, from the folder that is open to all.
    path: String,
    /// Who asks.
    #[serde(default = "someone")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for FileGet {
    const NAME: &'static str = "file_get";
    const SUMMARY: &'static str = "Ask for a file of another mud.";
    const PERMISSION: Option<Permission> = Some(Permission::File);
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "path": "maps/inn.txt", "from_user": "ann", "timeout": 20}"#,
        result: r#"{"status": "success", "request_id": "5a2f6f1f-7c0b-4e6a-9d53-0b5f9c1e7c11", "mud": "Dusk", "outcome": "ok",
            "contents": "The inn"}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = FileGetParams;
    type Output = FileAsked;

    async fn call(context: Context<'_>, params: FileGetParams) -> Result<FileAsked, RpcError> {
        let FileGetParams { target_mud, path, from_user, waiting } = params;
        ask(context, target_mud, &from_user, &waiting, FileErrand::Get(path)).await
    }
}

/// `file_put`.
pub(super) struct FilePut;

/// Parameters of `file_put`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct FilePutParams {
    /// The mud.
    target_mud: String,
    /// Where it is to go, from the folder that is open to all.
    path: String,
    /// What is in it.
    #[serde(default)]
    contents: String,
    /// Who sends it.
    #[serde(default = "someone")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for FilePut {
    const NAME: &'static str = "file_put";
    const SUMMARY: &'static str = "Send a file to another mud.";
    const PERMISSION: Option<Permission> = Some(Permission::File);
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "path": "maps/inn.txt", "contents": "The inn", "from_user": "ann"}"#,
        result: r#"{"status": "requested", "request_id": "5a2f6f1f-7c0b-4e6a-9d53-0b5f9c1e7c11", "mud": "Dusk"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = FilePutParams;
    type Output = FileAsked;

    async fn call(context: Context<'_>, params: FilePutParams) -> Result<FileAsked, RpcError> {
        let FilePutParams { target_mud, path, contents, from_user, waiting } = params;
        ask(context, target_mud, &from_user, &waiting, FileErrand::Put(path, contents)).await
    }
}

/// `file_reply`.
pub(super) struct FileReply;

/// Parameters of `file_reply`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct FileReplyParams {
    /// As in the event.
    request_id: String,
    /// What became of it.
    outcome: FileOutcome,
    /// What is in the folder, for a `file_list_requested`.
    #[serde(default)]
    files: Vec<ListedFile>,
    /// What is in the file, for a `file_get_requested`.
    contents: Option<String>,
}

impl Method for FileReply {
    const NAME: &'static str = "file_reply";
    const SUMMARY: &'static str = "Answer what another mud asks about our files.";
    const PERMISSION: Option<Permission> = Some(Permission::File);
    const EXAMPLE: Example = Example {
        params: r#"{"request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11", "outcome": "ok", "contents": "The inn"}"#,
        result: r#"{"status": "success", "request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = FileReplyParams;
    type Output = AnswerTaken;

    async fn call(context: Context<'_>, params: FileReplyParams) -> Result<AnswerTaken, RpcError> {
        let FileReplyParams { request_id, outcome, files, contents } = params;
        let files = files.into_iter().map(Into::into).collect();
        take_answer(context, request_id, Answer::File(outcome.into(), files, contents))
    }
}
