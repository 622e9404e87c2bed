//! A page of the live pairs: those that somebody wants to see, in the order that they want.
//!
//! Who opens or ends must not wait for who looks, and nobody must wait for a long list on the same thread. So
//! the pairs are gone through in parts, each under the lock by itself, with a pause for others behind it; of all
//! that were seen only the best are kept.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lubdub_keepalive::Side;
use tokio::task::yield_now;

use super::{PairEntry, PairFilter, PairId, Registry};

/// Which pairs, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// Pairs to which this applies.
    pub filter: PairFilter,
    /// Pairs of which this side is silent longer than the other.
    pub silent: Option<Side>,
    /// Pairs of which a side is silent for at least so long: the one that `silent` says, or any.
    pub silent_for: Option<Duration>,
    /// In this order.
    pub sort: Sort,
    /// At most so many.
    pub limit: usize,
    /// Only those behind this one.
    pub after: Option<Position>,
}

/// The order of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Those that opened first, first.
    #[default]
    Oldest,
    /// Those that opened last, first.
    Newest,
    /// Those of which a side is silent for longest, first: the one that the query says, or any.
    Silence,
    /// Those with the longest latest round trip, first. Those without one are last.
    Rtt,
    /// Those with the most bytes relayed, first.
    Bytes,
}

/// Where a pair stands in an order. It says nothing to who keeps it, and is of use with the same query only. What
/// the order goes by changes: a pair may be on two pages, or on none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// What the order goes by, so that less stands in front.
    pub key: u64,
    /// Its number, where that is the same.
    pub pair: PairId,
}

/// Some pairs, and how many there are.
#[derive(Debug)]
pub struct Page {
    /// All live pairs.
    pub total: usize,
    /// Those that the query is about, on whichever page they are.
    pub matched: usize,
    /// Those on this page, in the order of the query.
    pub pairs: Vec<Arc<PairEntry>>,
    /// Behind what the next page begins, if there is one.
    pub next: Option<Position>,
}

/// A pair, and where it stands.
struct Ranked {
    at: Position,
    pair: Arc<PairEntry>,
}

impl Registry {
    /// The pairs that a query is about. It gives way to others on the same thread again and again.
    pub async fn page(&self, query: &PageQuery, now: Instant) -> Page {
        let mut best = BinaryHeap::new();
        let (mut matched, mut behind) = (0, 0);
        for some in self.walk() {
            for pair in some {
                if !query.takes(&pair, now) {
                    continue;
                }
                matched += 1;
                let at = query.position(&pair, self.grid());
                if query.after.is_some_and(|after| at <= after) {
                    continue;
                }
                behind += 1;
                let is_full = best.len() == query.limit;
                if is_full && best.peek().is_none_or(|last: &Ranked| at > last.at) {
                    continue;
                }
                best.push(Ranked { at, pair });
                if is_full {
                    best.pop();
                }
            }
            yield_now().await;
        }
        let best = best.into_sorted_vec();
        let next = best.last().map(|last| last.at);
        Page {
            total: self.len(),
            matched,
            next: next.filter(|_| behind > best.len()),
            pairs: best.into_iter().map(|ranked| ranked.pair).collect(),
        }
    }
}

impl PageQuery {
    fn takes(&self, pair: &PairEntry, now: Instant) -> bool {
        if !self.filter.takes(pair) {
            return false;
        }
        let is_quieter = |side: Side| pair.last_heard(side) < pair.last_heard(side.other());
        let is_silent = |least: Duration| {
            let heard = self.heard(pair);
            now.saturating_duration_since(heard) >= least
        };
        self.silent.is_none_or(is_quieter) && self.silent_for.is_none_or(is_silent)
    }

    /// When the side was last heard whose silence counts.
    fn heard(&self, pair: &PairEntry) -> Instant {
        match self.silent {
            Some(side) => pair.last_heard(side),
            None => (pair.last_heard(Side::Client)).min(pair.last_heard(Side::Upstream)),
        }
    }

    /// Where a pair stands. Times count from `origin`.
    fn position(&self, pair: &PairEntry, origin: Instant) -> Position {
        let most_first = |value: u64| u64::MAX - value;
        let key = match self.sort {
            Sort::Oldest => pair.id.0,
            Sort::Newest => most_first(pair.id.0),
            Sort::Silence => {
                let heard = self.heard(pair).saturating_duration_since(origin);
                u64::try_from(heard.as_nanos()).unwrap_or(u64::MAX)
            }
            Sort::Rtt => {
                let rtt = |side| pair.last_rtt(side).unwrap_or_default();
                let longest = rtt(Side::Client).max(rtt(Side::Upstream));
                most_first(u64::try_from(longest.as_micros()).unwrap_or(u64::MAX))
            }
            Sort::Bytes => most_first(pair.bytes(Side::Client) + pair.bytes(Side::Upstream)),
        };
        Position { key, pair: pair.id }
    }
}

// === impl Ranked ===

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Ranked {}

impl Default for PageQuery {
    /// The first thousand of all, oldest first.
    fn default() -> Self {
        Self {
            filter: PairFilter::default(),
            silent: None,
            silent_for: None,
            sort: Sort::default(),
            limit: 1000,
            after: None,
        }
    }
}

#[cfg(test)]
mod tests;
