//! PROXY headers that upstreams get.

use lubdub_proxy::settings::{ProxyProtocol, ProxyVersion};
use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use lubdub_wire::Relayed;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::{BALANCER, CLIENT, behind, header, trusting};

const VERSIONS: [ProxyVersion; 2] = [ProxyVersion::V1, ProxyVersion::V2];

fn telling(proxy: ProxyBox, version: ProxyVersion) -> ProxyBox {
    proxy.with(|proxy| proxy.proxy_out = Some(version))
}

/// The header of a client that connected to this proxy from `source`.
fn expected(version: ProxyVersion, source: &str, proxy: &RunningProxy) -> Vec<u8> {
    let relayed = Relayed::Ip {
        source: source.parse().expect("an address"),
        destination: proxy.address(),
    };
    relayed.to_header(version)
}

async fn asks(proxy: &RunningProxy, request: Request) -> Peer {
    let mut client = proxy.dial().connect().await;
    client.ask(&request).await;
    client
}

#[tokio::test]
async fn an_upstream_is_told_who_connected_to_what() {
    for version in VERSIONS {
        let upstreams = Upstream::listen();
        let proxy = telling(ProxyBox::new(), version).start(&upstreams);
        let mut client = asks(&proxy, Request::upgrade("/")).await;
        let mut upstream = upstreams.accept().await;
        let header = expected(version, &client.address().to_string(), &proxy);
        upstream.expect_bytes(header).await;
        upstream.accept_upgrade().await;
        client.expect_switch().await;
        client.send_text("hello").await;
        upstream.expect_text("hello").await;
    }
}

#[tokio::test]
async fn it_is_the_true_address_that_is_told() {
    for version in VERSIONS {
        // Of a field, which has no port, ...
        let upstreams = Upstream::listen();
        let proxy = telling(trusting(), version).start(&upstreams);
        let request = Request::upgrade("/").field("X-Forwarded-For", CLIENT);
        let _client = asks(&proxy, request).await;
        let mut upstream = upstreams.accept().await;
        let told = expected(version, &format!("{CLIENT}:0"), &proxy);
        upstream.expect_bytes(told).await;
        // ... and of another header, which tells where the client connected to as well.
        let proxy = telling(behind(ProxyProtocol::Required), version).start(&upstreams);
        let came = header(ProxyVersion::V2, "[2001:db8::9]:4000");
        let mut client = proxy.dial().preface(came).connect().await;
        client.ask(&Request::upgrade("/")).await;
        let mut upstream = upstreams.accept().await;
        upstream
            .expect_bytes(header(version, "[2001:db8::9]:4000"))
            .await;
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_not() {
    for version in VERSIONS {
        let nothing = Relayed::Unknown.to_header(version);
        // The client has IPv6, and what it connected to IPv4.
        let upstreams = Upstream::listen();
        let proxy = telling(trusting(), version).start(&upstreams);
        let request = Request::upgrade("/").field("X-Forwarded-For", "2001:db8::9");
        let _client = asks(&proxy, request).await;
        upstreams.accept().await.expect_bytes(&nothing).await;
        // Nobody knows where the client of another hop connected to.
        let proxy = telling(behind(ProxyProtocol::Required), version).start(&upstreams);
        let came = Relayed::Local.to_header(ProxyVersion::V2);
        let mut client = proxy.dial().preface(came).connect().await;
        client.ask(&Request::upgrade("/")).await;
        upstreams.accept().await.expect_bytes(&nothing).await;
    }
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let certs = Certs::generate();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it has an address");
    let proxy = telling(ProxyBox::new(), ProxyVersion::V2)
        .with(|proxy| proxy.upstream_tls = Some(certs.verifying()))
        .start_before(address);
    let client = asks(&proxy, Request::upgrade("/")).await;
    let (mut upstream, _) = listener.accept().await.expect("lubdub connects");
    let header = expected(ProxyVersion::V2, &client.address().to_string(), &proxy);
    let mut came = vec![0; header.len() + 1];
    upstream.read_exact(&mut came).await.expect("they come");
    // The record of a handshake.
    assert_eq!(came, [&header[..], &[0x16]].concat());
}

/// A connection is for the client that its header names, and for nobody else's requests.
#[tokio::test]
async fn no_connection_is_kept_for_another_client() {
    let upstreams = Upstream::listen();
    let proxy = telling(trusting(), ProxyVersion::V1).start(&upstreams);
    let mut balancer = proxy.dial().connect().await;
    let mut before = Vec::new();
    for client in ["203.0.113.1", "203.0.113.2", "203.0.113.1"] {
        balancer
            .ask(&Request::get("/").field("X-Forwarded-For", client))
            .await;
        let mut upstream = upstreams.accept().await;
        let told = expected(ProxyVersion::V1, &format!("{client}:0"), &proxy);
        upstream.expect_bytes(told).await;
        upstream.expect_head().await;
        upstream
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
        balancer.expect_answer(200).await;
        before.push(upstream);
    }
    for mut upstream in before {
        upstream.expect_eof().await;
    }
}

/// A backend had logged the connection in (NTLM), and the next client of the same balancer would have
/// been the first one.
#[tokio::test]
async fn a_login_is_of_the_client_that_logged_in() {
    let upstreams = Upstream::listen();
    let proxy = trusting().start(&upstreams);
    let mut balancer = proxy.dial().connect().await;
    let asks = |client: &str| Request::get("/").field("X-Forwarded-For", client);
    balancer
        .ask(&asks("203.0.113.1").field("Authorization", "NTLM TlRMTVNTUAABAAAA"))
        .await;
    let mut logged_in = upstreams.accept().await;
    logged_in.expect_head().await;
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    logged_in.send(ok).await;
    balancer.expect_answer(200).await;
    balancer.ask(&asks("203.0.113.2")).await;
    let mut another = upstreams.accept().await;
    another.expect_head().await;
    another.send(ok).await;
    balancer.expect_answer(200).await;
    // The first one is still logged in.
    balancer.ask(&asks("203.0.113.1")).await;
    logged_in.expect_head().await;
    logged_in.send(ok).await;
    balancer.expect_answer(200).await;
}

#[tokio::test]
async fn a_balancer_that_is_named_is_told_on() {
    let upstreams = Upstream::listen();
    let proxy = telling(behind(ProxyProtocol::Optional), ProxyVersion::V2).start(&upstreams);
    let came = header(ProxyVersion::V1, BALANCER);
    let mut client = proxy.dial().preface(came).connect().await;
    client.ask(&Request::upgrade("/")).await;
    let mut upstream = upstreams.accept().await;
    upstream
        .expect_bytes(header(ProxyVersion::V2, BALANCER))
        .await;
}
