//! Who lives where. Everything is loopback, and port 53 unless said otherwise.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The root's only server.
pub const ROOT: Ipv4Addr = Ipv4Addr::new(127, 53, 0, 1);
/// The server of `test.`.
pub const TLD: Ipv4Addr = Ipv4Addr::new(127, 53, 0, 2);
/// The hidden primary (BIND): takes UPDATE, is in no delegation.
pub const PRIMARY: Ipv4Addr = Ipv4Addr::new(127, 53, 0, 3);
/// `ns1` of every zone.
pub const KNOT: Ipv4Addr = Ipv4Addr::new(127, 53, 0, 4);
/// `ns2` of every zone.
pub const NSD: Ipv4Addr = Ipv4Addr::new(127, 53, 0, 5);
/// PowerDNS: a primary of its own.
pub const POWERDNS: Ipv4Addr = Ipv4Addr::new(127, 53, 0, 6);
/// The recursive resolver, also in the rig's resolv.conf.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 53, 0, 53);
/// What the resolver's certificate calls it, beside its address; the DNS has no such name.
pub const RESOLVER_NAME: &str = "resolver.rig.test";
/// The shared Pebble: port 14000, management 15000.
pub const PEBBLE: Ipv4Addr = Ipv4Addr::new(127, 53, 0, 80);

/// The port of PowerDNS's HTTP API.
pub const POWERDNS_API_PORT: u16 = 8081;

/// Port 53 of `address`.
#[must_use]
pub fn dns(address: Ipv4Addr) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(address), 53)
}
