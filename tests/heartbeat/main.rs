//! The heartbeat as the endpoints meet it: who is pinged when and where in the stream, whose pongs
//! pass, and who is given up when.

mod lapses;
mod pings;
mod pongs;
mod slow;
mod traces;

use std::time::Duration;

use lubdub_testkit::ms;

/// A timeout within which nobody answers.
const SHORT: Duration = ms(200);
