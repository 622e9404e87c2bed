//! The live pairs: who they are, how alive each side is, and how to reach one from outside.

mod census;
mod close;
mod ends;
mod entry;
mod filter;
mod packed;
mod page;
#[cfg(test)]
pub(crate) mod testing;
mod totals;
mod trace;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lubdub_metrics::NamesInUse;

pub(crate) use self::census::Census;
use self::close::Farewells;
pub use self::close::{Closing, Farewell, InvalidFarewell, NoSuchPair};
pub use self::ends::{CloseSender, End, EndNews, EndQuery, Ends, EndsFeed, SeenClose, SideEnd};
pub(crate) use self::entry::Order;
pub use self::entry::{PairEntry, PairNames, SideStatus};
pub use self::filter::PairFilter;
pub use self::page::{Page, PageQuery, Position, Sort};
pub(crate) use self::totals::Totals;
pub use self::totals::{Overview, RTT_BUCKETS, SideOverview};
pub use self::trace::Beat;
pub(crate) use self::trace::{Mark, TraceState};
use crate::address::Address;
use crate::caller::Caller;
use crate::frozen::{Freezer, Frozen, Kept};
use crate::request_id::RequestId;

/// The identity of a pair within one run of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairId(pub u64);

/// All live pairs.
#[derive(Debug)]
pub struct Registry {
    grid: Instant,
    live: Mutex<Live>,
    next: AtomicU64,
    open: AtomicUsize,
    /// What pairs have come to.
    totals: Totals,
    ends: Arc<Ends>,
    farewells: Farewells,
    /// Whom pairs answer that were asked to stand still.
    freezer: Mutex<Option<Freezer>>,
}

/// The pairs that live.
#[derive(Debug, Default)]
struct Live {
    pairs: BTreeMap<PairId, Arc<PairEntry>>,
    census: Census,
}

/// Who a pair is, but for its number.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) names: Arc<PairNames>,
    pub(crate) caller: Caller,
    pub(crate) upstream: Address,
    pub(crate) request: Option<Box<str>>,
    pub(crate) request_id: Option<RequestId>,
    /// What a PROXY header has told beyond addresses.
    pub(crate) proxy_header: Option<Box<str>>,
}

/// Keeps a pair in the registry for as long as it lives.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Arc<Registry>,
    entry: Arc<PairEntry>,
}

// === impl Registry ===

impl Registry {
    /// So many pairs are looked at under one lock.
    const SOME: usize = 256;

    /// An empty one, whose pairs are pinged at moments that they have in common since `grid`.
    pub(crate) fn new(grid: Instant) -> Self {
        Self {
            grid,
            live: Mutex::default(),
            next: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            totals: Totals::new(),
            ends: Arc::new(Ends::new()),
            farewells: Farewells::default(),
            freezer: Mutex::new(None),
        }
    }

    /// Where the moments begin that pairs have in common.
    pub(crate) fn grid(&self) -> Instant {
        self.grid
    }

    /// How many pairs are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Whether no pair is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The live pairs, in the order of their numbers.
    #[must_use]
    pub fn pairs(&self) -> Vec<Arc<PairEntry>> {
        self.walk().flatten().collect()
    }

    /// The live pairs in the order of their numbers, some at a time: who opens or ends must not wait for all of
    /// them to be looked at. Those that open meanwhile are among them.
    pub(crate) fn walk(&self) -> impl Iterator<Item = Vec<Arc<PairEntry>>> {
        let mut behind = PairId(0);
        std::iter::from_fn(move || {
            let some = self.behind(behind, Self::SOME);
            behind = some.last()?.id;
            Some(some)
        })
    }

    /// How many pairs have which name.
    pub(crate) fn census(&self) -> Census {
        self.lock().census.clone()
    }

    /// The pair with this id, if it lives.
    #[must_use]
    pub fn pair(&self, id: PairId) -> Option<Arc<PairEntry>> {
        self.lock().pairs.get(&id).cloned()
    }

    /// How many of these pairs live.
    pub(crate) fn count(&self, pairs: &[PairId]) -> usize {
        // In parts: who opens or ends must not wait for a long list.
        pairs
            .chunks(Self::SOME)
            .map(|some| {
                let live = self.lock();
                some.iter()
                    .filter(|pair| live.pairs.contains_key(pair))
                    .count()
            })
            .sum()
    }

    pub(crate) fn register(self: &Arc<Self>, identity: Identity, opened: Instant) -> Registration {
        let id = PairId(self.next.fetch_add(1, Relaxed) + 1);
        self.totals.opened();
        self.enter(id, identity, opened)
    }

    /// A pair that has its number from another process; new ones are numbered above. `None` if it is
    /// here already.
    pub(crate) fn adopt(
        self: &Arc<Self>,
        id: PairId,
        identity: Identity,
        opened: Instant,
    ) -> Option<Registration> {
        self.next.fetch_max(id.0, Relaxed);
        if self.pair(id).is_some() {
            return None;
        }
        Some(self.enter(id, identity, opened))
    }

    fn enter(self: &Arc<Self>, id: PairId, identity: Identity, opened: Instant) -> Registration {
        let entry = Arc::new(PairEntry::new(id, identity, opened));
        {
            let mut live = self.lock();
            live.pairs.insert(id, Arc::clone(&entry));
            live.census.enter(&entry.names);
        }
        self.open.fetch_add(1, Relaxed);
        Registration {
            registry: Arc::clone(self),
            entry,
        }
    }

    /// The last pairs that have ended.
    #[must_use]
    pub fn ends(&self) -> &Arc<Ends> {
        &self.ends
    }

    /// What pairs have come to since this process started.
    #[must_use]
    pub fn overview(&self) -> Overview {
        self.totals.overview(self.len() as u64)
    }

    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Some pairs with numbers above this one, in their order.
    pub(crate) fn behind(&self, id: PairId, most: usize) -> Vec<Arc<PairEntry>> {
        let live = self.lock();
        let behind = live.pairs.range((Bound::Excluded(id), Bound::Unbounded));
        behind
            .take(most)
            .map(|(_, pair)| Arc::clone(pair))
            .collect()
    }

    /// The highest number that a pair had.
    pub(crate) fn last(&self) -> u64 {
        self.next.load(Relaxed)
    }

    /// New pairs have numbers above this one.
    pub(crate) fn number_from(&self, last: u64) {
        self.next.fetch_max(last, Relaxed);
    }

    /// Tells every live pair.
    pub(crate) fn order_all(&self, order: Order) {
        self.order_those(order, |_| true);
    }

    /// Tells those live pairs of which `are` is true.
    pub(crate) fn order_those(&self, order: Order, are: impl Fn(&PairEntry) -> bool) {
        for pair in self.walk().flatten().filter(|pair| are(pair)) {
            pair.order(order);
        }
    }

    /// Has those live pairs of which `are` is true look at the terms of their route again.
    pub(crate) fn renew_terms(&self, are: impl Fn(&PairEntry) -> bool) {
        for pair in self.walk().flatten().filter(|pair| are(pair)) {
            pair.renew();
        }
    }

    /// Asks these pairs to stand still and to give themselves up. Each answers once, whatever becomes of
    /// it; all answers go to who has asked last.
    pub(crate) fn freeze<'a>(
        &self,
        pairs: impl IntoIterator<Item = &'a Arc<PairEntry>>,
        freezer: Freezer,
    ) {
        *self.freezer() = Some(freezer);
        for pair in pairs {
            pair.ask_to_freeze();
        }
    }

    /// Nobody waits for answers any more.
    pub(crate) fn forget_freezer(&self) {
        *self.freezer() = None;
    }

    fn freezer(&self) -> MutexGuard<'_, Option<Freezer>> {
        self.freezer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names that live pairs have.
    pub(crate) fn names(&self) -> NamesInUse {
        self.lock().census.names()
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        // Nothing that is done under the lock can leave it half changed.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Registration ===

impl Registration {
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    #[cfg(test)]
    pub(crate) fn shared_registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    pub(crate) fn entry(&self) -> &PairEntry {
        &self.entry
    }

    /// What the pair is told to say, if it was told to close.
    pub(crate) fn farewell(&self) -> Option<Arc<Farewell>> {
        self.registry.farewell(self.entry.id)
    }

    /// The pair has ended, and this is what is known of it.
    pub(crate) fn conclude(&self, tell: impl FnOnce(Arc<PairEntry>) -> End) {
        let end = tell(Arc::clone(&self.entry));
        self.registry.totals.ended(end.cause);
        self.registry.ends.add(end);
    }

    /// Who has asked the pair to stand still; to be answered once.
    pub(crate) fn take_freezer(&self) -> Option<Freezer> {
        if !self.entry.take_request_to_freeze() {
            return None;
        }
        self.registry.freezer().clone()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        {
            let mut live = self.registry.lock();
            live.pairs.remove(&self.entry.id);
            live.census.leave(&self.entry.names);
        }
        self.registry.open.fetch_sub(1, Relaxed);
        // Nobody is there to be woken, and who keeps the entry is not to keep the task.
        self.entry.forget_waker();
        if self.entry.ordered() >= Order::Close {
            self.registry.farewells.forget(self.entry.id);
        }
        if let Some(freezer) = self.take_freezer() {
            let _ = freezer.send(Frozen {
                pair: self.entry.id.0,
                outcome: Err(Kept::Ended),
            });
        }
    }
}
