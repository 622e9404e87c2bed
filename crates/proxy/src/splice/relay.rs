//! Relaying: what is read from one side goes to the other, with lubdub's own frames in between.

use std::task::Context;
use std::time::Instant;

use lubdub_keepalive::{PingPayload, PingRow, PongVerdict, Reading, Side};
use lubdub_metrics::Cause;
use lubdub_wire::{Batch, Event, Payload, Stop};
use tracing::{debug, trace};

use super::end::{End, Input, Read};
use super::link::PingMark;
use super::outlet::{Author, CloseSlot, Comes, Fin, PingSlot, Sending};
use super::parcel::Parcel;
use super::{Pumped, Splice, inject, micros, tally};
use crate::leg::Leg;
use crate::registry::CloseSender;

/// Whether a PONG goes on to the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passing {
    Through,
    /// It is lubdub's, or nothing goes there any more.
    No,
}

impl Splice {
    /// Relays from one side until it has nothing more; `None` as soon as that makes anything
    /// necessary besides.
    pub(super) fn pump_plain(
        &mut self,
        cx: &mut Context<'_>,
        from: Side,
        now: Instant,
        scratch: &mut [u8],
    ) -> Option<Pumped> {
        let to = from.other();
        for _ in 0..Self::READS_A_TURN {
            match self.ends[from].read(cx, scratch) {
                Read::Bytes(n) => {
                    self.heart.handle_heard(from, n, now);
                    let input = &scratch[..n];
                    self.forward(cx, from, input, Stop::Never, Sending::Together, now);
                    // A TLS session is to be flushed.
                    self.drain(cx, to, now);
                    if !self.ends[to].outlet.is_plain() {
                        return None;
                    }
                }
                Read::Nothing => return Some(Pumped::Idle),
                Read::End => {
                    self.on_fin(cx, from);
                    return None;
                }
                Read::Failed(error) => {
                    self.on_reset(from, &error);
                    return None;
                }
            }
        }
        Some(Pumped::More)
    }

    /// Relays from one side until it has nothing more, or the other has no room.
    pub(super) fn pump(
        &mut self,
        cx: &mut Context<'_>,
        from: Side,
        now: Instant,
        scratch: &mut [u8],
    ) -> Pumped {
        for _ in 0..Self::READS_A_TURN {
            self.drain(cx, from.other(), now);
            self.hold(from, now);
            self.watch_pause(from, now);
            if self.ends[from].paused {
                return Pumped::Idle;
            }
            if self.let_in_waiting(cx, from, now) {
                continue;
            }
            let room = self.room(from, scratch.len());
            match self.ends[from].read(cx, &mut scratch[..room]) {
                Read::Bytes(n) => {
                    self.heart.handle_heard(from, n, now);
                    self.let_in(cx, from, &scratch[..n], now);
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

    /// Passes on what was read from a side, up to where it has to `stop` or to the end. Returns how
    /// much is left.
    pub(super) fn forward(
        &mut self,
        cx: &mut Context<'_>,
        from: Side,
        input: &[u8],
        stop: Stop,
        sending: Sending,
        now: Instant,
    ) -> usize {
        if self.ends[from].input == Input::Blind {
            return 0;
        }
        let to = from.other();
        let mut parcel = Parcel::of(input);
        let mut room = None;
        let mut is_close_in_it = false;
        let data_before = self.counts_data(from).then(|| {
            let scanner = &self.ends[from].scanner;
            (scanner.in_data_frame(), scanner.frames().data())
        });
        let mut rest = input;
        let mut batch = match self.heart.awaits_pong(from) {
            true => Batch::of_pings(),
            false => Batch::of_pings().and_pongs_but(PingPayload::LEN as u8),
        };
        loop {
            if !self.ends[from].discarded && !self.ends[to].outlet.accepts() {
                self.flush_from(from);
                self.ends[from].discarded = true;
            }
            let stop = match self.wanted_boundary(to, now) {
                Stop::Never => stop,
                wanted @ (Stop::AtMessageBoundary
                | Stop::AtFrameBoundary
                | Stop::BehindMessages(_)) => wanted,
            };
            let step = (self.ends[from].scanner).scan_with(rest, stop, &mut batch);
            let relayed = step.residue.len() + step.forward.len();
            let pongs = batch.take_pongs();
            if relayed > 0 && !self.ends[from].discarded && self.ends[to].outlet.accepts() {
                let at = input.len() - rest.len();
                parcel.add_run(&step.residue, at..at + step.forward.len());
                let tally = &mut self.tally.from[from];
                tally.bytes += relayed as u64;
                tally.foreign_pongs += pongs;
            }
            if pongs > 0 {
                self.heart.handle_idle_pongs(from, now);
            }
            if let Some(pings) = batch.take_pings() {
                let payload = pings.last.payload_in(room.get_or_insert(Payload::EMPTY));
                let row = PingRow {
                    same: pings.same,
                    is_all: pings.are_all_same(),
                };
                self.on_foreign_pings(from, payload, pings.count, row);
            }
            rest = step.rest;
            match &step.event {
                Event::Exhausted => break,
                Event::Boundary if matches!(stop, Stop::BehindMessages(_)) => break,
                Event::Boundary => self.place(&mut parcel, to, now),
                Event::Ping(ping) => {
                    let room = room.get_or_insert(Payload::EMPTY);
                    self.on_foreign_pings(from, ping.payload_in(room), 1, PingRow::ONE);
                }
                Event::Close(close) => {
                    is_close_in_it = true;
                    self.on_close(&parcel, from, &close.payload(), now);
                }
                Event::Pong(pong) => {
                    let room = room.get_or_insert(Payload::EMPTY);
                    match self.on_pong(&mut parcel, from, pong.payload_in(room), now) {
                        Passing::Through => {
                            let (held, in_input) = pong.raw();
                            let end = input.len() - rest.len();
                            parcel.add_run(held, end - in_input.len()..end);
                            let tally = &mut self.tally.from[from];
                            tally.bytes += (held.len() + in_input.len()) as u64;
                            tally.foreign_pongs += 1;
                        }
                        Passing::No => {}
                    }
                }
                Event::TooBig(header) => {
                    debug!(side = %from, bytes = header.payload_len, "frame too big");
                    if self.is_open() {
                        self.end(Cause::FrameTooBig, None, now);
                    } else if !self.fate.is_by_lubdub() {
                        // Others are ending the pair, and wait no longer for it than for silence.
                        self.ends[from].input = Input::Blind;
                        rest = &[];
                        break;
                    }
                    // Nothing of it passes, but behind it stands the Close that answers lubdub's.
                    self.flush_from(from);
                    self.ends[from].discarded = true;
                    self.ends[from].scanner.lift_frame_limit();
                    self.place(&mut parcel, to, now);
                }
            }
        }
        // A long frame counts as data for as long as it comes in, its last piece too.
        if let Some((within, frames)) = data_before {
            let scanner = &self.ends[from].scanner;
            if within || scanner.in_data_frame() || scanner.frames().data() > frames {
                self.seldom.deadlines.data = now.into();
                self.seldom.excused.data = false;
            }
        }
        self.place(&mut parcel, to, now);
        if is_close_in_it && self.is_end_next(cx, from) {
            self.send_last(cx, to, &parcel);
        } else {
            self.send(cx, to, &parcel, sending);
        }
        rest.len()
    }

    /// Whether what comes next from a side is its end, and that is passed on at once. Many servers close the
    /// connection with their Close (RFC 6455 7.1.1).
    fn is_end_next(&self, cx: &mut Context<'_>, from: Side) -> bool {
        let [leg, to] = [from, from.other()].map(|side| self.ends[side].leg.as_ref());
        self.inlets.is_none()
            && !self.fate.is_by_lubdub()
            && matches!(to, Some(Leg::Plain(_)))
            && matches!(leg, Some(Leg::Plain(socket)) if socket.is_at_end(cx))
    }

    /// Sends a side the last that there is for it, to leave with its end.
    fn send_last(&mut self, cx: &mut Context<'_>, to: Side, parcel: &Parcel<'_>) {
        let is_last = |this: &mut Self, is_last| {
            if let Some(Leg::Plain(socket)) = &mut this.ends[to].leg {
                socket.end_is_next(is_last);
            }
        };
        is_last(self, true);
        self.send(cx, to, parcel, Sending::AtOnce);
        is_last(self, false);
    }

    /// Sends a side what was collected for it, while it accepted that.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        to: Side,
        parcel: &Parcel<'_>,
        sending: Sending,
    ) {
        let End { leg, outlet, .. } = &mut self.ends[to];
        if let Some(leg) = leg {
            let (first, second) = parcel.parts();
            outlet.put(cx, leg, [first, second], sending);
        }
    }

    /// Hands a side what waits for it.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>, side: Side, now: Instant) {
        let End {
            leg: Some(leg),
            outlet,
            ping_mark,
            input,
            ..
        } = &mut self.ends[side]
        else {
            return;
        };
        if outlet.is_plain() {
            return;
        }
        let comes = match input {
            Input::Open | Input::Blind => Comes::More,
            Input::Ended => Comes::NoMore,
        };
        let drained = outlet.drain(cx, leg, comes, now);
        if drained.ping_written {
            let unanswered = self.heart.oldest_unanswered(side);
            let delay = self.heart.handle_ping_written(side, now);
            if self.heart.clock_since(side) == Some(now) {
                let vitals = self.heart.vitals(side);
                let answered = vitals.pongs_received + 1 == vitals.pings_sent;
                let before = ping_mark.as_ref().filter(|_| answered);
                *ping_mark = Some(PingMark::of(leg.socket(), before));
            }
            self.trace_ping(side, unanswered);
            let metrics = tally::heartbeat(&self.seldom.metrics.route, side);
            metrics.pings_sent.increment(1);
            metrics.ping_delay.record(delay);
            debug!(pair = self.id(), %side, delay_us = micros(delay), "ping written");
        }
        if drained.ended && !self.fate.is_by_lubdub() {
            self.seldom
                .deadlines
                .closing
                .get_or_insert_with(|| now.into());
        }
        let end = &mut self.ends[side];
        if end.is_over() && !end.outlet.is_broken() {
            // It is not to wait for the other side.
            end.leg = None;
        }
    }

    /// A side is not read while the other has a backlog, or while it has used up its rate; its silence
    /// then proves nothing.
    pub(super) fn watch_pause(&mut self, from: Side, now: Instant) {
        let pause = self.wants_pause(from);
        let end = &mut self.ends[from];
        if end.paused != pause {
            end.paused = pause;
            let reading = if pause {
                Reading::Paused
            } else {
                Reading::Resumed
            };
            self.heart.handle_reading(from, reading, now);
            trace!(side = %from, ?reading, "reading");
        }
    }

    pub(super) fn wants_pause(&self, from: Side) -> bool {
        let outlet = &self.ends[from.other()].outlet;
        outlet.accepts() && (outlet.is_backed_up() || self.held_until(from).is_some())
    }

    /// Where in the stream to `to` lubdub would like to stand.
    pub(super) fn wanted_boundary(&self, to: Side, now: Instant) -> Stop {
        let outlet = &self.ends[to].outlet;
        if !outlet.is_owed() || !outlet.may_add() {
            return Stop::Never;
        }
        if let CloseSlot::Owed { .. } = outlet.close {
            return Stop::AtFrameBoundary;
        }
        match outlet.ping {
            PingSlot::Owed {
                frame_boundary_from,
            } => {
                if frame_boundary_from <= now {
                    Stop::AtFrameBoundary
                } else {
                    Stop::AtMessageBoundary
                }
            }
            PingSlot::Empty | PingSlot::Placed { .. } => Stop::Never,
        }
    }

    /// Adds what is owed to `to`, if its stream stands where that may be added.
    pub(super) fn place(&mut self, parcel: &mut Parcel<'_>, to: Side, now: Instant) {
        let scanner = &self.ends[to.other()].scanner;
        let there = match self.wanted_boundary(to, now) {
            Stop::Never | Stop::BehindMessages(_) => false,
            Stop::AtFrameBoundary => scanner.at_frame_boundary(),
            Stop::AtMessageBoundary => scanner.at_message_boundary(),
        };
        if !there || self.ends[to].leg.is_none() {
            return;
        }
        // Where it stands is counted from what the socket has not taken.
        self.ends[to].settle();
        if !self.ends[to].outlet.may_add() {
            return;
        }
        if let CloseSlot::Owed { code, .. } = self.ends[to].outlet.close {
            parcel.add(&inject::close(to, code, &self.reason(to)));
            let outlet = &mut self.ends[to].outlet;
            outlet.close_placed(Author::Lubdub, parcel.len(), now);
            if self.ends[to].said_close || self.ends[to].input == Input::Ended {
                // It said farewell before this Close had its place: there is no answer to come.
                self.ends[to].outlet.fin = Fin::Owed;
            }
            self.see_close(CloseSender::Lubdub, Some(code.get()));
        } else if let PingSlot::Owed { .. } = self.ends[to].outlet.ping {
            self.heart.handle_ping_placed(to);
            parcel.add(&inject::ping(to, self.heart.payload(to)));
            self.ends[to].outlet.ping_placed(parcel.len());
        }
    }

    pub(super) fn on_foreign_pings(
        &mut self,
        from: Side,
        payload: &[u8],
        count: u32,
        row: PingRow,
    ) {
        if self.ends[from.other()].outlet.accepts() {
            self.tally.from[from].foreign_pings += count;
        }
        (self.heart).handle_foreign_pings(from.other(), payload, row);
    }

    /// Says whether the PONG goes on.
    fn on_pong(
        &mut self,
        parcel: &mut Parcel<'_>,
        from: Side,
        payload: &[u8],
        now: Instant,
    ) -> Passing {
        let to = from.other();
        let answered = self.heart.pongs_received(from);
        let unanswered = self.heart.oldest_unanswered(from);
        let verdict = self.heart.handle_pong(from, payload, now);
        self.trace_pong(from, unanswered, &verdict);
        match verdict {
            PongVerdict::Foreign if self.ends[to].outlet.accepts() => Passing::Through,
            PongVerdict::Foreign => Passing::No,
            PongVerdict::Ours { rtt, repair } => {
                if !self.ends[from].discarded {
                    self.tally.from[from].swallowed_pongs += 1;
                }
                let metrics = tally::heartbeat(&self.seldom.metrics.route, from);
                let vitals = self.heart.vitals(from);
                let entry = self.registration.entry();
                entry.publish_heartbeat(from, &vitals);
                metrics
                    .pongs_received
                    .increment(vitals.pongs_received - answered);
                if let Some(rtt) = rtt {
                    metrics.ping_rtt.record(rtt);
                    let registry = self.registration.registry();
                    registry.totals().answered(from, rtt);
                    debug!(pair = entry.id.0, side = %from, rtt_us = micros(rtt), "pong received");
                }
                if let Some(payload) = repair.filter(|_| self.ends[to].outlet.may_add()) {
                    metrics.pongs_repaired.increment(1);
                    parcel.add(&inject::repaired_pong(to, &payload));
                }
                Passing::No
            }
        }
    }

    /// Whether it matters when data came from a side: for `data_idle`, or because who is still in the
    /// middle of a message when the other side says farewell may go on. Who has said farewell itself
    /// "MUST NOT send any more data frames" (RFC 6455 5.5.1).
    fn counts_data(&self, from: Side) -> bool {
        let closing = self.seldom.deadlines.closing.is_some() && !self.ends[from].said_close;
        closing || self.terms.data_idle.is_some()
    }
}
