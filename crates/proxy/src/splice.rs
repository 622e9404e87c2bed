//! The splice: one future per pair that owns both legs, relays between them byte for byte, and
//! carries out what the heartbeat machine decides.
//!
//! What it is not: an endpoint. It answers no ping, checks no frame and never waits for a message
//! to be whole. Two exceptions to "every byte passes" exist, both about lubdub's own pings: a pong
//! that answers one is taken back, and where an endpoint may have left out a pong because of it
//! (RFC 6455 5.5.3) that pong is put in its place (docs/adr/0004).
//!
//! How a byte travels: [`Splice::pump`] reads it into the thread's scratch buffer, the side's
//! scanner says which ranges go on, and the other side's [`Outlet`](outlet::Outlet) writes them, short ones together
//! with those of other pairs (docs/adr/0020);
//! what its socket does not take is kept, and until that is gone the source is not read.
//!
//! How a ping travels: the timer wakes the pair, [`Heartbeat::handle_timeout`] makes it due,
//! [`Splice::place`] puts it at a boundary, [`Outlet::drain`](outlet::Outlet::drain) says when it
//! was written, and [`Splice::on_pong`] takes its pong.

mod deadlines;
mod end;
mod farewell;
mod fate;
mod frozen;
mod inject;
mod inlet;
mod link;
mod obituary;
mod outlet;
mod parcel;
mod rate;
mod relay;
mod scratch;
mod stamp;
mod tally;
mod task;
#[cfg(test)]
mod tests;
mod timer;
mod trace;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use self::deadlines::{Deadlines, Excused};
use self::end::{End, Ending};
use self::fate::Fate;
pub(crate) use self::frozen::NewHome;
use self::inlet::Inlet;
use self::outlet::Sending;
use self::parcel::Parcel;
use self::tally::Tally;
use self::timer::Timer;
use crate::admission::PairPermit;
use crate::budget::Permit;
use crate::entrance::Place;
use crate::leg::Leg;
use crate::live_terms::LiveTerms;
use crate::registry::{CloseSender, Order, Registration, SeenClose};
use crate::settings::Terms;
use crate::worker::Load;
use bytes::Bytes;
use lubdub_keepalive::{Entropy, Heartbeat, PerSide, Side};
use lubdub_metrics::{Cause, OpenPair, PairMetrics};

/// All that a pair starts with.
pub(crate) struct NewPair {
    pub(crate) legs: PerSide<Leg>,
    /// Bytes that came behind the handshake in the same segment: they belong to the WebSocket.
    pub(crate) early: PerSide<Bytes>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) live_terms: Arc<LiveTerms>,
    pub(crate) metrics: Arc<PairMetrics>,
    pub(crate) registration: Registration,
    /// How long the handshake took.
    pub(crate) handshake: Duration,
    pub(crate) entropy: Entropy,
    /// Uniform in [0, 1): spreads lifetimes.
    pub(crate) chance: f64,
    pub(crate) places: Places,
}

/// What a pair takes up of the limits and of its worker; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) _pair: PairPermit,
    pub(crate) _client: Option<Place>,
    pub(crate) _upstream: Permit,
    pub(crate) _load: Load,
}

/// A pair, from its 101 to its end.
pub(crate) struct Splice {
    ends: PerSide<End>,
    heart: Heartbeat,
    fate: Fate,
    tally: Tally,
    timer: Timer,
    /// `None` for most: nothing stands between the sockets and what is relayed.
    inlets: Option<Box<PerSide<Inlet>>>,
    terms: Arc<Terms>,
    // Its place and its count go before the pair is gone from the registry.
    seldom: Box<Seldom>,
    registration: Registration,
}

/// What a pair seldom looks at. With this in a box the pair's task is as large as one of the allocator's classes.
struct Seldom {
    deadlines: Deadlines,
    excused: Excused,
    /// The task that polls it is known.
    polled: bool,
    concluded: bool,
    // Not as a duration, which takes four times the room.
    handshake_us: u32,
    live_terms: Arc<LiveTerms>,
    metrics: OpenPair,
    _places: Places,
}

/// How a turn of reading went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pumped {
    /// There was nothing more to read, or no room for it; we will be woken.
    Idle,
    /// There may be more, but others want a turn.
    More,
}

// === impl Splice ===

impl Splice {
    /// Reads from one side before the other has its turn.
    const READS_A_TURN: usize = 4;
    /// Turns of a side that is heard before it is called dead: 16 MiB, more than the kernel keeps.
    const TURNS_A_HEARING: usize = 70;
    /// No turn takes so long unless the process stands still.
    const LONG_TURN: Duration = Duration::from_millis(20);

    pub(crate) fn new(pair: NewPair) -> Self {
        let opened = pair.registration.entry().opened;
        let terms = pair.terms;
        let early = pair.early;
        let has_inlets =
            !terms.rates.are_off() || Side::BOTH.iter().any(|&side| !early[side].is_empty());
        let PerSide { client, upstream } = early;
        let inlets = has_inlets.then(|| {
            Box::new(PerSide {
                client: Inlet::new(client, terms.rates.from(Side::Client), opened),
                upstream: Inlet::new(upstream, terms.rates.from(Side::Upstream), opened),
            })
        });
        Self {
            ends: PerSide {
                client: End::new(pair.legs.client, terms.frame_bytes),
                upstream: End::new(pair.legs.upstream, terms.frame_bytes),
            },
            heart: Heartbeat::new(terms.keepalive.clone(), pair.entropy, opened)
                .on_grid(pair.registration.registry().grid()),
            fate: Fate::default(),
            tally: Tally::default(),
            timer: Timer::new(opened),
            inlets,
            seldom: Box::new(Seldom {
                deadlines: Deadlines {
                    data: opened.into(),
                    // Up to a tenth early, so that pairs which began together do not end together.
                    lifetime: (terms.lifetime)
                        .map(|lifetime| opened + lifetime.mul_f64(1.0 - 0.1 * pair.chance))
                        .map(Into::into),
                    closing: None,
                },
                excused: Excused::default(),
                polled: false,
                concluded: false,
                handshake_us: u32::try_from(micros(pair.handshake)).unwrap_or(u32::MAX),
                live_terms: pair.live_terms,
                metrics: pair.metrics.open(),
                _places: pair.places,
            }),
            terms,
            registration: pair.registration,
        }
    }

    /// Does what there is to do at a wake-up, and arranges the next one.
    fn wake(&mut self, cx: &mut Context<'_>, now: Instant, scratch: &mut [u8]) -> Poll<()> {
        self.settle_sends();
        if let Some(pumped) = self.relay_only(cx, now, scratch) {
            if self.terms.data_idle.is_some() {
                self.catch_up(now);
            }
            self.publish_traffic();
            if pumped == Pumped::More {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        let pumped = self.turn(cx, now, scratch);
        let (began, now) = (now, self.catch_up(now));
        self.tally.observe(now);
        self.publish();
        if self.is_over() {
            self.conclude(now);
            return Poll::Ready(());
        }
        // Also if there is more to do at once: that turn may do nothing but relay.
        match self.next_deadline(began) {
            Some(next) if next > now => self.timer.arm(cx, next),
            Some(_) => cx.waker().wake_by_ref(),
            None => {}
        }
        if pumped == Pumped::More {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Reads the clock again at the end of a turn. If the process stood still in the middle of it,
    /// that time does not count: else a ping that was written then is taken for older than it is.
    fn catch_up(&mut self, began: Instant) -> Instant {
        let now = clock();
        let stalled = now.saturating_duration_since(began);
        if stalled > Self::LONG_TURN {
            self.postpone(stalled);
        }
        now
    }

    /// Whether the task that polls it may be another than before: no wake-up was armed yet, or was armed elsewhere.
    fn may_be_new(&self) -> bool {
        self.timer.armed().is_none() || self.ends.client.thawed
    }

    /// What a wake-up of a busy pair mostly is about: bytes to be relayed, and nothing else. Says
    /// `None` if there is more to it.
    fn relay_only(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        scratch: &mut [u8],
    ) -> Option<Pumped> {
        if !self.timer.is_waiting(now) || !self.is_plain() {
            return None;
        }
        let mut pumped = Pumped::Idle;
        for side in Side::BOTH {
            if self.pump_plain(cx, side, now, scratch)? == Pumped::More {
                pumped = Pumped::More;
            }
        }
        let nothing_else = !self.tally.is_to_be_scheduled()
            && (self.heart.poll_timeout()).is_none_or(|at| self.timer.covers(at));
        nothing_else.then_some(pumped)
    }

    fn turn(&mut self, cx: &mut Context<'_>, now: Instant, scratch: &mut [u8]) -> Pumped {
        self.settle_sends();
        let stalled = self.timer.on_wake(now);
        if let Some(stalled) = stalled {
            self.excuse(stalled, now);
        }
        self.follow_orders(now);
        // What the runtime knows of a socket is as old as the stall, or nothing yet.
        let is_new = |end: &mut End| std::mem::take(&mut end.thawed);
        let are_new = [
            is_new(&mut self.ends.client),
            is_new(&mut self.ends.upstream),
        ];
        let ask_kernel = are_new.contains(&true) || stalled.is_some();
        let mut pumped = Pumped::Idle;
        for side in Side::BOTH {
            self.set_ask_kernel(side, ask_kernel);
            if self.pump(cx, side, now, scratch) == Pumped::More {
                pumped = Pumped::More;
            }
            self.set_ask_kernel(side, false);
        }
        self.hear_all(cx, now, scratch);
        self.drop_inlets();
        self.judge(now);
        for side in Side::BOTH {
            let mut parcel = Parcel::default();
            self.place(&mut parcel, side, now);
            self.send(cx, side, &parcel, Sending::AtOnce);
            self.drain(cx, side, now);
        }
        self.settle(now);
        // A source that was paused has registered for no wake-up: if its pause is over by now,
        // nobody else would come back to read it.
        if Side::BOTH
            .iter()
            .any(|&side| self.ends[side].paused && !self.wants_pause(side))
        {
            pumped = Pumped::More;
        }
        pumped
    }

    /// Nothing of this pair waits for others from here on: what the kernel is asked about its sockets is true, and what
    /// it has no room for is known.
    fn settle_sends(&mut self) {
        for side in Side::BOTH {
            self.ends[side].settle();
        }
    }

    /// An order to end at once is not put off by what there is to read. That to say farewell is: see
    /// [`Splice::judge`].
    fn follow_orders(&mut self, now: Instant) {
        if self.registration.entry().take_renewal() {
            self.terms = self.seldom.live_terms.renewed(&self.terms);
            self.heart.set_policy(self.terms.keepalive.clone(), now);
        }
        if self.registration.entry().ordered() == Order::Cut {
            self.fate.by_lubdub(Cause::Drain);
            for side in Side::BOTH {
                self.cut(side, Ending::Reset);
            }
        }
    }

    /// Both endpoints and lubdub want the pair to go on.
    fn is_open(&self) -> bool {
        self.fate.cause().is_none()
    }

    /// Both sides are read, both take what they are sent, and lubdub owes nobody anything.
    fn is_plain(&self) -> bool {
        self.inlets.is_none()
            && !self.registration.entry().has_orders()
            && self.ends.client.is_plain()
            && self.ends.upstream.is_plain()
    }

    fn is_over(&self) -> bool {
        Side::BOTH.iter().all(|&side| self.ends[side].is_over())
    }

    fn id(&self) -> u64 {
        self.registration.entry().id.0
    }

    fn relayed_frames(&self, from: Side) -> u64 {
        self.tally.from[from].frames(self.ends[from].frames())
    }

    /// Brings the shared counters up to date.
    fn flush(&mut self) {
        for side in Side::BOTH {
            self.flush_from(side);
        }
        self.tally.flushed();
    }

    fn flush_from(&mut self, side: Side) {
        let frames = self.ends[side].take_frames();
        self.tally.from[side].flush(tally::direction(&self.seldom.metrics.route, side), &frames);
    }

    fn set_ask_kernel(&mut self, side: Side, ask: bool) {
        if let Some(leg) = &mut self.ends[side].leg {
            leg.socket_mut().ask_kernel(ask);
        }
    }

    fn see_close(&mut self, by: CloseSender, code: Option<u16>) {
        self.fate.close.get_or_insert(SeenClose { by, code });
        self.registration.entry().publish_closing();
    }

    fn publish(&self) {
        for side in Side::BOTH {
            let entry = self.registration.entry();
            entry.publish_heartbeat(side, &self.heart.vitals(side));
        }
        self.publish_traffic();
    }

    fn publish_traffic(&self) {
        for side in Side::BOTH {
            self.registration.entry().publish_traffic(
                side,
                self.heart.heard_after(side),
                self.tally.from[side].bytes,
                self.relayed_frames(side),
            );
        }
    }
}

fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
