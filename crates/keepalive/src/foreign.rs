//! The endpoints' own pings to one side that are still of interest: an endpoint may leave out the
//! pong to all but the latest of several pings (RFC 6455 5.5.3), and own pings stand among them.

use serde::{Deserialize, Serialize};

use crate::heartbeat::InvalidState;
use crate::stamps::Stamps;

/// The latest foreign ping of each gap between own pings, in stream order. Most sides have none outstanding, and
/// then it is as small as can be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<ForeignPing>", into = "Vec<ForeignPing>")]
pub(crate) struct ForeignPings(Option<Box<Outstanding>>);

/// Those that there are; at least one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Outstanding(Vec<ForeignPing>);

/// Endpoints' pings to a side with nothing of lubdub's between them.
#[derive(Debug, Clone, Copy)]
pub struct PingRow {
    /// So many, the last among them, have the same payload.
    pub same: u32,
    /// There are no others.
    pub is_all: bool,
}

/// The latest foreign ping of a gap.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ForeignPing {
    /// How many own pings stand before it in the stream.
    after: u64,
    payload: Vec<u8>,
    /// How many equal ones came in a row, none of them answered as far as can be told: as many
    /// pongs with this payload have to pass before the latest is known to be answered.
    times: u32,
}

impl ForeignPings {
    /// One gap more than there are unanswered own pings.
    const GAPS: usize = Stamps::COUNT + 1;

    /// RFC 6455 5.5.
    const PAYLOAD_MAX: usize = 125;

    /// Bound of [`heap_size`](Self::heap_size): a vector at most doubles, and so does a buffer of
    /// a payload.
    pub(crate) const HEAP_MAX: usize =
        size_of::<Outstanding>() + 2 * Self::GAPS * (size_of::<ForeignPing>() + Self::PAYLOAD_MAX);

    pub(crate) fn heap_size(&self) -> usize {
        let size = |all: &Outstanding| {
            let payloads = all.0.iter().map(|ping| ping.payload.capacity());
            size_of_val(all) + all.0.capacity() * size_of::<ForeignPing>() + payloads.sum::<usize>()
        };
        self.0.as_deref().map_or(0, size)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it can be what was kept of a stream in which so many own pings stand.
    pub(crate) fn check(&self, own: u64) -> Result<(), InvalidState> {
        let pings = self.0.as_deref().map_or(&[][..], |all| &all.0);
        let is_ordered = pings.is_sorted_by(|one, next| one.after < next.after);
        let fits = |ping: &ForeignPing| {
            ping.after <= own && ping.payload.len() <= Self::PAYLOAD_MAX && ping.times > 0
        };
        if pings.len() <= Self::GAPS && is_ordered && pings.iter().all(fits) {
            return Ok(());
        }
        Err(InvalidState("endpoints' pings that cannot have been kept"))
    }

    /// Some took their places in the stream, behind so many own pings: the last has this payload.
    pub(crate) fn placed(&mut self, after: u64, payload: &[u8], row: PingRow) {
        let Outstanding(pings) = &mut **self.0.get_or_insert_default();
        if let Some(last) = pings.last_mut().filter(|last| last.after == after) {
            if row.is_all && is_same(&last.payload, payload) {
                last.times = last.times.saturating_add(row.same);
            } else {
                last.payload.clear();
                last.payload.extend_from_slice(payload);
                last.times = row.same;
            }
            return;
        }
        if pings.len() == Self::GAPS {
            // The own ping between the oldest and the one after it has been given up, and so is
            // the repair that its pong might have asked for.
            pings.remove(0);
        }
        pings.push(ForeignPing {
            after,
            payload: payload.to_vec(),
            times: row.same,
        });
    }

    /// Forgets those that stand before own ping `sequence`; the most recent of them is the one
    /// whose pong the endpoint may have left out.
    pub(crate) fn settle_before(&mut self, sequence: u64) -> Option<Vec<u8>> {
        let Outstanding(pings) = &mut **self.0.as_mut()?;
        let before = pings.partition_point(|ping| ping.after <= sequence);
        let repair = pings.drain(..before).next_back()?.payload;
        self.release();
        Some(repair)
    }

    /// A pong with this payload passed. Of several pings with it, it answers the oldest, so that too
    /// little is taken as answered rather than too much. Returns how many own pings stand before
    /// that one.
    pub(crate) fn answered(&mut self, payload: &[u8]) -> Option<u64> {
        let Outstanding(pings) = &mut **self.0.as_mut()?;
        let index = pings
            .iter()
            .position(|ping| is_same(&ping.payload, payload))?;
        let ping = &mut pings[index];
        let after = ping.after;
        ping.times -= 1;
        let settled = index + usize::from(ping.times == 0);
        pings.drain(..settled);
        self.release();
        Some(after)
    }

    /// None outstanding, no heap.
    fn release(&mut self) {
        self.0.take_if(|all| all.0.is_empty());
    }
}

impl From<Vec<ForeignPing>> for ForeignPings {
    fn from(pings: Vec<ForeignPing>) -> Self {
        Self((!pings.is_empty()).then(|| Box::new(Outstanding(pings))))
    }
}

impl From<ForeignPings> for Vec<ForeignPing> {
    fn from(pings: ForeignPings) -> Self {
        pings.0.map(|all| all.0).unwrap_or_default()
    }
}

/// Most payloads are empty. Comparing nothing with nothing at the address of an empty vector, which is
/// none, costs some processors 80 ns: it is to be spared a peer's floods.
#[inline]
fn is_same(kept: &[u8], payload: &[u8]) -> bool {
    kept.len() == payload.len() && (kept.is_empty() || kept == payload)
}

impl PingRow {
    /// One alone.
    pub const ONE: Self = Self {
        same: 1,
        is_all: true,
    };
}

// Payloads are the endpoints' business: they are not for logs.
impl std::fmt::Debug for ForeignPing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForeignPing")
            .field("after", &self.after)
            .field("len", &self.payload.len())
            .field("times", &self.times)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_as_good_as_its_pings_one_by_one() {
        let payloads: [&[u8]; 3] = [b"", b"a", b"bb"];
        for n in 0..3_usize.pow(6) {
            let all: Vec<_> = (0..6).map(|place| n / 3_usize.pow(place) % 3).collect();
            let mut one_by_one = ForeignPings::default();
            let mut in_rows = ForeignPings::default();
            for half in all.chunks(3) {
                for &ping in half {
                    one_by_one.placed(7, payloads[ping], PingRow::ONE);
                }
                let last = half[2];
                let same = half.iter().rev().take_while(|&&ping| ping == last).count();
                let row = PingRow {
                    same: u32::try_from(same).unwrap(),
                    is_all: same == half.len(),
                };
                in_rows.placed(7, payloads[last], row);
            }
            assert_eq!(in_rows, one_by_one, "{all:?}");
        }
    }

    #[test]
    fn the_latest_of_each_gap_is_kept_and_no_more_gaps_than_matter() {
        let mut pings = ForeignPings::default();
        for gap in 0..1000_u64 {
            for n in 0..10 {
                pings.placed(gap, &(10 * gap + n).to_be_bytes(), PingRow::ONE);
            }
        }
        let kept = pings.0.as_ref().map(|all| all.0.len());
        assert_eq!(kept, Some(ForeignPings::GAPS));
        assert!(pings.heap_size() <= ForeignPings::HEAP_MAX);
        let latest = 9999_u64.to_be_bytes().to_vec();
        assert_eq!(pings.settle_before(999), Some(latest));
        assert_eq!(pings.heap_size(), 0);
    }
}
