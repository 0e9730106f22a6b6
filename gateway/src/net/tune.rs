//! Socket options.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// What the kernel may hold for one client. More would hide how far behind a slow client is.
const CLIENT_SEND_BUFFER: usize = 128 * 1024;

/// Options for a client's connection: no delay, and dead peers are noticed.
pub(super) fn tune_client(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(CLIENT_SEND_BUFFER)?;
    tune(&socket, Duration::from_secs(60))
}

/// Options for the router's connection. Probes of our own are always on their way, so that a peer whose system no longer
/// answers is noticed by what is not acknowledged.
pub(crate) fn tune_router(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    tune(&socket, Duration::from_secs(20))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(8)))?;
    Ok(())
}

fn tune(socket: &SockRef<'_>, idle: Duration) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(idle).with_interval(Duration::from_secs(10)).with_retries(3);
    socket.set_tcp_keepalive(&keepalive)
}
