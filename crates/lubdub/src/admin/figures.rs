//! What the proxy has counted, as it is told.

use std::collections::BTreeMap;

use lubdub_metrics::{Cause, Diagnosis, PING_SECONDS};
use lubdub_proxy::registry::{Overview, SideOverview};

use crate::api::{Lapses, PerSide, SideLapses};

/// The upper bounds of round trips that are counted together, in seconds.
pub(super) fn bounds() -> Vec<f64> {
    PING_SECONDS.to_vec()
}

/// Ends by cause, as far as `is_told` says of their number.
pub(super) fn ended(overview: &Overview, is_told: impl Fn(u64) -> bool) -> BTreeMap<String, u64> {
    Cause::ALL
        .into_iter()
        .map(|cause| (cause.as_str().to_owned(), overview.ended[cause as usize]))
        .filter(|(_, count)| is_told(*count))
        .collect()
}

/// Lapses of each side.
pub(super) fn lapses(overview: &Overview) -> Lapses {
    let of = |side: &SideOverview| SideLapses {
        unknown: side.lapses[Diagnosis::Unknown as usize],
        network: side.lapses[Diagnosis::Network as usize],
        application: side.lapses[Diagnosis::Application as usize],
    };
    PerSide {
        client: of(&overview.sides.client),
        upstream: of(&overview.sides.upstream),
    }
}

/// Round trips of each side, by the bound that they are under.
pub(super) fn round_trips(overview: &Overview) -> PerSide<Vec<u64>> {
    PerSide {
        client: overview.sides.client.rtts.to_vec(),
        upstream: overview.sides.upstream.rtts.to_vec(),
    }
}
