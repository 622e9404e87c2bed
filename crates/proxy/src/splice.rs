//! The splice: one future per pair that owns both legs, relays between them byte for byte, and
//! carries out what the heartbeat machine decides.
//!
//! What it is not: an endpoint. It answers no ping, checks no frame and never waits for a message
//! to be whole. Two exceptions to "every byte passes" exist, both about lubdub's own pings: a pong
//! that answers one is taken back, and where an endpoint may have left out a pong because of it
//! (RFC 6455 5.5.3) that pong is put in its place (docs/adr/0004).
//!
//! How a byte travels: [`Splice::pump`] reads it into the thread's scratch buffer, the side's
//! scanner says which ranges go on, and the other side's [`Outlet`] writes them; what its socket
//! does not take is kept, and until that is gone the source is not read. How a ping travels: the
//! timer wakes the pair, [`Heartbeat::handle_timeout`] makes it due, [`Splice::place`] puts it at
//! a boundary, [`Outlet::drain`] says when it was written, and [`Splice::on_pong`] takes its pong.

mod fate;
mod inject;
mod outlet;
mod scratch;
mod tally;
mod timer;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lubdub_keepalive::{Entropy, Heartbeat, Output, PerSide, PongVerdict, Reading, Side};
use lubdub_metrics::{Cause, Diagnosis, PairGauge, PairMetrics};
use lubdub_wire::{Close, ControlFrame, Event, FrameCounts, FrameScanner, Opcode, Payload, Stop};
use tokio::io::{AsyncRead, ReadBuf};
use tracing::{debug, info, trace};

use self::fate::{CloseSender, Fate, SeenClose};
use self::outlet::{Author, CloseSlot, Fin, Outlet, PingSlot};
use self::tally::Tally;
use self::timer::Timer;
use crate::admission::PairPermit;
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
    /// Its place within the limits.
    pub(crate) permit: PairPermit,
    /// Its weight on its worker.
    pub(crate) load: Load,
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
    _permit: PairPermit,
    _load: Load,
}

/// One end of the pair.
struct End {
    /// `None` once it was cut.
    leg: Option<Leg>,
    /// Follows what comes from this side.
    scanner: FrameScanner,
    input: Input,
    /// Holds what goes to this side.
    outlet: Outlet,
    /// Not read, because the other side is slow.
    paused: bool,
    /// What was relayed of this side's frames, once the rest is thrown away.
    relayed: Option<Box<FrameCounts>>,
}

/// What comes from a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Is read and scanned.
    Open,
    /// Is read and thrown away unseen: behind a frame that is too big nothing can be told apart.
    Blind,
    /// Has ended.
    Ended,
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

/// How a read went.
enum Read {
    Bytes(usize),
    End,
    Failed(io::Error),
    Nothing,
}

// === impl Splice ===

impl Splice {
    /// Reads from one side before the other has its turn.
    const READS_A_TURN: usize = 8;

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
            _permit: pair.permit,
            _load: pair.load,
        }
    }

    // --- one wake-up

    fn turn(&mut self, cx: &mut Context<'_>, now: Instant, scratch: &mut [u8]) -> Pumped {
        self.timer.on_wake(now);
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
            if self.pump(cx, side, now, scratch) == Pumped::More {
                pumped = Pumped::More;
            }
        }
        self.judge(cx, now, scratch);
        for side in Side::BOTH {
            self.place(cx, side, now);
            self.drain(cx, side, now);
        }
        self.settle(now);
        // A source that was paused has registered for no wake-up: if its pause is over by now,
        // nobody else would come back to read it.
        if Side::BOTH.iter().any(|&side| self.ends[side].paused && !self.wants_pause(side)) {
            pumped = Pumped::More;
        }
        pumped
    }

    /// Relays from one side until it has nothing more, or the other has no room.
    fn pump(
        &mut self,
        cx: &mut Context<'_>,
        from: Side,
        now: Instant,
        scratch: &mut [u8],
    ) -> Pumped {
        for _ in 0..Self::READS_A_TURN {
            self.drain(cx, from.other(), now);
            self.watch_pause(from, now);
            if self.ends[from].paused {
                return Pumped::Idle;
            }
            match self.ends[from].read(cx, scratch) {
                Read::Bytes(n) => {
                    self.heart.handle_heard(from, now);
                    self.forward(cx, from, &scratch[..n], now);
                }
                Read::End => {
                    self.on_fin(cx, from);
                    return Pumped::Idle;
                }
                Read::Failed(error) => {
                    self.on_reset(from, &error);
                    return Pumped::Idle;
                }
                Read::Nothing => return Pumped::Idle,
            }
        }
        Pumped::More
    }

    /// Looks at what time has brought.
    fn judge(&mut self, cx: &mut Context<'_>, now: Instant, scratch: &mut [u8]) {
        for side in Side::BOTH {
            if self.heart.lapse_due(side, now) {
                // The runtime may not have looked at the socket since the pong arrived.
                self.set_ask_kernel(side, true);
                self.pump(cx, side, now, scratch);
                self.set_ask_kernel(side, false);
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
        let End { leg: Some(_), outlet, .. } = &mut self.ends[side] else {
            return;
        };
        if let Some(at) = outlet.stall_deadline(write_stall).filter(|at| *at <= now) {
            if now - at > Heartbeat::LATE {
                outlet.forgive(now);
            } else {
                self.on_stall(side, now);
            }
        }
        let close = self.terms.close;
        match self.ends[side].outlet.close {
            // The frame that it waits for will not end in time.
            CloseSlot::Owed { give_up, .. } if give_up <= now => self.cut(side, Ending::Reset),
            // The endpoint did not answer the Close.
            CloseSlot::Passed { at, .. } if self.fate.is_by_lubdub() && at + close <= now => {
                self.cut(side, Ending::Close);
            }
            CloseSlot::Empty
            | CloseSlot::Owed { .. }
            | CloseSlot::Placed { .. }
            | CloseSlot::Passed { .. } => {}
        }
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
            let End { leg: Some(_), outlet, .. } = &self.ends[side] else {
                continue;
            };
            consider(outlet.stall_deadline(self.terms.write_stall));
            match outlet.close {
                CloseSlot::Owed { give_up, .. } => consider(Some(give_up)),
                CloseSlot::Passed { at, .. } if self.fate.is_by_lubdub() => {
                    consider(Some(at + self.terms.close));
                }
                CloseSlot::Empty | CloseSlot::Placed { .. } | CloseSlot::Passed { .. } => {}
            }
            if let PingSlot::Owed { frame_boundary_from, .. } = outlet.ping {
                // Past that moment it is the stream, not time, that the ping waits for.
                consider(frame_boundary_from.filter(|at| *at > now));
            }
        }
        next
    }

    // --- relaying

    /// Passes on what was read from a side.
    fn forward(&mut self, cx: &mut Context<'_>, from: Side, input: &[u8], now: Instant) {
        if self.ends[from].input == Input::Blind {
            return;
        }
        let to = from.other();
        if !self.ends[to].outlet.accepts() && self.ends[from].relayed.is_none() {
            let relayed = *self.ends[from].scanner.frames();
            self.ends[from].relayed = Some(Box::new(relayed));
        }
        let data_before = self.data_frames(from);
        let mut rest = input;
        loop {
            let stop = self.wanted_boundary(to, now);
            let step = self.ends[from].scanner.scan(rest, stop);
            let relayed = step.residue.len() + step.forward.len();
            if relayed > 0 && self.put(cx, to, &step.residue, step.forward) {
                self.tally.from[from].bytes += relayed as u64;
            }
            rest = step.rest;
            match step.event {
                Event::Exhausted => break,
                Event::Boundary => self.place(cx, to, now),
                Event::Ping(payload) => self.on_foreign_ping(from, &payload),
                Event::Close(payload) => self.on_close(from, &payload),
                Event::Pong(pong) => self.on_pong(cx, from, &pong, now),
                Event::TooBig(header) => {
                    debug!(side = %from, bytes = header.payload_len, "frame too big");
                    self.ends[from].input = Input::Blind;
                    if self.is_open() {
                        self.end(Cause::FrameTooBig, None, now);
                    }
                    break;
                }
            }
        }
        // A long frame counts as data for as long as it comes in.
        let in_frame = !self.ends[from].scanner.at_frame_boundary();
        if in_frame || self.data_frames(from) != data_before {
            self.deadlines.data = now;
        }
        self.place(cx, to, now);
    }

    /// Sends bytes to a side that still accepts them.
    fn put(&mut self, cx: &mut Context<'_>, to: Side, first: &[u8], second: &[u8]) -> bool {
        let End { leg, outlet, .. } = &mut self.ends[to];
        match leg {
            Some(leg) if outlet.accepts() => {
                outlet.put(cx, leg, first, second);
                true
            }
            _ => false,
        }
    }

    /// Hands a side what waits for it.
    fn drain(&mut self, cx: &mut Context<'_>, side: Side, now: Instant) {
        let End { leg: Some(leg), outlet, .. } = &mut self.ends[side] else {
            return;
        };
        let drained = outlet.drain(cx, leg, now);
        if drained.ping_written {
            let delay = self.heart.handle_ping_written(side, now);
            let metrics = tally::heartbeat(&self.metrics.route, side);
            metrics.pings_sent.increment(1);
            metrics.ping_delay.record(delay);
            debug!(pair = self.id(), %side, delay_us = micros(delay), "ping written");
        }
        if drained.ended && !self.fate.is_by_lubdub() {
            let until = now + self.terms.close;
            self.deadlines.closing.get_or_insert(until);
        }
    }

    /// A side is not read while the other has a backlog; its silence then proves nothing.
    fn watch_pause(&mut self, from: Side, now: Instant) {
        let pause = self.wants_pause(from);
        let end = &mut self.ends[from];
        if end.paused != pause {
            end.paused = pause;
            let reading = if pause { Reading::Paused } else { Reading::Resumed };
            self.heart.handle_reading(from, reading, now);
            trace!(side = %from, ?reading, "reading");
        }
    }

    fn wants_pause(&self, from: Side) -> bool {
        let outlet = &self.ends[from.other()].outlet;
        outlet.accepts() && outlet.is_backed_up()
    }

    // --- what is in the stream

    fn on_foreign_ping(&mut self, from: Side, payload: &Payload) {
        self.tally.from[from].foreign_pings += 1;
        self.heart.handle_foreign_ping(from.other(), payload);
    }

    fn on_pong(&mut self, cx: &mut Context<'_>, from: Side, pong: &ControlFrame, now: Instant) {
        let to = from.other();
        match self.heart.handle_pong(from, &pong.payload(), now) {
            PongVerdict::Foreign => {
                if self.put(cx, to, pong.raw(), &[]) {
                    self.tally.from[from].bytes += pong.raw().len() as u64;
                    self.tally.from[from].foreign_pongs += 1;
                }
            }
            PongVerdict::Ours { rtt, repair } => {
                if self.ends[from].relayed.is_none() {
                    self.tally.from[from].swallowed_pongs += 1;
                }
                let metrics = tally::heartbeat(&self.metrics.route, from);
                if let Some(rtt) = rtt {
                    metrics.pongs_received.increment(1);
                    metrics.ping_rtt.record(rtt);
                    debug!(pair = self.registration.entry().id.0, side = %from, rtt_us = micros(rtt), "pong received");
                }
                if let Some(payload) = repair.filter(|_| self.ends[to].outlet.may_add()) {
                    metrics.pongs_repaired.increment(1);
                    self.put(cx, to, &inject::repaired_pong(to, payload), &[]);
                }
            }
        }
    }

    /// An endpoint's Close was passed on, or came in answer to lubdub's.
    fn on_close(&mut self, from: Side, payload: &Payload) {
        let to = from.other();
        self.see_close(CloseSender::Side(from), Close::parse(payload).code);
        self.heart.handle_closing();
        self.drop_pings();
        self.fate.by_endpoint(fate::closed(from));
        let outlet = &mut self.ends[to].outlet;
        if outlet.may_add() {
            outlet.close_placed(Author::Endpoint);
        }
        // "Until its Close or end, then the socket is shut down": lubdub's Close was answered.
        let by_lubdub = self.fate.is_by_lubdub();
        let outlet = &mut self.ends[from].outlet;
        if by_lubdub && outlet.is_closed() && outlet.fin == Fin::No {
            outlet.fin = Fin::Owed;
        }
    }

    /// A side said that it will send no more.
    fn on_fin(&mut self, cx: &mut Context<'_>, from: Side) {
        let to = from.other();
        self.ends[from].input = Input::Ended;
        self.heart.handle_closing();
        self.drop_pings();
        self.fate.by_endpoint(fate::eof(from));
        let by_lubdub = self.fate.is_by_lubdub();
        if !by_lubdub {
            let held = self.ends[from].scanner.take_held();
            if !held.is_empty() && self.put(cx, to, &held, &[]) {
                self.tally.from[from].bytes += held.len() as u64;
            }
        }
        // To the other side it is passed on, behind the backlog. An end in answer to lubdub's own
        // Close is answered in kind.
        for (side, owed) in [(to, !by_lubdub), (from, by_lubdub)] {
            let outlet = &mut self.ends[side].outlet;
            if owed && outlet.fin == Fin::No {
                outlet.fin = Fin::Owed;
            }
        }
        if by_lubdub && self.ends[to].outlet.accepts() {
            self.close_or_cut_behind(to);
        }
    }

    /// A side's connection broke.
    fn on_reset(&mut self, from: Side, error: &io::Error) {
        debug!(pair = self.id(), side = %from, %error, "connection broke");
        let to = from.other();
        self.heart.handle_closing();
        self.drop_pings();
        self.fate.by_endpoint(fate::reset(from));
        self.cut(from, Ending::Close);
        if self.fate.is_by_lubdub() {
            if self.ends[to].outlet.accepts() {
                self.close_or_cut_behind(to);
            }
        } else if self.ends[to].outlet.is_closed_by(Author::Endpoint) {
            // It said farewell before, and a RST could destroy that on its way.
            let outlet = &mut self.ends[to].outlet;
            if outlet.fin == Fin::No {
                outlet.fin = Fin::Owed;
            }
        } else {
            self.cut(to, Ending::Reset);
        }
    }

    /// lubdub owes `to` a Close, and who sent the frames to it is gone: inside one of them there
    /// is nothing left to wait for.
    fn close_or_cut_behind(&mut self, to: Side) {
        if !self.ends[to.other()].scanner.at_frame_boundary() {
            self.cut(to, Ending::Reset);
        }
    }

    // --- what the heartbeat says

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
                tally::heartbeat(&self.metrics.route, side)
                    .lapses(Diagnosis::Unknown)
                    .increment(1);
                self.fate.silent_for = Some(silent_for);
                debug!(pair = self.id(), %side, silent_ms = millis(silent_for), "lapsed");
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

    /// Where in the stream to `to` lubdub would like to stand.
    fn wanted_boundary(&self, to: Side, now: Instant) -> Stop {
        let outlet = &self.ends[to].outlet;
        if !outlet.may_add() {
            return Stop::Never;
        }
        if let CloseSlot::Owed { .. } = outlet.close {
            return Stop::AtFrameBoundary;
        }
        match outlet.ping {
            PingSlot::Owed { frame_boundary_from, .. } => {
                if frame_boundary_from.is_some_and(|from| from <= now) {
                    Stop::AtFrameBoundary
                } else {
                    Stop::AtMessageBoundary
                }
            }
            PingSlot::Empty | PingSlot::Placed { .. } => Stop::Never,
        }
    }

    /// Adds what is owed to `to`, if its stream stands where that may be added.
    fn place(&mut self, cx: &mut Context<'_>, to: Side, now: Instant) {
        let scanner = &self.ends[to.other()].scanner;
        let there = match self.wanted_boundary(to, now) {
            Stop::Never => false,
            Stop::AtFrameBoundary => scanner.at_frame_boundary(),
            Stop::AtMessageBoundary => scanner.at_message_boundary(),
        };
        if !there || self.ends[to].leg.is_none() {
            return;
        }
        if let CloseSlot::Owed { code, .. } = self.ends[to].outlet.close {
            self.put(cx, to, &inject::close(to, code), &[]);
            self.ends[to].outlet.close_placed(Author::Lubdub);
            self.see_close(CloseSender::Lubdub, Some(code.get()));
        } else if let PingSlot::Owed { payload, .. } = self.ends[to].outlet.ping {
            self.heart.handle_ping_placed(to);
            self.put(cx, to, &inject::ping(to, payload), &[]);
            self.ends[to].outlet.ping_placed();
        }
    }

    // --- ends

    /// lubdub ends the pair; `dead` is the side that it has given up.
    fn end(&mut self, cause: Cause, dead: Option<Side>, now: Instant) {
        self.fate.by_lubdub(cause);
        self.heart.handle_closing();
        self.drop_pings();
        self.deadlines.closing = None;
        if let Some(dead) = dead {
            self.cut(dead, Ending::Reset);
        }
        for side in Side::BOTH {
            let sender_gone = self.ends[side.other()].input == Input::Ended;
            let in_frame = !self.ends[side.other()].scanner.at_frame_boundary();
            let End { leg: Some(_), outlet, .. } = &mut self.ends[side] else {
                continue;
            };
            if outlet.fin != Fin::No || outlet.is_broken() {
                self.deadlines.closing = Some(now + self.terms.close);
            } else if outlet.is_closed_by(Author::Endpoint) {
                outlet.fin = Fin::Owed;
                self.deadlines.closing = Some(now + self.terms.close);
            } else if sender_gone && in_frame {
                self.cut(side, Ending::Reset);
            } else {
                outlet.close = CloseSlot::Owed {
                    code: fate::code(&self.terms.close_codes, side, cause),
                    give_up: now + self.terms.close,
                };
            }
        }
    }

    /// A side took nothing of what waited for it.
    fn on_stall(&mut self, side: Side, now: Instant) {
        tally::heartbeat(&self.metrics.route, side)
            .write_stalls
            .increment(1);
        debug!(pair = self.id(), %side, "write stalled");
        if self.fate.is_by_lubdub() {
            self.cut(side, Ending::Reset);
        } else {
            self.end(fate::stalled(side), Some(side), now);
        }
    }

    /// The endpoints' closing handshake did not come to its end in time.
    fn on_close_timeout(&mut self) {
        self.deadlines.closing = None;
        let closed = |side: Side| self.ends[side].outlet.is_closed_by(Author::Endpoint);
        let complete = closed(Side::Client) && closed(Side::Upstream);
        if !complete {
            self.fate.by_lubdub(Cause::CloseTimeout);
        }
        for side in Side::BOTH {
            self.cut(side, Ending::Close);
        }
    }

    /// Lets go of a leg.
    fn cut(&mut self, side: Side, ending: Ending) {
        let end = &mut self.ends[side];
        end.input = Input::Ended;
        end.outlet.break_off();
        if let Some(leg) = end.leg.take() {
            if ending == Ending::Reset {
                leg.socket().reset_on_close();
            }
        }
    }

    fn drop_pings(&mut self) {
        for side in Side::BOTH {
            let ping = &mut self.ends[side].outlet.ping;
            if let PingSlot::Owed { .. } = ping {
                *ping = PingSlot::Empty;
            }
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

    /// Draws the conclusions of what broke.
    fn settle(&mut self, now: Instant) {
        for side in Side::BOTH {
            let end = &self.ends[side];
            if end.leg.is_none() || !end.outlet.is_broken() {
                continue;
            }
            if end.input == Input::Ended {
                // Nothing comes from it, nothing goes to it.
                let error = io::ErrorKind::BrokenPipe.into();
                self.on_reset(side, &error);
            } else {
                // What it sent before it broke is still to be read, but not for ever.
                let until = now + self.terms.close;
                self.heart.handle_closing();
                self.deadlines.closing.get_or_insert(until);
            }
        }
    }

    // --- getters

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

    fn data_frames(&self, from: Side) -> u64 {
        let frames = self.ends[from].scanner.frames();
        frames.of(Opcode::CONTINUATION) + frames.of(Opcode::TEXT) + frames.of(Opcode::BINARY)
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

    /// The pair has ended: the books are closed, and one line says how it was.
    fn conclude(&mut self, now: Instant) {
        let frames = self.frames();
        self.tally.flush(&self.metrics.route, &frames);
        let cause = self.fate.cause().unwrap_or(Cause::Internal);
        let duration = now.saturating_duration_since(self.opened);
        self.metrics.route.closed(cause).increment(1);
        self.metrics.pair_duration.record(duration);
        self.log_end(cause, duration, now);
    }

    fn log_end(&self, cause: Cause, duration: Duration, now: Instant) {
        let entry = self.registration.entry();
        let vitals = PerSide::from_fn(|side| self.heart.vitals(side));
        let rtt = |side: Side, pick: fn(&lubdub_keepalive::Rtt) -> Duration| {
            vitals[side].rtt.as_ref().map(|rtt| micros(pick(rtt)))
        };
        let silent = |side: Side| millis(now.saturating_duration_since(vitals[side].last_heard));
        info!(
            pair = entry.id.0,
            listener = &*entry.listener,
            route = &*entry.route,
            client = %entry.client,
            upstream = %entry.upstream,
            cause = cause.as_str(),
            close_code = self.fate.close.and_then(|close| close.code),
            close_by = self.fate.close.map(|close| close.by.as_str()),
            lapsed_after_ms = self.fate.silent_for.map(millis),
            duration_ms = millis(duration),
            handshake_us = micros(self.handshake),
            client_bytes = self.tally.from.client.bytes,
            client_frames = self.relayed_frames(Side::Client),
            client_pings = vitals.client.pings_sent,
            client_pongs = vitals.client.pongs_received,
            client_rtt_us = rtt(Side::Client, |rtt| rtt.last()),
            client_rtt_min_us = rtt(Side::Client, |rtt| rtt.min()),
            client_rtt_max_us = rtt(Side::Client, |rtt| rtt.max()),
            client_silent_ms = silent(Side::Client),
            upstream_bytes = self.tally.from.upstream.bytes,
            upstream_frames = self.relayed_frames(Side::Upstream),
            upstream_pings = vitals.upstream.pings_sent,
            upstream_pongs = vitals.upstream.pongs_received,
            upstream_rtt_us = rtt(Side::Upstream, |rtt| rtt.last()),
            upstream_rtt_min_us = rtt(Side::Upstream, |rtt| rtt.min()),
            upstream_rtt_max_us = rtt(Side::Upstream, |rtt| rtt.max()),
            upstream_silent_ms = silent(Side::Upstream),
            "pair ended"
        );
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

/// How a leg is let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Closed, with what was written before.
    Close,
    /// Reset: the peer learns that this was no orderly end.
    Reset,
}

// === impl End ===

impl End {
    fn new(leg: Leg, frame_bytes: Option<u64>) -> Self {
        Self {
            leg: Some(leg),
            scanner: FrameScanner::with_frame_limit(frame_bytes),
            input: Input::Open,
            outlet: Outlet::default(),
            paused: false,
            relayed: None,
        }
    }

    /// The frames that were relayed from this side.
    fn frames(&self) -> &FrameCounts {
        self.relayed.as_deref().unwrap_or(self.scanner.frames())
    }

    fn read(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Read {
        let (Some(leg), Input::Open | Input::Blind) = (&mut self.leg, self.input) else {
            return Read::Nothing;
        };
        let mut buf = ReadBuf::new(scratch);
        match Pin::new(leg).poll_read(cx, &mut buf) {
            Poll::Pending => Read::Nothing,
            Poll::Ready(Ok(())) => match buf.filled().len() {
                0 => Read::End,
                n => Read::Bytes(n),
            },
            // TLS without its close_notify ends like TCP does.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Read::End,
            Poll::Ready(Err(error)) => Read::Failed(error),
        }
    }

    /// Nothing comes from it any more, and it has been told that nothing will come to it.
    fn is_over(&self) -> bool {
        let told = self.outlet.fin == Fin::Sent;
        self.leg.is_none() || (self.input == Input::Ended && told)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
