//! Guards the boundary between lubdub's tests and the sockets that they need: scripted endpoints, a
//! proxy in a box, the real program, certificates. No part of the product, and never published.
//!
//! A test reads like the story that it checks: `client.send_text("hello")`,
//! `upstream.expect_close(1001)`. Whatever is expected is waited for, for at most [`PATIENCE`], and
//! what came instead is named where it did not come.

#![forbid(unsafe_code)]

pub mod backend;
pub mod binary;
pub mod certs;
pub mod frame;
pub mod http;
pub mod installed;
pub mod manager;
pub mod memory;
pub mod peer;
pub mod proxy;
pub mod rig;
pub mod scrape;
pub mod tap;
pub mod way;

use std::fmt::Display;
use std::time::Duration;

/// How long anything is waited for before it counts as missing. Far longer than it should take on
/// a busy machine: a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Longer than any test takes: what has this much time is never late.
pub const LONG: Duration = Duration::from_secs(30);

/// So many milliseconds.
#[must_use]
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Waits for `what` until it holds, and panics if it does not in [`PATIENCE`].
///
/// For what cannot be awaited, such as a number that another thread counts.
pub async fn eventually(what: impl Display, mut holds: impl FnMut() -> bool) {
    let began = tokio::time::Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < PATIENCE,
            "{what}: still not so after {PATIENCE:?}"
        );
        tokio::time::sleep(ms(1)).await;
    }
}
