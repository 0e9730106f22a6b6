//! Where another mud can be reached. Any mud can put any address into the mudlist, so not every one is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use intermud3::Value;
use intermud3::packet::MudEntry;

/// Why a mud cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// It does not say where it listens.
    #[error("it tells no port for out-of-band services")]
    NoPort,
    /// What stands in the mudlist is no address.
    #[error("its address in the mudlist is not one that can be reached")]
    Unreadable,
    /// The address is inside a network of ours.
    #[error("its address {0} is not a public one, and the setting oob.allow_private is off")]
    Private(IpAddr),
}

/// Where a mud waits for conversations: the port `oob` of its services, at the `ip` of its other data unless that is
/// loopback (Dead Souls), else its `imud_tcp_port` at the address it connected from (Lima).
///
/// # Errors
/// [`NoAddress`] when there is none, or none that may be dialled.
pub fn of(entry: &MudEntry, allow_private: bool) -> Result<SocketAddr, NoAddress> {
    let service = entry.services.get("oob").and_then(Value::as_int).filter(|port| *port > 1);
    let port = service.unwrap_or(entry.imud_tcp_port);
    let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or(NoAddress::NoPort)?;
    let told = service.and_then(|_| told_address(entry)).filter(|address| !address.is_loopback());
    let address = told.or_else(|| from_address(entry)).ok_or(NoAddress::Unreadable)?;
    if allow_private || is_public(address) {
        Ok((address, port).into())
    } else {
        Err(NoAddress::Private(address))
    }
}

/// The address a mud connected to the router from.
pub fn from_address(entry: &MudEntry) -> Option<IpAddr> {
    entry.address.trim().parse().ok().map(|address: IpAddr| address.to_canonical())
}

fn told_address(entry: &MudEntry) -> Option<IpAddr> {
    let told = entry.other_data.as_mapping()?.get("ip")?.as_str()?;
    told.trim().parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Whether an address can belong to a mud somewhere else, and to nothing in a network of ours.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The special-purpose address registry of IANA (RFC 6890), as far as it is not global.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0 // "this network"
        || a >= 224 // multicast, reserved, broadcast
        || (a == 100 && (64..128).contains(&b)) // shared by a provider's customers
        || (a, b, c) == (192, 0, 0) // protocol assignments
        || (a == 198 && (b == 18 || b == 19)); // benchmarks
    !special
}

/// Global unicast only, and of that none that leads to an IPv4 address inside.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match (a, b) {
        // Translation to IPv4 (RFC 6052).
        (0x64, 0xff9b) => [c, d, e, f] == [0; 4] && embedded(g, h),
        // 6to4 (RFC 3056).
        (0x2002, _) => embedded(b, c),
        // Teredo, protocol assignments, documentation.
        (0x2001, 0..=0x01ff | 0x0db8) => false,
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use intermud3::Packet;
    use intermud3::packet::Body;

    use super::*;

    fn entry(ip: &str, tcp_port: i64, services: &str, other: &str) -> MudEntry {
        let text = format!(
            "({{\"mudlist\",5,\"*test\",0,0,0,1,([\"M\":({{-1,\"{ip}\",4000,{tcp_port},0,\"L\",\"B\",\"D\",\"LP\",\"open\",\"a\",([{services}]),([{other}]),}}),]),}})"
        );
        match Packet::decode(text.as_bytes()).unwrap().body {
            Body::Mudlist(mut list) => list.muds.remove(0).1.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn muds_say_in_two_ways_where_they_are() {
        let reached = |entry: MudEntry| of(&entry, false).map(|address| address.to_string());
        let ip = "198.51.99.1";
        let lima = reached(entry(ip, 4003, "", ""));
        assert_eq!(lima, Ok("198.51.99.1:4003".into()));
        let one_is_no_port = reached(entry(ip, 4003, "\"oob\":1,", "\"ip\":\"203.0.114.9\","));
        assert_eq!(one_is_no_port, Ok("198.51.99.1:4003".into()));
        let dead_souls = reached(entry(ip, 4003, "\"oob\":5000,", "\"ip\":\"203.0.114.9\","));
        assert_eq!(dead_souls, Ok("203.0.114.9:5000".into()));
        let at_home = reached(entry(ip, 0, "\"oob\":5000,", "\"ip\":\"127.0.0.1\","));
        assert_eq!(at_home, Ok("198.51.99.1:5000".into()));
        let odd = reached(entry(ip, 0, "\"oob\":5000,", "\"ip\":7,"));
        assert_eq!(odd, Ok("198.51.99.1:5000".into()));
    }

    #[test]
    fn what_leads_nowhere_is_told() {
        let refused = |entry: MudEntry| of(&entry, false).unwrap_err();
        assert_eq!(refused(entry("198.51.99.1", 0, "", "")), NoAddress::NoPort);
        assert_eq!(refused(entry("198.51.99.1", 70_000, "", "")), NoAddress::NoPort);
        assert_eq!(refused(entry("198.51.99.1", -1, "\"oob\":70000,", "")), NoAddress::NoPort);
        assert_eq!(refused(entry("mud.example", 4003, "", "")), NoAddress::Unreadable);
        let inside = refused(entry("198.51.99.1", 0, "\"oob\":22,", "\"ip\":\"10.0.0.1\","));
        assert_eq!(inside, NoAddress::Private([10, 0, 0, 1].into()));
        assert!(of(&entry("127.0.0.1", 4003, "", ""), true).is_ok());
    }

    #[test]
    fn only_public_addresses_are_dialled() {
        let inside = [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2001:db8::1",
            "2001::1",
            "100::1",
        ];
        for address in inside {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        let outside = [
            "8.8.8.8",
            "204.209.44.3",
            "172.32.0.1",
            "100.128.0.1",
            "2a00:1450::1",
            "2600::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ];
        for address in outside {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
