//! The same over TLS: on either leg, or on both.

mod clients;
mod files;
mod renewal;
mod sessions;
mod strangers;
mod upstream_sessions;
mod upstreams;

use lubdub_keepalive::Side;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Dial, Upstream};
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;
use tokio::time::Instant;

/// Which legs are encrypted.
#[derive(Debug, Clone, Copy)]
struct Legs {
    client: bool,
    upstream: bool,
}

const EVERY_MIX: [Legs; 3] = [
    Legs {
        client: true,
        upstream: false,
    },
    Legs {
        client: false,
        upstream: true,
    },
    Legs {
        client: true,
        upstream: true,
    },
];

/// A pair over these legs.
async fn open(proxy: ProxyBox, legs: Legs) -> Rig {
    let certs = Certs::generate();
    let mut upstream = Upstream::listen();
    if legs.upstream {
        upstream = upstream.tls(certs.accepting());
    }
    let proxy = proxy.with(|proxy| {
        proxy.listener_tls = legs.client.then(|| certs.listening());
        proxy.upstream_tls = legs.upstream.then(|| certs.verifying());
    });
    let dial = |dial: Dial| {
        if legs.client {
            dial.tls(certs.connecting())
        } else {
            dial
        }
    };
    Rig::open_with(proxy, &upstream, dial).await
}

#[tokio::test]
async fn frames_and_heartbeats_pass_over_tls() {
    for legs in EVERY_MIX {
        let proxy = ProxyBox::new().ping(Side::Client, ms(20), ms(1000)).ping(
            Side::Upstream,
            ms(20),
            ms(1000),
        );
        let Rig {
            proxy,
            mut client,
            mut upstream,
        } = open(proxy, legs).await.polite();
        let large = Frame::binary(vec![b'l'; 1_000_000]);
        let (up, down) = (client.encode(&large), upstream.encode(&large));
        tokio::join!(client.send(&up), upstream.expect_raw(&up));
        tokio::join!(upstream.send(&down), client.expect_raw(&down));
        client.leave_pings();
        upstream.leave_pings();
        tokio::join!(client.answer_next_pings(5), upstream.answer_next_pings(5));
        for side in Side::BOTH {
            let of_side = [("side", side.as_str())];
            proxy
                .expect_at_least("pongs_received_total", &of_side, 5.0)
                .await;
            proxy
                .expect_at_least("ping_rtt_seconds_count", &of_side, 1.0)
                .await;
        }
        client.answer_pings();
        upstream.answer_pings();
        client.close(1000, "done").await;
        upstream.expect_close(1000).await;
        upstream.close(1000, "").await;
        client.expect_close(1000).await;
        upstream.finish().await;
        client.expect_eof().await;
        client.finish().await;
        upstream.expect_eof().await;
        proxy.expect_ended("client_closed").await;
    }
}

#[tokio::test]
async fn a_lapse_is_told_over_tls() {
    let legs = Legs {
        client: true,
        upstream: true,
    };
    let proxy = ProxyBox::new().ping(Side::Client, ms(50), ms(100));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = open(proxy, legs).await;
    upstream.expect_close(1001).await;
    upstream.close(1001, "").await;
    upstream.expect_eof().await;
    drop(upstream);
    proxy.expect_ended("client_lapsed").await;
    client.expect_reset_behind_frames().await;
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_end() {
    for side in Side::BOTH {
        let legs = Legs {
            client: true,
            upstream: true,
        };
        let rig = open(ProxyBox::new(), legs).await;
        let (proxy, mut near, mut far) = rig.near_and_far(side);
        near.send_text("my last words").await;
        near.hang_up();
        far.expect_text("my last words").await;
        far.expect_eof().await;
        far.finish().await;
        proxy.expect_ended(&format!("{side}_eof")).await;
    }
}

#[tokio::test]
async fn the_upstream_is_told_that_the_client_came_over_tls() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.listener_tls = Some(certs.listening()))
        .start(&upstreams);
    let mut client = proxy.dial().tls(certs.connecting()).connect().await;
    client.ask(&Request::upgrade("/")).await;
    let head = upstreams.accept().await.expect_head().await;
    assert_eq!(head.field("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn a_tls_handshake_is_waited_for_only_so_long() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| {
            proxy.listener_tls = Some(certs.listening());
            proxy.timeouts.tls = ms(200);
        })
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let began = Instant::now();
    // The first bytes of a ClientHello.
    client.send(b"\x16\x03\x01\x02\x00").await;
    client.expect_end().await;
    assert!(began.elapsed() >= ms(200), "after {:?}", began.elapsed());
    proxy.expect_outcome("request_timeout").await;
}

#[tokio::test]
async fn an_upstream_whose_certificate_is_not_trusted_is_not_talked_to() {
    let (theirs, ours) = (Certs::generate(), Certs::generate());
    let upstreams = Upstream::listen().tls(theirs.accepting());
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.upstream_tls = Some(ours.verifying()))
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::upgrade("/")).await;
    let refused = async {
        client.expect_answer(502).await;
    };
    tokio::join!(refused, upstreams.expect_no_handshake());
    proxy.expect_outcome("connect_failed").await;
}
