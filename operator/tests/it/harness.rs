//! A namespace and an operator for each test, and ways to wait.

use std::fmt::Debug;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use clap::Parser;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, Config, CustomResourceExt, Resource, ResourceExt};
use mudgateway_crds::status::ConditionType;
use mudgateway_crds::{IntermudNetwork, MudGateway};
use mudgateway_operator::Error;
use mudgateway_operator::settings::Settings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes on a slow machine, and shorter than a report holds: what only the expiry of a
/// report brings about comes too late.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const NOT_HERE: &str = "\n\nThese tests need a kube-apiserver. Run: tests/cluster/cluster up --control-plane && \
    tests/cluster/cluster exec cargo test -p mudgateway-operator --features cluster-tests --test it\n\n";

/// The user the operator is: the ServiceAccount of the chart, with its rights.
pub(crate) const OPERATOR_NAMESPACE: &str = "mudgateway-it";
pub(crate) const OPERATOR_USER: &str = "system:serviceaccount:mudgateway-it:mudgateway-operator";

/// An unused address: nothing listens there.
pub(crate) const NO_NATS: &str = "nats://127.0.0.1:9";

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Runs a program from the root of the repository, with this input.
pub(crate) fn run(program: &str, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; `tests/cluster/cluster exec` has it on PATH"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// The same, and it must succeed.
pub(crate) fn run_ok(program: &str, args: &[&str], input: &[u8]) -> Output {
    let output = run(program, args, input);
    assert!(
        output.status.success(),
        "{program} {args:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A kind of object that is in a namespace.
pub(crate) trait Namespaced:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + DeserializeOwned
    + Serialize
    + Debug
    + Send
    + 'static
{
}

impl<K> Namespaced for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Serialize
        + Debug
        + Send
        + 'static
{
}

/// A namespace of one test.
pub(crate) struct Space {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Space {
    /// A new namespace, in a cluster that is set up.
    pub(crate) async fn new() -> Self {
        let client = Client::try_from(config().await).unwrap();
        static SETUP: OnceCell<()> = OnceCell::const_new();
        SETUP.get_or_init(|| set_up(client.clone())).await;
        let namespace = Namespace {
            metadata: ObjectMeta {
                generate_name: Some("it-".to_owned()),
                labels: Some(
                    [("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned())].into(),
                ),
                ..Default::default()
            },
            ..Default::default()
        };
        let created = Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await;
        Self { client, name: created.unwrap().name_any() }
    }

    /// The API of a kind in this namespace.
    pub(crate) fn api<K: Namespaced>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Creates a MudGateway with this name, mud and additions to its spec.
    pub(crate) async fn create(&self, name: &str, mud: &str, more: Value) -> MudGateway {
        self.try_create(name, mud, more).await.unwrap()
    }

    /// The same, where the API server may refuse.
    pub(crate) async fn try_create(&self, name: &str, mud: &str, more: Value) -> kube::Result<MudGateway> {
        let mut object = json!({
            "apiVersion": "intermud.dev/v1alpha1",
            "kind": "MudGateway",
            "metadata": {"name": name},
            "spec": {
                "mud": {"name": mud},
                // A network for each test: names are claimed across namespaces.
                "routers": [{"name": format!("*{}", self.name), "host": "router.example", "port": 8787}],
            },
        });
        merge(&mut object["spec"], more);
        let api: Api<MudGateway> = self.api();
        let params = PatchParams::apply("it");
        api.patch(name, &params, &Patch::Apply(object)).await
    }

    /// Changes an object as a user would.
    pub(crate) async fn change<K: Namespaced>(&self, name: &str, patch: Value) -> K {
        self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    /// Deletes an object, and waits until it is gone.
    pub(crate) async fn delete<K: Namespaced>(&self, name: &str) {
        let api = self.api::<K>();
        let uid = api.get(name).await.unwrap().uid().unwrap();
        api.delete(name, &DeleteParams::background()).await.unwrap();
        let gone = await_condition(api, name, conditions::is_deleted(&uid));
        tokio::time::timeout(PATIENCE, gone).await.expect("not deleted").unwrap();
    }

    /// Waits until an object is as it should be.
    pub(crate) async fn wait<K: Namespaced>(
        &self,
        name: &str,
        what: &str,
        is: impl Fn(&K) -> bool + Send,
    ) -> K {
        self.wait_within(PATIENCE, name, what, is).await
    }

    /// The same, for something that takes a known time.
    pub(crate) async fn wait_within<K: Namespaced>(
        &self,
        patience: Duration,
        name: &str,
        what: &str,
        is: impl Fn(&K) -> bool + Send,
    ) -> K {
        let api = self.api::<K>();
        let seen = await_condition(api.clone(), name, |object: Option<&K>| object.is_some_and(&is));
        match tokio::time::timeout(patience, seen).await {
            Ok(object) => object.unwrap().unwrap(),
            Err(_) => {
                let now = api.get_opt(name).await.map(|object| serde_json::to_string(&object).unwrap());
                panic!("{name} did not become {what}; now it is {now:?}")
            }
        }
    }

    /// Waits until a condition of a MudGateway has this status and reason.
    pub(crate) async fn wait_for(
        &self,
        name: &str,
        type_: ConditionType,
        status: &str,
        reason: &str,
    ) -> MudGateway {
        let what = format!("{}={status}/{reason}", type_.as_str());
        self.wait(name, &what, |gateway: &MudGateway| says(gateway, type_, status, reason)).await
    }
}

/// Whether a condition has this status and reason.
pub(crate) fn says(gateway: &MudGateway, type_: ConditionType, status: &str, reason: &str) -> bool {
    let condition = gateway.status.as_ref().and_then(|status| status.condition(type_));
    condition.is_some_and(|condition| condition.status == status && condition.reason == reason)
}

/// The message of a condition.
pub(crate) fn message(gateway: &MudGateway, type_: ConditionType) -> &str {
    &gateway.status.as_ref().unwrap().condition(type_).unwrap().message
}

/// Puts one value over another; objects are merged, and null takes away.
pub(crate) fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, more) => *into = more,
    }
}

/// The way to the API server, as its admin.
async fn config() -> Config {
    if std::env::var_os("KUBECONFIG").is_none() {
        // Once, and past the test harness, which would say it once for every test.
        let _ = std::io::stderr().write_all(NOT_HERE.as_bytes());
        std::process::exit(1);
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    Config::infer().await.unwrap()
}

/// Installs the definition and the operator's rights.
async fn set_up(client: Client) {
    if let Ok(level) = std::env::var("IT_LOG") {
        let format = mudgateway_operator::settings::LogFormat::Text;
        mudgateway_operator::telemetry::start(&level.parse().unwrap(), format);
    }
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let params = PatchParams::apply("it").force();
    let network = serde_json::to_value(IntermudNetwork::crd()).unwrap();
    for (name, definition) in
        [(MudGateway::crd_name(), later_definition()), (IntermudNetwork::crd_name(), network)]
    {
        definitions.patch(name, &params, &Patch::Apply(definition)).await.unwrap();
        let established = await_condition(definitions.clone(), name, conditions::is_crd_established());
        tokio::time::timeout(PATIENCE, established).await.expect("the definition is not served").unwrap();
    }

    let namespace = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {{\"name\": \"{OPERATOR_NAMESPACE}\"}}}}"
    );
    run_ok("kubectl", &["apply", "--server-side", "--filename", "-"], namespace.as_bytes());
    let chart = ["template", "mudgateway", "charts/mudgateway", "--namespace", OPERATOR_NAMESPACE];
    let rights = [&chart[..], &["--show-only", "templates/operator/rbac.yaml"]].concat();
    let rights = run_ok("helm", &rights, b"").stdout;
    run_ok("kubectl", &["apply", "--server-side", "--force-conflicts", "--filename", "-"], &rights);
}

/// The definition as a later version may have it: the mud's port may be a word. So a test can make an object that
/// this operator cannot decode.
fn later_definition() -> Value {
    let mut definition = serde_json::to_value(MudGateway::crd()).unwrap();
    let mud = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/mud/properties/port";
    let port = definition.pointer_mut(mud).unwrap();
    let description = port["description"].take();
    *port =
        json!({"x-kubernetes-preserve-unknown-fields": true, "default": 4000, "description": description});
    definition
}

/// A running operator.
pub(crate) struct Operator {
    http: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Operator {
    /// Starts an operator for a namespace.
    pub(crate) async fn start(space: &Space, nats_url: &str) -> Self {
        Self::start_with(space, nats_url, &[]).await
    }

    /// The same, with more flags.
    pub(crate) async fn start_with(space: &Space, nats_url: &str, more: &[&str]) -> Self {
        Self::start_as(OPERATOR_USER, space, nats_url, more).await
    }

    /// The same, with the rights of another user.
    pub(crate) async fn start_as(user: &str, space: &Space, nats_url: &str, more: &[&str]) -> Self {
        let mut config = config().await;
        config.default_namespace.clone_from(&space.name);
        config.auth_info.impersonate = Some(user.to_owned());
        let args = [
            "operator",
            "--gateway-image=gateway:it",
            "--watch-namespace",
            &space.name,
            "--nats-url",
            nats_url,
        ];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(mudgateway_operator::serve(
            config,
            Settings::parse_from(args.iter().chain(more)),
            listener,
            shutdown.clone(),
        ));
        Self { http, shutdown, task }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("did not stop").unwrap().unwrap();
    }

    /// Ends it at once, as a crash would: nothing is given back.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// How it ended by itself.
    pub(crate) async fn ended(self) -> Result<(), Error> {
        tokio::time::timeout(PATIENCE, self.task).await.expect("did not end").unwrap()
    }

    /// The body of an answer over HTTP.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The value of a metric, with its labels as it stands in the text; 0 when it is not there yet.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

impl Operator {
    /// How many requests it made, of these verbs.
    pub(crate) async fn requests(&self, verbs: &[&str]) -> f64 {
        let text = self.get("/metrics").await;
        let of = |line: &&str| verbs.iter().any(|verb| line.contains(&format!("verb=\"{verb}\"")));
        let lines = text.lines().filter(|line| line.starts_with("i3op_k8s_requests_total{")).filter(of);
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    /// How many of its requests may write.
    pub(crate) async fn writes(&self) -> f64 {
        self.requests(&["create", "update", "patch", "delete"]).await
    }
}

/// Waits for something that no watch tells.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Waits for an event about an object.
pub(crate) async fn wait_for_event(space: &Space, name: &str, reason: &str) -> Event {
    let events: Api<Event> = space.api();
    eventually(reason, async || {
        let listed = events.list(&ListParams::default()).await.unwrap();
        listed.into_iter().find(|event| {
            let about = event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref());
            about == Some(name) && event.reason.as_deref() == Some(reason)
        })
    })
    .await
}
