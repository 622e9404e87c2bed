//! PROXY headers that come in.

use lubdub_proxy::settings::{ProxyProtocol, ProxyVersion};
use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::{KEY, Request};
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use lubdub_wire::Relayed;

use crate::{BALANCER, CLIENT, behind, client_of_the_pair, expect_closed, header, trusting};

const VERSIONS: [ProxyVersion; 2] = [ProxyVersion::V1, ProxyVersion::V2];

/// A client whose connection begins with these bytes.
async fn dial(proxy: &RunningProxy, preface: impl Into<Vec<u8>>) -> Peer {
    proxy.dial().preface(preface).connect().await
}

/// Upgrades, and says whom the pair is of and what the upstream was told.
async fn upgraded(proxy: ProxyBox, preface: Vec<u8>, request: Request) -> (String, String) {
    let upstreams = Upstream::listen();
    let proxy = proxy.start(&upstreams);
    let mut client = dial(&proxy, preface).await;
    client.ask(&request).await;
    let head = upstreams.accept().await.accept_upgrade().await;
    client.expect_switch().await;
    let told = head.field("x-forwarded-for").unwrap_or_default();
    let client = client_of_the_pair(&proxy).await;
    (client, told.to_owned())
}

/// nginx says who the client is in a field, HAProxy behind it says with a PROXY header who nginx is.
#[tokio::test]
async fn through_two_hops_the_clients_address_is_found() {
    for version in VERSIONS {
        let request = Request::upgrade("/").field("X-Forwarded-For", CLIENT);
        let found = upgraded(
            behind(ProxyProtocol::Required),
            header(version, BALANCER),
            request,
        );
        let expected = (CLIENT.to_owned(), format!("{CLIENT}, 10.0.0.5"));
        assert_eq!(found.await, expected);
    }
}

/// The balancer is trusted, and its client is not: what the client says of itself is dropped.
#[tokio::test]
async fn whom_a_header_names_is_believed_only_if_trusted() {
    for (source, ip) in [
        ("203.0.113.9:4000", "203.0.113.9"),
        ("[2001:db8::9]:4000", "2001:db8::9"),
    ] {
        for version in VERSIONS {
            let forged = Request::upgrade("/").field("X-Forwarded-For", "6.6.6.6");
            let proxy = behind(ProxyProtocol::Required);
            let found = upgraded(proxy, header(version, source), forged).await;
            assert_eq!(found, (source.to_owned(), ip.to_owned()));
        }
    }
}

#[tokio::test]
async fn a_connection_for_nobody_is_the_balancers_own() {
    for header in [
        Relayed::Local.to_header(ProxyVersion::V2),
        b"PROXY UNKNOWN\r\n".to_vec(),
        Relayed::Unknown.to_header(ProxyVersion::V2),
    ] {
        let upstreams = Upstream::listen();
        let proxy = behind(ProxyProtocol::Required).start(&upstreams);
        let mut client = dial(&proxy, header).await;
        client.ask(&Request::upgrade("/")).await;
        let _upstream = upstreams.accept_websocket().await;
        client.expect_switch().await;
        let found = client_of_the_pair(&proxy).await;
        assert_eq!(found, client.address().to_string());
    }
}

/// Whoever is behind a balancer that does not know who that is could have any address.
#[tokio::test]
async fn what_somebody_unknown_says_is_not_the_balancers_word() {
    let request = || Request::upgrade("/").field("X-Forwarded-For", "6.6.6.6");
    let unknown = upgraded(
        behind(ProxyProtocol::Required),
        b"PROXY UNKNOWN\r\n".to_vec(),
        request(),
    );
    let (client, told) = unknown.await;
    assert!(client.starts_with("127.0.0.1:"), "{client}");
    assert_eq!(told, "127.0.0.1");
    // What the balancer itself asks for is its own word.
    let local = upgraded(
        behind(ProxyProtocol::Required),
        Relayed::Local.to_header(ProxyVersion::V2),
        request(),
    );
    assert_eq!(local.await.0, "6.6.6.6");
}

#[tokio::test]
async fn a_unix_socket_behind_the_balancer_has_no_address() {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xd8".to_vec();
    header.extend([0; 216]);
    let forged = Request::upgrade("/").field("X-Forwarded-For", "6.6.6.6");
    let found = upgraded(behind(ProxyProtocol::Required), header, forged).await;
    assert_eq!(found, ("unix".to_owned(), String::new()));
}

/// Header, request and first frame in one segment.
#[tokio::test]
async fn nothing_behind_a_header_is_lost() {
    for version in VERSIONS {
        let upstreams = Upstream::listen();
        let proxy = behind(ProxyProtocol::Optional).start(&upstreams);
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        let frame = [0x82, 0x82, 1, 2, 3, 4, 5, 6];
        let all = [&header(version, BALANCER)[..], request.as_bytes(), &frame].concat();
        let mut client = dial(&proxy, all).await;
        let mut upstream = upstreams.accept_websocket().await;
        client.expect_switch().await;
        upstream.expect_raw(&frame).await;
    }
}

#[tokio::test]
async fn a_header_may_come_in_pieces() {
    for version in VERSIONS {
        let upstreams = Upstream::listen();
        let proxy = behind(ProxyProtocol::Required).start(&upstreams);
        let mut client = proxy.dial().connect().await;
        for byte in header(version, "203.0.113.9:4000") {
            client.send([byte]).await;
        }
        client.ask(&Request::upgrade("/")).await;
        let _upstream = upstreams.accept_websocket().await;
        client.expect_switch().await;
        assert_eq!(client_of_the_pair(&proxy).await, "203.0.113.9:4000");
    }
}

#[tokio::test]
async fn a_header_comes_before_tls() {
    let certs = Certs::generate();
    for version in VERSIONS {
        let upstreams = Upstream::listen();
        let proxy = behind(ProxyProtocol::Required)
            .with(|proxy| proxy.listener_tls = Some(certs.listening()))
            .start(&upstreams);
        let dial = proxy.dial().tls(certs.connecting());
        let mut client = dial
            .preface(header(version, "203.0.113.9:4000"))
            .connect()
            .await;
        client.ask(&Request::upgrade("/")).await;
        let head = upstreams.accept().await.accept_upgrade().await;
        assert_eq!(head.field("x-forwarded-for"), Some("203.0.113.9"));
        client.expect_switch().await;
        assert_eq!(client_of_the_pair(&proxy).await, "203.0.113.9:4000");
    }
}

/// Where TLS ends at the balancer, the client's scheme is not lubdub's.
#[tokio::test]
async fn that_the_client_used_tls_is_told_to_the_upstream() {
    let mut header = header(ProxyVersion::V2, "203.0.113.9:4000");
    header.extend([0x20, 0, 5, 0x01, 0, 0, 0, 1]);
    header[15] += 8;
    let upstreams = Upstream::listen();
    let proxy = behind(ProxyProtocol::Required).start(&upstreams);
    let mut client = dial(&proxy, header).await;
    client.ask(&Request::get("/")).await;
    let head = upstreams.accept().await.expect_head().await;
    assert_eq!(head.field("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn without_a_header_who_may_have_none_is_served() {
    let found = upgraded(
        behind(ProxyProtocol::Optional),
        Vec::new(),
        Request::upgrade("/").field("X-Forwarded-For", CLIENT),
    );
    assert_eq!(found.await.0, CLIENT);
}

#[tokio::test]
async fn where_one_is_required_a_request_is_none() {
    let upstreams = Upstream::listen();
    let proxy = behind(ProxyProtocol::Required).start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::upgrade("/")).await;
    expect_closed(client).await;
    proxy.expect_outcome("bad_request").await;
}

#[tokio::test]
async fn a_strangers_header_is_refused_or_no_header() {
    // Refused before a byte of it is read.
    let upstreams = Upstream::listen();
    let required = behind(ProxyProtocol::Required).with(|proxy| {
        proxy.forwarded.trust.networks.remove(0);
    });
    let proxy = required.start(&upstreams);
    let client = proxy.dial().connect().await;
    expect_closed(client).await;
    proxy.expect_outcome("bad_request").await;

    for version in VERSIONS {
        let upstreams = Upstream::listen();
        let optional = ProxyBox::new().with(|proxy| proxy.proxy_protocol = ProxyProtocol::Optional);
        let proxy = optional.start(&upstreams);
        let mut client = dial(&proxy, header(version, BALANCER)).await;
        client.expect_answer(400).await;
        proxy.expect_outcome("bad_request").await;
        // And where there are none at all.
        let proxy = trusting().start(&upstreams);
        let mut client = dial(&proxy, header(version, BALANCER)).await;
        client.expect_answer(400).await;
    }
}

#[tokio::test]
async fn what_is_no_whole_header_is_closed_and_counted() {
    let v2 = header(ProxyVersion::V2, BALANCER);
    let unknown = [&v2[..12], &[0x31], &v2[13..]].concat();
    for bytes in [
        b"PROXY TCP4 10.0.0.5 198.51.100.2 05 443\r\n".to_vec(),
        format!("PROXY UNKNOWN {}", "x".repeat(100)).into_bytes(),
        unknown,
    ] {
        let upstreams = Upstream::listen();
        let proxy = behind(ProxyProtocol::Optional).start(&upstreams);
        let client = dial(&proxy, bytes).await;
        expect_closed(client).await;
        proxy.expect_outcome("bad_request").await;
    }
    for version in VERSIONS {
        let upstreams = Upstream::listen();
        let proxy = behind(ProxyProtocol::Optional).start(&upstreams);
        let half = &header(version, BALANCER)[..20];
        let mut client = dial(&proxy, half).await;
        client.finish().await;
        expect_closed(client).await;
        proxy.expect_outcome("bad_request").await;
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_to_its_end_has_a_time() {
    for version in VERSIONS {
        for cut in [3, 20] {
            let upstreams = Upstream::listen();
            let proxy = behind(ProxyProtocol::Required)
                .with(|proxy| proxy.timeouts.proxy_header = ms(50))
                .start(&upstreams);
            let client = dial(&proxy, &header(version, BALANCER)[..cut]).await;
            expect_closed(client).await;
            proxy.expect_outcome("request_timeout").await;
        }
    }
}

/// 65,551 bytes are the longest header that there can be.
#[tokio::test]
async fn the_longest_header_passes_and_is_not_kept() {
    let mut long = header(ProxyVersion::V2, "203.0.113.9:4000");
    let rest = usize::from(u16::MAX) - 12;
    long[14..16].copy_from_slice(&[0xff, 0xff]);
    let length = u16::try_from(rest - 3).expect("it is less than 65,535");
    long.push(0xe0);
    long.extend(length.to_be_bytes());
    long.resize(16 + usize::from(u16::MAX), 7);
    let found = upgraded(behind(ProxyProtocol::Required), long, Request::upgrade("/")).await;
    assert_eq!(found.0, "203.0.113.9:4000");
}

/// Health checks: some connect and go, some send a header before they go.
#[tokio::test]
async fn who_connects_and_goes_asked_for_nothing() {
    let certs = Certs::generate();
    for tls in [None, Some(certs.listening())] {
        for header in [Vec::new(), Relayed::Local.to_header(ProxyVersion::V2)] {
            let upstreams = Upstream::listen();
            let proxy = behind(ProxyProtocol::Required)
                .with(|proxy| proxy.listener_tls = tls.clone())
                .start(&upstreams);
            let mut check = dial(&proxy, header).await;
            check.finish().await;
            expect_closed(check).await;
            proxy.expect_metric("connections", &[], 0.0).await;
            let outcomes = proxy.scrape().nonzero("lubdub_handshakes_total", "outcome");
            let amiss = outcomes
                .iter()
                .find(|(outcome, _)| outcome != "client_gone");
            assert_eq!(amiss, None);
        }
    }
}

/// What is smuggled in beside a header is a request, and refused as such.
#[tokio::test]
async fn a_header_is_one_and_at_the_beginning() {
    let v1 = "PROXY TCP4 10.0.0.5 198.51.100.2 5000 443\r\n";
    let forged = "PROXY TCP4 6.6.6.6 198.51.100.2 5000 443\r\n";
    for preface in [
        format!("{v1}{forged}"),
        format!("{v1}GET / HTTP/1.1\r\n{forged}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{forged}\r\n"),
    ] {
        let upstreams = Upstream::listen();
        let proxy = behind(ProxyProtocol::Optional).start(&upstreams);
        let mut client = dial(&proxy, preface).await;
        client.expect_answer(400).await;
        upstreams.expect_nobody(ms(20)).await;
    }
}
