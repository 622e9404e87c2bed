//! Figures go on where those of an earlier process ended.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, UNIX_EPOCH};

use lubdub_metrics::Pause;

use super::super::counters::{self, Counted};
use super::super::message::Success;
use super::exclusion::started;

/// Seconds of a pause were lost until there were as many as the earlier process had.
#[test]
fn pauses_are_added_to_those_of_an_earlier_process() {
    let (old, new) = (started(), started());
    let pause_for = |proxy: &crate::Proxy, seconds: u64| {
        let paused = &proxy.shared().paused[Pause::Files as usize];
        paused.fetch_add(seconds * 1_000_000, Relaxed);
    };
    pause_for(&old, 100);
    let mut counted = Counted::default();
    counters::add(&new.shared().metrics, counted.added(&old.shared().metrics));
    pause_for(&new, 2);
    for _ in 0..2 {
        let text = new.shared().metrics.render();
        let line = "lubdub_accept_paused_seconds_total{reason=\"files\"} 102";
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn the_later_success_of_an_upstream_counts_whoever_saw_it() {
    let (old, new) = (started(), started());
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let [old, new] = [&old, &new].map(|proxy| &proxy.shared().metrics);
    assert_eq!(counters::successes(old), [], "never");
    let known = new.upstream("upstream").unwrap();
    for (earlier, own, expected) in [(1000, None, 1000), (2000, Some(3000), 3000)] {
        old.upstream("upstream").unwrap().succeeded(at(earlier));
        if let Some(own) = own {
            known.succeeded(at(own));
        }
        counters::add_successes(new, &counters::successes(old));
        assert_eq!(known.last_success(), Some(at(expected)));
    }
    // Of what this process does not know, and of what no clock says, nothing comes.
    let strange = ["gone", "upstream"].map(|upstream| Success {
        upstream: upstream.to_owned(),
        at_ms: u64::MAX * u64::from(upstream == "gone"),
    });
    counters::add_successes(new, &strange);
    assert_eq!(known.last_success(), Some(at(3000)));
}
