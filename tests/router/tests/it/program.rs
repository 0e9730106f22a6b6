//! The program.

use std::process::Stdio;

use futures::{SinkExt, StreamExt};
use intermud3::MudModeCodec;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::codec::Framed;

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

/// A connection to the program that has sent a startup request.
async fn register(program: &Program, name: &str) -> Framed<TcpStream, MudModeCodec> {
    let stream = TcpStream::connect(&program.listen).await.unwrap();
    let mut mud = Framed::new(stream, MudModeCodec::new());
    let startup = crate::mud::startup(name, "0", 0, r#"(["channel":1,])"#);
    mud.send(startup.into()).await.unwrap();
    mud
}

async fn recv(mud: &mut Framed<TcpStream, MudModeCodec>) -> Option<String> {
    let frame = tokio::time::timeout(SOON, mud.next()).await.expect("nothing came")?;
    Some(String::from_utf8(frame.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn it_serves_and_takes_requests_and_ends_on_sigterm() {
    let mut program = start(&["--name", "*prog", "--channel", "one", "--channel", "two words"]).await;
    let mut mud = register(&program, "Mud A").await;
    assert!(recv(&mut mud).await.unwrap().contains(r#""startup-reply",5,"*prog""#));
    recv(&mut mud).await.unwrap();
    let list = recv(&mut mud).await.unwrap();
    assert!(list.contains(r#"(["one":({"*prog",0,}),"two words":({"*prog",0,}),])"#), "{list}");

    assert_eq!(ctl(&program, &["muds"]).await, "up\t-\t127.0.0.1\tMud A\n");
    assert_eq!(ctl(&program, &["channels"]).await, "one\t*prog\t-\t\ntwo words\t*prog\t-\t\n");
    assert_eq!(ctl(&program, &["links"]).await, "#1\t127.0.0.1\tMud A\tMud A\n");
    assert_eq!(ctl(&program, &["cut", "Mud A"]).await, "");
    while recv(&mut mud).await.is_some() {}
    assert_eq!(ctl(&program, &["muds"]).await, "down\tcut\t127.0.0.1\tMud A\n");
    assert_eq!(ctl(&program, &["restore", "Mud A"]).await, "");
    assert_eq!(ctl(&program, &["muds"]).await, "down\t-\t127.0.0.1\tMud A\n");

    let mut mud = register(&program, "Mud A").await;
    recv(&mut mud).await.unwrap();
    let pid = program.child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    while recv(&mut mud).await.is_some() {}
    let status = tokio::time::timeout(SOON, program.child.wait()).await.unwrap().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn it_makes_faults_on_request() {
    let program = start(&["--up-delay", "3600000"]).await;
    let mut mud = register(&program, "MudA").await;
    for _ in 0..3 {
        recv(&mut mud).await.unwrap();
    }
    for request in
        [&["half-open", "MudA"][..], &["resume", "MudA"], &["slice", "MudA"], &["delay", "MudA", "1"]]
    {
        assert_eq!(ctl(&program, request).await, "");
    }
    ctl(&program, &["packet", "MudA", "a frame"]).await;
    assert_eq!(recv(&mut mud).await.unwrap(), "a frame");
    let mut raw = Command::new(PROGRAM)
        .args(["ctl", "--control", &program.control, "raw", "MudA"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    raw.stdin.take().unwrap().write_all(b"\0\0\0\x04raw\0").await.unwrap();
    assert!(raw.wait().await.unwrap().success());
    assert_eq!(recv(&mut mud).await.unwrap(), "raw");
    ctl(&program, &["restart"]).await;
    assert_eq!(recv(&mut mud).await, None);

    let nobody = Command::new(PROGRAM)
        .args(["ctl", "--control", &program.control, "packet", "Nobody", "x"])
        .output()
        .await
        .unwrap();
    assert!(!nobody.status.success());
    let message = String::from_utf8(nobody.stderr).unwrap();
    assert!(message.contains("\"Nobody\" has no link"), "{message}");
}

#[tokio::test]
async fn it_can_be_strict() {
    let program = start(&["--strict"]).await;
    let mut links = Vec::new();
    for _ in 0..3 {
        links.push(TcpStream::connect(&program.listen).await.unwrap());
    }
    let ends = links.iter_mut().map(|link| Box::pin(async { link.read(&mut [0; 1]).await.unwrap() }));
    let (read, ..) = tokio::time::timeout(SOON, futures::future::select_all(ends)).await.unwrap();
    assert_eq!(read, 0, "one accept a clock second");
}

#[tokio::test]
async fn it_can_be_of_the_other_family_and_have_peers() {
    let east = start(&["--name", "*east", "--peer", "*west", "--peer-password", "7"]).await;
    let peer = format!("*east={}", east.listen);
    let west = start(&["--name", "*west", "--peer", &peer, "--peer-password", "7"]).await;
    let mut a = register(&east, "MudA").await;
    while !recv(&mut a).await.unwrap().contains("chanlist-reply") {}
    let mut b = register(&west, "MudB").await;
    while !recv(&mut b).await.unwrap().contains(r#""MudA":({-1"#) {}
    let muds = ctl(&west, &["muds"]).await;
    assert_eq!(muds, "up\t-\t127.0.0.1\tMudA\t*east\nup\t-\t127.0.0.1\tMudB\n");

    let coffee = start(&["--family", "coffee-mud"]).await;
    let mut mud = register(&coffee, "MudC").await;
    let reply = recv(&mut mud).await.unwrap();
    assert!(reply.ends_with(",-1,})"), "{reply}");
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
