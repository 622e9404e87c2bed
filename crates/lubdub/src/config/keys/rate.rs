//! Keys that say how fast a pair relays.

use super::{Applies, Example, Key, Kind, Preset, Section};

const BYTES: Key = Key::new(
    "bytes",
    Kind::ByteRateOrOff,
    Preset::text("off"),
    "bytes a second for each pair, such as 1MiB/s",
)
.more("With the headers of frames; lubdub's own pings and pongs do not count.");

const MESSAGES: Key = Key::new(
    "messages",
    Kind::RateOrOff,
    Preset::text("off"),
    "messages a second for each pair, such as 50/s",
)
.more("A message counts with its first frame, and goes on to its end. Pings, pongs and Closes are none.");

/// `route.NAME.rate.to_client`
pub(super) static TO_CLIENT: Section = Section {
    path: "route.NAME.rate.to_client",
    about: "How fast each pair of this route relays to its client. Nothing is lost: what is beyond the \
            rate is not read yet, and its sender is told to wait. A burst may be what a second brings. \
            Plain requests have no rate.",
    example: Example::Commented,
    applies: Applies::NewPairs,
    keys: &[BYTES, MESSAGES],
};

/// `route.NAME.rate.to_upstream`
pub(super) static TO_UPSTREAM: Section = Section {
    path: "route.NAME.rate.to_upstream",
    about: "The same toward the upstream: how fast a client may send.",
    example: Example::Commented,
    applies: Applies::NewPairs,
    keys: &[BYTES, MESSAGES],
};
