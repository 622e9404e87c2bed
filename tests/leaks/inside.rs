//! What the real program does not tell (`main.rs`), from inside: pairs that have ended in every way
//! leave no task, and not a byte on the heap. And what a drain leaves, which ends all of lubdub.
//!
//! `LUBDUB_LEAK_ENDS` says how many pairs, and upgrades that become none, are measured at least
//! (`make leaks` takes a hundred thousand).
//!
//! Every way is played by lubdubs in this process, one for each set of terms. Their workers, the
//! endpoints and the test share one heap, so this is a program of one test. Memory that C code takes
//! (that of TLS) is not seen here; it is in the resident memory of the real program.

#![forbid(unsafe_code)]

mod endings;
mod failings;
mod ledger;
mod stage;
mod terms;
#[expect(
    dead_code,
    reason = "here all ways are taken as often; their shares are for main.rs"
)]
mod ways;

use futures_util::future::join_all;
use lubdub_keepalive::{Enforce, Side};
use lubdub_proxy::Drained;
use lubdub_proxy::settings::HostPattern;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::eventually;
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};

use crate::endings::Farewell;
use crate::ledger::Ledger;
use crate::stage::{Legs, Stage};
use crate::terms::{FRAME, INTERVAL, ROOM, Terms, WAIT};
use crate::ways::WAYS;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Of each way at once.
const BATCH: usize = 4;
/// Batches of each way before anything is measured: what grows with the first has grown then.
const WARM_UP: usize = 4;
/// Batches of each way before it is seen whether enough have been measured.
const ROUNDS: usize = 4;
/// What the heap may have more afterwards, in bytes, for each pair or upgrade: histograms keep each
/// value until somebody looks, in 16 bytes, and all in all that is 22 of each.
const SLACK_PER_END: usize = 48;

/// Pairs that are drained.
const DRAINED: usize = 8;
/// So many times, after a first that is not measured.
const DRAINS: usize = 3;
/// What the heap may have more after each drain, in bytes: less than those pairs take by far.
const SLACK_OF_DRAIN: usize = 4096;

/// A lubdub with one set of terms.
struct Lodge {
    stage: Stage,
    terms: Terms,
    proxy: RunningProxy,
    ledger: Ledger,
}

#[tokio::test]
async fn neither_tasks_nor_memory_are_left() {
    // Where blocks come from is of no interest here, and finding it out takes most of the time.
    let _profiler = dhat::Profiler::builder()
        .testing()
        .trim_backtraces(Some(0))
        .build();
    no_way_leaves_anything().await;
    no_drain_leaves_anything().await;
}

#[expect(
    clippy::print_stdout,
    reason = "what was measured is for whoever ran it to read"
)]
async fn no_way_leaves_anything() {
    let mut lodges = Vec::new();
    for legs in [Legs::Plain, Legs::Tls] {
        for terms in Terms::ALL {
            lodges.push(Lodge::open(legs, terms).await);
        }
    }
    let tasks_before = tasks(&lodges);
    join_all(lodges.iter_mut().map(|lodge| lodge.play(WARM_UP))).await;
    forget_ends(&lodges);
    let heap_before = heap();
    let warm_up = ends(&lodges);
    let measured = ends_to_measure();
    while ends(&lodges) - warm_up < measured {
        join_all(lodges.iter_mut().map(|lodge| lodge.play(ROUNDS))).await;
    }
    forget_ends(&lodges);
    let (tasks, heap) = (tasks(&lodges), heap());
    let ends = ends(&lodges) - warm_up;
    println!(
        "\n{ends} pairs, and upgrades that became none, in {} lubdubs",
        lodges.len()
    );
    println!("{:14}{:>10}{:>10}", "", "before", "after");
    println!("{:14}{:>10}{tasks:>10}", "tasks", tasks_before);
    println!("{:14}{heap_before:>10}{heap:>10}", "heap, bytes");
    assert!(
        heap <= heap_before + SLACK_PER_END * ends,
        "the heap grew from {heap_before} to {heap} bytes"
    );
    for lodge in &lodges {
        lodge.proxy.expect_no_pairs().await;
        lodge.ledger.assert_counted(&lodge.proxy.scrape());
    }
    for lodge in lodges {
        let has_pairs = matches!(lodge.terms, Terms::Patient);
        let pairs = if has_pairs { DRAINED } else { 0 };
        lodge.drain(Farewell::Answered, pairs).await;
    }
}

async fn no_drain_leaves_anything() {
    for legs in [Legs::Plain, Legs::Tls] {
        for farewell in [Farewell::Answered, Farewell::Ignored] {
            let mut heap = Vec::new();
            for _ in 0..=DRAINS {
                let lodge = Lodge::open(legs, Terms::Patient).await;
                lodge.drain(farewell, DRAINED).await;
                heap.push(self::heap());
            }
            // What others have not come to free grows with one of them, a leak with each.
            let least = heap.windows(2).map(|of| of[1].saturating_sub(of[0])).min();
            assert!(
                least.is_some_and(|least| least <= SLACK_OF_DRAIN),
                "every drain grew the heap: {heap:?} ({legs:?}, {farewell:?})"
            );
        }
    }
}

/// How many pairs, and upgrades that become none, are to be measured.
fn ends_to_measure() -> usize {
    let ends = std::env::var("LUBDUB_LEAK_ENDS").map_or(Ok(1000), |ends| ends.parse());
    ends.expect("LUBDUB_LEAK_ENDS is a number")
}

fn tasks(lodges: &[Lodge]) -> usize {
    lodges.iter().map(|lodge| lodge.proxy.tasks()).sum()
}

/// The last ends are kept on purpose, each with the entry of its pair.
fn forget_ends(lodges: &[Lodge]) {
    for lodge in lodges {
        lodge.proxy.registry().ends().forget();
    }
}

/// Bytes on the heap of this process.
fn heap() -> usize {
    dhat::HeapStats::get().curr_bytes
}

fn ends(lodges: &[Lodge]) -> usize {
    lodges.iter().map(|lodge| lodge.ledger.ends()).sum()
}

// === impl Lodge ===

impl Lodge {
    async fn open(legs: Legs, terms: Terms) -> Self {
        // Until they are 256, the sessions that a listener keeps would look like something left behind.
        let certs = Certs::generate().without_sessions();
        let stage = Stage::set(legs, certs, ROOM.into()).await;
        let proxy = ProxyBox::new().with(|proxy| {
            proxy.host = Some(HostPattern::new(&terms.host()));
            proxy.timeouts.request_head = WAIT;
            proxy.drain.timeout = WAIT;
            if legs == Legs::Tls {
                proxy.listener_tls = Some(stage.certs.listening());
                proxy.upstream_tls = Some(stage.certs.verifying());
            }
        });
        let proxy = settle(proxy, terms).start_before(stage.address(terms.behind()));
        Self {
            stage,
            terms,
            proxy,
            ledger: Ledger::default(),
        }
    }

    /// Plays every way on its terms, so many batches of each.
    async fn play(&mut self, rounds: usize) {
        let dial = self.stage.dial(self.proxy.address());
        for _ in 0..rounds {
            for way in WAYS.iter().filter(|way| way.terms == self.terms) {
                let played = self.stage.play(way, BATCH, &dial).await;
                self.at_rest().await;
                self.ledger.enter(&played);
            }
        }
    }

    /// Drains it with so many more pairs.
    async fn drain(self, farewell: Farewell, pairs: usize) {
        let Self { stage, proxy, .. } = self;
        let dial = stage.dial(proxy.address());
        let drained = (stage.play_drain(farewell, pairs, &dial, proxy.drain())).await;
        assert_eq!(
            drained,
            match farewell {
                Farewell::Answered => Drained::Clean,
                Farewell::Ignored => Drained::Cut(pairs),
            }
        );
        proxy.expect_no_pairs().await;
        let by_drain = [("cause", "drain")];
        proxy
            .expect_metric("pairs_closed_total", &by_drain, pairs as f64)
            .await;
        eventually("no task is left", || proxy.tasks() == 0).await;
    }

    /// Waits until it has no pair, and no more tasks than it was started with: one that accepts, and one
    /// that looks after the budgets.
    ///
    /// Without a look at the metrics: what they free then is freed by whichever thread gets to it, in
    /// its own time.
    async fn at_rest(&self) {
        let what = format!("all tasks but two have ended on the terms {:?}", self.terms);
        eventually(what, || {
            self.proxy.registry().is_empty() && self.proxy.tasks() == 2
        })
        .await;
    }
}

fn settle(proxy: ProxyBox, terms: Terms) -> ProxyBox {
    match terms {
        Terms::Patient | Terms::Nobody => proxy,
        Terms::ClientPinged => pings(proxy, Side::Client),
        Terms::UpstreamPinged => pings(proxy, Side::Upstream),
        Terms::Stalling => proxy.terms(|terms| terms.write_stall = Some(WAIT)),
        Terms::Closing => proxy.terms(|terms| terms.close = WAIT),
        Terms::Idle => proxy.terms(|terms| terms.data_idle = Some(WAIT)),
        Terms::Mortal => proxy.terms(|terms| terms.lifetime = Some(WAIT)),
        Terms::Frames => proxy.terms(|terms| terms.frame_bytes = Some(FRAME.into())),
        Terms::Answering => proxy.terms(|terms| terms.answer = WAIT),
        Terms::Deaf => proxy.terms(|terms| terms.connect = WAIT),
        Terms::Full => proxy.with(|proxy| proxy.route_pairs = Some(ROOM.into())),
        Terms::Crowded => proxy.with(|proxy| proxy.limits.pairs = ROOM.into()),
    }
}

fn pings(proxy: ProxyBox, side: Side) -> ProxyBox {
    proxy.policy(side, INTERVAL, WAIT, |policy| {
        policy.enforce = Enforce::Learned;
    })
}
