//! What goes to one side: bytes that its socket has not taken yet, the frames that lubdub owes
//! it, and the watch over whether it takes anything at all.
//!
//! An outlet knows nothing of frames. Whether an owed frame may be placed here and now is for the
//! scanner of the other side's stream to say.

mod stall;
mod state;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use lubdub_wire::CloseCode;
use tokio::io::AsyncWrite;

use self::stall::StallWatch;
pub(super) use self::stall::Watched;
use super::stamp::Stamp;
use crate::leg::Leg;
use crate::settings::Terms;
use crate::socket::{Rest, Socket};

/// What goes to one side.
#[derive(Debug, Default)]
pub(super) struct Outlet {
    /// What the leg did not take, if there is any. Bounded: its source is not read meanwhile.
    backlog: Option<Box<BytesMut>>,
    /// The leg took bytes that it may hold itself (TLS).
    unflushed: bool,
    pub(super) ping: PingSlot,
    pub(super) close: CloseSlot,
    pub(super) fin: Fin,
    /// Writing failed: nothing will reach this side any more.
    broken: bool,
    /// The wait for what the Close is at started anew after a stall of the process already.
    excused: bool,
    /// Boxed: a side that waits for nothing has none.
    watch: Option<Box<StallWatch>>,
}

/// The own ping on its way to the side.
#[derive(Debug, Default)]
pub(super) enum PingSlot {
    /// None.
    #[default]
    Empty,
    /// To be placed at a message boundary, or from then on at any frame boundary.
    Owed { frame_boundary_from: Instant },
    /// In the stream; so many bytes are left up to its end.
    Placed { ahead: usize },
}

/// The Close on its way to the side.
#[derive(Debug, Default)]
pub(super) enum CloseSlot {
    /// None.
    #[default]
    Empty,
    /// lubdub's own, to be placed at the first frame boundary, or given up then.
    Owed { code: CloseCode, give_up: Stamp },
    /// In the stream; so many bytes are left up to its end.
    Placed {
        by: Author,
        // Not as a `usize`: there is no room in it, and what waits is bounded.
        ahead: u32,
        at: Stamp,
    },
    /// The socket took it.
    Passed { by: Author, at: Stamp },
}

/// Who wrote a Close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    /// The endpoint at the other side.
    Endpoint,
    Lubdub,
}

/// The end of the stream to the side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fin {
    #[default]
    No,
    /// To be sent behind the backlog.
    Owed,
    Sent,
}

/// Whether something may still come from the side that an outlet leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comes {
    More,
    /// When its end is said there is nothing more to do there: its leg is to be let go of then.
    NoMore,
}

/// When what is put leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    AtOnce,
    /// With what others send, before the worker waits; if it is short, and nothing else is on the way.
    Together,
}

/// What [`Outlet::drain`] found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Drained {
    /// The placed ping was written.
    pub(super) ping_written: bool,
    /// The Close or the FIN was passed on.
    pub(super) ended: bool,
}

impl Outlet {
    // --- getters

    /// Bytes wait for the leg to take them.
    pub(super) fn is_backed_up(&self) -> bool {
        self.backlog.is_some()
    }

    /// Nothing waits in it, and nothing stands in the way of what will come.
    pub(super) fn is_plain(&self) -> bool {
        !self.is_backed_up()
            && !self.unflushed
            && matches!(self.ping, PingSlot::Empty)
            && matches!(self.close, CloseSlot::Empty)
            && self.fin == Fin::No
            && !self.broken
            && self.watch.is_none()
    }

    /// A frame of lubdub's own waits for its place.
    #[inline]
    pub(super) fn is_owed(&self) -> bool {
        matches!(self.ping, PingSlot::Owed { .. }) || matches!(self.close, CloseSlot::Owed { .. })
    }

    /// Whether bytes from the other side are still to be relayed to this one. Behind an endpoint's
    /// own Close they are (the endpoint judges); behind lubdub's they must not be (RFC 6455 5.5.1).
    pub(super) fn accepts(&self) -> bool {
        let closed = matches!(
            self.close,
            CloseSlot::Placed {
                by: Author::Lubdub,
                ..
            } | CloseSlot::Passed {
                by: Author::Lubdub,
                ..
            }
        );
        !self.broken && self.fin == Fin::No && !closed
    }

    /// Whether lubdub may still add a frame of its own to a stream that accepts.
    pub(super) fn may_add(&self) -> bool {
        self.accepts() && matches!(self.close, CloseSlot::Empty | CloseSlot::Owed { .. })
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// A Close by this author is in the stream or has passed.
    pub(super) fn is_closed_by(&self, who: Author) -> bool {
        match self.close {
            CloseSlot::Placed { by, .. } | CloseSlot::Passed { by, .. } => by == who,
            CloseSlot::Empty | CloseSlot::Owed { .. } => false,
        }
    }

    /// A Close is in the stream or has passed, whoever wrote it.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed_by(Author::Endpoint) || self.is_closed_by(Author::Lubdub)
    }

    /// When to look next whether a side that takes nothing is stalled.
    pub(super) fn stall_deadline(&self, write_stall: Option<Duration>) -> Option<Instant> {
        Some(self.watch.as_ref()?.deadline(write_stall?))
    }

    /// Since when nothing was taken of what waits; `None` if nothing does.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        Some(self.watch.as_ref()?.since())
    }

    /// Until when a Close has to be placed, taken and answered.
    pub(super) fn farewell_deadline(&self, terms: &Terms) -> Option<Instant> {
        match self.close {
            CloseSlot::Owed { give_up, .. } => Some(give_up.instant()),
            // It is for `write_stall` to judge a backlog, unless that is off.
            CloseSlot::Placed { at, .. } if terms.write_stall.is_none() => {
                Some(at.instant() + terms.close)
            }
            CloseSlot::Passed { at, .. } => Some(at.instant() + terms.close),
            CloseSlot::Empty | CloseSlot::Placed { .. } => None,
        }
    }

    /// How many bytes wait.
    fn waiting(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.len())
    }

    // --- putting bytes in

    /// Sends `first`, then `second`, or as much of them as the leg takes; the rest waits.
    pub(super) fn put(
        &mut self,
        cx: &mut Context<'_>,
        leg: &mut Leg,
        [first, second]: [&[u8]; 2],
        sending: Sending,
    ) {
        if first.is_empty() && second.is_empty() {
            return;
        }
        if sending == Sending::Together
            && self.is_plain()
            && let Leg::Plain(socket) = &mut *leg
            && socket.send_together(cx.waker(), first, second)
        {
            return;
        }
        self.settle(leg);
        let mut done = 0;
        let total = first.len() + second.len();
        while !self.is_backed_up() && !self.broken && done < total {
            let to = Pin::new(&mut *leg);
            let written = if done >= first.len() {
                to.poll_write(cx, &second[done - first.len()..])
            } else if second.is_empty() {
                to.poll_write(cx, &first[done..])
            } else {
                let bufs = [IoSlice::new(&first[done..]), IoSlice::new(second)];
                to.poll_write_vectored(cx, &bufs)
            };
            match taken(written) {
                Taken::Some(n) => {
                    done += n;
                    self.pass_marks(n);
                    self.unflushed = leg.is_buffered();
                }
                Taken::Nothing => break,
                Taken::Failed => self.break_off(),
            }
        }
        if self.broken {
            return;
        }
        let (first, second) = match done.checked_sub(first.len()) {
            Some(of_second) => (&[][..], &second[of_second..]),
            None => (&first[done..], second),
        };
        if !first.is_empty() || !second.is_empty() {
            let backlog = self.backlog.get_or_insert_default();
            backlog.reserve(first.len() + second.len());
            backlog.extend_from_slice(first);
            backlog.extend_from_slice(second);
        }
    }

    /// The ping has its place: it ends behind what waits, and so many bytes of what is put next.
    pub(super) fn ping_placed(&mut self, ahead: usize) {
        self.ping = PingSlot::Placed {
            ahead: self.waiting() + ahead,
        };
    }

    /// lubdub's own Close is to be placed within so long.
    pub(super) fn owe_close(&mut self, code: CloseCode, within: Duration, now: Instant) {
        self.excused = false;
        self.close = CloseSlot::Owed {
            code,
            give_up: (now + within).into(),
        };
    }

    /// The Close has its place: it ends behind what waits, and so many bytes of what is put next.
    pub(super) fn close_placed(&mut self, by: Author, ahead: usize, now: Instant) {
        self.excused = false;
        self.close = CloseSlot::Placed {
            by,
            ahead: u32::try_from(self.waiting() + ahead).unwrap_or(u32::MAX),
            at: now.into(),
        };
    }

    /// Nothing can be written any more.
    pub(super) fn break_off(&mut self) {
        self.broken = true;
        self.backlog = None;
        self.unflushed = false;
        self.ping = PingSlot::Empty;
        self.watch = None;
    }

    // --- getting them out

    /// What was sent together with others is sent by now, and what the leg did not take of it waits here.
    #[inline]
    pub(super) fn settle(&mut self, leg: &mut Leg) {
        if let Leg::Plain(socket) = leg
            && socket.has_left()
            && let Some(rest) = socket.settle()
        {
            self.take_back(&rest);
        }
    }

    #[cold]
    fn take_back(&mut self, rest: &Rest) {
        if rest.is_broken {
            self.break_off();
        } else {
            // Nothing was put behind it: that would have had to wait for it.
            self.backlog = Some(Box::new(BytesMut::from(&rest.bytes[..])));
        }
    }

    /// Hands the leg what waits, then the FIN if one is owed.
    pub(super) fn drain(
        &mut self,
        cx: &mut Context<'_>,
        leg: &mut Leg,
        comes: Comes,
        now: Instant,
    ) -> Drained {
        let mut drained = Drained::default();
        self.settle(leg);
        if self.broken {
            return drained;
        }
        while let Some(backlog) = &self.backlog {
            match taken(Pin::new(&mut *leg).poll_write(cx, backlog)) {
                Taken::Some(n) => {
                    self.on_taken(n);
                    self.unflushed = leg.is_buffered();
                }
                Taken::Nothing => break,
                Taken::Failed => {
                    self.break_off();
                    return drained;
                }
            }
        }
        if self.unflushed {
            match Pin::new(&mut *leg).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(_)) => {
                    self.break_off();
                    return drained;
                }
                Poll::Pending => {}
            }
        }
        self.settle_marks(now, &mut drained);
        if self.fin == Fin::Owed && !self.is_backed_up() && !self.unflushed {
            // Closing the socket says the end as well.
            let said = match &mut *leg {
                Leg::Plain(socket) if comes == Comes::NoMore && socket.ends_when_closed() => {
                    Poll::Ready(Ok(()))
                }
                leg @ (Leg::Plain(_) | Leg::Tls(_) | Leg::TlsIn(_)) => {
                    Pin::new(leg).poll_shutdown(cx)
                }
            };
            match said {
                Poll::Ready(Ok(())) => {
                    self.fin = Fin::Sent;
                    drained.ended = true;
                }
                Poll::Ready(Err(_)) => {
                    self.break_off();
                    return drained;
                }
                Poll::Pending => {}
            }
        }
        self.watch_progress(leg.socket().taken(), now);
        drained
    }

    /// Looks at a side that has taken nothing, at its [`Outlet::stall_deadline`].
    pub(super) fn look(&mut self, socket: &Socket, all: Duration, now: Instant) -> Watched {
        match &mut self.watch {
            Some(watch) => watch.look(socket, all, now),
            None => Watched::Waiting,
        }
    }

    /// The process stood still, and woke up so late: what runs starts anew, once, for the peer had
    /// no chance meanwhile. Later such time does not count, and that is all.
    pub(super) fn excuse(&mut self, close: Duration, late: Duration, now: Instant) {
        if let Some(watch) = &mut self.watch {
            watch.excuse(late, now);
        }
        if std::mem::replace(&mut self.excused, true) {
            self.postpone_farewell(late);
            return;
        }
        match &mut self.close {
            CloseSlot::Empty => {}
            CloseSlot::Owed { give_up, .. } => *give_up = (now + close).into(),
            CloseSlot::Placed { at, .. } | CloseSlot::Passed { at, .. } => *at = now.into(),
        }
    }

    /// Whatever runs goes on for so much longer.
    pub(super) fn postpone(&mut self, by: Duration) {
        if let Some(watch) = &mut self.watch {
            watch.postpone(by);
        }
        self.postpone_farewell(by);
    }

    fn postpone_farewell(&mut self, by: Duration) {
        match &mut self.close {
            CloseSlot::Empty => {}
            CloseSlot::Owed { give_up: at, .. }
            | CloseSlot::Placed { at, .. }
            | CloseSlot::Passed { at, .. } => *at += by,
        }
    }

    fn on_taken(&mut self, n: usize) {
        if let Some(backlog) = &mut self.backlog {
            backlog.advance(n);
            if backlog.is_empty() {
                self.backlog = None;
            }
        }
        self.pass_marks(n);
    }

    /// The leg took so many bytes.
    #[inline]
    fn pass_marks(&mut self, n: usize) {
        if let PingSlot::Placed { ahead } = &mut self.ping {
            *ahead = ahead.saturating_sub(n);
        }
        if let CloseSlot::Placed { ahead, .. } = &mut self.close {
            *ahead = ahead.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
        }
    }

    fn settle_marks(&mut self, now: Instant, drained: &mut Drained) {
        if self.unflushed {
            return;
        }
        if let PingSlot::Placed { ahead: 0 } = self.ping {
            self.ping = PingSlot::Empty;
            drained.ping_written = true;
        }
        if let CloseSlot::Placed { by, ahead: 0, .. } = self.close {
            self.close = CloseSlot::Passed { by, at: now.into() };
            self.excused = false;
            drained.ended = true;
        }
    }

    fn watch_progress(&mut self, taken: u64, now: Instant) {
        if !self.is_backed_up() && !self.unflushed && self.fin != Fin::Owed {
            self.watch = None;
            return;
        }
        if (self.watch.as_ref()).is_none_or(|watch| watch.is_outdated(taken)) {
            self.watch = Some(Box::new(StallWatch::new(taken, now)));
        }
    }
}

/// How a write went.
enum Taken {
    Some(usize),
    /// The leg has no room, and will wake us.
    Nothing,
    Failed,
}

fn taken(written: Poll<io::Result<usize>>) -> Taken {
    match written {
        // A stream that takes nothing of something will never take anything.
        Poll::Ready(Ok(0) | Err(_)) => Taken::Failed,
        Poll::Ready(Ok(n)) => Taken::Some(n),
        Poll::Pending => Taken::Nothing,
    }
}
