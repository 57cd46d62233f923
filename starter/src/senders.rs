//! What our servers share: where they listen, and how much a sender may send.

use std::{net::SocketAddr, num::NonZeroU32};

use clap::Args;
use ipnet::IpNet;
use recourse_api::{limits::Limits, peer::Proxies, serve::PER_MINUTE};
use tokio::net::TcpListener;

use super::answer::Failure;

/// What may be sent, and by whom it is counted.
#[derive(Debug, Args)]
pub(super) struct Senders {
    /// How many requests a sender may send in a minute. Those without a good token are counted by the address they come from.
    #[arg(long, env = "RECOURSE_REQUESTS_PER_MINUTE", default_value_t = PER_MINUTE, value_name = "N")]
    requests_per_minute: NonZeroU32,
    /// Proxies whose `X-Forwarded-For` is believed, by address or network; may be given several times, or with commas. Without it
    /// everybody without a token behind a proxy is one sender.
    #[arg(long, env = "RECOURSE_TRUSTED_PROXIES", value_name = "ADDRESS|NETWORK", value_delimiter = ',', value_parser = Proxies::read)]
    trusted_proxies: Vec<IpNet>,
}

impl Senders {
    pub(super) fn limits(&self) -> Limits {
        Limits::per_minute(self.requests_per_minute).behind(Proxies::new(self.trusted_proxies.clone()))
    }
}

/// Listens at an address, which this flag gave.
pub async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new("local", 3, format!("{address} cannot be listened at: {error}"))
            .hint(format!("choose another with {flag}"))
    })
}
