//! The live pairs: who they are, how alive each side is, and how to reach one from outside.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use lubdub_keepalive::{PerSide, Side, Vitals};
use lubdub_metrics::NamesInUse;

use crate::address::{Address, Peer};
use crate::caller::{Caller, ClientAddress};
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

/// One live pair, as it is seen from outside its task.
#[derive(Debug)]
pub struct PairEntry {
    /// Its identity.
    pub id: PairId,
    /// Where it came in, the route that the request took, and where that leads.
    pub names: Arc<PairNames>,
    /// The client's true address.
    pub client: ClientAddress,
    /// The upstream's address.
    pub upstream: Address,
    /// What the log may tell of the request, if anything.
    pub request: Option<Box<str>>,
    /// When the 101 was relayed.
    pub opened: Instant,
    status: PerSide<Status>,
    /// The latest round trip in microseconds; `u32::MAX` while there is none.
    rtt: PerSide<AtomicU32>,
    /// The number that the request's id is made of; 0 for none.
    request_number: u64,
    /// What most pairs have nothing of.
    beside: Option<Box<Beside>>,
    order: AtomicU8,
    /// A reload has changed the terms on which its route's pairs live.
    has_renewal: AtomicBool,
    /// It was asked to stand still, and has not answered.
    is_to_freeze: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// What is known of a pair beyond what all have.
#[derive(Debug)]
struct Beside {
    /// The other end of the client's connection, where that is not the client.
    peer: Option<Peer>,
    /// What the request is called, where that is not a number of this process.
    request_id: Option<Box<str>>,
    /// What a PROXY header has told beyond addresses.
    proxy_header: Option<Box<str>>,
}

/// What a listener is called, a route, and its upstream: one of these is shared by all pairs that they
/// have in common.
#[derive(Debug, PartialEq, Eq)]
pub struct PairNames {
    /// The configured name of the listener that accepted the client.
    pub listener: Arc<str>,
    /// The configured name of the route.
    pub route: Arc<str>,
    /// That of the upstream.
    pub upstream: Arc<str>,
}

/// What a pair's task publishes about a side. Read without a lock: each number is true, all of
/// them together may be of two moments.
#[derive(Debug, Default)]
struct Status {
    /// Nanoseconds after `opened`.
    last_heard: AtomicU64,
    /// Small, for the room: after four thousand million pings these stand still.
    pings_sent: AtomicU32,
    pongs_received: AtomicU32,
    bytes: AtomicU64,
    frames: AtomicU64,
}

/// How alive a side is, at the moment of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideStatus {
    /// Time since bytes were last read from the side, or since the pair opened.
    pub silent_for: Duration,
    /// The latest round trip, once there was one.
    pub last_rtt: Option<Duration>,
    /// Own pings written to the side.
    pub pings_sent: u64,
    /// Own pings that the side answered.
    pub pongs_received: u64,
    /// Bytes relayed from the side.
    pub bytes: u64,
    /// Frames relayed from the side.
    pub frames: u64,
}

/// What a pair is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Order {
    /// Nothing.
    None,
    /// Say farewell to both sides, now.
    Drain,
    /// End now.
    Cut,
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
        let Identity {
            names,
            caller,
            upstream,
            request,
            request_id,
            proxy_header,
        } = identity;
        let (number, request_id) = match request_id {
            None => (0, None),
            Some(RequestId::Made(number)) => (number, None),
            Some(id @ RequestId::Kept(_)) => (0, Some(id.to_string().into_boxed_str())),
        };
        let peer = (!caller.is_peer()).then_some(caller.peer);
        let beside = peer.is_some() || request_id.is_some() || proxy_header.is_some();
        let beside = beside.then(|| {
            Box::new(Beside {
                peer,
                request_id,
                proxy_header,
            })
        });
        let entry = Arc::new(PairEntry {
            id,
            names,
            client: caller.client,
            upstream,
            request,
            opened,
            status: PerSide::default(),
            rtt: PerSide::from_fn(|_| AtomicU32::new(u32::MAX)),
            request_number: number,
            beside,
            order: AtomicU8::new(Order::None as u8),
            has_renewal: AtomicBool::new(false),
            is_to_freeze: AtomicBool::new(false),
            waker: Mutex::new(None),
        });
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
            pair.has_renewal.store(true, Ordering::Release);
            pair.wake();
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
            pair.is_to_freeze.store(true, Ordering::Release);
            pair.wake();
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

// === impl PairEntry ===

impl PairEntry {
    /// Who is calling.
    #[must_use]
    pub fn caller(&self) -> Caller {
        let client = self.client;
        let another = self.beside.as_ref().and_then(|beside| beside.peer);
        let peer = match (another, client) {
            (Some(peer), _) => peer,
            (None, ClientAddress::Socket(address)) => Peer::Ip(address),
            (None, ClientAddress::Ip(_) | ClientAddress::Unix) => Peer::Unix,
        };
        Caller { peer, client }
    }

    /// What the request is called, if it is called anything.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        match self.request_number {
            0 => (self.beside.as_ref()?.request_id.as_deref()).map(str::to_owned),
            number => Some(RequestId::Made(number).to_string()),
        }
    }

    /// What a PROXY header has told of the client's connection beyond addresses.
    #[must_use]
    pub fn proxy_header(&self) -> Option<&str> {
        self.beside.as_ref()?.proxy_header.as_deref()
    }

    /// How alive a side is.
    #[must_use]
    pub fn status(&self, side: Side, now: Instant) -> SideStatus {
        let status = &self.status[side];
        let heard = self.opened + Duration::from_nanos(status.last_heard.load(Relaxed));
        let rtt = self.rtt[side].load(Relaxed);
        SideStatus {
            silent_for: now.saturating_duration_since(heard),
            last_rtt: (rtt != u32::MAX).then(|| Duration::from_micros(rtt.into())),
            pings_sent: status.pings_sent.load(Relaxed).into(),
            pongs_received: status.pongs_received.load(Relaxed).into(),
            bytes: status.bytes.load(Relaxed),
            frames: status.frames.load(Relaxed),
        }
    }

    /// Publishes how a side's heartbeat goes. Called by the pair's own task only.
    pub(crate) fn publish_heartbeat(&self, side: Side, vitals: &Vitals) {
        let status = &self.status[side];
        if let Some(rtt) = vitals.rtt {
            let micros = u32::try_from(rtt.last().as_micros()).unwrap_or(u32::MAX - 1);
            self.rtt[side].store(micros, Relaxed);
        }
        let small = |count| u32::try_from(count).unwrap_or(u32::MAX);
        status.pings_sent.store(small(vitals.pings_sent), Relaxed);
        status
            .pongs_received
            .store(small(vitals.pongs_received), Relaxed);
    }

    /// Publishes what came from a side, last so long after the pair opened. Called by the pair's
    /// own task only, with every message.
    pub(crate) fn publish_traffic(&self, side: Side, heard: Duration, bytes: u64, frames: u64) {
        let status = &self.status[side];
        let heard = u64::try_from(heard.as_nanos()).unwrap_or(u64::MAX);
        status.last_heard.store(heard, Relaxed);
        status.bytes.store(bytes, Relaxed);
        status.frames.store(frames, Relaxed);
    }

    /// Tells the pair; a stronger order replaces a weaker one.
    pub(crate) fn order(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker() {
            waker.wake_by_ref();
        }
    }

    /// Whether there is something that the pair has been told and has to look at.
    pub(crate) fn has_orders(&self) -> bool {
        self.ordered() != Order::None || self.has_renewal.load(Relaxed)
    }

    /// Whether the terms of the route have changed since this was asked last.
    pub(crate) fn take_renewal(&self) -> bool {
        self.has_renewal.load(Relaxed) && self.has_renewal.swap(false, Ordering::AcqRel)
    }

    /// What the pair has been told.
    pub(crate) fn ordered(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::None,
            1 => Order::Drain,
            _ => Order::Cut,
        }
    }

    /// Whom to wake when there is an order. To be set before looking for one.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        *self.waker() = Some(waker.clone());
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
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
        let asked = &self.entry.is_to_freeze;
        if !asked.load(Relaxed) || !asked.swap(false, Ordering::AcqRel) {
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
