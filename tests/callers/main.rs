//! Who is calling: the client's true address behind others that relay, and what is told of it to the
//! upstream. Whoever is not trusted cannot be somebody else.

mod binary;
mod fields;
mod headers;
mod ids;
mod upstreams;

use lubdub_proxy::ClientAddress;
use lubdub_proxy::settings::{ProxyProtocol, ProxyVersion};
use lubdub_testkit::PATIENCE;
use lubdub_testkit::peer::{Heard, Peer};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use lubdub_wire::Relayed;
use tokio::time::timeout;

/// A balancer that speaks the PROXY protocol, in front of the client.
const BALANCER: &str = "10.0.0.5:5000";
/// Somebody on the internet.
const CLIENT: &str = "203.0.113.9";

/// Trusts this machine, which every test's peer is on, and the balancers of 10.0.0.0/8.
fn trusting() -> ProxyBox {
    ProxyBox::new().with(|proxy| {
        let networks = ["127.0.0.0/8", "10.0.0.0/8"];
        proxy.forwarded.trust.networks = networks
            .map(|network| network.parse().expect("a network"))
            .to_vec();
    })
}

/// The same, where connections begin with a PROXY header.
fn behind(proxy_protocol: ProxyProtocol) -> ProxyBox {
    trusting().with(|proxy| proxy.proxy_protocol = proxy_protocol)
}

/// The header of a connection from `source`.
fn header(version: ProxyVersion, source: &str) -> Vec<u8> {
    let destination = match source.starts_with('[') {
        true => "[2001:db8::2]:443",
        false => "198.51.100.2:443",
    };
    let relayed = Relayed::Ip {
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
    };
    relayed.to_header(version)
}

/// Whom the only pair is of.
async fn client_of_the_pair(proxy: &RunningProxy) -> String {
    proxy.expect_pairs(1).await;
    let client: ClientAddress = proxy.only_pair().caller().client;
    client.to_string()
}

/// Waits until lubdub has closed the connection, in whichever way, without a word.
async fn expect_closed(client: Peer) {
    let (mut ears, _mouth) = client.split();
    let heard = timeout(PATIENCE, ears.next()).await;
    let is_closed = matches!(heard, Ok(Heard::Fin(0) | Heard::Reset(0)));
    assert!(is_closed, "the connection is closed: {heard:?}");
}
