//! What the admin interface says, as types: those who answer write them, the commands read them, and the
//! description of the interface is made from them.
//!
//! Moments are seconds since 1970, durations are seconds; what is not known is null.

mod end;
mod events;
mod history;
mod pair;
mod problem;
mod sort;
mod status;
mod words;

use std::time::{Duration, SystemTime};

pub(crate) use self::end::{Close, End, Ends};
pub(crate) use self::events::LeftOut;
pub(crate) use self::history::{History, Sample};
pub(crate) use self::pair::{
    Beat, BeatState, Client, Pair, PairTrace, Pairs, Side, Trace, Upstream,
};
pub(crate) use self::problem::Problem;
pub(crate) use self::sort::Sort;
pub(crate) use self::status::{
    Budget, Certificate, Drain, DrainState, Drains, Lapses, LastReload, Listener, PerSide,
    ReloadOutcome, RoundTrips, Route, SideLapses, Status, Totals, UpstreamStatus,
};
pub(crate) use self::words::{CauseWord, CloseCode, Span};

/// A moment, as a number.
pub(crate) fn moment(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs_f64()
}
