//! Clients that take places and time, and those that come after them.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::rig::Rig;
use lubdub_testkit::way;
use lubdub_testkit::{PATIENCE, ms};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::stage::silent;

/// More than there are places for handshakes: 512 in what is not told otherwise.
const FLOOD: usize = 600;
/// A place whose client keeps lubdub waiting is given to others after a second; the rest is for a
/// busy machine.
const SOON: Duration = ms(2500);

/// 600 connections that have said so much.
async fn flood(address: SocketAddr, words: &[u8]) -> Vec<TcpStream> {
    let mut flood = Vec::with_capacity(FLOOD);
    for _ in 0..FLOOD {
        let mut one = TcpStream::connect(address)
            .await
            .expect("the accept queue has room for it");
        one.write_all(words)
            .await
            .expect("a connection takes its first bytes");
        flood.push(one);
    }
    flood
}

/// The program with its own file limit, and none of the waits shortened: whoever is kept out, is
/// kept out for ten seconds.
#[tokio::test]
async fn who_says_little_does_not_keep_others_out() {
    if way::is_unix() {
        // The flood is one of TCP.
        return;
    }
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    for words in [
        &b""[..],
        b"G",
        b"GET / HTTP/1.1\r\nHost: lubdub.example\r\nX-",
    ] {
        let flood = flood(lubdub.address(), words).await;
        let began = Instant::now();
        let (mut newcomer, mut its_upstream) = lubdub.pair(&upstreams).await;
        let took = began.elapsed();
        assert!(took < SOON, "behind {FLOOD} x {words:?} it took {took:?}");
        newcomer.send_text("hello").await;
        its_upstream.expect_text("hello").await;
        // And who was there before has not noticed.
        client.send_text("still").await;
        upstream.expect_text("still").await;
        upstream.send_text("here").await;
        client.expect_text("here").await;
        drop(flood);
    }
}

/// A head of 64 KiB, almost.
fn large() -> Vec<u8> {
    Request::get("/")
        .field("X-Large", &"x".repeat(63 * 1024))
        .encode()
}

#[tokio::test]
async fn a_large_head_that_trickles_is_cut() {
    let upstreams = Upstream::listen();
    let proxy = silent()
        .with(|proxy| proxy.timeouts.request_head = ms(500))
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let began = Instant::now();
    let mut said = 0;
    for byte in large() {
        if !client.try_send([byte]).await {
            break;
        }
        said += 1;
        tokio::time::sleep(ms(5)).await;
    }
    let took = began.elapsed();
    assert!((ms(500)..ms(2500)).contains(&took), "after {took:?}");
    assert!(said < 1000, "{said} bytes were taken");
    client.expect_end().await;
    proxy.expect_outcome("request_timeout").await;
}

/// As fast as it can: what has come is not read anew for each byte.
#[tokio::test]
async fn a_large_head_in_single_bytes_arrives() {
    let upstreams = Upstream::listen();
    let proxy = silent().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let began = Instant::now();
    for byte in large() {
        client.send([byte]).await;
    }
    let mut upstream = upstreams.accept().await;
    upstream.expect_bytes(large()).await;
    assert!(began.elapsed() < PATIENCE, "after {:?}", began.elapsed());
}

/// Own words for a head that is too large come without waiting for its end.
#[tokio::test]
async fn a_head_without_an_end_is_refused_at_its_limit() {
    let upstreams = Upstream::listen();
    let proxy = silent().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let endless = [
        b"GET / HTTP/1.1\r\nX-Large: ".to_vec(),
        vec![b'x'; 64 * 1024],
    ]
    .concat();
    client.send(endless).await;
    client.expect_answer(431).await;
    client.expect_eof().await;
    proxy.expect_outcome("bad_request").await;
}

/// Who behaves is served while all places but its own are kept by pairs to be.
#[tokio::test]
async fn upstreams_that_do_not_answer_keep_no_pair_from_going_on() {
    let upstreams = Upstream::listen();
    let proxy = silent()
        .with(|proxy| proxy.limits.handshakes = NonZeroUsize::new(8).expect("8 is not 0"))
        .terms(|terms| terms.answer = ms(500));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open_with(proxy, &upstreams, |dial| dial).await;
    let mut asking = Vec::new();
    for _ in 0..16 {
        let mut one = proxy.dial().connect().await;
        one.ask(&Request::upgrade("/")).await;
        asking.push(one);
    }
    client.send_text("still").await;
    upstream.expect_text("still").await;
    for one in &mut asking {
        one.expect_answer(504).await;
    }
    proxy
        .expect_metric("handshakes_total", &[("outcome", "answer_timeout")], 16.0)
        .await;
}
