//! An API server in memory, over real HTTP on loopback, that fails as it is told. It knows what the operator uses:
//! lists, watches, server-side apply (without field managers), merge patches, creations and deletions.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use axum::serve::ListenerExt;
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::target::{Target, labels_of, matches};

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// An error of this code, reason and message.
    Answer(u16, &'static str, &'static str),
    /// 429, and when to come back, in seconds.
    Busy(u64),
    /// An answer after so long.
    Slow(Duration),
    /// No answer at all.
    Hang,
    /// Half of an answer, then the end of the connection. Nothing is done.
    Reset,
    /// It is done, and the connection breaks before the answer.
    LoseAnswer,
    /// A watch that never says anything, not even that it ends.
    Mute,
    /// A watch that says that what it was asked for is too old.
    Expired,
    /// A watch that ends at once.
    Ends,
}

/// Which requests a fault befalls.
struct Rule {
    verb: &'static str,
    resource: &'static str,
    namespace: Option<String>,
    left: usize,
    fault: Fault,
}

/// A request as it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) verb: &'static str,
    pub(crate) resource: String,
    pub(crate) name: String,
    /// Whether only metadata was asked for.
    pub(crate) brief: bool,
}

/// Something that was made, changed or deleted.
#[derive(Clone, Debug)]
struct Change {
    version: u64,
    kind: &'static str,
    target: Target,
    object: Value,
}

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<Target, Value>,
    history: Vec<Change>,
    rules: Vec<Rule>,
    seen: Vec<Seen>,
}

/// The server. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Api {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Api {
    /// A server on a free port, and its URL.
    pub(crate) async fn start() -> (Self, String) {
        let api = Self { state: Arc::default(), changed: Arc::new(watch::Sender::new(0)) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(serve).with_state(api.clone());
        // Or the kernel waits before it sends, while the test's clock runs on.
        let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (api, url)
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap())
    }

    /// Has requests fail from now on; `*` stands for any verb or resource.
    pub(crate) fn fail(&self, verb: &'static str, resource: &'static str, fault: Fault) {
        self.fail_times(usize::MAX, verb, resource, fault);
    }

    /// The same, so many times.
    pub(crate) fn fail_times(&self, left: usize, verb: &'static str, resource: &'static str, fault: Fault) {
        self.state(|state| state.rules.push(Rule { verb, resource, namespace: None, left, fault }));
    }

    /// The same, in one namespace.
    pub(crate) fn fail_in(&self, namespace: &str, verb: &'static str, resource: &'static str, fault: Fault) {
        let namespace = Some(namespace.to_owned());
        self.state(|state| state.rules.push(Rule { verb, resource, namespace, left: usize::MAX, fault }));
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        self.state(|state| state.rules.clear());
    }

    /// The requests so far that match; `*` stands for any verb or resource.
    pub(crate) fn seen(&self, verb: &str, resource: &str) -> Vec<Seen> {
        let is = |wanted: &str, what: &str| wanted == "*" || wanted == what;
        self.state(|state| {
            let matching =
                state.seen.iter().filter(|seen| is(verb, seen.verb) && is(resource, &seen.resource));
            matching.cloned().collect()
        })
    }

    /// How often an object was made, changed or deleted.
    pub(crate) fn changes(&self, resource: &str, name: &str) -> usize {
        let is = |change: &&Change| change.target.resource == resource && change.target.name == name;
        self.state(|state| state.history.iter().filter(is).count())
    }

    /// All objects of a resource.
    pub(crate) fn all(&self, resource: &str) -> Vec<Value> {
        self.state(|state| {
            let of_it = state.objects.iter().filter(|(target, _)| target.resource == resource);
            of_it.map(|(_, object)| object.clone()).collect()
        })
    }

    /// An object.
    pub(crate) fn get(&self, target: &Target) -> Option<Value> {
        self.state(|state| state.objects.get(target).cloned())
    }

    /// Makes or changes an object, as somebody else would.
    pub(crate) fn put(&self, target: &Target, object: Value) {
        self.state(|state| state.write(target, |now| *now = object));
        self.tell();
    }

    /// Deletes an object, as somebody else would.
    pub(crate) fn delete(&self, target: &Target) {
        self.state(|state| state.delete(target));
        self.tell();
    }

    fn tell(&self) {
        let version = self.state(|state| state.version);
        self.changed.send_replace(version);
    }

    fn fault(&self, target: &Target, verb: &str) -> Option<Fault> {
        self.state(|state| {
            let rule = state.rules.iter_mut().find(|rule| {
                rule.left > 0
                    && (rule.verb == "*" || rule.verb == verb)
                    && (rule.resource == "*" || rule.resource == target.resource_and_part())
                    && rule.namespace.as_ref().is_none_or(|namespace| *namespace == target.namespace)
            })?;
            rule.left -= 1;
            Some(rule.fault.clone())
        })
    }
}

impl State {
    /// Changes an object, or makes it; tells what it is then. What changes nothing is no change.
    fn write(&mut self, target: &Target, change: impl FnOnce(&mut Value)) -> Value {
        let before = self.objects.get(target);
        let mut object = before.cloned().unwrap_or_else(|| json!({"metadata": {}}));
        change(&mut object);
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        if before == Some(&object) {
            return object;
        }
        let same_spec = before.is_some_and(|before| before["spec"] == object["spec"]);
        self.version += 1;
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(target.name);
        if !target.namespace.is_empty() {
            metadata["namespace"] = json!(target.namespace);
        }
        if before.is_none() {
            metadata["uid"] = json!(format!("uid-{}", self.version));
            metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
            metadata["generation"] = json!(1);
        } else if !same_spec {
            metadata["generation"] = json!(metadata["generation"].as_u64().unwrap_or(1) + 1);
        }
        metadata["resourceVersion"] = json!(self.version.to_string());
        self.note(kind, target, &object);
        self.objects.insert(target.clone(), object.clone());
        object
    }

    fn delete(&mut self, target: &Target) -> Option<Value> {
        let mut object = self.objects.remove(target)?;
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.note("DELETED", target, &object);
        Some(object)
    }

    fn note(&mut self, kind: &'static str, target: &Target, object: &Value) {
        let (version, target, object) = (self.version, target.clone(), object.clone());
        self.history.push(Change { version, kind, target, object });
    }
}

async fn serve(Shared(api): Shared<Api>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query: BTreeMap<String, String> = query(parts.uri.query().unwrap_or_default());
    let Some(target) = Target::parse(parts.uri.path()) else { return unknown_kind() };
    let verb = verb(&parts.method, &query, &target);
    api.state(|state| {
        let (resource, name) = (target.resource_and_part(), target.name.clone());
        let accept = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let brief = accept.is_some_and(|accept| accept.contains("PartialObjectMetadata"));
        state.seen.push(Seen { at: Instant::now(), verb, resource, name, brief });
    });
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let merge =
        parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/merge-patch+json");
    let fault = api.fault(&target, verb);
    match fault {
        Some(Fault::Answer(code, reason, message)) => return failure(code, reason, message),
        Some(Fault::Busy(seconds)) => return busy(seconds),
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Reset) => return broken(),
        Some(Fault::Slow(how_long)) => tokio::time::sleep(how_long).await,
        _ => {}
    }
    if verb == "watch" {
        return api.watch(&target, &query, fault);
    }
    if target.is_gateway_api() && api.all("gateways").is_empty() {
        return unknown_kind();
    }
    let answer = api.answer(verb, &target, &query, body, merge);
    if matches!(fault, Some(Fault::LoseAnswer)) { broken() } else { answer }
}

impl Api {
    fn answer(
        &self,
        verb: &str,
        target: &Target,
        query: &BTreeMap<String, String>,
        body: Value,
        merge: bool,
    ) -> Response {
        let response = match verb {
            "list" => json_response(StatusCode::OK, &self.list(target, query)),
            "get" => found(self.get(&target.whole())),
            "create" => self.create(target, body),
            "patch" => self.patch(target, body, merge),
            "delete" => found(self.state(|state| state.delete(target))),
            _ => failure(405, "MethodNotAllowed", "the test's API server cannot do that"),
        };
        self.tell();
        response
    }

    fn list(&self, target: &Target, query: &BTreeMap<String, String>) -> Value {
        self.state(|state| {
            let items = state.objects.iter().filter(|(found, object)| found.is_in(target, object, query));
            let items: Vec<&Value> = items.map(|(_, object)| object).collect();
            json!({"kind": "List", "apiVersion": "v1", "items": items,
                "metadata": {"resourceVersion": state.version.to_string()}})
        })
    }

    fn create(&self, collection: &Target, body: Value) -> Response {
        let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let target = Target { name, ..collection.clone() };
        if self.get(&target).is_some() {
            return failure(409, "AlreadyExists", "it is there already");
        }
        let made = self.state(|state| state.write(&target, |now| *now = body));
        json_response(StatusCode::CREATED, &made)
    }

    fn patch(&self, target: &Target, mut body: Value, merge: bool) -> Response {
        let whole = target.whole();
        let now = self.get(&whole);
        let uid = &body["metadata"]["uid"];
        if uid.is_string() && now.as_ref().is_some_and(|now| now["metadata"]["uid"] != *uid) {
            return failure(409, "Conflict", "the uid is another one");
        }
        let version = &body["metadata"]["resourceVersion"];
        if version.is_string()
            && now.as_ref().is_some_and(|now| now["metadata"]["resourceVersion"] != *version)
        {
            return failure(409, "Conflict", "the object has been modified");
        }
        if now.is_none() && (merge || !target.part.is_empty()) {
            return failure(404, "NotFound", "not found");
        }
        let changed = self.state(|state| {
            state.write(&whole, |now| {
                if target.part == "status" {
                    now["status"] = body["status"].take();
                } else {
                    let fields = body.as_object_mut().unwrap();
                    fields.remove("status");
                    if now.get("kind").is_some() {
                        // Of an object that is patched by its metadata alone, they say just that.
                        fields.retain(|field, _| field != "kind" && field != "apiVersion");
                    }
                    let managed = managed_fields(&body);
                    overlay(now, body);
                    if !merge {
                        now["metadata"]["managedFields"] = managed;
                    }
                }
            })
        });
        json_response(StatusCode::OK, &changed)
    }

    fn watch(&self, target: &Target, query: &BTreeMap<String, String>, fault: Option<Fault>) -> Response {
        let since = query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
        let seconds = query.get("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(300);
        let end = Instant::now() + Duration::from_secs(seconds);
        match fault {
            Some(Fault::Mute) => return streamed(stream::pending()),
            Some(Fault::Ends) => return streamed(stream::empty()),
            Some(Fault::Expired) => {
                let status = status(410, "Expired", "too old resource version");
                let line = line("ERROR", &status);
                return streamed(stream::once(async move { Ok(line) }));
            }
            _ => {}
        }
        let (api, target, query) = (self.clone(), target.clone(), query.clone());
        let changed = self.changed.subscribe();
        streamed(stream::unfold((api, since, changed), move |(api, since, mut changed)| {
            let (target, query) = (target.clone(), query.clone());
            async move {
                loop {
                    changed.borrow_and_update();
                    let (lines, now) = api.since(since, &target, &query);
                    if !lines.is_empty() {
                        return Some((Ok(Bytes::from(lines)), (api, now, changed)));
                    }
                    tokio::select! {
                        _ = changed.changed() => {}
                        () = tokio::time::sleep_until(end) => return None,
                    }
                }
            }
        }))
    }

    /// What happened since a version, a line each, and the version now.
    fn since(&self, since: u64, target: &Target, query: &BTreeMap<String, String>) -> (Vec<u8>, u64) {
        self.state(|state| {
            let newer = state.history.iter().filter(|change| change.version > since);
            let ours = newer.filter(|change| change.target.is_in(target, &change.object, query));
            (ours.flat_map(|change| line(change.kind, &change.object)).collect(), state.version)
        })
    }
}

impl Target {
    /// Whether an object of this place is in a collection, as far as a query asks for it.
    fn is_in(&self, collection: &Self, object: &Value, query: &BTreeMap<String, String>) -> bool {
        let selector = query.get("labelSelector").map(String::as_str).unwrap_or_default();
        self.group == collection.group
            && self.resource == collection.resource
            && (collection.namespace.is_empty() || collection.namespace == self.namespace)
            && matches(selector, &labels_of(object))
    }
}

/// Whose the fields of an applied object are: the operator's, each as a whole.
fn managed_fields(applied: &Value) -> Value {
    let names = |object: &Value| -> Value {
        let names =
            object.as_object().into_iter().flatten().map(|(name, _)| (format!("f:{name}"), json!({})));
        Value::Object(names.collect())
    };
    let mut fields = names(applied);
    fields["f:metadata"] = names(&applied["metadata"]);
    json!([{"manager": "mudgateway-operator", "operation": "Apply", "fieldsV1": fields}])
}

/// Puts one value over another; objects are merged, and null takes away.
pub(crate) fn overlay(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    overlay(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from,
    }
}

fn query(query: &str) -> BTreeMap<String, String> {
    let decoded =
        |text: &str| text.replace("%3D", "=").replace("%2C", ",").replace("%2F", "/").replace("%21", "!");
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect()
}

fn verb(method: &Method, query: &BTreeMap<String, String>, target: &Target) -> &'static str {
    match *method {
        Method::GET if query.get("watch").is_some_and(|watch| watch == "true") => "watch",
        Method::GET if target.name.is_empty() => "list",
        Method::GET => "get",
        Method::POST => "create",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "update",
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": kind, "object": object})))
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message})
}

fn failure(code: u16, reason: &str, message: &str) -> Response {
    json_response(StatusCode::from_u16(code).unwrap(), &status(code, reason, message))
}

fn found(object: Option<Value>) -> Response {
    object.map_or_else(
        || failure(404, "NotFound", "not found"),
        |object| json_response(StatusCode::OK, &object),
    )
}

fn busy(seconds: u64) -> Response {
    let mut response = failure(429, "TooManyRequests", "too many requests, please try again later");
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}

/// As a real one answers for a kind that it does not know.
fn unknown_kind() -> Response {
    Response::builder().status(404).body(Body::from("404 page not found\n")).unwrap()
}

/// The beginning of an answer.
fn broken() -> Response {
    let begun: [io::Result<Bytes>; 2] = [
        Ok(Bytes::from_static(b"{\"kind\": \"List\", \"items\": [")),
        Err(io::ErrorKind::ConnectionReset.into()),
    ];
    Response::new(Body::from_stream(stream::iter(begun)))
}

fn json_response(code: StatusCode, value: &Value) -> Response {
    let builder = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    builder.body(Body::from(value.to_string())).unwrap()
}

fn streamed(lines: impl stream::Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
    Response::new(Body::from_stream(lines))
}
