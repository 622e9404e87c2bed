//! A pair gives up all that it knows, and goes on from that: here or in another process.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lubdub_keepalive::{Heartbeat, PerSide, Side};
use lubdub_metrics::{Cause, OpenPair};
use lubdub_wire::FrameScanner;
use serde_bytes::ByteBuf;

use super::deadlines::{Deadlines, Excused};
use super::end::{End, Ending, Input};
use super::fate::Fate;
use super::inlet::Inlet;
use super::link::PingMark;
use super::outlet::{CloseSlot, Fin, Outlet};
use super::tally::Tally;
use super::timer::Timer;
use super::{Places, Seldom, Splice, clock};
use crate::frozen::{
    Anchor, EndState, Freezer, Frozen, FrozenPair, Held, InvalidPair, Kept, PairState, PingState,
};
use crate::leg::Leg;
use crate::live_terms::LiveTerms;
use crate::registry::{Order, Registration};
use crate::settings::Terms;
use crate::socket::Socket;
use crate::worker::Worker;

/// What the process that goes on has for a pair.
pub(crate) struct NewHome {
    /// Those of the pair's route by now.
    pub(crate) terms: Arc<Terms>,
    pub(crate) live_terms: Arc<LiveTerms>,
    /// It was opened, and counted so, elsewhere.
    pub(crate) metrics: OpenPair,
    pub(crate) registration: Registration,
    pub(crate) places: Places,
}

/// What a pair has given up.
pub(super) struct GivenUp {
    pub(super) state: PairState,
    pub(super) sockets: PerSide<OwnedFd>,
}

/// A pair without its sockets.
struct Standing {
    splice: Splice,
    /// Bytes that the kernel took for each side.
    taken: PerSide<u64>,
}

impl Splice {
    /// Lets go of both sockets, between two turns.
    pub(super) fn give_up(&mut self, anchor: &Anchor) -> Result<GivenUp, Kept> {
        self.settle_sends();
        self.may_freeze()?;
        let state = self.freeze(anchor);
        let sockets = PerSide::from_fn(|side| self.ends[side].leg.take());
        let fd = |leg: Option<Leg>| match leg {
            Some(Leg::Plain(socket)) => socket.into_fd(),
            Some(Leg::Tls(_) | Leg::TlsIn(_)) | None => {
                unreachable!("both legs are sockets, or it is kept")
            }
        };
        match (fd(sockets.client), fd(sockets.upstream)) {
            (Ok(client), Ok(upstream)) => Ok(GivenUp {
                state,
                sockets: PerSide { client, upstream },
            }),
            _ => {
                self.fate.by_lubdub(Cause::Internal);
                for side in Side::BOTH {
                    self.cut(side, Ending::Close);
                }
                Err(Kept::Ended)
            }
        }
    }

    /// It stands still from here on.
    pub(super) fn freeze_into(self, freezer: &Freezer, given_up: GivenUp) {
        let GivenUp { state, sockets } = given_up;
        let pair = self.id();
        let held = Box::new(Standing {
            taken: PerSide::from_fn(|side| state.ends[side].taken),
            splice: self,
        });
        let frozen = Box::new(FrozenPair::new(state, sockets, held));
        // Who does not wait for it any more has lost it: its end is counted as it is dropped.
        let _ = freezer.send(Frozen {
            pair,
            outcome: Ok(frozen),
        });
    }

    /// It goes on, and says so.
    pub(super) fn keep(&self, freezer: &Freezer, kept: Kept) {
        let _ = freezer.send(Frozen {
            pair: self.id(),
            outcome: Err(kept),
        });
    }

    /// Whether it can stand still here. A pair that is coming to its end is left to that: it does not
    /// take long, and nobody is pinged any more.
    fn may_freeze(&mut self) -> Result<(), Kept> {
        let ordered = self.registration.entry().ordered() != Order::None;
        if ordered || self.seldom.deadlines.closing.is_some() {
            return Err(Kept::Ending);
        }
        for side in Side::BOTH {
            let end = &mut self.ends[side];
            match &mut end.leg {
                None => return Err(Kept::Ending),
                Some(Leg::Tls(_) | Leg::TlsIn(_)) => return Err(Kept::Tls),
                Some(Leg::Plain(socket)) => {
                    if !socket.unshare() {
                        return Err(Kept::Shared);
                    }
                }
            }
        }
        let goes_on = |side: Side| {
            let End {
                input,
                outlet,
                said_close,
                discarded,
                ..
            } = &self.ends[side];
            *input == Input::Open
                && matches!(outlet.close, CloseSlot::Empty)
                && outlet.fin == Fin::No
                && !outlet.is_broken()
                && !said_close
                && !discarded
        };
        if self.is_open() && Side::BOTH.into_iter().all(goes_on) {
            Ok(())
        } else {
            Err(Kept::Ending)
        }
    }

    /// All that it knows. What was counted so far is this process's, and is told to its counters.
    pub(super) fn freeze(&mut self, anchor: &Anchor) -> PairState {
        self.flush();
        let entry = self.registration.entry();
        let caller = entry.caller();
        let nanos = |at: Instant| anchor.nanos(at);
        PairState {
            version: PairState::VERSION,
            id: entry.id.0,
            listener: entry.names.listener.to_string(),
            route: entry.names.route.to_string(),
            upstream_name: entry.names.upstream.to_string(),
            client: caller.peer,
            true_client: (!caller.is_peer()).then(|| caller.client.to_string()),
            upstream: entry.upstream(),
            request: entry.request.as_deref().map(str::to_owned),
            request_id: entry.request_id(),
            proxy_header: entry.proxy_header().map(str::to_owned),
            opened: nanos(entry.opened),
            handshake_us: self.seldom.handshake_us,
            heartbeat: self.heart.freeze(),
            ends: PerSide::from_fn(|side| {
                let end = &self.ends[side];
                let socket = end.leg.as_ref().map(Leg::socket);
                EndState {
                    scanner: end.scanner.freeze(),
                    outlet: end.outlet.freeze(self.heart.payload(side), anchor),
                    taken: socket.map_or(0, Socket::taken),
                    paused: end.paused,
                    ping_mark: end.ping_mark.as_ref().map(PingMark::freeze),
                    bytes: self.tally.from[side].bytes,
                    frames: self.relayed_frames(side),
                    trace: Some(entry.freeze_trace(side)),
                    rate: self.inlet(side).and_then(|inlet| inlet.freeze(anchor)),
                }
            }),
            early: self.inlets.as_deref().map(|inlets| {
                PerSide::from_fn(|side| ByteBuf::from(inlets[side].waiting().to_vec()))
            }),
            data: nanos(self.seldom.deadlines.data.instant()),
            data_excused: self.seldom.excused.data,
            data_idle: self.terms.data_idle,
            write_stall: self.terms.write_stall,
            lifetime: self.seldom.deadlines.lifetime.map(|at| nanos(at.instant())),
            armed: self.timer.armed().map(nanos),
        }
    }

    /// Whether a pair could go on from this, on these terms: [`thaw`](Self::thaw) would not refuse it. To be
    /// asked before it is this process's.
    ///
    /// # Errors
    /// As `thaw`, but for what concerns the sockets.
    pub(crate) fn check(
        state: &PairState,
        terms: &Terms,
        anchor: &Anchor,
    ) -> Result<(), InvalidPair> {
        let opened = anchor.instant(state.opened)?;
        Parts::thaw(state.clone(), terms, opened, anchor).map(|_| ())
    }

    /// Goes on with what a pair in another process gave up. The sockets are registered with the runtime
    /// that this is called in; whether they can be read or written is not known.
    ///
    /// The terms may be others by now. Their keepalive values hold from the next ping on, as after a
    /// reload; what else has changed ends no pair that was well.
    ///
    /// # Errors
    /// If no pair can have given this up, or the sockets cannot be used.
    pub(crate) fn thaw(
        state: PairState,
        sockets: PerSide<OwnedFd>,
        home: NewHome,
        anchor: &Anchor,
    ) -> Result<Self, InvalidPair> {
        let handshake_us = state.handshake_us;
        let opened = home.registration.entry().opened;
        let traces = PerSide::from_fn(|side| state.ends[side].trace);
        let parts = Parts::thaw(state, &home.terms, opened, anchor)?;
        for side in Side::BOTH {
            if let Some(trace) = &traces[side] {
                home.registration.entry().thaw_trace(side, trace);
            }
        }
        let PerSide { client, upstream } = parts.ends;
        let splice = Self {
            ends: PerSide {
                client: client.with(sockets.client)?,
                upstream: upstream.with(sockets.upstream)?,
            },
            heart: parts.heart,
            fate: Fate::default(),
            tally: parts.tally,
            timer: Timer::resume(parts.armed, clock()),
            inlets: parts.inlets,
            seldom: Box::new(Seldom {
                deadlines: parts.deadlines,
                excused: parts.excused,
                polled: false,
                concluded: false,
                handshake_us,
                live_terms: home.live_terms,
                metrics: home.metrics,
                _places: home.places,
            }),
            terms: home.terms,
            registration: home.registration,
        };
        splice.publish();
        Ok(splice)
    }
}

// === impl Parts ===

/// All of a pair that was given up elsewhere, but for its sockets.
struct Parts {
    heart: Heartbeat,
    ends: PerSide<EndParts>,
    tally: Tally,
    deadlines: Deadlines,
    excused: Excused,
    inlets: Option<Box<PerSide<Inlet>>>,
    armed: Option<Instant>,
}

/// An end without its socket.
struct EndParts {
    scanner: FrameScanner,
    outlet: Outlet,
    ping_mark: Option<PingMark>,
    paused: bool,
    taken: u64,
}

impl Parts {
    fn thaw(
        state: PairState,
        terms: &Terms,
        opened: Instant,
        anchor: &Anchor,
    ) -> Result<Self, InvalidPair> {
        let now = clock();
        let instant = |nanos: Option<i64>| nanos.map(|at| anchor.instant(at)).transpose();
        let heart = Heartbeat::thaw(state.heartbeat, terms.keepalive.clone(), opened, now)?;
        let mut tally = Tally::default();
        for side in Side::BOTH {
            let end = &state.ends[side];
            tally.from[side].resume(end.bytes, end.frames);
            if heart.owes_ping(side) == matches!(end.outlet.ping, PingState::Empty) {
                return Err(InvalidPair::Senseless("a ping that nobody sends"));
            }
        }
        let is_watched_alike = state.write_stall == terms.write_stall;
        let end = |end: EndState| {
            Ok::<_, InvalidPair>(EndParts {
                scanner: FrameScanner::thaw(&end.scanner, terms.frame_bytes)?,
                outlet: Outlet::thaw(end.outlet, end.taken, is_watched_alike, anchor)?,
                ping_mark: end
                    .ping_mark
                    .map(|mark| PingMark::thaw(mark, end.taken))
                    .transpose()?,
                paused: end.paused,
                taken: end.taken,
            })
        };
        let early = state.early.unwrap_or_default();
        let inlet = |side: Side, waiting: ByteBuf, rate| {
            let waiting = Bytes::from(waiting.into_vec());
            Inlet::thaw(waiting, rate, terms.rates.from(side), now, anchor)
        };
        let inlets = PerSide {
            client: inlet(Side::Client, early.client, state.ends.client.rate)?,
            upstream: inlet(Side::Upstream, early.upstream, state.ends.upstream.rate)?,
        };
        let are_open = inlets.client.is_open() && inlets.upstream.is_open();
        let has_same_idle = state.data_idle == terms.data_idle;
        Ok(Self {
            heart,
            ends: PerSide {
                client: end(state.ends.client)?,
                upstream: end(state.ends.upstream)?,
            },
            tally,
            deadlines: Deadlines {
                data: match has_same_idle {
                    true => anchor.instant(state.data)?.into(),
                    false => now.into(),
                },
                lifetime: instant(state.lifetime)?.map(Into::into),
                closing: None,
            },
            excused: Excused {
                data: state.data_excused && has_same_idle,
                closing: false,
            },
            inlets: (!are_open).then(|| Box::new(inlets)),
            armed: instant(state.armed)?,
        })
    }
}

impl EndParts {
    fn with(self, socket: OwnedFd) -> io::Result<End> {
        Ok(End {
            leg: Some(Leg::Plain(Socket::resume(socket, self.taken)?)),
            scanner: self.scanner,
            input: Input::Open,
            outlet: self.outlet,
            paused: self.paused,
            said_close: false,
            ping_mark: self.ping_mark,
            discarded: false,
            thawed: true,
        })
    }
}

// === impl Standing ===

impl Held for Standing {
    fn thaw(self: Box<Self>, sockets: PerSide<OwnedFd>, on: &Worker) -> io::Result<()> {
        let Self { splice, taken } = *self;
        let _runtime = on.runtime().enter();
        on.spawn(splice.resume(sockets, taken)?.run());
        Ok(())
    }

    fn forget(mut self: Box<Self>) {
        self.splice.seldom.concluded = true;
    }
}

impl Splice {
    /// Goes on with its own sockets.
    fn resume(mut self, sockets: PerSide<OwnedFd>, taken: PerSide<u64>) -> io::Result<Self> {
        let mut leg = |side: Side, fd| {
            let socket = Socket::resume(fd, taken[side])?;
            let end = &mut self.ends[side];
            (end.leg, end.thawed) = (Some(Leg::Plain(socket)), true);
            io::Result::Ok(())
        };
        leg(Side::Client, sockets.client)?;
        leg(Side::Upstream, sockets.upstream)?;
        self.timer = Timer::resume(self.timer.armed(), clock());
        self.seldom.polled = false;
        Ok(self)
    }
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Standing(#{})", self.splice.id())
    }
}
