//! What the program has in use, before and after.

use std::time::Duration;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::ms;
use tokio::time::{Instant, sleep};

/// What it has in use while it has nothing to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    pub(crate) descriptors: usize,
    /// Pairs in the list that its admin listener gives.
    pub(crate) listed: u64,
    /// Pairs in the gauge, too many or too few, of all listeners and routes.
    pub(crate) gauge: f64,
    /// Bytes of memory.
    pub(crate) resident: usize,
}

/// What has not become less for so long will not. The allocator gives back what has been free for
/// a second (crates/lubdub/src/allocator.rs).
const REST: Duration = Duration::from_secs(4);

/// A line of the table: how it is called, and its value.
pub(crate) type Row = (&'static str, fn(&Footprint) -> String);

impl Footprint {
    pub(crate) const ROWS: [Row; 4] = [
        ("file descriptors", |of| of.descriptors.to_string()),
        ("pairs in /api/v1/pairs", |of| of.listed.to_string()),
        ("lubdub_pairs", |of| of.gauge.to_string()),
        ("resident memory, KiB", |of| {
            (of.resident / 1024).to_string()
        }),
    ];

    /// Measures at rest: with no pair left, and when neither descriptors nor memory become less.
    ///
    /// # Panics
    /// If there are pairs that do not end.
    pub(crate) async fn at_rest(lubdub: &Binary) -> Self {
        lubdub.expect_pairs(0).await;
        let series = lubdub.scrape().await.nonzero("lubdub_pairs", "route");
        // One too few on one route must not make up for one too many on another.
        let gauge = series.iter().fold(0.0, |sum, (_, value)| sum + value.abs());
        let listed = lubdub.told("/api/v1/pairs?limit=0").await["total"].as_u64();
        let mut lowest = (lubdub.descriptors(), lubdub.resident());
        let mut since = Instant::now();
        while since.elapsed() < REST {
            sleep(ms(20)).await;
            let now = (lubdub.descriptors(), lubdub.resident());
            if now.0 < lowest.0 || now.1 < lowest.1 {
                lowest = (lowest.0.min(now.0), lowest.1.min(now.1));
                since = Instant::now();
            }
        }
        let (descriptors, resident) = lowest;
        Self {
            descriptors,
            listed: listed.expect("a number"),
            gauge,
            resident,
        }
    }
}
