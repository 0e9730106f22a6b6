//! The watches, and what each change has reconciled.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::controller::trigger_owners;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{Predicate, WatchStreamExt, predicates};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::index::Scope;
use crate::key::{Guarded, Key};
use crate::mudgateway::build::{SELECTOR, secret_of};
use crate::mudgateway::children::{Child, Kind, Sight};
use crate::{runner, watch};

/// Where kubectl keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Watches the scopes, and reconciles their `MudGateway`s until `shutdown`; then ends what has begun.
pub async fn run(context: Context, scopes: Vec<Scope>, shutdown: CancellationToken) {
    let (stores, requests): (Vec<_>, Vec<_>) =
        scopes.into_iter().map(|scope| requests(context.clone(), scope)).unzip();
    let work = Arc::clone(&context.work);
    let requests = stream::select_all(requests).for_each(|key| {
        work.request([key]);
        future::ready(())
    });
    tokio::select! {
        () = requests => {}
        () = runner::run(context, stores, shutdown) => {}
    }
}

/// The `MudGateway`s of a scope, and which of them are to be looked at when something has changed.
fn requests(context: Context, scope: Scope) -> (Store<Guarded>, BoxStream<'static, Key>) {
    let (store, writer) = reflector::store();
    let changes =
        watch::events(api(&context.client, &scope), watch::config(), "MudGateway", &context.metrics)
            .modify(slim)
            .reflect(writer);
    let changes = note_in_index(changes, store.clone(), context.clone(), scope.clone())
        // The operator's own writes to the status are no reason to reconcile. Deletions are not in this stream.
        .predicate_filter(
            predicates::generation.combine(predicates::finalizers).combine(deletion),
            Default::default(),
        );
    let mut requests = vec![changes.map_ok(|object| Key::of(&object)).boxed()];
    for kind in Kind::ALL {
        let owners = trigger_owners::<Guarded, _>(children(&context, kind, &scope), (), kind.resource());
        requests.push(owners.map_ok(|owner| Key::of_ref(&owner.obj_ref)).boxed());
    }
    let users = secrets(&context, &scope)
        .map_ok(move |secret| stream::iter(concerned_by(&context, &secret)).map(Ok))
        .try_flatten();
    requests.push(users.boxed());
    // What fails is opened again, and not passed on.
    (store, stream::select_all(requests).filter_map(|key| future::ready(key.ok())).boxed())
}

/// Leaves out of a MudGateway what nobody here looks at: who set which field, and kubectl's copy of the whole. As trees
/// they are most of it.
fn slim(object: &mut Guarded) {
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// The API of a kind, within a scope.
pub fn api<K>(client: &Client, scope: &Scope) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The changes of the objects of a kind that we made. A kind that the cluster does
/// not know is looked for again, with growing delays, for it may be installed at any time.
fn children(
    context: &Context,
    kind: Kind,
    scope: &Scope,
) -> impl Stream<Item = watcher::Result<Child>> + Send + 'static {
    let resource = kind.resource();
    let api: Api<Child> = match scope {
        Some(namespace) => Api::namespaced_with(context.client.clone(), namespace, &resource),
        None => Api::all_with(context.client.clone(), &resource),
    };
    let mut sight = Sight::new(Arc::clone(&context.children), kind, scope.clone());
    watch::events(api, watch::config().labels(SELECTOR), kind.as_str(), &context.metrics)
        .inspect_ok(move |event| sight.note(event))
        .touched_objects()
}

/// All Secrets, for users name theirs as they like. Metadata only, and nothing of it is kept: it costs what the
/// changes cost. The big and busy ones that are never API keys are left out.
///
/// A watch, and not a look from time to time: a Secret that appears, or a key that is changed, takes effect at
/// once.
fn secrets(
    context: &Context,
    scope: &Scope,
) -> impl Stream<Item = watcher::Result<PartialObjectMeta<Secret>>> + Send + 'static {
    let config = watch::config().fields("type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token");
    watch::events(api(&context.client, scope), config, "Secret", &context.metrics).touched_objects()
}

/// The MudGateways that a Secret concerns: the one whose Secret has this name, though it may be someone else's, and those
/// whose spec names it.
fn concerned_by(context: &Context, secret: &PartialObjectMeta<Secret>) -> Vec<Key> {
    let key = Key::of(secret);
    context.secrets.changed(&key);
    let users = context.users_of(&key);
    let index = context.index();
    let named = secret_of(&key.name).map(|name| Key::new(&key.namespace, name));
    named.filter(|key| index.contains(key)).chain(users).collect()
}

/// A deletion that waits for its finalizer is a change, too.
fn deletion(object: &Guarded) -> Option<u64> {
    Some(u64::from(object.meta().deletion_timestamp.is_some()))
}

/// Keeps the index in step with the watch, asks for those whom a change concerns besides the changed object,
/// and passes on the changed objects themselves.
fn note_in_index(
    events: impl Stream<Item = watcher::Result<Event<Guarded>>> + Send + 'static,
    store: Store<Guarded>,
    context: Context,
    scope: Scope,
) -> impl Stream<Item = watcher::Result<Guarded>> + Send + 'static {
    events.filter_map(move |event| {
        let changed = event.map(|event| note(event, &store, &context, &scope)).transpose();
        future::ready(changed)
    })
}

fn note(event: Event<Guarded>, store: &Store<Guarded>, context: &Context, scope: &Scope) -> Option<Guarded> {
    let (concerned, changed) = match event {
        Event::Apply(object) | Event::InitApply(object) => (context.index().apply(&object), Some(object)),
        Event::Delete(object) => {
            let key = Key::of(&object);
            context.forget(&key);
            (context.index().remove(&key), None)
        }
        Event::Init => (Vec::new(), None),
        Event::InitDone => {
            let listed: HashSet<Key> = store.state().iter().map(|object| Key::of(object.as_ref())).collect();
            (context.complete(scope, &listed), None)
        }
    };
    context.work.request(concerned);
    changed
}
