//! Where a request comes from: the address that the connection is from, or what a proxy says that is believed.
//!
//! Anybody can send `X-Forwarded-For`, so it is believed only of proxies that the configuration names; without any, everybody behind a
//! proxy is at one place. Proxies append on the right: read from there, the first address that is none of theirs is the sender's,
//! and what stands to its left is the sender's own invention.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// What proxies write addresses into.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// How much of an IPv6 address is a customer's: everything behind is theirs to choose.
const CUSTOMER_BITS: u32 = 64;

/// Where somebody is, as far as that can be told apart: an IPv4 address, or the network of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place(IpAddr);

impl Default for Place {
    fn default() -> Self {
        Self(Ipv6Addr::UNSPECIFIED.into())
    }
}

impl Place {
    /// Where this address is.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) & (u128::MAX << (u128::BITS - CUSTOMER_BITS));
                IpAddr::V6(Ipv6Addr::from(network))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// The proxies that are believed. None are by default.
#[derive(Debug, Default)]
pub struct Proxies {
    networks: Vec<IpNet>,
    told: AtomicBool,
}

impl Proxies {
    /// Those in these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self { networks: networks.into_iter().collect(), told: AtomicBool::new(false) }
    }

    /// A network as it is written: `10.0.0.0/8`, or one address.
    ///
    /// # Errors
    /// In words, if it is neither.
    pub fn read(text: &str) -> Result<IpNet, String> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| "expected an address or a network, such as 10.0.0.7 or 10.0.0.0/8".to_owned())
    }

    fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Where a request comes from that this peer has sent.
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.has(peer) {
            self.tell_once(peer, headers);
            return peer;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut origin = peer;
        for entry in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
            // What is no address was not written by a proxy of ours.
            let Some(address) = address_in(entry) else { break };
            origin = address;
            if !self.has(address) {
                break;
            }
        }
        origin
    }

    /// Whoever runs this behind a proxy should hear that it is not believed.
    fn tell_once(&self, peer: IpAddr, headers: &HeaderMap) {
        if headers.contains_key(FORWARDED_FOR) && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                "a request says that it was forwarded, by a proxy that is not believed: all strangers behind it are counted as one. \
                 If it is a proxy of yours, name it with --trusted-proxies"
            );
        }
    }
}

fn address_in(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.map(|address| address.to_canonical()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(proxies: &[&str], peer: &str, lines: &[&str]) -> String {
        let proxies = Proxies::new(proxies.iter().map(|text| Proxies::read(text).unwrap()));
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        proxies.origin(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_proxies_that_are_named_are_believed() {
        for (proxies, peer, lines, expected) in [
            (&[][..], "192.0.2.1", &["198.51.100.9"][..], "192.0.2.1"),
            (&["10.0.0.0/8"][..], "192.0.2.1", &["198.51.100.9"], "192.0.2.1"),
            (&["10.0.0.0/8"], "10.1.2.3", &["198.51.100.9"], "198.51.100.9"),
            // What the sender wrote stands to the left of what the proxy wrote.
            (&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.5, 198.51.100.9"], "198.51.100.9"),
            (&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.5", "198.51.100.9"], "198.51.100.9"),
            (&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.5, 198.51.100.9, 10.9.9.9"], "198.51.100.9"),
            (&["10.0.0.0/8", "127.0.0.1"], "127.0.0.1", &["10.5.5.5,10.9.9.9"], "10.5.5.5"),
            (&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.5, unknown"], "10.1.2.3"),
            (&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.5,, 10.9.9.9"], "10.9.9.9"),
            (&["10.0.0.0/8"], "10.1.2.3", &[], "10.1.2.3"),
            (&["10.0.0.0/8"], "::ffff:10.1.2.3", &["198.51.100.9:4711"], "198.51.100.9"),
            (&["fd00::/8"], "fd00::1", &["[2001:db8::7]:443"], "2001:db8::7"),
            (&["fd00::/8"], "fd00::1", &["[2001:db8::7]"], "2001:db8::7"),
        ] {
            assert_eq!(origin(proxies, peer, lines), expected, "{proxies:?} {peer} {lines:?}");
        }
        assert!(Proxies::read("10.0.0.0/33").is_err() && Proxies::read("proxy.example").is_err());
    }

    /// Nobody has a share for each of the addresses of their network.
    #[test]
    fn a_network_of_ipv6_is_one_place() {
        let place = |text: &str| Place::of(text.parse().unwrap());
        assert_eq!(place("2001:db8:1:2::1"), place("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
    }
}
