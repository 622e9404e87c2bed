//! Shutdown: everybody is told at the next frame boundary, and who does not listen is cut.

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lubdub_keepalive::{PerSide, Side};
use lubdub_proxy::Drained;
use lubdub_proxy::settings::CloseReason;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{LONG, ms};
use tokio::time::Instant;

#[tokio::test]
async fn a_drain_tells_both_ends() {
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(ProxyBox::new()).await;
    let ends = async {
        let close = client.expect_close(1012).await;
        assert_eq!(close.close().1, "restarting");
        let close = upstream.expect_close(1001).await;
        assert_eq!(close.close().1, "restarting");
        client.close(1012, "").await;
        upstream.close(1001, "").await;
        client.expect_eof().await;
        upstream.expect_eof().await;
        drop((client, upstream));
    };
    let (drained, ()) = tokio::join!(proxy.drain(), ends);
    assert_eq!(drained, Drained::Clean);
    proxy.expect_ended("drain").await;
    proxy.expect_metric("draining", &[], 1.0).await;
}

#[tokio::test]
async fn a_close_is_a_code_alone_to_the_side_that_is_to_have_no_reason() {
    for side in Side::BOTH {
        let proxy = ProxyBox::new().terms(|terms| terms.close_reasons[side] = CloseReason::Off);
        let Rig {
            proxy,
            mut client,
            mut upstream,
        } = Rig::open(proxy).await;
        let ends = async {
            let to_client = client.expect_close(1012).await.payload;
            let to_upstream = upstream.expect_close(1001).await.payload;
            drop((client, upstream));
            PerSide {
                client: to_client,
                upstream: to_upstream,
            }
        };
        let (_, told) = tokio::join!(proxy.drain(), ends);
        assert_eq!(told[side].len(), 2, "{told:?}");
        assert_eq!(&told[side.other()][2..], b"restarting");
    }
}

#[tokio::test]
async fn a_drain_waits_for_the_frame_in_progress() {
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(ProxyBox::new()).await;
    let frame = client.encode(&Frame::text("in progress"));
    let (front, back) = frame.split_at(8);
    client.send(front).await;
    upstream.expect_bytes(front).await;
    let ends = async {
        client.expect_close(1012).await;
        upstream.expect_silence(ms(50)).await;
        client.send(back).await;
        upstream.expect_bytes(back).await;
        upstream.expect_close(1001).await;
        client.finish().await;
        upstream.finish().await;
        client.expect_eof().await;
        upstream.expect_eof().await;
        drop((client, upstream));
    };
    let (drained, ()) = tokio::join!(proxy.drain(), ends);
    assert_eq!(drained, Drained::Clean);
    proxy.expect_ended("drain").await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_frame_for_ever() {
    let proxy = ProxyBox::new().terms(|terms| terms.close = ms(200));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let frame = client.encode(&Frame::text("in progress"));
    client.send(&frame[..8]).await;
    upstream.expect_bytes(&frame[..8]).await;
    let ends = async {
        client.expect_close(1012).await;
        upstream.expect_reset().await;
        client.expect_eof().await;
        drop((client, upstream));
    };
    let (drained, ()) = tokio::join!(proxy.drain(), ends);
    assert_eq!(drained, Drained::Clean);
    proxy.expect_ended("drain").await;
}

#[tokio::test]
async fn who_does_not_listen_is_cut_at_the_drain_timeout() {
    let proxy = ProxyBox::new()
        .terms(|terms| terms.close = LONG)
        .with(|proxy| proxy.drain.timeout = ms(200));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let began = Instant::now();
    assert_eq!(proxy.drain().await, Drained::Cut(1));
    assert!(
        (ms(200)..ms(2000)).contains(&began.elapsed()),
        "after {:?}",
        began.elapsed()
    );
    client.expect_close(1012).await;
    upstream.expect_close(1001).await;
    client.expect_end().await;
    upstream.expect_end().await;
    proxy.expect_ended("drain").await;
}

#[tokio::test]
async fn endpoints_that_are_saying_farewell_are_left_to_it() {
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(ProxyBox::new()).await;
    client.close(4000, "").await;
    upstream.expect_close(4000).await;
    let ends = async {
        upstream.expect_silence(ms(50)).await;
        upstream.close(4000, "").await;
        client.expect_close(4000).await;
        drop((client, upstream));
    };
    let (drained, ()) = tokio::join!(proxy.drain(), ends);
    assert_eq!(drained, Drained::Clean);
    proxy.expect_ended("client_closed").await;
}

#[tokio::test]
async fn new_clients_are_let_in_during_the_delay_and_not_after_it() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.drain.delay = ms(300))
        .start(&upstreams);
    let drain = proxy.drain();
    let clients = async {
        proxy.expect_metric("draining", &[], 1.0).await;
        let (mut client, mut upstream) = proxy.pair(&upstreams).await;
        client.expect_close(1012).await;
        upstream.expect_close(1001).await;
        assert!(
            proxy.dial().open().await.is_err(),
            "nobody listens any more"
        );
        drop((client, upstream));
    };
    let (drained, ()) = tokio::join!(drain, clients);
    assert_eq!(drained, Drained::Clean);
}

#[tokio::test]
async fn farewells_are_spread() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.drain.spread = ms(400))
        .start(&upstreams);
    let mut pairs = Vec::new();
    for _ in 0..16 {
        pairs.push(proxy.pair(&upstreams).await);
    }
    let began = Instant::now();
    let ends = async {
        let mut told = Vec::new();
        let mut waiting = tokio::task::JoinSet::new();
        for (mut client, upstream) in pairs {
            waiting.spawn(async move {
                client.expect_close(1012).await;
                drop(upstream);
                began.elapsed()
            });
        }
        while let Some(at) = waiting.join_next().await {
            told.push(at.expect("every client is told"));
        }
        told
    };
    let (drained, told) = tokio::join!(proxy.drain(), ends);
    assert_eq!(drained, Drained::Clean);
    // Each has a slot of its own in it (more of that in binary/drains.rs).
    assert!(told.iter().any(|at| *at < ms(200)), "{told:?}");
    assert!(told.iter().any(|at| *at >= ms(200)), "{told:?}");
}

#[tokio::test]
async fn who_waits_at_a_socket_of_somebody_elses_is_left_to_the_next() {
    let upstreams = Upstream::listen();
    let socket = Arc::new(TcpListener::bind("127.0.0.1:0").expect("loopback has free ports"));
    let start = || {
        let proxy = ProxyBox::new().with(|proxy| {
            proxy.limits.connections = NonZeroUsize::MIN;
            proxy.drain.timeout = ms(200);
            proxy.socket = Some(Arc::clone(&socket));
        });
        proxy.start(&upstreams)
    };
    let first = start();
    let (_slow, _upstream, _) = first.dial().ask(&Request::upgrade("/"), &upstreams).await;
    // There is no place for this one: the kernel has accepted it, and lubdub has not.
    let mut eager = first.dial().connect().await;
    eager.ask(&Request::upgrade("/")).await;
    // So nobody makes room before the listener is closed.
    assert_eq!(first.drain().await, Drained::Clean);
    let _second = start();
    let mut upstream = upstreams.accept_websocket().await;
    eager.expect_switch().await;
    eager.send_text("hello").await;
    upstream.expect_text("hello").await;
}
