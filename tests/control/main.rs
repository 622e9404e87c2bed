//! What an operator is told of a running proxy, and what they may do to one pair of it.

mod close;
mod inventory;

use std::time::Duration;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(30);
