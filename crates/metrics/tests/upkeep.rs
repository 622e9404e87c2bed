//! Observations of histograms do not pile up while nobody scrapes, if upkeep is called.
//!
//! Alone in its file, thus in its process, because it looks at the memory of the whole process.
#![cfg(target_os = "linux")]

use std::fs;

use lubdub_metrics::{BuildInfo, Histogram, Metrics, Names};

const OBSERVATIONS: u32 = 1_000_000;
/// An observation is a value and a time.
const BYTES_EACH: u64 = 16;

#[test]
fn observations_do_not_pile_up_between_scrapes() {
    let build = BuildInfo {
        version: "0.0.0",
        revision: "unknown",
    };
    let names = Names {
        listeners: &["public"],
        routes: &["chat"],
        upstreams: &["chat"],
    };
    let metrics = Metrics::new(build, names).unwrap();
    let rtt = metrics.route("chat").unwrap().client.ping_rtt.clone();

    let with_upkeep = growth(|| observe(&rtt, || metrics.upkeep()));
    let without = growth(|| observe(&rtt, || ()));

    let pile = u64::from(OBSERVATIONS) * BYTES_EACH;
    assert!(without >= pile, "the measure sees a pile: {without} bytes");
    assert!(with_upkeep < pile / 4, "grew by {with_upkeep} bytes");

    let count = format!(
        "lubdub_ping_rtt_seconds_count{{route=\"chat\",side=\"client\"}} {}",
        2 * OBSERVATIONS
    );
    assert!(metrics.render().lines().any(|line| line == count));
}

/// Records all observations, with a pause for upkeep after every thousandth.
fn observe(histogram: &Histogram, mut pause: impl FnMut()) {
    for n in 1..=OBSERVATIONS {
        histogram.record(0.02);
        if n % 1000 == 0 {
            pause();
        }
    }
}

/// By how many bytes the resident memory grows meanwhile.
fn growth(action: impl FnOnce()) -> u64 {
    let before = resident_bytes();
    action();
    resident_bytes().saturating_sub(before)
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("it has a resident size");
    let kibibytes = line.trim().trim_end_matches(" kB").parse::<u64>();
    kibibytes.expect("it is in kB") * 1024
}
