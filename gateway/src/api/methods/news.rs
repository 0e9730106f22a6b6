//! News of other muds, and of ours for them, out of band.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::desk::{AnswerTaken, finished_one, take_answer, unavailable};
use super::waiting::Waiting;
use super::{Context, Example, Method, Place, someone};
use crate::api::rpc::{INVALID_PARAMS, RpcError};
use crate::calls::errands::NewsErrand;
use crate::hub::NewsResult;
use crate::keys::Permission;
use crate::oob::desk::{Answer, Article, Group};

/// Result of what is asked about news.
#[derive(Serialize, JsonSchema)]
pub(super) struct NewsAsked {
    /// `requested`: a `news_result` will come; `success`: here it is.
    status: &'static str,
    /// Names it in the event.
    request_id: String,
    /// The mud.
    mud: String,
    /// The newsgroups.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Group>>,
    /// The article.
    #[serde(skip_serializing_if = "Option::is_none")]
    article: Option<Article>,
    /// The number of the published article.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
}

/// Asks, and waits if that is wanted.
async fn ask(
    context: Context<'_>,
    mud: String,
    user: &str,
    waiting: &Waiting,
    errand: NewsErrand,
) -> Result<NewsAsked, RpcError> {
    let underway = context.driver().news(&mud, user, errand).map_err(unavailable)?;
    let request_id = underway.id.clone();
    let Some(until) = waiting.until() else {
        let (groups, article, id) = (None, None, None);
        return Ok(NewsAsked { status: "requested", request_id, mud, groups, article, id });
    };
    let result: NewsResult =
        finished_one(underway, until, |result: &NewsResult| result.error.clone()).await?;
    let NewsResult { groups, article, id, .. } = result;
    Ok(NewsAsked { status: "success", request_id, mud, groups, article, id })
}

/// `news_groups`.
pub(super) struct NewsGroups;

/// Parameters of `news_groups`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NewsGroupsParams {
    /// The mud.
    target_mud: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for NewsGroups {
    const NAME: &'static str = "news_groups";
    const SUMMARY: &'static str = "Ask for the newsgroups of another mud.";
    const PERMISSION: Option<Permission> = Some(Permission::News);
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "timeout": 20}"#,
        result: r#"{"status": "success", "request_id": "5a2f6f1f-7c0b-4e6a-9d53-0b5f9c1e7c11", "mud": "Dusk",
            "groups": [{"group": "code", "first_id": 1, "last_id": 12}]}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = NewsGroupsParams;
    type Output = NewsAsked;

    async fn call(context: Context<'_>, params: NewsGroupsParams) -> Result<NewsAsked, RpcError> {
        ask(context, params.target_mud, "", &params.waiting, NewsErrand::Groups).await
    }
}

/// `news_read`.
pub(super) struct NewsRead;

/// Parameters of `news_read`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NewsReadParams {
    /// The mud.
    target_mud: String,
    /// The newsgroup.
    group: String,
    /// The article's number.
    id: i64,
    /// Who asks.
    #[serde(default = "someone")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for NewsRead {
    const NAME: &'static str = "news_read";
    const SUMMARY: &'static str = "Ask for an article of another mud.";
    const PERMISSION: Option<Permission> = Some(Permission::News);
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "group": "code", "id": 12, "from_user": "ann", "timeout": 20}"#,
        result: r#"{"status": "success", "request_id": "5a2f6f1f-7c0b-4e6a-9d53-0b5f9c1e7c11", "mud": "Dusk",
            "article": {"posting_time": 1795418241, "thread": "", "subject": "Hello", "poster": "bob",
                        "contents": "How are you?"}}"#,
    };
    const PLACE: Place = Place::HolderAgain;
    type Params = NewsReadParams;
    type Output = NewsAsked;

    async fn call(context: Context<'_>, params: NewsReadParams) -> Result<NewsAsked, RpcError> {
        let NewsReadParams { target_mud, group, id, from_user, waiting } = params;
        ask(context, target_mud, &from_user, &waiting, NewsErrand::Read(group, id)).await
    }
}

/// `news_post`.
pub(super) struct NewsPost;

/// Parameters of `news_post`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NewsPostParams {
    /// The mud.
    target_mud: String,
    /// The newsgroup.
    group: String,
    /// What it belongs to; none: it begins something new.
    #[serde(default)]
    thread: String,
    /// What it is about.
    #[serde(default)]
    subject: String,
    /// The article.
    contents: String,
    /// Who writes it.
    #[serde(default = "someone", alias = "poster")]
    from_user: String,
    #[serde(flatten)]
    waiting: Waiting,
}

impl Method for NewsPost {
    const NAME: &'static str = "news_post";
    const SUMMARY: &'static str = "Publish an article at another mud.";
    const PERMISSION: Option<Permission> = Some(Permission::News);
    const EXAMPLE: Example = Example {
        params: r#"{"target_mud": "Dusk", "group": "code", "subject": "Hello", "contents": "How are you?", "from_user": "ann"}"#,
        result: r#"{"status": "requested", "request_id": "5a2f6f1f-7c0b-4e6a-9d53-0b5f9c1e7c11", "mud": "Dusk"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = NewsPostParams;
    type Output = NewsAsked;

    async fn call(context: Context<'_>, params: NewsPostParams) -> Result<NewsAsked, RpcError> {
        let NewsPostParams { target_mud, group, thread, subject, contents, from_user, waiting } = params;
        let errand = NewsErrand::Post { group, thread, subject, poster: from_user.clone(), contents };
        ask(context, target_mud, &from_user, &waiting, errand).await
    }
}

/// `news_reply`.
pub(super) struct NewsReply;

/// Parameters of `news_reply`: one of `groups`, `article`, `id` and `error`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NewsReplyParams {
    /// As in the event.
    request_id: String,
    /// The newsgroups, for a `news_groups_requested`.
    groups: Option<Vec<Group>>,
    /// The article, for a `news_read_requested`.
    article: Option<Article>,
    /// The number of the published article, for a `news_post_requested`.
    id: Option<i64>,
    /// Why it cannot be had.
    error: Option<String>,
}

impl Method for NewsReply {
    const NAME: &'static str = "news_reply";
    const SUMMARY: &'static str = "Answer what another mud asks about our news.";
    const PERMISSION: Option<Permission> = Some(Permission::News);
    const EXAMPLE: Example = Example {
        params: r#"{"request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11", "id": 13}"#,
        result: r#"{"status": "success", "request_id": "0b5f9c1e-7c0b-4e6a-9d53-5a2f6f1f7c11"}"#,
    };
    const PLACE: Place = Place::HolderOnce;
    type Params = NewsReplyParams;
    type Output = AnswerTaken;

    async fn call(context: Context<'_>, params: NewsReplyParams) -> Result<AnswerTaken, RpcError> {
        let NewsReplyParams { request_id, groups, article, id, error } = params;
        let answer = match (groups, article, id, error) {
            (Some(groups), None, None, None) => Answer::Groups(groups),
            (None, Some(article), None, None) => Answer::Article(article),
            (None, None, Some(id), None) if id > 0 => Answer::Published(id),
            (None, None, None, Some(error)) => Answer::NoNews(error),
            _ => {
                let message = "Invalid parameters: give one of groups, article, id (at least 1) and error";
                return Err(RpcError::new(INVALID_PARAMS, message));
            }
        };
        take_answer(context, request_id, answer)
    }
}
