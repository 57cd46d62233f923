//! Where a request comes from: the connection's address, or the address that a trusted proxy reports.
//!
//! Anybody can send `X-Forwarded-For`, so Recourse trusts it only from proxies that the configuration names. Without any, all
//! senders behind a proxy count as one place. Proxies append on the right. Read from there, the first address that belongs to
//! none of them is the sender's. The sender may have invented everything to its left.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The header in which proxies write addresses.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// How many bits of an IPv6 address identify a customer. The customer chooses the rest.
const CUSTOMER_BITS: u32 = 64;

/// A sender's place, as far as Recourse can tell: an IPv4 address, or the network of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place(IpAddr);

impl Default for Place {
    fn default() -> Self {
        Self(Ipv6Addr::UNSPECIFIED.into())
    }
}

impl Place {
    /// The place of this address.
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

/// The trusted proxies. None by default.
#[derive(Debug, Default)]
pub struct Proxies {
    networks: Vec<IpNet>,
    told: AtomicBool,
}

impl Proxies {
    /// The proxies in these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self { networks: networks.into_iter().collect(), told: AtomicBool::new(false) }
    }

    /// Reads a network: `10.0.0.0/8`, or one address.
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

    /// The address that a request of this peer comes from.
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.has(peer) {
            self.tell_once(peer, headers);
            return peer;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut origin = peer;
        for entry in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
            // None of our proxies wrote an entry that is not an address.
            let Some(address) = address_in(entry) else { break };
            origin = address;
            if !self.has(address) {
                break;
            }
        }
        origin
    }

    /// Logs once that Recourse does not trust a proxy, for the operator who runs Recourse behind it.
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
    fn only_configured_proxies_are_trusted() {
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

    /// One network's addresses share one limit.
    #[test]
    fn an_ipv6_network_is_one_place() {
        let place = |text: &str| Place::of(text.parse().unwrap());
        assert_eq!(place("2001:db8:1:2::1"), place("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
    }
}
