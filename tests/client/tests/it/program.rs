//! The program.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::server;

/// Runs the program to its end.
async fn run(args: &[&str], key: Option<&str>, input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mudclient"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env_remove("MUDCLIENT_KEY").envs(key.map(|key| ("MUDCLIENT_KEY", key)));
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The program may end without reading.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

fn messages(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn complaint(output: &Output) -> &str {
    assert!(!output.status.success());
    std::str::from_utf8(&output.stderr).unwrap()
}

#[tokio::test]
async fn it_sends_lines_and_prints_what_comes() {
    let input = "echo {\"a\":1}\n\nevents {\"count\":2}\n{\"method\":\"echo\",\"id\":\"x\",\"params\":[7]}\n\
                 say chat hi\n";
    for url in [server::web_socket().await, server::tcp().await] {
        let output = run(&["--key", "good", &url], None, input).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut messages = messages(&output);
        if url.starts_with("tcp") {
            assert_eq!(messages.remove(0)["method"], "welcome");
        }
        assert_eq!(messages[0]["result"]["status"], "authenticated");
        assert_eq!(messages[1]["result"], json!({ "a": 1 }));
        assert_eq!((&messages[2]["params"]["n"], &messages[3]["params"]["n"]), (&json!(0), &json!(1)));
        assert_eq!(messages[4]["result"], Value::Null);
        assert_eq!(messages[5], json!({ "jsonrpc": "2.0", "id": "x", "result": [7] }));
        assert_eq!(messages[6]["error"]["data"]["method"], "channel_send");
        assert_eq!(messages.len(), 7);
    }
}

#[tokio::test]
async fn a_message_over_two_lines_is_printed_on_one() {
    let output = run(&[&server::web_socket().await], None, "pretty\n").await;
    assert_eq!(messages(&output), [json!({ "jsonrpc": "2.0", "id": 1, "result": 1 })]);
}

#[tokio::test]
async fn it_takes_the_key_from_where_it_is() {
    let url = server::web_socket().await;
    let file = std::env::temp_dir().join(format!("mudclient-key-{}", std::process::id()));
    std::fs::write(&file, "good\n").unwrap();
    let key_file = ["--key-file", file.to_str().unwrap(), &url];
    for (args, env) in [
        (&key_file[..], None),
        (&key_file, Some("bad")),
        (&[&url], Some("good")),
        (&["--key", "good", &url], Some("bad")),
    ] {
        let output = run(args, env, "").await;
        assert!(output.status.success(), "{args:?} {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(messages(&output)[0]["result"]["status"], "authenticated", "{args:?}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(complaint(&run(&key_file, None, "").await).contains(file.to_str().unwrap()));
}

#[tokio::test]
async fn it_ends_at_quit() {
    let url = server::tcp().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_mudclient"))
        .arg(&url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // stdin stays open.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"echo\nquit\n").await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    assert_eq!(messages(&output).len(), 2);
}

#[tokio::test]
async fn it_tells_what_failed() {
    let output = run(&["ws://127.0.0.1:1/ws"], None, "").await;
    assert!(complaint(&output).starts_with("mudclient: ws://127.0.0.1:1/ws: cannot connect: "));

    let url = server::web_socket().await;
    let output = run(&["--key", "bad", &url], None, "echo\n").await;
    assert_eq!(complaint(&output), format!("mudclient: {url}: authenticate: Invalid API key (-32000)\n"));
    assert_eq!(messages(&output).len(), 1, "the answer is printed, nothing more is sent");

    let output = run(&[&url], None, "echo\nclose\n").await;
    assert!(complaint(&output).contains(&format!("{url}: ")) && complaint(&output).contains("4008"));
    assert_eq!(messages(&output).len(), 1);

    let output = run(&[&url], None, "say nothing\necho\n").await;
    assert!(complaint(&output).starts_with("mudclient: say nothing: not understood"));
    assert_eq!(messages(&output).len(), 1, "the other lines are sent");
}

#[tokio::test]
async fn it_listens_for_as_long_as_told() {
    let url = server::web_socket().await;
    let before = std::time::Instant::now();
    let output = run(&["--listen", "0.2", &url], None, "").await;
    assert!(output.status.success() && before.elapsed() >= std::time::Duration::from_millis(200));
    assert!(complaint(&run(&["--listen", "long", &url], None, "").await).contains("--listen"));
}
