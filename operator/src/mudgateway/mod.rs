//! The reconciliation of one `MudGateway`, in five steps: dereference, validate, build, apply, status.
//!
//! The second and third are pure. Each step that can fail has an error of its own. All of it may be repeated,
//! or cut off between any two requests, without harm.

pub(crate) mod api_error;
mod apply;
pub mod build;
pub mod children;
pub mod deletion;
mod dereference;
mod drift;
mod endpoint;
mod exposure;
mod gateway_api;
mod key_end;
mod lacks;
mod moving;
mod name;
pub mod own_secrets;
pub mod password;
mod rejection;
mod status;
mod validate;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::core::error_boundary::InvalidObject;
use kube::{Resource, ResourceExt};
use mudgateway_crds::MudGateway;
use mudgateway_crds::status::{Endpoints, Reason};
use mudgateway_identity::Subject;
use mudgateway_telemetry::traces;
use rand::TryRng;
use tracing::{Span, info, warn};

use self::apply::Existing;
pub use self::apply::params;
use self::children::Kind;
use self::dereference::Facts;
pub use self::dereference::secrets;
pub use self::endpoint::{Endpoint, Section, endpoints, published};
use self::own_secrets::OwnSecret;
use self::rejection::Rejection;
use self::validate::{Gateway, Keys};
use self::verdict::{Applied, Observation, Outcome};
use crate::access::{self, CREDENTIALS, GatewayFiles, gateway_files};
use crate::backoff::{self, Backoff};
use crate::context::Context;
use crate::key::{Guarded, Key};
use crate::metrics;
use crate::network::Unknown;
use crate::workqueue::Work;

/// The most that one reconciliation may take: an API server that hangs must not hold a place for ever.
const TIMEOUT: Duration = Duration::from_secs(60);

/// When to look again whether a Gateway has changed, or another namespace has given up a name: nothing tells us.
const RECHECK: Duration = Duration::from_secs(60);

/// When to look again whether an object of someone else is gone: nothing tells us, unless it is a Secret.
const TAKEN: Backoff = Backoff { first: RECHECK_SOON, most: RECHECK };

/// When to look again for what is wrong outside and may be mended at any moment.
const RECHECK_SOON: Duration = Duration::from_secs(4);

/// After so many failures in a row the user is told of them, whatever they are.
const TELLING: u32 = 3;

/// How long that may take.
const TELL: Duration = Duration::from_secs(10);

/// Why a reconciliation failed. It will be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Step one.
    #[error(transparent)]
    Dereference(#[from] dereference::Error),
    /// The end of a MudGateway.
    #[error(transparent)]
    Deletion(#[from] deletion::Error),
    /// The login for NATS.
    #[error(transparent)]
    Access(#[from] access::Error),
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
            Self::Deletion(error) => api_error::reason(&error.source),
            Self::Access(_) => "NatsLoginUnavailable",
            Self::Build(_) => "BuildFailed",
            Self::Random(_) => "NoRandomness",
            Self::Timeout => "Timeout",
        }
    }

    /// What the user should be told at the so many-th failure in a row: at once if the API server refuses what we want, and
    /// later if it is away or busy.
    fn telling(&self, failures: u32) -> Option<Reason> {
        match self.reason() {
            "NatsLoginUnavailable" => Some(Reason::NatsLoginUnavailable),
            "Invalid" if api_error::is_about_immutable(&self.to_string()) => Some(Reason::ImmutableField),
            "Invalid" | "Forbidden" | "Refused" => Some(Reason::ApplyFailed),
            _ => (failures >= TELLING).then_some(Reason::ApplyFailed),
        }
    }
}

/// When to look at an object again, if nothing tells of a change before.
type Again = Option<Duration>;

/// What came of a look at an object.
#[derive(Debug)]
pub struct Looked {
    /// When to look again, if nothing tells of a change before.
    pub again: Again,
    /// Whether it is as it should be for now, and neither in the middle of something nor to be tried again.
    pub settled: bool,
}

/// Brings the cluster in line with one object.
#[tracing::instrument(name = "reconcile", skip_all, fields(mudgateway = %Key::of(object.as_ref()), trace_id))]
pub async fn reconcile(object: Arc<Guarded>, context: Context) -> Looked {
    if let Some(trace) = traces::id(&Span::current()) {
        Span::current().record("trace_id", trace);
    }
    let key = Key::of(object.as_ref());
    let start = Instant::now();
    context.metrics.reconciling.inc();
    let mut network = None;
    let done = one(&object, &key, &context, &mut network);
    let result = tokio::time::timeout(TIMEOUT, done).await.unwrap_or(Err(Error::Timeout));
    context.metrics.reconciling.dec();
    match result {
        Ok((outcome, again)) => {
            if outcome != metrics::Outcome::Rejected {
                context.failures.forget(&key);
            }
            context.metrics.reconciled(outcome, start);
            Looked { again, settled: again.is_none_or(|after| after > RECHECK_SOON) }
        }
        Err(error) => {
            context.metrics.reconcile_error(error.reason());
            context.metrics.reconciled(metrics::Outcome::Failed, start);
            tell(&error, &object, network, &key, &context).await;
            Looked { again: after_failure(&object, &key, &error, &context), settled: false }
        }
    }
}

/// Who has pods is no longer new.
pub fn work(object: &Guarded, key: &Key, context: &Context) -> Work {
    if object.meta().deletion_timestamp.is_some() {
        Work::End
    } else if context.children.has(Kind::Deployment, key) {
        Work::Keep
    } else {
        Work::Create
    }
}

/// Whether its spec has changed since its status was written.
pub fn is_news(object: &Guarded) -> bool {
    let Ok(gateway) = &object.0 else { return true };
    let told = gateway.status.as_ref().and_then(|status| status.observed_generation);
    told.is_some() && told != gateway.metadata.generation
}

/// Whether it is on a network that the provider maintains, and needs it.
pub fn wants_network(object: &Guarded) -> bool {
    let deleted = object.meta().deletion_timestamp.is_some();
    !deleted && object.0.as_ref().is_ok_and(|gateway| gateway.spec.network_ref.is_some())
}

/// Says in the status why nothing happens, if it is time to say so. Best effort: what failed is tried again in any case.
async fn tell(error: &Error, object: &Guarded, network: Option<String>, key: &Key, context: &Context) {
    let generation = object.meta().generation;
    let failures = context.failures.so_far(key, generation).saturating_add(1);
    let Some(reason) = error.telling(failures) else { return };
    let outcome = Outcome::Failed { reason, message: error.to_string() };
    let observation = observe(generation, outcome, network, key, context);
    let cached = object.0.as_ref().ok();
    let told = tokio::time::timeout(TELL, status::update(context, key, cached, &observation)).await;
    if let Ok(Err(error)) = told {
        warn!(reason = api_error::reason(&error.source), mudgateway = %key, %error, "it is not told why nothing happens");
    }
}

/// When to try again; never, if it is gone.
fn after_failure(object: &Guarded, key: &Key, error: &Error, context: &Context) -> Again {
    if !context.index().contains(key) {
        return None;
    }
    let failures = context.failures.count(key.clone(), object.meta().generation);
    let delay = backoff::RECONCILE.delay(failures, rand::random());
    warn!(reason = error.reason(), mudgateway = %key, failures, ?delay, %error, "reconciliation failed");
    Some(delay)
}

/// `network` gets where the mud's name is claimed, once that is so.
async fn one(
    object: &Guarded,
    key: &Key,
    context: &Context,
    network: &mut Option<String>,
) -> Result<Done, Error> {
    match &object.0 {
        _ if object.meta().deletion_timestamp.is_some() => {
            Ok((metrics::Outcome::Applied, deletion::carry_out(object, key, context).await?))
        }
        Ok(gateway) => decodable(gateway, key, context, network).await,
        Err(invalid) => undecodable(invalid, key, context).await,
    }
}

/// What runs for it goes on; whoever looks at the object is told.
async fn undecodable(object: &InvalidObject, key: &Key, context: &Context) -> Result<Done, Error> {
    let outcome = Outcome::Undecodable(object.error.clone());
    warn!(reason = "InvalidSpec", mudgateway = %key, error = %object.error, "the object cannot be decoded");
    let observation = observe(object.metadata.generation, outcome, None, key, context);
    status::update(context, key, None, &observation).await?;
    Ok((metrics::Outcome::Undecodable, None))
}

async fn decodable(
    gateway: &MudGateway,
    key: &Key,
    context: &Context,
    claimed: &mut Option<String>,
) -> Result<Done, Error> {
    let (outcome, done) = if gateway.spec.paused {
        (Outcome::Paused, (metrics::Outcome::Paused, None))
    } else {
        carry_out(gateway, key, context, claimed).await?
    };
    let observation = observe(gateway.metadata.generation, outcome, claimed.clone(), key, context);
    status::update(context, key, Some(gateway), &observation).await?;
    Ok(done)
}

/// How a reconciliation ended, and when to look again.
type Done = (metrics::Outcome, Again);

/// Steps one to four.
async fn carry_out(
    gateway: &MudGateway,
    key: &Key,
    context: &Context,
    claimed: &mut Option<String>,
) -> Result<(Outcome, Done), Error> {
    let senior = context.index().senior(key);
    let network = match &gateway.spec.network_ref {
        Some(network) => context.networks.find(&network.name),
        None => Ok(None),
    };
    let network = match network {
        Ok(network) => network,
        Err(unknown) => return Ok(reject(Rejection::NetworkUnavailable(unknown), gateway, key, context)),
    };
    let facts = dereference::dereference(context, key, gateway, senior, network).await?;
    let concerned = context.index().imply(key, endpoint::implied(&key.namespace, &gateway.spec, &facts.edge));
    context.work.request(concerned);
    let facts = Facts { taken: context.index().taken_endpoint(key), ..facts };
    let uid = gateway.uid().unwrap_or_default();
    let valid = match validate::validate(key, gateway, &facts, &context.settings) {
        Ok(valid) => match moving::leave(gateway, &valid, context).await? {
            Some(why) => return Ok(moves(why)),
            None => name::claim(&valid, context).await.map(|is_claimed| (valid, is_claimed)),
        },
        Err(rejection) => Err(rejection),
    };
    match valid {
        Ok((valid, is_claimed)) => {
            *claimed = is_claimed.then(|| valid.network.name.clone());
            let applied = program(valid, gateway, &facts, context).await?;
            let again = after_apply(&applied, gateway);
            Ok((Outcome::Applied(Box::new(applied)), (metrics::Outcome::Applied, again)))
        }
        Err(rejection) => {
            if rejection.reason() == Reason::NameConflict {
                // Another has the mud's name now.
                let not_the_pods = |kind| kind != Kind::Deployment;
                apply::prune(&context.client, &key.namespace, &uid, &facts.found, not_the_pods).await?;
            }
            Ok(reject(rejection, gateway, key, context))
        }
    }
}

/// A mud that has not left its former network yet.
fn moves(why: &str) -> (Outcome, Done) {
    (Outcome::Moving(why.to_owned()), (metrics::Outcome::Applied, Some(deletion::AGAIN)))
}

fn reject(rejection: Rejection, gateway: &MudGateway, key: &Key, context: &Context) -> (Outcome, Done) {
    let again = after_rejection(&rejection, gateway, key, context);
    (Outcome::Rejected(rejection), (metrics::Outcome::Rejected, again))
}

/// Carries out a spec: has the object held until its end, sees to the router password, makes the API key if it is the
/// operator's to make, builds and applies the objects, and takes away
/// what is no longer wanted.
async fn program(
    mut gateway: Gateway,
    object: &MudGateway,
    facts: &Facts,
    context: &Context,
) -> Result<Applied, Error> {
    let namespace = gateway.key.namespace.clone();
    deletion::hold(context, &gateway.key, object).await?;
    // Before there is a pod that would go to the router without it.
    password::keep(&gateway, facts.router_password.as_ref(), context).await?;
    let api_key = api_key(&mut gateway, facts, context).await?;
    gateway.nats = nats_files(&gateway, facts, context)?;
    let resources = build::resources(&gateway, &context.settings)?;
    let existing = Existing { found: &facts.found, nats_login: facts.nats_login.as_ref() };
    let applied = apply::apply(context, &namespace, &resources, existing).await?;
    let exposure = exposure::exposure(&gateway, &applied.service, &applied.routes);
    let api_key_secret = keep_api_key(&gateway, &exposure.endpoints, api_key.as_ref(), context).await?;
    if gateway.nats.issued {
        context.metrics.identities_issued.inc();
        info!(mudgateway = %gateway.key, "made an identity for NATS");
    }
    let wanted = build::kinds(&gateway.spec);
    let is_wanted = |kind| wanted.contains(&kind);
    apply::prune(&context.client, &namespace, &gateway.owner.uid, &facts.found, is_wanted).await?;
    Ok(Applied {
        exposure,
        lacks_pull_secret: gateway.lacks.pull_secret,
        deployment: applied.deployment,
        api_key_secret,
        selector: build::pod_selector(&gateway.key.name),
        key_end: key_end::next(&gateway.spec.api.keys, Timestamp::now()),
        renew_login_in: gateway.nats.renew_in,
    })
}

/// The Secret with the API key that we made, now if need be; none where the spec names others.
async fn api_key(
    gateway: &mut Gateway,
    facts: &Facts,
    context: &Context,
) -> Result<Option<OwnSecret>, Error> {
    if gateway.keys != Keys::Missing {
        return Ok(facts.api_key.clone());
    }
    let mut random = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut random)?;
    let secret = build::api_key(gateway, &random);
    let created = apply::create_api_key(&context.secrets, &gateway.key.namespace, &secret).await?;
    info!(mudgateway = %gateway.key, secret = secret.name_any(), "made an API key");
    gateway.keys = Keys::Made { uid: created.metadata.uid.clone().unwrap_or_default() };
    Ok(Some(created))
}

/// Keeps that Secret in shape, of which a part follows the endpoints; returns its name.
async fn keep_api_key(
    gateway: &Gateway,
    endpoints: &Endpoints,
    existing: Option<&OwnSecret>,
    context: &Context,
) -> Result<Option<String>, Error> {
    let Some(existing) = existing else { return Ok(None) };
    let Some(kept) = build::kept_of_api_key(gateway, endpoints, existing) else { return Ok(None) };
    apply::api_key(&context.secrets, &gateway.key.namespace, &kept, existing).await?;
    Ok(Some(kept.name_any()))
}

/// The files by which the gateway logs in to NATS: those it has, or new ones when it is time.
fn nats_files(gateway: &Gateway, facts: &Facts, context: &Context) -> Result<GatewayFiles, access::Error> {
    let materials = context.access.materials()?;
    let subject = Subject {
        network: &gateway.network.name,
        mud: &gateway.spec.mud.name,
        namespace: &gateway.key.namespace,
        name: &gateway.key.name,
    };
    let current = facts.nats_login.as_ref().and_then(|login| login.text(CREDENTIALS));
    let mut random = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut random)?;
    Ok(gateway_files(&materials, &subject, current, random)?)
}

fn observe(
    generation: Option<i64>,
    outcome: Outcome,
    network: Option<String>,
    key: &Key,
    context: &Context,
) -> Observation {
    Observation { generation, outcome, network, session: context.session(key) }
}

/// The watches tell of our own objects; nothing tells of a Gateway, or of the time.
fn after_apply(applied: &Applied, gateway: &MudGateway) -> Again {
    let outside = match &applied.exposure.problem {
        // Our Service, Ingress and Secrets are watched, and the index tells of other MudGateways.
        Some(_) if gateway.spec.expose.gateway.is_none() => None,
        Some(problem) if problem.reason == Reason::EndpointConflict => Some(RECHECK),
        Some(_) => Some(RECHECK_SOON),
        None => gateway.spec.expose.gateway.as_ref().map(|_| RECHECK),
    };
    let key = key_end::recheck_in(&gateway.spec.api.keys, Timestamp::now());
    outside.into_iter().chain(key).chain(applied.renew_login_in).min()
}

/// The watches tell when a Secret appears, a spec changes or a name becomes free. Who waits for others to give up a name
/// asks ever more seldom.
fn after_rejection(rejection: &Rejection, gateway: &MudGateway, key: &Key, context: &Context) -> Again {
    if !matches!(rejection, Rejection::ObjectExists { .. }) {
        context.failures.forget(key);
    }
    match rejection {
        Rejection::ObjectExists { .. } => {
            let times = context.failures.count(key.clone(), gateway.metadata.generation);
            Some(TAKEN.delay(times, rand::random()))
        }
        Rejection::NameKept { .. } | Rejection::NetworkUnavailable(Unknown::NotListed) => Some(RECHECK),
        Rejection::InvalidSpec(_)
        | Rejection::NetworkUnavailable(Unknown::Unreadable(_))
        | Rejection::NameConflict { .. }
        | Rejection::NetworkNotFound(_)
        | Rejection::ProxyLoginNotFound(_)
        | Rejection::SecretNotFound { .. }
        | Rejection::ImageNotAllowed(_)
        | Rejection::ApiKeyLost(_) => None,
    }
}
