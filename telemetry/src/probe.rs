//! `PROGRAM probe [ADDRESS [PATH]]`: asks a running program for its health. Images without a shell have nothing else for it.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

/// How long connecting and the answer may take, each.
const WITHIN: Duration = Duration::from_secs(3);

/// Does what the arguments of the process ask for, if that is a probe.
pub fn command(default_path: &str) -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    (arguments.next()? == "probe").then(|| {
        let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9090".to_owned());
        let path = arguments.next().unwrap_or_else(|| default_path.to_owned());
        match probe(&address, &path) {
            Ok(status) if status.contains(" 200 ") => ExitCode::SUCCESS,
            Ok(status) => fail(&format!("{address}{path}: {status}")),
            Err(error) => fail(&format!("{address}{path}: {error}")),
        }
    })
}

fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}

/// The first line of the answer to a GET.
fn probe(address: &str, path: &str) -> io::Result<String> {
    let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    // In one piece: who answers the first of several and closes would reset the connection.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(1024).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_status_line_of_the_answer_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready").unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        assert_eq!(probe(&address, "/readyz").unwrap(), "HTTP/1.1 503 Service Unavailable");
        assert!(server.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
        assert!(probe(&address, "/readyz").is_err(), "nobody is there any more");
    }
}
