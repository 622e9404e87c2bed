//! What time brings: the pair's deadlines, and what is done when one is reached.

use std::task::Context;
use std::time::{Duration, Instant};

use lubdub_keepalive::{Output, Side};
use lubdub_metrics::{Cause, Diagnosis};
use tracing::debug;

use super::end::{End, Ending};
use super::fate::Lapse;
use super::link::Look;
use super::outlet::{CloseSlot, PingSlot, Watched};
use super::stamp::Stamp;
use super::{Pumped, Seldom, Splice, fate, millis, tally};
use crate::registry::Order;

/// The pair's own deadlines, beside those of the heartbeat and the outlets.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// When data last came in, or the pair opened.
    pub(super) data: Stamp,
    pub(super) lifetime: Option<Stamp>,
    /// When the first Close or FIN was passed on: the endpoints' closing handshake is under way.
    pub(super) closing: Option<Stamp>,
}

/// Which of them started anew after a stall of the process already. Once is enough: a machine that
/// stutters would never find what is dead.
#[derive(Debug, Default)]
pub(super) struct Excused {
    pub(super) data: bool,
    pub(super) closing: bool,
}

impl Splice {
    /// While data moves the endpoints' closing handshake may take so many times `timeouts.close`.
    const CLOSES: u32 = 10;

    /// After a stall of the process whatever runs starts anew, as the clocks of the heartbeat do:
    /// nobody had a chance meanwhile. That happens once to each; later stalls move it by as long as
    /// the wake-up was late. (A lifetime accuses nobody, and only moves.)
    pub(super) fn excuse(&mut self, late: Duration, now: Instant) {
        debug!(pair = self.id(), late_ms = millis(late), "late wake-up");
        let Seldom {
            deadlines, excused, ..
        } = &mut *self.seldom;
        start_anew(&mut deadlines.data, &mut excused.data, late, now);
        if let Some(closing) = &mut deadlines.closing {
            start_anew(closing, &mut excused.closing, late, now);
        }
        if let Some(lifetime) = &mut deadlines.lifetime {
            *lifetime += late;
        }
        for side in Side::BOTH {
            (self.ends[side].outlet).excuse(self.terms.close, late, now);
        }
        self.heart.handle_late_wake_up(now);
    }

    /// After a stall in the middle of a turn whatever runs goes on for as long as that has lasted.
    pub(super) fn postpone(&mut self, stalled: Duration) {
        debug!(pair = self.id(), stalled_ms = millis(stalled), "long turn");
        self.seldom.deadlines.data += stalled;
        let Deadlines {
            closing, lifetime, ..
        } = &mut self.seldom.deadlines;
        for deadline in [closing, lifetime].into_iter().flatten() {
            *deadline += stalled;
        }
        for side in Side::BOTH {
            self.ends[side].outlet.postpone(stalled);
        }
        self.heart.handle_stall(stalled);
    }

    /// Before a side is called dead, the kernel itself is asked for what it has sent: the runtime
    /// may not have looked at the socket since the pong arrived.
    pub(super) fn hear_all(&mut self, cx: &mut Context<'_>, now: Instant, scratch: &mut [u8]) {
        for side in Side::BOTH {
            for _ in 0..Self::TURNS_A_HEARING {
                if !self.heart.lapse_due(side, now) {
                    break;
                }
                self.set_ask_kernel(side, true);
                let pumped = self.pump(cx, side, now, scratch);
                self.set_ask_kernel(side, false);
                if pumped == Pumped::Idle {
                    break;
                }
            }
        }
    }

    /// Looks at what time has brought.
    pub(super) fn judge(&mut self, now: Instant) {
        for side in Side::BOTH {
            if self.heart.lapse_due(side, now) && self.look_at_link(side, now) == Look::Moving {
                debug!(pair = self.id(), %side, "the link is slow: another timeout");
                self.heart.handle_link_progress(side, now);
            }
        }
        self.heart.handle_timeout(now);
        while let Some(output) = self.heart.poll_output(now) {
            self.on_heartbeat(output, now);
        }
        // Endpoints that are closing already need no farewell of lubdub's.
        if self.is_open() {
            let ordered = self.registration.entry().ordered();
            if ordered == Order::Drain {
                self.end(Cause::Drain, None, now);
            } else if ordered == Order::Close {
                self.end(Cause::Admin, None, now);
            } else if self.lifetime_deadline().is_some_and(|at| at <= now) {
                self.end(Cause::Lifetime, None, now);
            } else if self.data_idle_deadline().is_some_and(|at| at <= now) {
                self.end(Cause::DataIdle, None, now);
            }
        }
        for side in Side::BOTH {
            self.judge_outlet(side, now);
        }
        if self.closing_deadline().is_some_and(|at| at <= now) {
            self.on_close_timeout();
        }
        if self.tally.deadline().is_some_and(|at| at <= now) {
            self.flush();
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

    /// The next moment at which time alone brings something that a turn which began at `now` did not.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let mut next = self.heart.poll_timeout();
        let mut consider = |at: Option<Instant>| next = next.into_iter().chain(at).min();
        consider(self.closing_deadline());
        consider(self.tally.deadline());
        if self.is_open() {
            consider(self.lifetime_deadline());
            consider(self.data_idle_deadline());
        }
        for side in Side::BOTH {
            consider(self.held_until(side));
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
            } = outlet.ping
            {
                // Past that moment it is the stream, not time, that the ping waits for.
                consider(Some(frame_boundary_from).filter(|at| *at > now));
            }
        }
        next
    }

    fn on_heartbeat(&mut self, output: Output, now: Instant) {
        match output {
            Output::SendPing { side } => {
                self.ends[side].outlet.ping = PingSlot::Owed {
                    frame_boundary_from: match self.terms.boundary_wait[side] {
                        Some(wait) => now + wait,
                        None => now,
                    },
                };
            }
            Output::Lapsed { side, silent_for } => {
                let diagnosis = match self.look_at_link(side, now) {
                    Look::Silent(diagnosis) => diagnosis,
                    Look::Moving => Diagnosis::Unknown,
                };
                tally::heartbeat(&self.seldom.metrics.route, side)
                    .lapses(diagnosis)
                    .increment(1);
                let registry = self.registration.registry();
                registry.totals().lapsed(side, diagnosis);
                self.fate.lapse = Some(Box::new(Lapse {
                    silent_for,
                    diagnosis,
                }));
                debug!(pair = self.id(), %side, silent_ms = millis(silent_for), %diagnosis, "lapsed");
                self.end(fate::lapsed(side), Some(side), now);
            }
            Output::WouldHaveLapsed { side, silent_for } => {
                tally::heartbeat(&self.seldom.metrics.route, side)
                    .would_have_lapsed
                    .increment(1);
                debug!(pair = self.id(), %side, silent_ms = millis(silent_for), "would have lapsed");
            }
        }
    }

    /// Asks the kernel about the ping that runs the clock of `side`.
    fn look_at_link(&mut self, side: Side, now: Instant) -> Look {
        let silent_for = now.saturating_duration_since(self.heart.vitals(side).last_heard);
        let is_unheard = silent_for >= self.terms.keepalive[side].timeout() / 2;
        match &mut self.ends[side] {
            End {
                leg: Some(leg),
                ping_mark: Some(mark),
                ..
            } => mark.look(leg.socket(), is_unheard),
            _ => Look::Silent(Diagnosis::Unknown),
        }
    }

    pub(super) fn lifetime_deadline(&self) -> Option<Instant> {
        self.seldom.deadlines.lifetime.map(Stamp::instant)
    }

    fn data_idle_deadline(&self) -> Option<Instant> {
        let idle = self.terms.data_idle?;
        // A side that is held may have data to send.
        let held = Side::BOTH
            .into_iter()
            .filter_map(|side| self.held_until(side));
        Some(held.fold(self.seldom.deadlines.data.instant(), Instant::max) + idle)
    }

    /// Until when the closing handshake has to be over. An endpoint may be in the middle of a message
    /// when the other one says farewell: while data comes in, is taken or is held, it goes on, but not
    /// for ever. Where lubdub ends the pair it does not: then nobody is to go on.
    pub(super) fn closing_deadline(&self) -> Option<Instant> {
        let Deadlines { data, closing, .. } = &self.seldom.deadlines;
        let since = closing.as_ref()?.instant();
        let close = self.terms.close;
        if self.fate.is_by_lubdub() {
            return Some(since + close);
        }
        let moved = Side::BOTH
            .into_iter()
            .flat_map(|side| [self.ends[side].outlet.stuck_since(), self.held_until(side)])
            .flatten()
            .fold(data.instant().max(since), Instant::max);
        Some((moved + close).min(since + close * Self::CLOSES))
    }
}

/// A bound that runs since `since` starts anew if it did not before, else it moves by as much as the
/// wake-up was late.
fn start_anew(since: &mut Stamp, excused: &mut bool, late: Duration, now: Instant) {
    if std::mem::replace(excused, true) {
        *since += late;
    } else {
        *since = now.into();
    }
}
