//! The program.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::mud::SOON;

const PROGRAM: &str = env!("CARGO_BIN_EXE_i3-router");

struct Program {
    child: Child,
    /// Kept, because a closed pipe would end the program.
    _output: Lines<BufReader<ChildStdout>>,
    listen: String,
    control: String,
}

/// Starts the program and waits for the line that says it is ready.
async fn start(args: &[&str]) -> Program {
    let mut child = Command::new(PROGRAM)
        .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = tokio::time::timeout(SOON, output.next_line()).await.unwrap().unwrap().unwrap();
    let (listen, control) = ready.split_once(" ready on ").unwrap().1.split_once(", control on ").unwrap();
    Program { child, listen: listen.into(), control: control.into(), _output: output }
}

async fn ctl(program: &Program, args: &[&str]) -> String {
    let output =
        Command::new(PROGRAM).args(["ctl", "--control", &program.control]).args(args).output().await.unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn it_serves_and_takes_requests_and_ends_on_sigterm() {
    let mut program = start(&["--name", "*prog", "--channel", "one", "--channel", "two words"]).await;
    let startup = crate::mud::startup("Mud A", r#""*prog""#, 0, r#"(["channel":1,])"#);
    let mut stream = tokio::net::TcpStream::connect(&program.listen).await.unwrap();
    let mut buffer = bytes::BytesMut::new();
    intermud3::frame::append(startup.as_bytes(), &mut buffer, 10_000).unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &buffer).await.unwrap();
    let mut frames = tokio_util::codec::FramedRead::new(stream, intermud3::MudModeCodec::new());
    let mut texts = Vec::new();
    while texts.len() < 3 {
        let text = futures::StreamExt::next(&mut frames).await.unwrap().unwrap();
        texts.push(String::from_utf8(text.to_vec()).unwrap());
    }
    assert!(texts[2].contains(r#"(["one":({"*prog",0,}),"two words":({"*prog",0,}),])"#), "{texts:?}");

    assert_eq!(ctl(&program, &["muds"]).await, "up\t-\t127.0.0.1\tMud A\n");
    assert_eq!(ctl(&program, &["cut", "Mud A"]).await, "");
    while futures::StreamExt::next(&mut frames).await.is_some() {}
    assert_eq!(ctl(&program, &["muds"]).await, "down\tcut\t127.0.0.1\tMud A\n");
    assert_eq!(ctl(&program, &["restore", "Mud A"]).await, "");
    assert_eq!(ctl(&program, &["muds"]).await, "down\t-\t127.0.0.1\tMud A\n");

    let pid = program.child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let status = tokio::time::timeout(SOON, program.child.wait()).await.unwrap().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let program = start(&[]).await;
    for (flag, addr) in [("--listen", &program.listen), ("--control", &program.control)] {
        let mut args = vec!["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
        let at = args.iter().position(|arg| arg == &flag).unwrap() + 1;
        args[at] = addr;
        let output = Command::new(PROGRAM).args(args).output().await.unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(&**addr), "{message}");
    }
}

#[tokio::test]
async fn ctl_names_the_address_it_cannot_reach() {
    let output =
        Command::new(PROGRAM).args(["ctl", "--control", "127.0.0.1:1", "muds"]).output().await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("127.0.0.1:1"));
}

#[tokio::test]
async fn its_log_can_be_json() {
    let mut child = Command::new(PROGRAM)
        .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--log", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut ready = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = ready.next_line().await.unwrap().unwrap();
    let addr = ready.split_once(" ready on ").unwrap().1.split_once(',').unwrap().0;
    let _stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = tokio::time::timeout(SOON, log.next_line()).await.unwrap().unwrap().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["fields"]["message"], "#1 connected from 127.0.0.1");
}
