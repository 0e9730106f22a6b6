//! Listening, at all addresses if need be: of IPv6 and of IPv4, or of the one that the system has.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};

/// How many connections the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// Listens at an address. `[::]` is every address, of IPv4, too; where the system has no IPv6, every one of IPv4.
///
/// # Errors
/// When the address cannot be had.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        or_by_ipv4(everywhere(address), address.port()).await
    } else {
        TcpListener::bind(address).await
    }
}

/// Whatever the system's default for sockets of IPv6 is (`net.ipv6.bindv6only`).
fn everywhere(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v6()?;
    SockRef::from(&socket).set_only_v6(false)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A system without IPv6 has no such sockets, or no address for them. A port in use is in use.
async fn or_by_ipv4(both: io::Result<TcpListener>, port: u16) -> io::Result<TcpListener> {
    match both {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            tracing::info!(%error, "IPv6 cannot be had: listening by IPv4 alone");
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        listening => listening,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::net::TcpStream;

    use super::*;

    const EVERYWHERE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    const HERE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

    #[tokio::test]
    async fn everywhere_is_by_ipv4_and_by_ipv6() {
        let listener = listen((EVERYWHERE, 0).into()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for address in HERE {
            let client = TcpStream::connect((address, port)).await.unwrap();
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer.ip().to_canonical(), client.local_addr().unwrap().ip());
        }
    }

    #[tokio::test]
    async fn without_ipv6_it_is_by_ipv4() {
        let none = || Err(io::ErrorKind::AddrNotAvailable.into());
        let listener = or_by_ipv4(none(), 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(address.ip(), Ipv4Addr::UNSPECIFIED);
        TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).await.unwrap();
        let taken = or_by_ipv4(none(), address.port()).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn a_port_that_is_in_use_is_an_error_and_no_reason_to_go_without_ipv6() {
        let first = listen((EVERYWHERE, 0).into()).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let second = listen((EVERYWHERE, port).into()).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        let in_use = or_by_ipv4(Err(io::ErrorKind::AddrInUse.into()), 0).await;
        assert_eq!(in_use.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn one_address_is_that_one() {
        let listener = listen((HERE[0], 0).into()).await.unwrap();
        assert_eq!(listener.local_addr().unwrap().ip(), HERE[0]);
    }
}
