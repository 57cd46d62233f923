//! Options that our servers share: where they listen, and how many requests a sender may send.

use std::{net::SocketAddr, num::NonZeroU32};

use clap::Args;
use ipnet::IpNet;
use recourse_api::{limits::Limits, peer::Proxies, serve::PER_MINUTE};
use tokio::net::TcpListener;

use super::answer::Failure;

/// The limits on requests, and how to tell senders apart.
#[derive(Debug, Args)]
pub(super) struct Senders {
    /// How many requests a sender may send in a minute. Requests without a valid token count by their address.
    #[arg(long, env = "RECOURSE_REQUESTS_PER_MINUTE", default_value_t = PER_MINUTE, value_name = "N")]
    requests_per_minute: NonZeroU32,
    /// Proxies whose `X-Forwarded-For` is trusted, by address or network; may be given several times, or with commas. Without
    /// it all senders without a token behind a proxy count as one.
    #[arg(long, env = "RECOURSE_TRUSTED_PROXIES", value_name = "ADDRESS|NETWORK", value_delimiter = ',', value_parser = Proxies::read)]
    trusted_proxies: Vec<IpNet>,
}

impl Senders {
    pub(super) fn limits(&self) -> Limits {
        Limits::per_minute(self.requests_per_minute).behind(Proxies::new(self.trusted_proxies.clone()))
    }
}

/// Listens at the address that this flag gave.
pub async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new("local", 3, format!("{address} cannot be listened at: {error}"))
            .hint(format!("choose another with {flag}"))
    })
}
