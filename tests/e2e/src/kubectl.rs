//! kubectl and helm, run as programs.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Error, Result, expect_equal};

/// How often a condition is looked at while waiting for it.
const POLL: Duration = Duration::from_millis(200);

/// Runs a program and returns what it printed.
///
/// # Errors
/// [`Error::Missing`] or [`Error::Command`].
pub fn run(program: &str, arguments: &[&str], input: Option<&str>) -> Result<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::Missing { program: program.to_owned(), source })?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // A program that ended early shows why by its own output.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output =
        child.wait_with_output().map_err(|source| Error::Missing { program: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Command {
        command: format!("{program} {}", arguments.join(" ")),
        output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// Runs kubectl.
///
/// # Errors
/// As [`run`].
pub fn kubectl(arguments: &[&str]) -> Result<String> {
    run("kubectl", arguments, None)
}

/// Applies YAML, with unknown fields refused.
///
/// # Errors
/// As [`run`].
pub fn apply(namespace: &str, yaml: &str) -> Result<()> {
    run("kubectl", &["apply", "-n", namespace, "--validate=strict", "-f", "-"], Some(yaml)).map(drop)
}

/// Has the API server check YAML as if it were applied: it may say nothing against it, nor warn of a pod that would not be
/// let in.
///
/// # Errors
/// [`Error::Unexpected`] with what it said.
pub fn check(what: &str, namespace: Option<&str>, yaml: &str) -> Result<()> {
    let mut command = vec!["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
    command.extend(namespace.into_iter().flat_map(|namespace| ["-n", namespace]));
    let said =
        run("sh", &["-c", &format!("kubectl {} 2>&1", command.join(" "))], Some(yaml)).map_err(|error| {
            Error::Unexpected {
                what: what.to_owned(),
                expected: "no objection".to_owned(),
                found: error.to_string(),
            }
        })?;
    let complaints: Vec<_> = said.lines().filter(|line| !line.ends_with(" (server dry run)")).collect();
    expect_equal(what, &complaints, &vec![])
}

/// Makes a namespace that admits only restricted pods, unless it is there.
///
/// # Errors
/// As [`run`].
pub fn namespace(name: &str) -> Result<()> {
    let yaml = format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: \
         {{pod-security.kubernetes.io/enforce: restricted}}}}}}"
    );
    run("kubectl", &["apply", "-f", "-"], Some(&yaml)).map(drop)
}

/// An object as JSON; null when it does not exist.
///
/// # Errors
/// As [`run`].
pub fn get(namespace: &str, object: &str) -> Result<Value> {
    let text = kubectl(&["get", object, "-n", namespace, "--ignore-not-found", "-o", "json"])?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// A condition of a `MudGateway` as `status/reason`, such as `True/SessionEstablished`; empty when it has none.
pub fn condition(gateway: &Value, kind: &str) -> String {
    let conditions = gateway["status"]["conditions"].as_array();
    let found = conditions.and_then(|list| list.iter().find(|condition| condition["type"] == kind));
    found.map_or_else(String::new, |condition| {
        let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("status"), text("reason"))
    })
}

/// Waits until a condition of a `MudGateway` begins with `wanted`, such as `True` or `False/RouterRefused`.
///
/// # Errors
/// [`Error::Timeout`] with the conditions last seen.
pub fn wait_condition(
    namespace: &str,
    name: &str,
    kind: &str,
    wanted: &str,
    within: Duration,
) -> Result<Value> {
    let what = format!("{kind} of mudgateway {namespace}/{name} to be {wanted}");
    wait(&what, within, || {
        let gateway = get(namespace, &format!("mudgateway/{name}"))?;
        let seen = condition(&gateway, kind);
        if seen.starts_with(wanted) { Ok(Ok(gateway)) } else { Ok(Err(gateway["status"].to_string())) }
    })
}

/// Asks again and again until `look` finds what it looks for; until then it says what it saw.
///
/// # Errors
/// [`Error::Timeout`], or what `look` itself fails with.
pub fn wait<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<Result<T, String>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let last = match look()? {
            Ok(found) => return Ok(found),
            Err(last) => last,
        };
        if Instant::now() >= deadline {
            return Err(Error::Timeout { what: what.to_owned(), within, last });
        }
        std::thread::sleep(POLL);
    }
}
