//! docs/QUICKSTART.md as a newcomer walks it: the commands that stand there, on an empty cluster. `make test-install` brings
//! one up.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mudgateway_e2e::install::{file, root, router};
use mudgateway_e2e::kubectl::{check, run, wait};
use mudgateway_e2e::{Error, Result, expect_equal, step, volumes};
use serde_json::{Value, json};

/// What a reader replaces, and by what here. Nothing is pushed, as there is no registry: `load` puts images on the nodes.
const FILLED_IN: [(&str, &str); 5] = [
    ("registry.example", "localhost"),
    ("docker push", "tests/cluster/cluster load"),
    ("name: \"*name\"", "name: \"*demo\""),
    ("host: router.example", "host: i3-router.i3-demo.svc"),
    ("port: 8080", "port: 8787"),
];

/// The way from a reader's own machine, and where it leads.
const FORWARD: &str = "kubectl port-forward --namespace tenant-a service/luminari 8081";
const FORWARDED: &str = "127.0.0.1:8081";

/// How long a connection is tried, and an answer is waited for.
const ANSWER: Duration = Duration::from_secs(20);

#[test]
fn every_command_of_the_quick_start_does_what_it_says() {
    assert!(std::env::var_os("KUBECONFIG").is_some(), "no cluster: run this with `make test-install`");
    let document = filled_in(std::fs::read_to_string(file("docs/QUICKSTART.md")).unwrap());
    let of = |language| blocks(&document, language);
    let [build, install, describe, look, connect, paste] = &of("sh")[..] else {
        panic!("the document has other blocks of commands than before: say here what they are to do")
    };
    let ([lines], [exposed]) = (&of("json")[..], &of("yaml")[..]) else {
        panic!("the document has another block of JSON or YAML: say here what it is to do")
    };
    assert!(document.contains(FORWARD), "the document no longer says: {FORWARD}");

    let shell = Shell::new();
    step("a cluster with volumes, and a router", || volumes::make(1).and_then(|()| router()));
    step("build the images, and push them", || shell.run(build));
    step("install", || shell.run(install));
    step("say which MUD", || shell.run(describe));
    let seen = step("see it get ready", || shell.run(look));
    assert!(seen.contains("condition met") && seen.contains("LuminariMUD"), "{seen}");
    let (endpoint, key) = step("see endpoints and key", || shell.run(connect).and_then(|seen| shown(&seen)));
    let pasted = step("see what is to be pasted", || shell.run(paste));
    assert_pasteable(&pasted, &endpoint, &key);
    let lines = lines.replace("THE KEY", &key) + "\n";
    step("a MUD in the cluster sends the lines", || from_inside(&endpoint, &lines));
    step("and the reader, from his own machine", || from_outside(&lines));
    step("every way from outside is accepted", || exposures(describe, exposed));
}

/// The document with the reader's own values. A value that is nowhere in it is a fault of this list.
fn filled_in(mut document: String) -> String {
    for (theirs, ours) in FILLED_IN {
        assert!(document.contains(theirs), "the document no longer says: {theirs}");
        document = document.replace(theirs, ours);
    }
    document
}

/// The fenced blocks of a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    // What is between two fences is every second part.
    let fenced = document.split("\n```").skip(1).step_by(2);
    fenced.filter_map(|part| part.strip_prefix(&format!("{language}\n"))).map(str::to_owned).collect()
}

/// One shell: a block finds the variables that those before it set.
struct Shell {
    variables: String,
}

impl Shell {
    fn new() -> Self {
        let name = format!("mudgateway-quickstart-{}", std::process::id());
        Self { variables: std::env::temp_dir().join(name).display().to_string() }
    }

    /// Runs a block at the top of the checkout; returns what it printed.
    fn run(&self, block: &str) -> Result<String> {
        let file = &self.variables;
        let script = format!(
            "set -euo pipefail; cd '{}'; touch {file}; set -a; . {file}\n{block}\nexport -p >{file}",
            root().display()
        );
        run("bash", &["-c", &script], None)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Only a leftover in the folder of temporary files.
        let _ = std::fs::remove_file(&self.variables);
    }
}

/// The TCP endpoint and the key, as the commands print them.
fn shown(seen: &str) -> Result<(String, String)> {
    let (endpoints, key) = seen.split_once('\n').unwrap_or((seen, ""));
    let endpoints: Value = serde_json::from_str(endpoints).unwrap_or_default();
    match endpoints["tcp"].as_str() {
        Some(tcp) if endpoints["websocket"].is_string() && !key.is_empty() => {
            Ok((tcp.to_owned(), key.to_owned()))
        }
        _ => Err(Error::Unexpected {
            what: "endpoints and key".to_owned(),
            expected: "both".to_owned(),
            found: endpoints.to_string(),
        }),
    }
}

/// What is to be pasted leads to the endpoint, and its last line is the first of a conversation.
fn assert_pasteable(pasted: &str, endpoint: &str, key: &str) {
    let (host, port) = endpoint.rsplit_once(':').unwrap_or((endpoint, ""));
    let settings =
        format!("\ngateway_host = {host}\ngateway_port = {port}\napi_key = {key}\nmud_name = LuminariMUD\n");
    assert!(pasted.contains(&settings), "{pasted}");
    let first: Value = serde_json::from_str(pasted.lines().last().unwrap_or_default()).unwrap_or_default();
    assert_eq!((&first["method"], &first["params"]), (&json!("authenticate"), &json!({"api_key": key})));
}

/// Sends the lines from a pod. A node's proxy learns of a pod that is ready up to a second later.
fn from_inside(endpoint: &str, lines: &str) -> Result<()> {
    let url = format!("tcp://{endpoint}");
    let client = ["exec", "-i", "-n", "i3-demo", "deploy/i3-router", "--", "/mudclient", &url];
    let said = wait(&format!("answers from {url}"), ANSWER, || {
        Ok(run("kubectl", &client, Some(lines)).map_err(|error| error.to_string()))
    })?;
    answered(said.lines())
}

/// Sends the lines by a port of this machine.
fn from_outside(lines: &str) -> Result<()> {
    let forward = Forward::start()?;
    let stream = wait(&format!("a connection to {FORWARDED} by: {FORWARD}"), ANSWER, || {
        Ok(TcpStream::connect(FORWARDED).map_err(|error| error.to_string()))
    })?;
    let failed = |error: std::io::Error| Error::Unexpected {
        what: format!("the lines by {FORWARDED}"),
        expected: "answers".to_owned(),
        found: error.to_string(),
    };
    stream.set_read_timeout(Some(ANSWER)).map_err(failed)?;
    (&stream).write_all(lines.as_bytes()).map_err(failed)?;
    let mut said = Vec::new();
    for line in BufReader::new(&stream).lines() {
        said.push(line.map_err(failed)?);
        if said.iter().filter(|line| line.contains("\"id\":")).count() == lines.lines().count() {
            break;
        }
    }
    drop(forward);
    answered(said.iter().map(String::as_str))
}

/// The forwarded port. It ends when dropped.
struct Forward(Child);

impl Forward {
    fn start() -> Result<Self> {
        let (program, arguments) = FORWARD.split_once(' ').unwrap_or((FORWARD, ""));
        let started = Command::new(program).args(arguments.split(' ')).stdout(Stdio::null()).spawn();
        started.map(Self).map_err(|source| Error::Missing { program: program.to_owned(), source })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks for the answers to both lines among all that was said; events may stand between them.
fn answered<'a>(said: impl Iterator<Item = &'a str>) -> Result<()> {
    let messages: Vec<Value> = said.filter_map(|line| serde_json::from_str(line).ok()).collect();
    let answer = |id: u8| messages.iter().find(|message| message["id"] == id).cloned().unwrap_or_default();
    expect_equal("the answer to authenticate", &answer(1)["result"]["status"], &json!("authenticated"))?;
    let sent = &answer(2)["result"]["status"];
    if sent == "sent" || sent == "queued" {
        return Ok(());
    }
    let what = "the answer to channel_send".to_owned();
    Err(Error::Unexpected { what, expected: "sent or queued".to_owned(), found: answer(2).to_string() })
}

/// Has the API server check the document's MudGateway with each `expose`: the one that is shown, and those in comments.
fn exposures(describe: &str, exposed: &str) -> Result<()> {
    let manifest =
        describe.split("<<EOF\n").nth(1).and_then(|rest| rest.split("\nEOF").next()).unwrap_or_default();
    // Another name, as the one that is installed has another owner.
    let manifest = manifest.replace("name: luminari\n", "name: example\n");
    let ways: Vec<_> = exposed
        .lines()
        .map(|line| line.trim().trim_start_matches("# or: "))
        .filter(|line| !matches!(*line, "spec:" | "expose:"))
        .collect();
    assert!(ways.len() >= 4, "few ways: {ways:?}");
    for way in ways {
        let yaml = format!("{manifest}\n  expose:\n    {way}\n");
        check(way, Some("tenant-a"), &yaml)?;
    }
    Ok(())
}
