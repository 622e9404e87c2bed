//! File descriptors that ran out. Whoever needs one waits for it: a client to be accepted, and one that
//! was for its upstream.

use std::time::Duration;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::way::Port;
use lubdub_testkit::{eventually, ms};
use tokio::time::Instant;

/// A lubdub with a pair, and with a client that it let in with its last descriptor.
struct Dearth {
    lubdub: Binary,
    pair: (Peer, Peer),
    upstreams: Upstream,
    /// Has asked for an upgrade, for which there is no connection to the upstream.
    waiting: Peer,
    /// It was not let in before.
    since: Instant,
}

/// `timeouts.connect`, where it is waited for in vain.
const CONNECT: Duration = ms(1000);
/// So much earlier what is wrong is told.
const TOLD_BEFORE: Duration = ms(200);
/// A worker takes a few turns from a request to the connection to the upstream.
const TURNS: usize = 20;
/// Some more tries, of which there are ten in a second.
const QUIET: Duration = ms(300);

/// A client that was let in with the last descriptor was told at once that the upstream was at
/// fault.
#[tokio::test]
async fn who_was_let_in_with_the_last_descriptor_waits_for_another() {
    let mut dearth = Dearth::before("127.0.0.1", &[]).await;
    dearth.go_on().await;
    dearth.end_the_pair().await;
    dearth.expect_another_pair().await;
}

/// Names are resolved with descriptors, too, and who had none left took the name for a wrong one.
#[tokio::test]
async fn who_was_let_in_with_the_last_descriptor_waits_for_a_name_as_well() {
    let mut dearth = Dearth::before("localhost", &[]).await;
    dearth.go_on().await;
    dearth.lubdub.leave_all_descriptors();
    dearth.expect_another_pair().await;
    dearth.end_the_pair().await;
}

/// If nobody gives a descriptor back, what is wrong is said in the end, and no earlier.
#[tokio::test]
async fn who_waits_for_a_descriptor_in_vain_is_told_so_in_the_end() {
    let connect = format!("timeouts.connect={CONNECT:?}");
    let mut dearth = Dearth::before("127.0.0.1", &[&connect]).await;
    dearth.waiting.expect_answer(502).await;
    let waited = dearth.since.elapsed();
    assert!(waited >= CONNECT - TOLD_BEFORE, "after {waited:?}");
    dearth.end_the_pair().await;
    dearth
        .expect_outcomes(&[("connect_failed", 1.0), ("upgraded", 1.0)])
        .await;
}

/// Without a descriptor to find out with, an upstream on another host was taken for lubdub itself, if its port
/// had the number of one of lubdub's: 508.
#[tokio::test]
async fn an_upstream_with_a_port_like_lubdubs_own_is_not_taken_for_lubdub() {
    let held = Port::hold().expect("loopback has a free port");
    let port = held.address.port();
    let lubdub = Binary::start_with(&[
        &format!("listen.other.address=0.0.0.0:{port}"),
        // TEST-NET-2 of RFC 5737 is nobody's.
        &format!("upstream.main.url=ws://198.51.100.1:{port}"),
        &format!("timeouts.connect={CONNECT:?}"),
    ])
    .await;
    lubdub.leave_descriptors(1);
    let mut client = lubdub.dial().connect().await;
    client.ask(&Request::get("/")).await;
    client.expect_silence(QUIET).await;
    lubdub.leave_all_descriptors();
    // Whether there is a way to there or not.
    let status = client.expect_head().await.status();
    assert!([502, 504].contains(&status), "{status}");
}

impl Dearth {
    /// Begins with an upstream that is called so.
    async fn before(host: &str, settings: &[&str]) -> Self {
        let upstreams = Upstream::listen();
        let url = format!(
            "upstream.main.url=ws://{host}:{}",
            upstreams.address().port()
        );
        // One worker, so that who hears from a pair knows that the others had their turn, too.
        let mut all = vec![url.as_str(), "runtime.workers=1"];
        all.extend(settings);
        let lubdub = Binary::start_with(&all).await;
        let idle = lubdub.descriptors();
        let pair = lubdub.pair(&upstreams).await;
        eventually("the pair has its two", || lubdub.descriptors() == idle + 2).await;

        lubdub.leave_descriptors(0);
        let mut waiting = lubdub.dial().connect().await;
        waiting.ask(&Request::upgrade("/")).await;
        lubdub
            .expect_logged("cannot accept; live pairs go on, new connections wait")
            .await;
        assert_eq!(lubdub.descriptors(), idle + 2, "there is none left");
        let since = Instant::now();
        lubdub.leave_descriptors(1);
        eventually("the client has the last one", || {
            lubdub.descriptors() == idle + 3
        })
        .await;
        Self {
            lubdub,
            pair,
            upstreams,
            waiting,
            since,
        }
    }

    /// The pair goes on as ever, and the client that waits hears nothing.
    async fn go_on(&mut self) {
        let (client, upstream) = &mut self.pair;
        for _ in 0..TURNS {
            client.send_text("hello").await;
            upstream.expect_text("hello").await;
        }
        self.waiting.expect_silence(QUIET).await;
    }

    async fn end_the_pair(&mut self) {
        let (client, upstream) = &mut self.pair;
        client.finish().await;
        upstream.expect_eof().await;
        upstream.finish().await;
        client.expect_eof().await;
    }

    /// The client that waited has got its upstream, and no other answer than its 101.
    async fn expect_another_pair(&mut self) {
        let (_, mut upstream) = tokio::join!(
            self.waiting.expect_switch(),
            self.upstreams.accept_websocket()
        );
        self.waiting.send_text("hello").await;
        upstream.expect_text("hello").await;
        self.expect_outcomes(&[("upgraded", 2.0)]).await;
    }

    /// How the handshakes went.
    async fn expect_outcomes(&self, outcomes: &[(&str, f64)]) {
        let scrape = self.lubdub.scrape().await;
        let outcomes = outcomes.iter().map(|&(name, n)| (name.to_owned(), n));
        assert_eq!(
            scrape.sums("lubdub_handshakes_total", "outcome"),
            outcomes.collect(),
            "how handshakes went"
        );
    }
}
