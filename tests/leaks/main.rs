//! Pairs by the thousand, ended in every way, leave nothing behind in the real program: no file
//! descriptor, no pair in the list, no count in the gauge, no memory.
//!
//! `LUBDUB_LEAK_PAIRS` says how many (`make leaks` takes a hundred thousand).

use lubdub_testkit::binary::Binary;
use lubdub_testkit::eventually;
use lubdub_testkit::peer::{Peer, Upstream};
use rustix::process::Signal;

/// How a pair ends, seen from the side that begins it.
#[derive(Debug, Clone, Copy)]
enum Way {
    Closes,
    Finishes,
    Resets,
    Lapses,
}

/// Who begins it.
#[derive(Debug, Clone, Copy)]
enum Who {
    Client,
    Upstream,
}

/// Pairs that live at the same time.
const BATCH: usize = 50;
/// What an allocator may keep for itself, in bytes.
const SLACK: usize = 6 * 1024 * 1024;

#[tokio::test]
async fn endings_of_the_endpoints_leave_nothing_behind() {
    let endings: Vec<_> = [Way::Closes, Way::Finishes, Way::Resets]
        .into_iter()
        .flat_map(|way| [(way, Who::Client), (way, Who::Upstream)])
        .collect();
    nothing_is_left(
        &[
            "keepalive.client.interval=off",
            "keepalive.upstream.interval=off",
        ],
        &endings,
        pairs() * 3 / 4,
    )
    .await;
}

#[tokio::test]
async fn lapsed_clients_leave_nothing_behind() {
    nothing_is_left(
        &[
            "keepalive.client.interval=40ms",
            "keepalive.client.timeout=40ms",
            "keepalive.upstream.interval=off",
        ],
        &[(Way::Lapses, Who::Client)],
        pairs() / 8,
    )
    .await;
}

#[tokio::test]
async fn lapsed_upstreams_leave_nothing_behind() {
    nothing_is_left(
        &[
            "keepalive.upstream.interval=40ms",
            "keepalive.upstream.timeout=40ms",
            "keepalive.client.interval=off",
        ],
        &[(Way::Lapses, Who::Upstream)],
        pairs() / 8,
    )
    .await;
}

fn pairs() -> usize {
    let pairs = std::env::var("LUBDUB_LEAK_PAIRS").map_or(Ok(800), |pairs| pairs.parse());
    pairs.expect("LUBDUB_LEAK_PAIRS is a number")
}

#[expect(
    clippy::print_stdout,
    reason = "what was measured is for whoever ran it to read"
)]
async fn nothing_is_left(settings: &[&str], endings: &[(Way, Who)], pairs: usize) {
    let upstreams = Upstream::listen();
    let mut lubdub = Binary::start(&upstreams, settings).await;
    // What is set up once is set up now.
    for &(way, who) in endings {
        batch(&lubdub, &upstreams, way, who).await;
    }
    let before = Footprint::of(&lubdub).await;
    let batches = pairs.div_ceil(BATCH);
    for &(way, who) in endings.iter().cycle().take(batches) {
        batch(&lubdub, &upstreams, way, who).await;
    }
    let after = Footprint::of(&lubdub).await;

    println!(
        "{} pairs: before {before:?}, after {after:?}",
        batches * BATCH
    );
    // The admin connection that asked is the last to go.
    let told = format!("as many descriptors as in {before:?}");
    eventually(told, || lubdub.descriptors() <= before.descriptors).await;
    assert!(
        after.resident < before.resident + SLACK,
        "resident memory grew from {before:?} to {after:?}"
    );
    let ended = lubdub.scrape().await.sum("lubdub_pairs_closed_total", &[]);
    let expected = (batches + endings.len()) * BATCH;
    assert!(
        (ended - expected as f64).abs() < 0.5,
        "{ended} ends of {expected} pairs"
    );
    lubdub.signal(Signal::TERM);
    assert!(lubdub.expect_exit().await.success());
}

async fn batch(lubdub: &Binary, upstreams: &Upstream, way: Way, who: Who) {
    let mut pairs = Vec::with_capacity(BATCH);
    for _ in 0..BATCH {
        pairs.push(tokio::join!(
            lubdub.dial().websocket(),
            upstreams.accept_websocket()
        ));
    }
    for (client, upstream) in pairs {
        match who {
            Who::Client => end(way, client, upstream, 1001).await,
            Who::Upstream => end(way, upstream, client, 1011).await,
        }
    }
}

/// `code`: with which the far end is told if the near one lapses.
async fn end(way: Way, mut near: Peer, mut far: Peer, code: u16) {
    match way {
        Way::Closes => {
            near.close(1000, "").await;
            far.expect_close(1000).await;
            far.close(1000, "").await;
            near.expect_close(1000).await;
        }
        Way::Finishes => {
            near.finish().await;
            far.expect_eof().await;
        }
        Way::Resets => {
            near.reset();
            far.expect_reset().await;
        }
        Way::Lapses => {
            far.expect_close(code).await;
        }
    }
}

/// What the program has in use.
#[derive(Debug)]
struct Footprint {
    descriptors: usize,
    /// Bytes of memory.
    resident: usize,
}

impl Footprint {
    /// Measured when no pair is left, neither in the list nor in the gauge.
    async fn of(lubdub: &Binary) -> Self {
        let mut left = f64::MAX;
        while left > 0.0 {
            left = lubdub.scrape().await.sum("lubdub_pairs", &[]);
        }
        let (status, pairs) = lubdub.admin("/api/v1/pairs").await;
        assert_eq!(
            (status, pairs.contains("\"total\":0")),
            (200, true),
            "{pairs}"
        );
        // The admin connection that asked is the last to go.
        let few = lubdub.descriptors();
        eventually("the descriptors come to rest", || {
            lubdub.descriptors() <= few
        })
        .await;
        Self {
            descriptors: lubdub.descriptors(),
            resident: lubdub.resident(),
        }
    }
}
