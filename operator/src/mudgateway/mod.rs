//! The reconciliation of one `MudGateway`, in five steps: dereference, validate, build, apply, status.
//!
//! The second and third are pure. Each step that can fail has an error of its own. All of it may be repeated,
//! or cut off between any two requests, without harm.

mod api_error;
mod apply;
pub mod build;
mod dereference;
mod status;
mod validate;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use mudgateway_crds::MudGateway;
use rand::TryRng;
use tracing::{info, warn};

pub use self::apply::params;
use self::validate::{Gateway, Keys, Rejection};
use self::verdict::{Applied, Observation, Outcome};
use crate::backoff;
use crate::context::Context;
use crate::key::{Guarded, Key};
use crate::metrics;

/// The most that one reconciliation may take: an API server that hangs must not hold a place for ever.
const TIMEOUT: Duration = Duration::from_secs(60);

/// When to look again whether an object of someone else is gone: nothing tells us.
const RECHECK: Duration = Duration::from_secs(60);

/// Why a reconciliation failed. It will be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Step one.
    #[error(transparent)]
    Dereference(#[from] dereference::Error),
    /// Step three.
    #[error(transparent)]
    Build(#[from] build::Error),
    /// Step four.
    #[error(transparent)]
    Apply(#[from] apply::Error),
    /// Step five.
    #[error(transparent)]
    Status(#[from] status::Error),
    /// The operating system has no random numbers for an API key.
    #[error("the operating system gave no random numbers: {0}")]
    Random(#[from] rand::rngs::SysError),
    /// The API server hung.
    #[error("not done within {TIMEOUT:?}")]
    Timeout,
}

impl Error {
    /// The reason as it stands in metric labels and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Dereference(error) => api_error::reason(&error.source),
            Self::Apply(error) => api_error::reason(&error.source),
            Self::Status(error) => api_error::reason(&error.source),
            Self::Build(_) => "BuildFailed",
            Self::Random(_) => "NoRandomness",
            Self::Timeout => "Timeout",
        }
    }

    /// Whether the API server refused what we want, as opposed to being away or busy. Then the user should know.
    fn is_refusal(&self) -> bool {
        matches!(self.reason(), "Forbidden" | "Invalid")
    }
}

/// Brings the cluster in line with one object.
///
/// # Errors
/// When the API server is away or refuses; [`error_policy`] says when it is tried again.
pub async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let start = Instant::now();
    let key = Key::of(object.as_ref());
    context.metrics.reconciling.inc();
    let listed_and_done = async {
        context.listed().await;
        one(&object, &key, &context).await
    };
    let result = tokio::time::timeout(TIMEOUT, listed_and_done).await.unwrap_or(Err(Error::Timeout));
    context.metrics.reconciling.dec();
    match result {
        Ok((outcome, action)) => {
            context.failures.forget(&key);
            context.metrics.reconciled(outcome, start);
            Ok(action)
        }
        Err(error) => {
            context.metrics.reconcile_error(error.reason());
            context.metrics.reconciled(metrics::Outcome::Failed, start);
            Err(error)
        }
    }
}

/// When to try again after a failure.
pub fn error_policy(object: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    let key = Key::of(object.as_ref());
    if !context.index().contains(&key) {
        return Action::await_change();
    }
    let generation = object.meta().generation;
    let failures = context.failures.count(key.clone(), generation);
    let delay = backoff::RECONCILE.delay(failures, rand::random());
    warn!(reason = error.reason(), mudgateway = %key, failures, ?delay, %error, "reconciliation failed");
    Action::requeue(delay)
}

async fn one(object: &Guarded, key: &Key, context: &Context) -> Result<(metrics::Outcome, Action), Error> {
    match &object.0 {
        // Its objects go with it, by their owner references.
        _ if object.meta().deletion_timestamp.is_some() => {
            Ok((metrics::Outcome::Applied, Action::await_change()))
        }
        Ok(gateway) => decodable(gateway, key, context).await,
        Err(invalid) => undecodable(invalid, key, context).await,
    }
}

/// What runs for it goes on; whoever looks at the object is told.
async fn undecodable(
    object: &InvalidObject,
    key: &Key,
    context: &Context,
) -> Result<(metrics::Outcome, Action), Error> {
    let outcome = Outcome::Undecodable(object.error.clone());
    warn!(reason = "InvalidSpec", mudgateway = %key, error = %object.error, "the object cannot be decoded");
    let observation = observe(object.metadata.generation, outcome, key, context);
    status::update(context, key, None, &observation).await?;
    Ok((metrics::Outcome::Undecodable, Action::await_change()))
}

async fn decodable(
    gateway: &MudGateway,
    key: &Key,
    context: &Context,
) -> Result<(metrics::Outcome, Action), Error> {
    let senior = context.index().senior(key);
    let network = match &gateway.spec.network_ref {
        Some(network) => context.networks.get(&network.name).await,
        None => None,
    };
    let facts = dereference::dereference(&context.client, key, gateway, senior, network).await?;
    let (outcome, done) = match validate::validate(key, gateway, &facts) {
        Ok(valid) => match program(valid, context).await {
            Ok(applied) => {
                let done = (metrics::Outcome::Applied, Action::await_change());
                (Outcome::Applied(Box::new(applied)), Ok(done))
            }
            Err(error) if error.is_refusal() => (Outcome::Failed(error.to_string()), Err(error)),
            Err(error) => return Err(error),
        },
        Err(rejection) => {
            if matches!(rejection, Rejection::NameConflict { .. }) {
                let uid = gateway.uid().unwrap_or_default();
                apply::stop(&context.client, key, &uid, facts.deployment.as_ref()).await?;
            }
            let action = after_rejection(&rejection);
            (Outcome::Rejected(rejection), Ok((metrics::Outcome::Rejected, action)))
        }
    };
    let observation = observe(gateway.metadata.generation, outcome, key, context);
    status::update(context, key, gateway.status.as_ref(), &observation).await?;
    done
}

/// Carries out a spec: makes the API key if it is the operator's to make, then builds and applies the objects.
async fn program(mut gateway: Gateway, context: &Context) -> Result<Applied, Error> {
    if gateway.keys == Keys::Missing {
        let mut random = [0; 32];
        rand::rngs::SysRng.try_fill_bytes(&mut random)?;
        let secret = build::api_key(&gateway, &random);
        let uid = apply::create_api_key(&context.client, &gateway.key.namespace, &secret).await?;
        info!(mudgateway = %gateway.key, secret = secret.name_any(), "made an API key");
        gateway.keys = Keys::Made { uid };
    }
    let resources = build::resources(&gateway, &context.settings)?;
    let deployment = apply::apply(&context.client, &gateway.key.namespace, &resources).await?;
    let made = resources.api_key.map(|secret| secret.name_any());
    Ok(Applied { deployment, endpoints: build::endpoints(&gateway), api_key_secret: made })
}

fn observe(generation: Option<i64>, outcome: Outcome, key: &Key, context: &Context) -> Observation {
    Observation { generation, outcome, session: context.session(key) }
}

/// The watches tell when a Secret appears, a spec changes or a name becomes free.
fn after_rejection(rejection: &Rejection) -> Action {
    match rejection {
        Rejection::ObjectExists { .. } => Action::requeue(RECHECK),
        Rejection::InvalidSpec(_)
        | Rejection::NameConflict { .. }
        | Rejection::NetworkNotFound(_)
        | Rejection::ProxyLoginNotFound(_)
        | Rejection::SecretNotFound(_)
        | Rejection::ApiKeyLost(_) => Action::await_change(),
    }
}
