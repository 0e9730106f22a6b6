//! Wrong objects on a real API server: each is refused with the field and what to do, and its correct twin is accepted.

use std::collections::BTreeSet;
use std::fmt::Debug;

use futures::{StreamExt, stream};
use kube::api::{Api, Patch, PatchParams};
use kube::{CustomResourceExt, Resource};
use mudgateway_crds::{IntermudNetwork, MudGateway};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::harness::{Space, merge};

/// How many objects are tried at the same time.
const AT_ONCE: usize = 16;

/// A wrong value, and what would be right in its place.
struct Row {
    /// Where it is in the spec, as a JSON pointer that leads through objects.
    at: &'static str,
    wrong: Value,
    /// Null: nothing at all.
    right: Value,
    /// What the spec has besides, in both cases.
    beside: Value,
    /// The field that the API server must name.
    field: &'static str,
    /// The words that must tell what to do, or what it should be.
    words: &'static str,
}

fn row(at: &'static str, wrong: Value, right: Value, field: &'static str, words: &'static str) -> Row {
    Row { at, wrong, right, beside: json!({}), field, words }
}

impl Row {
    fn beside(self, beside: Value) -> Self {
        Self { beside, ..self }
    }

    /// A spec with this value in its place.
    fn spec(&self, minimal: &Value, value: &Value) -> Value {
        let mut spec = minimal.clone();
        merge(&mut spec, self.beside.clone());
        let names = self.at.trim_start_matches('/').rsplit('/');
        merge(&mut spec, names.fold(value.clone(), |inner, name| json!({name: inner})));
        spec
    }
}

const PRINTABLE: &str = "write printable characters on one line";
const OBJECT_NAME: &str = "write the name of the object as Kubernetes has it: lower case letters";
const HOST: &str = "write a host name or an IP address alone, such as router.example";
const WORD: &str = "begin with a lower case letter, then use lower case letters, digits";
const DNS_NAME: &str = "write a host name in lower case, such as luminari.muds.example: no wildcard";
const OWN_PORT: &str = "the gateway itself listens at 8080, 8081 and 9090: choose another port, such as 4003";
const LABEL: &str = "write each label's value with letters, digits";

fn router(name: &str) -> Value {
    json!({"name": name, "host": "h", "port": 1})
}

fn long(length: usize) -> Value {
    json!("x".repeat(length))
}

/// What is wrong about the mud.
fn muds() -> Vec<Row> {
    let name =
        |wrong: &str, words| row("/mud/name", json!(wrong), json!("Spaced Out"), "spec.mud.name", words);
    let services = |wrong: Value, field, words| {
        row("/mud/services", wrong, json!([{"name": "http", "port": 8080}]), field, words)
    };
    let data = |wrong: Value, field, words| {
        row("/mud/otherData", wrong, json!([{"name": "url", "value": "https://mud.example"}]), field, words)
    };
    vec![
        name("", "should be at least 1 chars long"),
        row("/mud/name", long(65), long(64), "spec.mud.name", "Too long: may not be more than 64"),
        name("Bad\u{7}Name", "use no control characters"),
        name(" Spaced", "no space at either end"),
        name("*router", "no leading '*', which marks routers"),
        row("/mud/adminEmail", json!("a\nb"), json!("a@b.example"), "spec.mud.adminEmail", PRINTABLE),
        row("/mud/adminEmail", long(255), long(254), "spec.mud.adminEmail", "may not be more than 254"),
        row("/mud/mudlib", json!(""), json!("Luminari"), "spec.mud.mudlib", "at least 1 chars long"),
        row("/mud/baseMudlib", json!("a\tb"), json!("a b"), "spec.mud.baseMudlib", PRINTABLE),
        row("/mud/driver", long(65), long(64), "spec.mud.driver", "may not be more than 64"),
        row("/mud/type", json!("\u{1}"), json!("Diku"), "spec.mud.type", PRINTABLE),
        row("/mud/openStatus", json!(""), json!("open"), "spec.mud.openStatus", "at least 1 chars long"),
        services(
            json!([{"name": "tell", "port": 1}]),
            "spec.mud.services[0].name",
            "leave this one out, and switch mail, file and news on in spec.oob",
        ),
        services(json!([{"name": "HTTP", "port": 1}]), "spec.mud.services[0].name", WORD),
        services(
            json!([{"name": "http", "port": 0}]),
            "spec.mud.services[0].port",
            "greater than or equal to 1",
        ),
        services(
            json!([{"name": "http", "port": 1}, {"name": "http", "port": 2}]),
            "spec.mud.services",
            "duplicate entries for key [name=\"http\"]",
        ),
        services(json!([{"name": "http"}]), "spec.mud.services[0].port", "Required value"),
        data(json!([{"name": "URL", "value": "x"}]), "spec.mud.otherData[0].name", WORD),
        data(json!([{"name": "url", "value": "a\nb"}]), "spec.mud.otherData[0].value", PRINTABLE),
        row("/mud/nmae", json!("x"), Value::Null, "spec.mud.nmae", "field not declared in schema"),
    ]
}

/// What is wrong about the network and what is on it.
fn connections() -> Vec<Row> {
    let routers =
        |wrong: Value, field, words| row("/routers", json!([wrong]), json!([router("*i4")]), field, words);
    let channels =
        |wrong: Value, field, words| row("/channels", wrong, json!([{"name": "imud_gossip"}]), field, words);
    let proxy = |wrong: Value, field, words| {
        row(
            "/egress/proxy",
            wrong,
            json!({"host": "proxy.example", "secretRef": {"name": "login"}}),
            field,
            words,
        )
    };
    let no_routers = || json!({"routers": null});
    let star = "a router's name begins with '*' and has no spaces, such as *i4";
    vec![
        row("/routers", json!([]), json!([router("*i4")]), "spec.routers", "should have at least 1 items"),
        row(
            "/routers",
            Value::Null,
            json!([router("*i4")]),
            "spec.networkRef",
            "give either spec.networkRef",
        ),
        routers(router("i4"), "spec.routers[0].name", star),
        routers(router("* i4"), "spec.routers[0].name", "write it as its operator does"),
        row(
            "/routers",
            json!([router("*i4"), router("*i4")]),
            json!([router("*i4"), router("*dalet")]),
            "spec.routers",
            "routers must have different names: remove the repeated one",
        ),
        routers(json!({"name": "*i4", "host": "a b", "port": 1}), "spec.routers[0].host", HOST),
        routers(json!({"name": "*i4", "host": "http://h", "port": 1}), "spec.routers[0].host", "no scheme"),
        routers(
            json!({"name": "*i4", "host": "h", "port": 70000}),
            "spec.routers[0].port",
            "should be less than or equal to 65535",
        ),
        routers(json!({"name": "*i4", "port": 1}), "spec.routers[0].host", "Required value"),
        row("/networkRef", json!({"name": "i4"}), Value::Null, "spec.networkRef", "and not both"),
        row("/networkRef", json!({"name": "I4"}), json!({"name": "i4"}), "spec.networkRef.name", OBJECT_NAME)
            .beside(no_routers()),
        row("/networkRef", json!({}), json!({"name": "i4"}), "spec.networkRef.name", "Required value")
            .beside(no_routers()),
        channels(
            json!([{"name": "a"}, {"name": "a"}]),
            "spec.channels",
            "duplicate entries for key [name=\"a\"]",
        ),
        channels(
            json!([{"name": "a\nb"}]),
            "spec.channels[0].name",
            "must be printable, with no space at either end",
        ),
        channels(
            json!([{"name": "a", "scope": "world"}]),
            "spec.channels[0].scope",
            "supported values: \"network\", \"provider\"",
        ),
        channels(
            json!([{"name": "a", "listen": "no", "subscribe": true}]),
            "spec.channels[name=\"a\"].listen",
            "expected boolean",
        ),
        proxy(json!({"port": 1080}), "spec.egress.proxy.host", "Required value"),
        proxy(json!({"host": "socks5://h"}), "spec.egress.proxy.host", HOST),
        proxy(json!({"host": "h", "port": 0}), "spec.egress.proxy.port", "greater than or equal to 1"),
        proxy(
            json!({"host": "h", "secretRef": {"name": "My_Secret"}}),
            "spec.egress.proxy.secretRef.name",
            OBJECT_NAME,
        ),
        row(
            "/policies",
            json!({"ignore": ["SpamMUD"]}),
            json!({"ignore": ["*@SpamMUD"]}),
            "spec.policies.ignore",
            "such as *@SpamMUD or troll@*: write both parts",
        ),
        row(
            "/policies",
            json!({"ban": ["*@SpamMUD"]}),
            json!({"ban": ["SpamMUD", "The Émigré's MUD (2)"]}),
            "spec.policies.ban",
            "a mud by its exact name, such as SpamMUD: patterns with * and users with @ are for ignore",
        ),
        row(
            "/policies",
            json!({"ban": ["A", "A"]}),
            json!({"ban": ["A", "B"]}),
            "spec.policies.ban",
            "duplicate entries for key",
        ),
        row(
            "/policies",
            json!({"packetsPerSecond": 10}),
            json!({"packetsPerSecond": 9}),
            "spec.policies.packetsPerSecond",
            "should be less than or equal to 9",
        ),
        row(
            "/policies",
            json!({"maxMessageLength": 20000}),
            json!({"maxMessageLength": 16384}),
            "spec.policies.maxMessageLength",
            "should be less than or equal to 16384",
        ),
    ]
}

/// What is wrong about the API.
fn apis() -> Vec<Row> {
    let limit = |wrong: Value, right: Value, field, words| row("/api/limits", wrong, right, field, words);
    let method = |wrong: Value, field, words| {
        let right = json!([{"name": "channel_send", "requestsPerMinute": 10}]);
        row("/api/limits/methods", json!([wrong]), right, field, words)
    };
    let key = |more: Value, field, words| {
        let mut wrong = json!({"secretRef": {"name": "a"}});
        merge(&mut wrong, more);
        let right =
            json!([{"secretRef": {"name": "a"}, "permissions": ["tell"], "expires": "2027-01-01T00:00:00Z"}]);
        row("/api/keys", json!([wrong]), right, field, words)
    };
    let plain_key = json!({"secretRef": {"name": "a"}});
    let tls = |wrong: Value, words| {
        row("/api/tls", wrong, json!({"secretName": "mud.example"}), "spec.api.tls.secretName", words)
    };
    vec![
        row(
            "/api",
            json!({"websocket": {"enabled": false}, "tcp": {"enabled": false}}),
            json!({"websocket": {"enabled": false}}),
            "spec.api",
            "set api.websocket.enabled or api.tcp.enabled to true",
        ),
        tls(json!({}), "Required value"),
        tls(json!({"secretName": "UPPER"}), OBJECT_NAME),
        limit(
            json!({"connections": 0}),
            json!({"connections": 1}),
            "spec.api.limits.connections",
            "should be greater than or equal to 1",
        ),
        limit(
            json!({"messageBytes": 10}),
            json!({"messageBytes": 1024}),
            "spec.api.limits.messageBytes",
            "should be greater than or equal to 1024",
        ),
        limit(
            json!({"queueBytes": 1}),
            json!({"queueBytes": 65536}),
            "spec.api.limits.queueBytes",
            "should be greater than or equal to 65536",
        ),
        limit(
            json!({"requestsPerMinute": 0}),
            json!({"requestsPerMinute": 1}),
            "spec.api.limits.requestsPerMinute",
            "should be greater than or equal to 1",
        ),
        method(
            json!({"name": "Tell", "requestsPerMinute": 1}),
            "spec.api.limits.methods[0].name",
            "write the name of the method as clients call it, in lower case, such as tell",
        ),
        method(
            json!({"name": "tell", "requestsPerMinute": 0}),
            "spec.api.limits.methods[0].requestsPerMinute",
            "should be greater than or equal to 1",
        ),
        row(
            "/api/keys",
            json!([plain_key, plain_key]),
            json!([plain_key, {"secretRef": {"name": "a", "key": "second"}}]),
            "spec.api.keys",
            "api.keys must differ: remove the repeated one",
        ),
        key(
            json!({"permissions": ["everything"]}),
            "spec.api.keys[0].permissions[0]",
            "Unsupported value: \"everything\": supported values: \"tell\"",
        ),
        key(
            json!({"permissions": ["tell", "tell"]}),
            "spec.api.keys[0].permissions",
            "duplicate entries for key",
        ),
        key(
            json!({"requestsPerMinute": 0}),
            "spec.api.keys[0].requestsPerMinute",
            "should be greater than or equal to 1",
        ),
        key(json!({"expires": "next year"}), "spec.api.keys[0].expires", "must be of type date-time"),
        key(json!({"secretRef": {"name": ""}}), "spec.api.keys[0].secretRef.name", "at least 1 chars long"),
        key(
            json!({"secretRef": {"key": "a/b"}}),
            "spec.api.keys[0].secretRef.key",
            "write the name of the Secret's entry: letters, digits",
        ),
        key(
            json!({"secretRef": {"name": "b", "namespace": "c"}}),
            "namespace",
            "field not declared in schema",
        ),
    ]
}

/// What is wrong about the pods, and what other muds fetch from them.
fn pods() -> Vec<Row> {
    let oob = |wrong: Value, field, words| {
        row(
            "/oob",
            wrong,
            json!({"mail": true, "port": 4003, "advertisedAddress": "192.0.2.7"}),
            field,
            words,
        )
    };
    let scheduling = |wrong: Value, field, words| {
        let right = json!({"nodeSelector": {"pool": "games"}, "priorityClassName": "high"});
        row("/scheduling", wrong, right, field, words)
    };
    let metadata = |wrong: Value, field, words| {
        let right = json!({"labels": {"team": "games"}, "annotations": {"team": "games"}});
        row("/podMetadata", wrong, right, field, words)
    };
    let resources = |wrong: Value, field, words| {
        let right = json!({"requests": {"cpu": "0.5", "memory": "64Mi"}, "limits": {"memory": "64Mi"}});
        row("/resources", wrong, right, field, words)
    };
    vec![
        oob(json!({}), "spec.oob", "set oob.mail, oob.news or oob.file to true, or remove oob"),
        oob(json!({"mail": true, "port": 80}), "spec.oob.port", "should be greater than or equal to 1024"),
        oob(json!({"mail": true, "port": 8080}), "spec.oob.port", OWN_PORT),
        oob(json!({"mail": true, "port": 8081}), "spec.oob.port", OWN_PORT),
        oob(json!({"mail": true, "port": 9090}), "spec.oob.port", OWN_PORT),
        oob(
            json!({"mail": true, "advertisedAddress": "mud.example"}),
            "spec.oob.advertisedAddress",
            "write an IP address, such as 192.0.2.7",
        ),
        row("/replicas", json!(-1), json!(0), "spec.replicas", "should be greater than or equal to 0"),
        row("/replicas", json!(4), json!(3), "spec.replicas", "should be less than or equal to 3"),
        row(
            "/image",
            json!("a b"),
            json!("gateway:1"),
            "spec.image",
            "write an image without spaces, such as",
        ),
        row(
            "/imagePullPolicy",
            json!("Often"),
            json!("Always"),
            "spec.imagePullPolicy",
            "supported values: \"Always\"",
        ),
        row(
            "/imagePullSecrets",
            json!([{"name": "a"}, {"name": "a"}]),
            json!([{"name": "a"}, {"name": "b"}]),
            "spec.imagePullSecrets",
            "duplicate entries for key [name=\"a\"]",
        ),
        row(
            "/imagePullSecrets",
            json!([{"name": "A"}]),
            json!([{"name": "a"}]),
            "spec.imagePullSecrets[0].name",
            OBJECT_NAME,
        ),
        resources(
            json!({"requests": {"memory": "1Gi"}, "limits": {"memory": "64Mi"}}),
            "spec.resources",
            "raise the limit, or lower the request",
        ),
        resources(
            json!({"limits": {"memory": "a lot"}}),
            "spec.resources.limits.memory",
            "write a whole number with a unit of Ki, Mi or Gi, such as 64Mi",
        ),
        resources(
            json!({"requests": {"cpu": "fast"}}),
            "spec.resources.requests.cpu",
            "write thousandths of a CPU, such as 10m",
        ),
        scheduling(json!({"nodeSelector": {"pool": "a b"}}), "spec.scheduling.nodeSelector", LABEL),
        scheduling(json!({"priorityClassName": "A"}), "spec.scheduling.priorityClassName", OBJECT_NAME),
        metadata(
            json!({"labels": {"app.kubernetes.io/name": "x"}}),
            "spec.podMetadata.labels",
            "are the operator's: choose another prefix",
        ),
        metadata(json!({"labels": {"team": "-games"}}), "spec.podMetadata.labels", LABEL),
        metadata(
            json!({"annotations": {"intermud.dev/x": "x"}}),
            "spec.podMetadata.annotations",
            "are the operator's: choose another prefix",
        ),
        row(
            "/deletionPolicy",
            json!("Keep"),
            json!("Retain"),
            "spec.deletionPolicy",
            "supported values: \"Retain\", \"Delete\"",
        ),
        row("/paused", json!("yes"), json!(true), "spec.paused", "expected boolean"),
    ]
}

/// What is wrong about the ways in.
fn ways_in() -> Vec<Row> {
    let service = |wrong: Value, field, words| {
        row("/expose/service", wrong, json!({"type": "NodePort", "host": "muds.example"}), field, words)
    };
    let ingress = |wrong: Value, field, words| {
        row("/expose/ingress", wrong, json!({"host": "mud.example", "className": "edge"}), field, words)
    };
    let gateway = |more: Value, field, words| {
        let parent = json!({"parentRef": {"name": "edge", "namespace": "infra"}});
        let (mut wrong, mut right) = (parent.clone(), parent);
        merge(&mut wrong, more);
        merge(&mut right, json!({"hostname": "mud.example", "path": "/a/b", "tcpSection": "muds"}));
        row("/expose/gateway", wrong, right, field, words)
    };
    let at_ingress = json!({"expose": {"ingress": {"host": "a.example"}}});
    let at_gateway = json!({"expose": {"gateway": {"parentRef": {"name": "edge"}, "tcpSection": "muds"}}});
    let tls = json!({"secretName": "cert"});
    vec![
        row(
            "/expose",
            json!({"ingress": {"host": "a.example"}, "service": {"type": "LoadBalancer"}}),
            json!({"service": {"type": "LoadBalancer", "loadBalancerClass": "example.net/inside"}}),
            "spec.expose",
            "takes one of service, gateway and ingress: remove the others",
        ),
        service(json!({"type": "ClusterIP"}), "spec.expose.service.type", "supported values: \"NodePort\""),
        service(
            json!({"type": "NodePort"}),
            "spec.expose.service.host",
            "name the address under which clients reach your nodes",
        ),
        service(
            json!({"type": "NodePort", "host": "muds example"}),
            "spec.expose.service.host",
            "write a host name or an IP address alone, such as muds.example",
        ),
        service(
            json!({"type": "NodePort", "host": "h", "loadBalancerClass": "x"}),
            "spec.expose.service.loadBalancerClass",
            "is for type LoadBalancer only: remove it, or change the type",
        ),
        service(
            json!({"type": "LoadBalancer", "loadBalancerClass": "X"}),
            "spec.expose.service.loadBalancerClass",
            "write the class as its provider documents it",
        ),
        ingress(json!({}), "spec.expose.ingress.host", "Required value"),
        ingress(json!({"host": "A.example"}), "spec.expose.ingress.host", DNS_NAME),
        ingress(json!({"host": "a.example", "className": "E"}), "spec.expose.ingress.className", OBJECT_NAME),
        ingress(
            json!({"host": "a.example", "tlsSecretName": "E"}),
            "spec.expose.ingress.tlsSecretName",
            OBJECT_NAME,
        ),
        row(
            "/expose/gateway",
            json!({}),
            json!({"parentRef": {"name": "edge"}}),
            "spec.expose.gateway.parentRef",
            "Required value",
        ),
        gateway(json!({"parentRef": {"name": "E"}}), "spec.expose.gateway.parentRef.name", OBJECT_NAME),
        gateway(
            json!({"parentRef": {"namespace": "a.b"}}),
            "spec.expose.gateway.parentRef.namespace",
            "write the name of the namespace",
        ),
        gateway(json!({"path": "ws"}), "spec.expose.gateway.path", "begin the path with '/'"),
        gateway(json!({"path": "/ws/"}), "spec.expose.gateway.path", "do not end it with one"),
        gateway(json!({"hostname": "*.example"}), "spec.expose.gateway.hostname", DNS_NAME),
        gateway(json!({"sectionName": "Web"}), "spec.expose.gateway.sectionName", OBJECT_NAME),
        gateway(
            json!({"tcpSection": "a", "tlsSection": "b"}),
            "spec.expose.gateway",
            "takes tcpSection or tlsSection, not both",
        ),
        gateway(
            json!({"tlsSection": "b"}),
            "spec.expose.gateway.tlsSection",
            "set spec.api.tls and expose.gateway.hostname",
        ),
        row(
            "/api/tcp",
            json!({"enabled": false}),
            json!({"enabled": true}),
            "spec.expose.gateway",
            "set spec.api.tcp.enabled to true, or remove tcpSection and tlsSection",
        )
        .beside(at_gateway.clone()),
        row(
            "/api/tls",
            tls.clone(),
            Value::Null,
            "spec.api.tls",
            "remove spec.api.tls, or set spec.api.websocket.enabled to false",
        )
        .beside(at_gateway),
        row(
            "/api/tls",
            tls,
            Value::Null,
            "spec.api.tls",
            "remove spec.api.tls, and give the certificate to spec.expose.ingress.tlsSecretName",
        )
        .beside(at_ingress.clone()),
        row(
            "/api/websocket",
            json!({"enabled": false}),
            json!({"enabled": true}),
            "spec.expose.ingress",
            "set spec.api.websocket.enabled to true, or expose the TCP API by a service or gateway",
        )
        .beside(at_ingress),
    ]
}

/// What is wrong about networks.
fn networks() -> Vec<Row> {
    let routers = |wrong: Value, field, words| row("/routers", wrong, json!([router("*i4")]), field, words);
    let limit = |name: &'static str, wrong: i32, right: i32, field, words| {
        row("/limits", json!({name: wrong}), json!({name: right}), field, words)
    };
    vec![
        routers(json!([]), "spec.routers", "should have at least 1 items"),
        routers(json!([router("i4")]), "spec.routers[0].name", "a router's name begins with '*'"),
        routers(json!([router("*i4"), router("*i4")]), "spec.routers", "remove the repeated one"),
        row(
            "/bans",
            json!(["SpamMUD"]),
            json!(["*@SpamMUD"]),
            "spec.bans",
            "such as *@SpamMUD or troll@*: write both parts",
        ),
        row(
            "/policies",
            json!({"ban": ["troll@SpamMUD"]}),
            json!({"ban": ["SpamMUD"]}),
            "spec.policies.ban",
            "users with @ are for ignore",
        ),
        row("/bans", json!(["a@b", "a@b"]), json!(["a@b", "c@b"]), "spec.bans", "duplicate entries for key"),
        limit("packetsPerSecond", 20, 9, "spec.limits.packetsPerSecond", "should be less than or equal to 9"),
        limit(
            "connectIntervalMilliseconds",
            500,
            1000,
            "spec.limits.connectIntervalMilliseconds",
            "should be greater than or equal to 1000",
        ),
        limit("mudsPerAddress", 0, 1, "spec.limits.mudsPerAddress", "should be greater than or equal to 1"),
        row(
            "/egress/addressOf",
            json!("Moon"),
            json!("Cluster"),
            "spec.egress.addressOf",
            "supported values: \"Node\", \"Cluster\"",
        ),
        row(
            "/egress/proxy",
            json!({"port": 1080}),
            json!({"host": "proxy.example"}),
            "spec.egress.proxy.host",
            "Required value",
        ),
        row(
            "/networkRef",
            json!({"name": "x"}),
            Value::Null,
            "spec.networkRef",
            "field not declared in schema",
        ),
    ]
}

/// Tries one spec, without making anything. The error is what the user reads.
async fn try_spec<K>(api: &Api<K>, spec: Value) -> Result<(), String>
where
    K: Resource<DynamicType = ()> + CustomResourceExt + Clone + DeserializeOwned + Debug,
{
    let object = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": "trial"},
        "spec": spec,
    });
    match api.patch("trial", &PatchParams::apply("it").dry_run(), &Patch::Apply(object)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(error) => panic!("{error}"),
    }
}

/// What is not as it should be about a row.
async fn faults<K>(api: &Api<K>, minimal: &Value, row: &Row) -> Vec<String>
where
    K: Resource<DynamicType = ()> + CustomResourceExt + Clone + DeserializeOwned + Debug,
{
    let mut faults = Vec::new();
    match try_spec(api, row.spec(minimal, &row.wrong)).await {
        Ok(()) => faults.push(format!("{} = {} was accepted", row.at, row.wrong)),
        Err(message) if message.contains(&format!("{}:", row.field)) && message.contains(row.words) => {}
        Err(message) => faults.push(format!(
            "{} = {} was refused with {message:?}, which lacks {:?} or {:?}",
            row.at, row.wrong, row.field, row.words
        )),
    }
    if let Err(message) = try_spec(api, row.spec(minimal, &row.right)).await {
        faults.push(format!("{} = {} is right, but was refused with {message:?}", row.at, row.right));
    }
    faults
}

async fn all_faults<K>(api: &Api<K>, minimal: &Value, rows: &[Row]) -> Vec<String>
where
    K: Resource<DynamicType = ()> + CustomResourceExt + Clone + DeserializeOwned + Debug,
{
    let found = stream::iter(rows).map(|row| faults(api, minimal, row)).buffered(AT_ONCE);
    found.collect::<Vec<_>>().await.concat()
}

#[tokio::test]
async fn each_is_refused_with_the_field_and_the_way_out_and_its_twin_is_accepted() {
    let space = Space::new().await;
    let of_gateways: Vec<Row> =
        [muds(), connections(), apis(), pods(), ways_in()].into_iter().flatten().collect();
    let of_networks = networks();
    let rules: BTreeSet<_> =
        of_gateways.iter().chain(&of_networks).map(|row| (row.field, row.words)).collect();
    assert!(rules.len() >= 100, "{} rules only", rules.len());

    let gateway = json!({"mud": {"name": "Mud"}, "routers": [router("*it")]});
    let mut faults = all_faults::<MudGateway>(&space.api(), &gateway, &of_gateways).await;
    let network = json!({"routers": [router("*it")]});
    faults
        .extend(all_faults::<IntermudNetwork>(&Api::all(space.client.clone()), &network, &of_networks).await);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
