//! The live pairs: who they are, how alive each side is, and how to reach one from outside.

mod entry;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lubdub_metrics::NamesInUse;

pub(crate) use self::entry::Order;
pub use self::entry::{PairEntry, PairNames, SideStatus};
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
    pairs: Mutex<BTreeMap<PairId, Arc<PairEntry>>>,
    next: AtomicU64,
    open: AtomicUsize,
    /// Whom pairs answer that were asked to stand still.
    freezer: Mutex<Option<Freezer>>,
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
    /// An empty one, whose pairs are pinged at moments that they have in common since `grid`.
    pub(crate) fn new(grid: Instant) -> Self {
        Self {
            grid,
            pairs: Mutex::default(),
            next: AtomicU64::new(0),
            open: AtomicUsize::new(0),
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

    /// The live pairs, oldest first.
    #[must_use]
    pub fn pairs(&self) -> Vec<Arc<PairEntry>> {
        self.lock().values().cloned().collect()
    }

    /// The pair with this id, if it lives.
    #[must_use]
    pub fn pair(&self, id: PairId) -> Option<Arc<PairEntry>> {
        self.lock().get(&id).cloned()
    }

    /// How many pairs each upstream has that has some.
    pub(crate) fn pairs_by_upstream(&self) -> BTreeMap<Arc<str>, usize> {
        // In parts: who opens or ends must not wait for a long walk.
        const PART: usize = 256;
        let mut pairs = BTreeMap::<Arc<str>, usize>::new();
        let mut last = PairId(0);
        loop {
            let some = self.behind(last, PART);
            for pair in &some {
                match pairs.get_mut(&pair.names.upstream) {
                    Some(count) => *count += 1,
                    None => drop(pairs.insert(Arc::clone(&pair.names.upstream), 1)),
                }
            }
            match some.last() {
                Some(pair) => last = pair.id,
                None => return pairs,
            }
        }
    }

    /// How many of these pairs live.
    pub(crate) fn count(&self, pairs: &[PairId]) -> usize {
        // In parts: who opens or ends must not wait for a long list.
        pairs
            .chunks(256)
            .map(|some| {
                let live = self.lock();
                some.iter().filter(|pair| live.contains_key(pair)).count()
            })
            .sum()
    }

    pub(crate) fn register(self: &Arc<Self>, identity: Identity, opened: Instant) -> Registration {
        let id = PairId(self.next.fetch_add(1, Relaxed) + 1);
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
        self.lock().insert(entry.id, Arc::clone(&entry));
        self.open.fetch_add(1, Relaxed);
        Registration {
            registry: Arc::clone(self),
            entry,
        }
    }

    /// Some pairs with numbers above this one, in their order.
    pub(crate) fn behind(&self, id: PairId, most: usize) -> Vec<Arc<PairEntry>> {
        let pairs = self.lock();
        let behind = pairs.range((Bound::Excluded(id), Bound::Unbounded));
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
        for pair in self.pairs().iter().filter(|pair| are(pair)) {
            pair.order(order);
        }
    }

    /// Has those live pairs of which `are` is true look at the terms of their route again.
    pub(crate) fn renew_terms(&self, are: impl Fn(&PairEntry) -> bool) {
        for pair in self.pairs().iter().filter(|pair| are(pair)) {
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
        let mut names = NamesInUse::default();
        for pair in self.lock().values() {
            let all = [
                (&mut names.listeners, &pair.names.listener),
                (&mut names.routes, &pair.names.route),
                (&mut names.upstreams, &pair.names.upstream),
            ];
            for (names, name) in all {
                if !names.contains(name) {
                    names.insert(Arc::clone(name));
                }
            }
        }
        names
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PairId, Arc<PairEntry>>> {
        // Nothing that is done under the lock can leave the map half changed.
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.registry.lock().remove(&self.entry.id);
        self.registry.open.fetch_sub(1, Relaxed);
        if let Some(freezer) = self.take_freezer() {
            let _ = freezer.send(Frozen {
                pair: self.entry.id.0,
                outcome: Err(Kept::Ended),
            });
        }
    }
}
