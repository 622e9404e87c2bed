//! One live pair, as it is seen from outside its task.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use lubdub_keepalive::{PerSide, Side, Vitals};

use super::packed::Packed;
use super::trace::{Beat, Mark, Trace, TraceState};
use super::{Identity, PairId, SideEnd};
use crate::address::{Address, Peer};
use crate::caller::{Caller, ClientAddress};
use crate::request_id::RequestId;

/// One live pair, as it is seen from outside its task.
#[derive(Debug)]
pub struct PairEntry {
    /// Its identity.
    pub id: PairId,
    /// Where it came in, the route that the request took, and where that leads.
    pub names: Arc<PairNames>,
    client: Packed<ClientAddress>,
    upstream: Packed<Address>,
    /// What the log may tell of the request, if anything.
    pub request: Option<Box<str>>,
    /// When the 101 was relayed.
    pub opened: Instant,
    status: PerSide<Status>,
    /// The latest round trip in microseconds; `u32::MAX` while there is none.
    rtt: PerSide<AtomicU32>,
    trace: Box<PerSide<Trace>>,
    /// The number that the request's id is made of; 0 for none.
    request_number: u64,
    /// What most pairs have nothing of.
    beside: Option<Box<Beside>>,
    order: AtomicU8,
    /// A reload has changed the terms on which its route's pairs live.
    has_renewal: AtomicBool,
    /// It was asked to stand still, and has not answered.
    is_to_freeze: AtomicBool,
    /// Its closing handshake has begun, or it was told to.
    is_closing: AtomicBool,
    /// One bit for each side that is not read because it has used up its rate.
    held: AtomicU8,
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
    /// It is not read at the moment, because it has used up its rate.
    pub is_held: bool,
}

/// What a pair is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Order {
    /// Nothing.
    None,
    /// Say farewell to both sides, now.
    Drain,
    /// The same, with words that were chosen: [`Registration::farewell`](super::Registration::farewell).
    Close,
    /// End now.
    Cut,
}

// === impl PairNames ===

impl PairNames {
    /// Whether they are these, as far as somebody wants certain ones.
    pub(crate) fn are(
        &self,
        listener: &Option<Arc<str>>,
        route: &Option<Arc<str>>,
        upstream: &Option<Arc<str>>,
    ) -> bool {
        let is = |wanted: &Option<Arc<str>>, name: &Arc<str>| {
            wanted.as_ref().is_none_or(|wanted| wanted == name)
        };
        is(listener, &self.listener) && is(route, &self.route) && is(upstream, &self.upstream)
    }
}

// === impl PairEntry ===

impl PairEntry {
    /// The room that the trace of both sides takes, in a block of its own: one of the allocator's classes.
    #[cfg(test)]
    pub(crate) const TRACE: usize = size_of::<PerSide<Trace>>();

    pub(super) fn new(id: PairId, identity: Identity, opened: Instant) -> Self {
        let Identity {
            names,
            caller,
            upstream,
            request,
            request_id,
            proxy_header,
        } = identity;
        let (request_number, request_id) = match request_id {
            None => (0, None),
            Some(RequestId::Made(number)) => (number, None),
            Some(id @ RequestId::Kept(_)) => (0, Some(id.to_string().into_boxed_str())),
        };
        let peer = (!caller.is_peer()).then_some(caller.peer);
        let has_more = peer.is_some() || request_id.is_some() || proxy_header.is_some();
        let beside = has_more.then(|| {
            Box::new(Beside {
                peer,
                request_id,
                proxy_header,
            })
        });
        Self {
            id,
            names,
            client: caller.client.into(),
            upstream: upstream.into(),
            request,
            opened,
            status: PerSide::default(),
            rtt: PerSide::from_fn(|_| AtomicU32::new(u32::MAX)),
            trace: Box::default(),
            request_number,
            beside,
            order: AtomicU8::new(Order::None as u8),
            has_renewal: AtomicBool::new(false),
            is_to_freeze: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            held: AtomicU8::new(0),
            waker: Mutex::new(None),
        }
    }

    /// One that has ended after it `lived` so long, in another process.
    pub(crate) fn past(
        id: PairId,
        identity: Identity,
        opened: Instant,
        lived: Duration,
        sides: &PerSide<SideEnd>,
    ) -> Self {
        let entry = Self::new(id, identity, opened);
        for side in Side::BOTH {
            let was = sides[side].status;
            entry.set_heartbeats(side, was.pings_sent, was.pongs_received);
            let heard = lived.saturating_sub(was.silent_for);
            entry.publish_traffic(side, heard, was.bytes, was.frames);
            if let Some(rtt) = was.last_rtt {
                entry.set_last_rtt(side, rtt);
            }
        }
        entry
    }

    /// The client's true address.
    #[must_use]
    pub fn client(&self) -> ClientAddress {
        self.client.get()
    }

    /// The upstream's address.
    #[must_use]
    pub fn upstream(&self) -> Address {
        self.upstream.get()
    }

    /// Who is calling.
    #[must_use]
    pub fn caller(&self) -> Caller {
        let client = self.client();
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
        SideStatus {
            silent_for: now.saturating_duration_since(self.last_heard(side)),
            last_rtt: self.last_rtt(side),
            pings_sent: status.pings_sent.load(Relaxed).into(),
            pongs_received: status.pongs_received.load(Relaxed).into(),
            bytes: self.bytes(side),
            frames: status.frames.load(Relaxed),
            is_held: self.held.load(Relaxed) & held_bit(side) != 0,
        }
    }

    /// When bytes were last read from a side, or the pair opened.
    #[must_use]
    pub fn last_heard(&self, side: Side) -> Instant {
        self.opened + Duration::from_nanos(self.status[side].last_heard.load(Relaxed))
    }

    /// The latest round trip of a side, once there was one.
    #[must_use]
    pub fn last_rtt(&self, side: Side) -> Option<Duration> {
        let rtt = self.rtt[side].load(Relaxed);
        (rtt != u32::MAX).then(|| Duration::from_micros(rtt.into()))
    }

    /// Bytes relayed from a side.
    #[must_use]
    pub fn bytes(&self, side: Side) -> u64 {
        self.status[side].bytes.load(Relaxed)
    }

    /// What became of the last own pings to a side, 64 at the most, oldest first. Round trips are rounded, by 14 %
    /// at the most; only the latest is exact.
    #[must_use]
    pub fn trace(&self, side: Side) -> Vec<Beat> {
        let sent = self.status[side].pings_sent.load(Relaxed);
        self.trace[side].beats(sent.into(), self.last_rtt(side))
    }

    pub(super) fn set_last_rtt(&self, side: Side, rtt: Duration) {
        let micros = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX - 1);
        self.rtt[side].store(micros, Relaxed);
    }

    fn set_heartbeats(&self, side: Side, pings: u64, pongs: u64) {
        let small = |count| u32::try_from(count).unwrap_or(u32::MAX);
        let status = &self.status[side];
        status.pings_sent.store(small(pings), Relaxed);
        status.pongs_received.store(small(pongs), Relaxed);
    }

    /// Publishes what became of own ping `n` to a side. Called by the pair's own task only.
    pub(crate) fn publish_beat(&self, side: Side, n: u64, mark: Mark) {
        self.trace[side].set(n, mark);
    }

    /// The trace of a side, for another process.
    pub(crate) fn freeze_trace(&self, side: Side) -> TraceState {
        self.trace[side].freeze()
    }

    /// Goes on with what another process has given up.
    pub(crate) fn thaw_trace(&self, side: Side, state: &TraceState) {
        self.trace[side].thaw(state);
    }

    /// Publishes how a side's heartbeat goes. Called by the pair's own task only.
    pub(crate) fn publish_heartbeat(&self, side: Side, vitals: &Vitals) {
        if let Some(rtt) = vitals.rtt {
            self.set_last_rtt(side, rtt.last());
        }
        self.set_heartbeats(side, vitals.pings_sent, vitals.pongs_received);
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

    /// Publishes whether a side is not read because it has used up its rate. Called by the pair's own
    /// task only, as that changes.
    pub(crate) fn publish_held(&self, side: Side, is_held: bool) {
        if is_held {
            self.held.fetch_or(held_bit(side), Relaxed);
        } else {
            self.held.fetch_and(!held_bit(side), Relaxed);
        }
    }

    /// A Close has been passed on, or is owed.
    pub(crate) fn publish_closing(&self) {
        self.is_closing.store(true, Relaxed);
    }

    /// Whether it is coming to its end: it says what it says to its ends already.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Relaxed) || self.ordered() != Order::None
    }

    /// Tells the pair; a stronger order replaces a weaker one.
    pub(crate) fn order(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::Release);
        self.wake();
    }

    /// The terms of its route have changed: it has to look at them.
    pub(super) fn renew(&self) {
        self.has_renewal.store(true, Ordering::Release);
        self.wake();
    }

    /// It is to stand still, and to answer once.
    pub(super) fn ask_to_freeze(&self) {
        self.is_to_freeze.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether it was asked so, and has not answered.
    pub(super) fn take_request_to_freeze(&self) -> bool {
        self.is_to_freeze.load(Relaxed) && self.is_to_freeze.swap(false, Ordering::AcqRel)
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
            2 => Order::Close,
            _ => Order::Cut,
        }
    }

    /// Whom to wake when there is an order. To be set before looking for one.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        *self.waker() = Some(waker.clone());
    }

    /// Nobody is to be woken any more.
    pub(super) fn forget_waker(&self) {
        *self.waker() = None;
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn held_bit(side: Side) -> u8 {
    match side {
        Side::Client => 1,
        Side::Upstream => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pair has one, and with the two counters of its `Arc` it is a piece of memory of 224 bytes: the
    /// next larger one has 256.
    #[test]
    fn an_entry_is_small() {
        assert!(
            size_of::<PairEntry>() + 16 <= 224,
            "{}",
            size_of::<PairEntry>()
        );
        assert_eq!(PairEntry::TRACE, 96, "the next larger piece has 112");
    }
}
