//! Pairs by the thousand, ended in every way (`ways.rs`), and upgrades that never become one, leave
//! nothing behind in the real program: no file descriptor, no pair in the list, no count in the
//! gauge, no memory. Each is counted by the name of its end. At last a drain ends the program, and
//! the pairs that it still has.
//!
//! `LUBDUB_LEAK_PAIRS` says how many (`make leaks` takes a hundred thousand). Tasks are counted, and
//! every byte of the heap, in a run of its own (`inside.rs`): the program does not tell.

#[expect(dead_code, reason = "who ignores a drain makes it long: inside.rs")]
mod endings;
mod failings;
mod footprint;
mod ledger;
mod names;
mod program;
mod stage;
mod terms;
mod ways;

use lubdub_metrics::Cause;
use lubdub_testkit::binary::Binary;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::eventually;
use lubdub_testkit::peer::Dial;
use rustix::process::Signal;

use crate::endings::Farewell;
use crate::footprint::Footprint;
use crate::ledger::Ledger;
use crate::stage::{Legs, Played, Stage};
use crate::ways::{WAYS, Way, What};

/// Pairs that live at the same time, at most.
const BATCH: usize = 50;
/// Pairs that the program has room for: more than any way needs, but the one that is about it.
const ROOM_IN_ALL: usize = 60;
/// How much memory may grow, in bytes: it was up to 450 KiB in runs of 2,000 to 100,000, and not
/// more in long ones, so that this is what the allocator keeps for itself.
const SLACK: usize = 768 * 1024;
/// And this for each pair or upgrade that was measured: less than the smallest block that could be
/// forgotten of each, with what the allocator adds to it. It tells in long runs; in short ones, the
/// heap is weighed from inside.
const SLACK_PER_END: usize = 16;

/// A run: a program, who talks to it, and what it must have counted.
struct Run {
    stage: Stage,
    lubdub: Binary,
    dial: Dial,
    ledger: Ledger,
}

#[tokio::test]
async fn pairs_over_tcp_leave_nothing_behind() {
    nothing_is_left(Legs::Plain, pairs() * 3 / 4).await;
}

#[tokio::test]
async fn pairs_over_tls_leave_nothing_behind() {
    nothing_is_left(Legs::Tls, pairs() / 4).await;
}

#[test]
fn shares_of_pairs_are_those_of_a_thousand() {
    let pairs = WAYS.iter().filter(|way| matches!(way.what, What::Pair(..)));
    assert_eq!(pairs.map(|way| way.share).sum::<usize>(), 1000);
}

#[test]
fn every_end_that_has_a_name_is_in_the_table() {
    names::assert_complete();
}

fn pairs() -> usize {
    let pairs = std::env::var("LUBDUB_LEAK_PAIRS").map_or(Ok(2000), |pairs| pairs.parse());
    pairs.expect("LUBDUB_LEAK_PAIRS is a number")
}

async fn nothing_is_left(legs: Legs, pairs: usize) {
    let mut run = Run::start(legs).await;
    // What is set up once is set up now, and memory has had its largest batches.
    run.play(pairs, BATCH).await;
    let before = Footprint::at_rest(&run.lubdub).await;
    let warm_up = run.ledger.ends();
    run.play(pairs, usize::MAX).await;
    let after = Footprint::at_rest(&run.lubdub).await;

    let ends = run.ledger.ends() - warm_up;
    let allowed = SLACK + SLACK_PER_END * ends;
    tell(
        &format!(
            "{} pairs and {} upgrades that became none, legs {legs:?}, {ends} of them measured",
            run.ledger.pairs, run.ledger.upgrades
        ),
        [before, after],
        allowed,
    );
    assert_eq!(after.descriptors, before.descriptors, "file descriptors");
    for at_rest in [before, after] {
        assert_eq!(at_rest.listed, 0, "pairs in the list");
        assert!(at_rest.gauge.abs() < 0.5, "pairs in the gauge");
    }
    assert!(
        after.resident <= before.resident + allowed,
        "resident memory grew by more than {allowed} bytes"
    );
    run.drain(after.descriptors).await;
}

#[expect(
    clippy::print_stdout,
    reason = "what was measured is for whoever ran it to read"
)]
fn tell(what: &str, [before, after]: [Footprint; 2], allowed: usize) {
    println!("\n{what}\n{:26}{:>8}{:>8}", "", "before", "after");
    for (name, value) in Footprint::ROWS {
        println!("{name:26}{:>8}{:>8}", value(&before), value(&after));
    }
    println!("{:26}{:>8}{:>+8}", "allowed", "", allowed / 1024);
}

// === impl Run ===

impl Run {
    async fn start(legs: Legs) -> Self {
        let stage = Stage::set(legs, Certs::generate(), ROOM_IN_ALL).await;
        let lubdub = program::start(&stage).await;
        Self {
            dial: stage.dial(lubdub.address()),
            stage,
            lubdub,
            ledger: Ledger::default(),
        }
    }

    /// Plays each way as often as its share of `pairs` says, but once at least, and `at_most` so
    /// often.
    async fn play(&mut self, pairs: usize, at_most: usize) {
        let times = |way: &Way| (pairs * way.share / 1000).clamp(1, at_most);
        let mut left: Vec<_> = WAYS.iter().map(|way| (way, times(way))).collect();
        while !left.is_empty() {
            for (way, left) in &mut left {
                let batch = BATCH.min(*left);
                *left -= batch;
                let played = self.stage.play(way, batch, &self.dial).await;
                self.lubdub.expect_pairs(0).await;
                self.ledger.enter(&played);
            }
            left.retain(|(_, left)| *left > 0);
        }
    }

    /// Drains the program, pairs and all. At rest it has so many descriptors.
    async fn drain(mut self, at_rest: usize) {
        // It is owed an answer to whatever it asks, and keeps the program from its end.
        let silent = Dial::to(self.lubdub.address()).connect().await;
        let order = async { self.lubdub.signal(Signal::TERM) };
        let farewell = Farewell::Answered;
        (self.stage.play_drain(farewell, BATCH, &self.dial, order)).await;
        self.lubdub.expect_pairs(0).await;
        eventually("there is the silent client, and no listener", || {
            self.lubdub.descriptors() == at_rest
        })
        .await;
        self.ledger.enter(&Played {
            ended: Some((Cause::Drain, BATCH)),
            ..Played::default()
        });
        self.ledger.assert_counted(&self.lubdub.scrape().await);
        drop(silent);
        assert!(self.lubdub.expect_exit().await.success());
    }
}
