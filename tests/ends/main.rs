//! How pairs end: by their endpoints, whose farewells are theirs alone, and by lubdub, which says a
//! farewell of its own at a frame boundary.

mod drain;
mod farewells;
mod limits;
mod survivors;

use std::time::Duration;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(30);
