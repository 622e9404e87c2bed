//! How a pair ends: what the endpoints' Closes, FINs and resets mean for the other side, and what
//! lubdub does when it is lubdub that ends the pair (docs/adr/0005).

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use lubdub_keepalive::Side;
use lubdub_metrics::Cause;
use lubdub_wire::{Close, Payload};
use tracing::debug;

use super::end::{End, Ending, Input};
use super::fate;
use super::outlet::{Author, Fin, PingSlot, Sending};
use super::parcel::Parcel;
use super::{Splice, tally};
use crate::registry::{CloseSender, Farewell};
use crate::settings::CloseReason;

impl Splice {
    /// An endpoint's Close was passed on, or came in answer to lubdub's.
    pub(super) fn on_close(
        &mut self,
        parcel: &Parcel<'_>,
        from: Side,
        payload: &Payload,
        now: Instant,
    ) {
        let to = from.other();
        self.see_close(CloseSender::Side(from), Close::parse(payload).code);
        self.ends[from].said_close = true;
        self.heart.handle_closing();
        self.drop_pings();
        self.fate.by_endpoint(fate::closed(from));
        // Where it stands is counted from what the socket has not taken.
        self.ends[to].settle();
        let outlet = &mut self.ends[to].outlet;
        if outlet.may_add() {
            outlet.close_placed(Author::Endpoint, parcel.len(), now);
        }
        // "Until its Close or end, then the socket is shut down": lubdub's Close was answered.
        let by_lubdub = self.fate.is_by_lubdub();
        let outlet = &mut self.ends[from].outlet;
        if by_lubdub && outlet.is_closed() && outlet.fin == Fin::No {
            outlet.fin = Fin::Owed;
        }
    }

    /// A side said that it will send no more.
    pub(super) fn on_fin(&mut self, cx: &mut Context<'_>, from: Side) {
        let to = from.other();
        // What was left for it in this turn may have been sent by now, and have met the reset.
        self.ends[from].settle();
        if self.ends[from].outlet.is_broken() {
            // A write met the reset first, and this is how the reading learns of it.
            let error = io::ErrorKind::ConnectionReset.into();
            return self.on_reset(from, &error);
        }
        let input = std::mem::replace(&mut self.ends[from].input, Input::Ended);
        self.heart.handle_closing();
        self.drop_pings();
        self.fate.by_endpoint(fate::eof(from));
        self.registration.entry().publish_closing();
        let by_lubdub = self.fate.is_by_lubdub();
        if !by_lubdub && input != Input::Blind {
            let held = self.ends[from].scanner.take_held();
            if !held.is_empty() && self.ends[to].outlet.accepts() {
                let mut parcel = Parcel::default();
                parcel.add(&held);
                self.send(cx, to, &parcel, Sending::AtOnce);
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
    pub(super) fn on_reset(&mut self, from: Side, error: &io::Error) {
        debug!(pair = self.id(), side = %from, %error, "connection broke");
        let to = from.other();
        self.heart.handle_closing();
        self.drop_pings();
        self.fate.by_endpoint(fate::reset(from));
        self.registration.entry().publish_closing();
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
    pub(super) fn close_or_cut_behind(&mut self, to: Side) {
        if !self.ends[to.other()].scanner.at_frame_boundary() {
            self.cut(to, Ending::Reset);
        }
    }

    /// lubdub ends the pair; `dead` is the side that it has given up.
    pub(super) fn end(&mut self, cause: Cause, dead: Option<Side>, now: Instant) {
        self.fate.by_lubdub(cause);
        self.registration.entry().publish_closing();
        self.heart.handle_closing();
        self.drop_pings();
        self.seldom.deadlines.closing = None;
        self.seldom.excused.closing = false;
        if let Some(dead) = dead {
            self.cut(dead, Ending::Reset);
        }
        let chosen = self.chosen_farewell();
        for side in Side::BOTH {
            let sender_gone = self.ends[side.other()].input == Input::Ended;
            let in_frame = !self.ends[side.other()].scanner.at_frame_boundary();
            let End {
                leg: Some(_),
                outlet,
                ..
            } = &mut self.ends[side]
            else {
                continue;
            };
            if outlet.fin != Fin::No || outlet.is_broken() {
                self.seldom.deadlines.closing = Some(now.into());
            } else if outlet.is_closed_by(Author::Endpoint) {
                outlet.fin = Fin::Owed;
                self.seldom.deadlines.closing = Some(now.into());
            } else if sender_gone && in_frame {
                self.cut(side, Ending::Reset);
            } else {
                let code = match &chosen {
                    Some(farewell) => farewell.code(),
                    None => fate::code(&self.terms.close_codes, side, cause),
                };
                outlet.owe_close(code, self.terms.close, now);
            }
        }
    }

    /// What lubdub's Close to `to` says besides its code.
    pub(super) fn reason(&self, to: Side) -> Cow<'static, str> {
        if let Some(farewell) = self.chosen_farewell()
            && let Some(reason) = farewell.reason()
        {
            return Cow::Owned(reason.to_owned());
        }
        match (self.terms.close_reasons[to], self.fate.cause()) {
            (CloseReason::Cause, Some(cause)) => fate::reason(cause),
            (CloseReason::Off, _) | (_, None) => Cow::Borrowed(""),
        }
    }

    /// What an operator has chosen to be said, if it is an operator who ends the pair.
    fn chosen_farewell(&self) -> Option<Arc<Farewell>> {
        let is_chosen = self.fate.cause() == Some(Cause::Admin);
        is_chosen.then(|| self.registration.farewell())?
    }

    /// A side took nothing of what waited for it.
    pub(super) fn on_stall(&mut self, side: Side, now: Instant) {
        tally::heartbeat(&self.seldom.metrics.route, side)
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
    pub(super) fn on_close_timeout(&mut self) {
        self.seldom.deadlines.closing = None;
        for side in Side::BOTH {
            if self.ends[side].leg.is_some() && self.ends[side].outlet.is_broken() {
                // Its reset was met in writing, and reading has brought nothing since.
                let error = io::ErrorKind::ConnectionReset.into();
                return self.on_reset(side, &error);
            }
        }
        let closed = |side: Side| self.ends[side].outlet.is_closed_by(Author::Endpoint);
        let complete = closed(Side::Client) && closed(Side::Upstream);
        if !complete {
            self.fate.by_lubdub(Cause::CloseTimeout);
        }
        for side in Side::BOTH {
            self.cut(side, Ending::Close);
        }
    }

    /// Draws the conclusions of what broke.
    pub(super) fn settle(&mut self, now: Instant) {
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
                self.heart.handle_closing();
                self.drop_pings();
                self.seldom
                    .deadlines
                    .closing
                    .get_or_insert_with(|| now.into());
            }
        }
    }

    /// Lets go of a leg.
    pub(super) fn cut(&mut self, side: Side, ending: Ending) {
        let end = &mut self.ends[side];
        end.input = Input::Ended;
        end.outlet.break_off();
        if let (Some(leg), Ending::Reset) = (end.leg.take(), ending) {
            leg.socket().reset_on_close();
        }
    }

    pub(super) fn drop_pings(&mut self) {
        for side in Side::BOTH {
            let ping = &mut self.ends[side].outlet.ping;
            if let PingSlot::Owed { .. } = ping {
                *ping = PingSlot::Empty;
            }
        }
    }
}
