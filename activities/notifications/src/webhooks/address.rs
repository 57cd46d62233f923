//! The addresses that webhooks may go to: only those of the public internet, so that nobody can make this program call
//! machines in its own network. A sandbox may send to any address.

use std::{
    error::Error as StdError,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::WebhookError;

/// The longest accepted URL, in bytes.
const URL_BYTES_MAX: usize = 2000;

/// Accepts a URL for an endpoint, if its form and its addresses are allowed.
///
/// # Errors
/// [`WebhookError::Url`] with what is wrong.
pub(super) async fn checked(text: &str, allow_local: bool) -> Result<Url, WebhookError> {
    let refused = |reason: String| WebhookError::Url { reason };
    let url = readable(text, allow_local).map_err(|reason| refused(reason.to_owned()))?;
    if !allow_local && let Some(Host::Domain(domain)) = url.host() {
        public_addresses(domain).await.map_err(|error| refused(error.to_string()))?;
    }
    Ok(url)
}

/// Reads a URL and checks everything but the addresses of its name. Those are checked when it connects.
pub(super) fn readable(text: &str, allow_local: bool) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it cannot be read as a URL")?;
    if text.len() > URL_BYTES_MAX {
        return Err("it is longer than 2000 bytes");
    }
    if url.scheme() != "https" && !(allow_local && url.scheme() == "http") {
        return Err("it must begin with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not have a user or a password: webhooks are known by their signature");
    }
    let is_public = match url.host() {
        Some(Host::Ipv4(ip)) => is_public(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => is_public(IpAddr::V6(ip)),
        Some(Host::Domain(_)) => true,
        None => return Err("it names no host"),
    };
    if is_public || allow_local { Ok(url) } else { Err("its address is not one of the public internet") }
}

/// The addresses of a name, all of them public.
async fn public_addresses(domain: &str) -> Result<Vec<SocketAddr>, Box<dyn StdError + Send + Sync>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((domain, 0))
        .await
        .map_err(|error| format!("the address of {domain} cannot be found: {error}"))?
        .collect();
    if found.is_empty() {
        return Err(format!("{domain} has no address").into());
    }
    // Every address must be public: a single other one would be enough for an attack.
    if found.iter().all(|address| is_public(address.ip())) {
        Ok(found)
    } else {
        Err(format!("the address of {domain} is not one of the public internet").into())
    }
}

/// Resolves names for deliveries. The connection goes to the addresses that were checked here.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Addrs = Box::new(public_addresses(name.as_str()).await?.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether everybody can reach an address, by the registries of special addresses.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    // "This network" and reserved, shared between a provider's customers, protocol assignments, 6to4 relays, benchmarks.
    let special = matches!(
        ip.octets(),
        [0 | 240..=255, ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18 | 19, ..]
    );
    !(special
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation())
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(inner) = ip.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    match ip.segments() {
        // The network translates it to an address of version 4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
        // Protocol assignments with Teredo, documentation, 6to4: they lead elsewhere or nowhere.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // All public addresses begin with these three bits.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "100::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2606:4700:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn endpoints_must_be_public_and_encrypted() {
        for (url, word) in [
            ("http://93.184.216.34/hook", "https://"),
            ("ftp://93.184.216.34/hook", "https://"),
            ("hook", "URL"),
            ("https://user:secret@93.184.216.34/", "password"),
            ("https://127.0.0.1/", "public"),
            ("https://[::1]/", "public"),
            ("https://[::ffff:10.0.0.1]/", "public"),
            ("https://2130706433/", "public"),
            ("https://0x7f.1/", "public"),
            ("https://169.254.169.254/latest/meta-data/", "public"),
            ("https://localhost/", "public"),
            ("https://nowhere.invalid/", "found"),
        ] {
            let error = checked(url, false).await.unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{url}: {error}");
        }
        let long = format!("https://93.184.216.34/{}", "x".repeat(2000));
        assert!(checked(&long, false).await.unwrap_err().to_string().contains("2000"));
        assert!(checked("https://93.184.216.34:8443/hook?x=1", false).await.is_ok());
        assert!(checked("http://127.0.0.1:8080/hook", true).await.is_ok());
        assert!(checked("ftp://127.0.0.1/hook", true).await.is_err());
    }
}
