//! The splice: one future per pair that owns both legs, relays between them byte for byte, and
//! carries out what the heartbeat machine decides.
//!
//! What it is not: an endpoint. It answers no ping, checks no frame and never waits for a message
//! to be whole. Two exceptions to "every byte passes" exist, both about lubdub's own pings: a pong
//! that answers one is taken back, and where an endpoint may have left out a pong because of it
//! (RFC 6455 5.5.3) that pong is put in its place (docs/adr/0004).
//!
//! How a byte travels: [`Splice::pump`] reads it into the thread's scratch buffer, the side's
//! scanner says which ranges go on, and the other side's [`Outlet`](outlet::Outlet) writes them;
//! what its socket does not take is kept, and until that is gone the source is not read.
//!
//! How a ping travels: the timer wakes the pair, [`Heartbeat::handle_timeout`] makes it due,
//! [`Splice::place`] puts it at a boundary, [`Outlet::drain`](outlet::Outlet::drain) says when it
//! was written, and [`Splice::on_pong`] takes its pong.

mod end;
mod farewell;
mod fate;
mod inject;
mod link;
mod obituary;
mod outlet;
mod relay;
mod scratch;
mod tally;
mod timer;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lubdub_keepalive::{Entropy, Heartbeat, Output, PerSide, Side};
use lubdub_metrics::{Cause, Diagnosis, PairGauge, PairMetrics};
use lubdub_wire::FrameCounts;
use tracing::debug;

use self::end::{End, Ending};
use self::fate::{CloseSender, Fate, SeenClose};
use self::link::Look;
use self::outlet::{CloseSlot, PingSlot, Watched};
use self::tally::Tally;
use self::timer::Timer;
use crate::admission::{PairPermit, SocketPermit};
use crate::leg::Leg;
use crate::registry::{Order, Registration};
use crate::settings::Terms;
use crate::worker::Load;

/// All that a pair starts with.
pub(crate) struct NewPair {
    pub(crate) legs: PerSide<Leg>,
    /// Bytes that came behind the handshake in the same segment: they belong to the WebSocket.
    pub(crate) early: PerSide<Bytes>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) metrics: Arc<PairMetrics>,
    pub(crate) registration: Registration,
    /// Over which time a drain spreads its farewells.
    pub(crate) drain_spread: Duration,
    /// How long the handshake took.
    pub(crate) handshake: Duration,
    pub(crate) entropy: Entropy,
    /// Uniform in [0, 1): spreads lifetimes and farewells.
    pub(crate) chance: f64,
    pub(crate) places: Places,
}

/// What a pair takes up of the limits and of its worker; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) _pair: PairPermit,
    pub(crate) _client: Option<SocketPermit>,
    pub(crate) _upstream: SocketPermit,
    pub(crate) _load: Load,
}

/// A pair, from its 101 to its end.
pub(crate) struct Splice {
    ends: PerSide<End>,
    heart: Heartbeat,
    fate: Fate,
    tally: Tally,
    timer: Timer,
    deadlines: Deadlines,
    early: Option<Box<PerSide<Bytes>>>,
    polled: bool,
    opened: Instant,
    handshake: Duration,
    terms: Arc<Terms>,
    drain_wait: Duration,
    metrics: Arc<PairMetrics>,
    registration: Registration,
    _open: PairGauge,
    _places: Places,
}

/// The pair's own deadlines, beside those of the heartbeat and the outlets.
#[derive(Debug)]
struct Deadlines {
    /// Since when no data frame passed.
    data: Instant,
    lifetime: Option<Instant>,
    /// When an ordered drain says farewell.
    drain: Option<Instant>,
    /// When the endpoints' closing handshake has to be over: absolute, from when the first Close
    /// or FIN was passed on.
    closing: Option<Instant>,
}

/// How a turn of reading went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pumped {
    /// There was nothing more to read, or no room for it; we will be woken.
    Idle,
    /// There may be more, but others want a turn.
    More,
}

/// Whether a side that is about to be called dead has been heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Its socket has nothing more to read.
    All,
    /// There is more to come.
    Some,
}

// === impl Splice ===

impl Splice {
    /// Reads from one side before the other has its turn.
    const READS_A_TURN: usize = 8;
    /// Turns of one side that is heard before it is called dead, before others have theirs.
    const TURNS_A_HEARING: usize = 8;

    pub(crate) fn new(pair: NewPair) -> Self {
        let opened = pair.registration.entry().opened;
        let terms = pair.terms;
        let early = pair.early;
        let has_early = Side::BOTH.iter().any(|&side| !early[side].is_empty());
        Self {
            ends: PerSide {
                client: End::new(pair.legs.client, terms.frame_bytes),
                upstream: End::new(pair.legs.upstream, terms.frame_bytes),
            },
            heart: Heartbeat::new(terms.keepalive, pair.entropy, opened),
            fate: Fate::default(),
            tally: Tally::default(),
            timer: Timer::new(opened),
            deadlines: Deadlines {
                data: opened,
                // Up to a tenth early, so that pairs which began together do not end together.
                lifetime: terms
                    .lifetime
                    .map(|lifetime| opened + lifetime.mul_f64(1.0 - 0.1 * pair.chance)),
                drain: None,
                closing: None,
            },
            early: has_early.then(|| Box::new(early)),
            polled: false,
            opened,
            handshake: pair.handshake,
            terms,
            drain_wait: pair.drain_spread.mul_f64(pair.chance),
            _open: pair.metrics.open(),
            metrics: pair.metrics,
            registration: pair.registration,
            _places: pair.places,
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>, now: Instant, scratch: &mut [u8]) -> Pumped {
        let stalled = self.timer.on_wake(now);
        if let Some(stalled) = stalled {
            self.excuse(stalled, now);
        }
        self.follow_orders(now);
        if let Some(early) = self.early.take() {
            for side in Side::BOTH {
                if !early[side].is_empty() {
                    self.heart.handle_heard(side, now);
                    self.forward(cx, side, &early[side], now);
                }
            }
        }
        let mut pumped = Pumped::Idle;
        for side in Side::BOTH {
            self.set_ask_kernel(side, stalled.is_some());
            if self.pump(cx, side, now, scratch) == Pumped::More {
                pumped = Pumped::More;
            }
            self.set_ask_kernel(side, false);
        }
        if self.hear_all(cx, now, scratch) == Heard::All {
            self.judge(now);
        } else {
            pumped = Pumped::More;
        }
        for side in Side::BOTH {
            self.place(cx, side, now);
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

    /// Time during which the process stood still was nobody's: the pair's own deadlines move by
    /// it, as those of the heartbeat do.
    fn excuse(&mut self, stalled: Duration, now: Instant) {
        debug!(pair = self.id(), late_ms = millis(stalled), "late wake-up");
        self.deadlines.data += stalled;
        if let Some(closing) = &mut self.deadlines.closing {
            *closing += stalled;
        }
        for side in Side::BOTH {
            self.ends[side].outlet.excuse(stalled, now);
        }
    }

    /// Before a side is called dead, the kernel itself is asked for what it has sent: the runtime
    /// may not have looked at the socket since the pong arrived.
    fn hear_all(&mut self, cx: &mut Context<'_>, now: Instant, scratch: &mut [u8]) -> Heard {
        for side in Side::BOTH {
            let mut turns = 0..Self::TURNS_A_HEARING;
            while self.heart.lapse_due(side, now) {
                if turns.next().is_none() {
                    return Heard::Some;
                }
                self.set_ask_kernel(side, true);
                let pumped = self.pump(cx, side, now, scratch);
                self.set_ask_kernel(side, false);
                if pumped == Pumped::Idle {
                    break;
                }
            }
        }
        Heard::All
    }

    /// Looks at what time has brought.
    fn judge(&mut self, now: Instant) {
        for side in Side::BOTH {
            if self.heart.lapse_due(side, now) && self.look_at_link(side) == Look::Moving {
                self.heart.handle_link_progress(side, now);
            }
        }
        self.heart.handle_timeout(now);
        while let Some(output) = self.heart.poll_output(now) {
            self.on_heartbeat(output, now);
        }
        if self.deadlines.drain.is_some_and(|at| at <= now) {
            self.deadlines.drain = None;
            if self.is_open() {
                self.end(Cause::Drain, None, now);
            }
        }
        if self.is_open() {
            if self.deadlines.lifetime.is_some_and(|at| at <= now) {
                self.end(Cause::Lifetime, None, now);
            } else if self.data_idle_deadline().is_some_and(|at| at <= now) {
                self.end(Cause::DataIdle, None, now);
            }
        }
        for side in Side::BOTH {
            self.judge_outlet(side, now);
        }
        if self.deadlines.closing.is_some_and(|at| at <= now) {
            self.on_close_timeout();
        }
        if self.tally.deadline().is_some_and(|at| at <= now) {
            let frames = self.frames();
            self.tally.flush(&self.metrics.route, &frames);
        }
    }

    /// Looks at what time has brought for what goes to `side`.
    fn judge_outlet(&mut self, side: Side, now: Instant) {
        let write_stall = self.terms.write_stall;
        let End {
            leg: Some(leg),
            outlet,
            ..
        } = &mut self.ends[side]
        else {
            return;
        };
        let due = outlet.stall_deadline(write_stall);
        if let (Some(all), true) = (write_stall, due.is_some_and(|at| at <= now))
            && outlet.look(leg.socket(), all, now) == Watched::Stalled
        {
            self.on_stall(side, now);
        }
        if self.farewell_deadline(side).is_some_and(|at| at <= now) {
            self.cut(
                side,
                match self.ends[side].outlet.close {
                    // It was told, and did not answer.
                    CloseSlot::Passed { .. } => Ending::Close,
                    // The frame did not end in time, or the Close behind it found no room.
                    CloseSlot::Empty | CloseSlot::Owed { .. } | CloseSlot::Placed { .. } => {
                        Ending::Reset
                    }
                },
            );
        }
    }

    /// Until when a side has time for its part in the end that lubdub makes.
    fn farewell_deadline(&self, side: Side) -> Option<Instant> {
        let outlet = &self.ends[side].outlet;
        outlet
            .farewell_deadline(&self.terms)
            .filter(|_| self.fate.is_by_lubdub())
    }

    /// The next moment at which time alone brings something.
    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let mut next = self.heart.poll_timeout();
        let mut consider = |at: Option<Instant>| next = next.into_iter().chain(at).min();
        consider(self.deadlines.drain);
        consider(self.deadlines.closing);
        consider(self.tally.deadline());
        if self.is_open() {
            consider(self.deadlines.lifetime);
            consider(self.data_idle_deadline());
        }
        for side in Side::BOTH {
            let End {
                leg: Some(_),
                outlet,
                ..
            } = &self.ends[side]
            else {
                continue;
            };
            consider(outlet.stall_deadline(self.terms.write_stall));
            consider(self.farewell_deadline(side));
            if let PingSlot::Owed {
                frame_boundary_from,
                ..
            } = outlet.ping
            {
                // Past that moment it is the stream, not time, that the ping waits for.
                consider(frame_boundary_from.filter(|at| *at > now));
            }
        }
        next
    }

    fn on_heartbeat(&mut self, output: Output, now: Instant) {
        match output {
            Output::SendPing { side, payload } => {
                self.ends[side].outlet.ping = PingSlot::Owed {
                    payload,
                    frame_boundary_from: Some(match self.terms.boundary_wait[side] {
                        Some(wait) => now + wait,
                        None => now,
                    }),
                };
            }
            Output::Lapsed { side, silent_for } => {
                let diagnosis = match self.look_at_link(side) {
                    Look::Silent(diagnosis) => diagnosis,
                    Look::Moving => Diagnosis::Unknown,
                };
                tally::heartbeat(&self.metrics.route, side)
                    .lapses(diagnosis)
                    .increment(1);
                self.fate.silent_for = Some(silent_for);
                self.fate.diagnosis = Some(diagnosis);
                debug!(pair = self.id(), %side, silent_ms = millis(silent_for), %diagnosis, "lapsed");
                self.end(fate::lapsed(side), Some(side), now);
            }
            Output::WouldHaveLapsed { side, silent_for } => {
                tally::heartbeat(&self.metrics.route, side)
                    .would_have_lapsed
                    .increment(1);
                debug!(pair = self.id(), %side, silent_ms = millis(silent_for), "would have lapsed");
            }
        }
    }

    /// Asks the kernel about the ping that runs the clock of `side`.
    fn look_at_link(&mut self, side: Side) -> Look {
        match &mut self.ends[side] {
            End {
                leg: Some(leg),
                ping_mark: Some(mark),
                ..
            } => mark.look(leg.socket()),
            _ => Look::Silent(Diagnosis::Unknown),
        }
    }

    fn follow_orders(&mut self, now: Instant) {
        match self.registration.entry().ordered() {
            Order::None => {}
            Order::Drain => {
                // Endpoints that are closing already need no farewell of lubdub's.
                if self.is_open() && self.deadlines.drain.is_none() {
                    self.deadlines.drain = Some(now + self.drain_wait);
                }
            }
            Order::Cut => {
                self.fate.by_lubdub(Cause::Drain);
                for side in Side::BOTH {
                    self.cut(side, Ending::Reset);
                }
            }
        }
    }

    /// Both endpoints and lubdub want the pair to go on.
    fn is_open(&self) -> bool {
        self.fate.cause().is_none()
    }

    fn is_over(&self) -> bool {
        Side::BOTH.iter().all(|&side| self.ends[side].is_over())
    }

    fn id(&self) -> u64 {
        self.registration.entry().id.0
    }

    fn data_idle_deadline(&self) -> Option<Instant> {
        Some(self.deadlines.data + self.terms.data_idle?)
    }

    fn frames(&self) -> PerSide<FrameCounts> {
        PerSide::from_fn(|side| *self.ends[side].frames())
    }

    /// Without lubdub's own pongs, which went no further.
    fn relayed_frames(&self, from: Side) -> u64 {
        self.ends[from].frames().total() - self.tally.from[from].swallowed_pongs
    }

    fn set_ask_kernel(&mut self, side: Side, ask: bool) {
        if let Some(leg) = &mut self.ends[side].leg {
            leg.socket_mut().ask_kernel(ask);
        }
    }

    fn see_close(&mut self, by: CloseSender, code: Option<u16>) {
        self.fate.close.get_or_insert(SeenClose { by, code });
    }

    fn publish(&self) {
        for side in Side::BOTH {
            self.registration.entry().publish(
                side,
                &self.heart.vitals(side),
                self.tally.from[side].bytes,
                self.relayed_frames(side),
            );
        }
    }
}

impl Future for Splice {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Before the first look for orders, so that none is missed.
        if !std::mem::replace(&mut this.polled, true) {
            this.registration.entry().set_waker(cx.waker());
        }
        let now = tokio::time::Instant::now().into_std();
        let pumped = scratch::with_scratch(|scratch| this.turn(cx, now, scratch));
        this.tally.observe(now);
        this.publish();
        if this.is_over() {
            this.conclude(now);
            return Poll::Ready(());
        }
        let next = this.next_deadline(now);
        if pumped == Pumped::More || next.is_some_and(|next| next <= now) {
            cx.waker().wake_by_ref();
        } else if let Some(next) = next {
            this.timer.arm(cx, next);
        }
        Poll::Pending
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
