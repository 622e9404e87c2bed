//! What goes to a side as plain data, as long as nothing of the pair's end does.

use bytes::BytesMut;
use lubdub_keepalive::PingPayload;

use super::stall::StallWatch;
use super::{Outlet, PingSlot};
use crate::frozen::{Anchor, InvalidPair, OutletState, PingState};

impl Outlet {
    /// `payload` is that of a ping that is owed.
    pub(in crate::splice) fn freeze(&self, payload: PingPayload, anchor: &Anchor) -> OutletState {
        let backlog = self.backlog.as_deref().map(|backlog| backlog.to_vec());
        OutletState {
            backlog: backlog.unwrap_or_default().into(),
            ping: match self.ping {
                PingSlot::Empty => PingState::Empty,
                PingSlot::Owed {
                    frame_boundary_from,
                } => PingState::Owed {
                    payload,
                    frame_boundary_from: anchor.nanos(frame_boundary_from),
                },
                PingSlot::Placed { ahead } => PingState::Placed { ahead },
            },
            watch: self.watch.as_ref().map(|watch| watch.freeze(anchor)),
        }
    }

    /// Goes on with it, when the socket has taken so many bytes. Where `write_stall` is another by now,
    /// the watch over it begins anew.
    pub(in crate::splice) fn thaw(
        state: OutletState,
        taken: u64,
        is_watched_alike: bool,
        anchor: &Anchor,
    ) -> Result<Self, InvalidPair> {
        let backlog = state.backlog.into_vec();
        let ping = match state.ping {
            PingState::Empty => PingSlot::Empty,
            // Its payload is what the heartbeat says; it is there for programs that look for it.
            PingState::Owed {
                payload: _,
                frame_boundary_from,
            } => PingSlot::Owed {
                frame_boundary_from: anchor.instant(frame_boundary_from)?,
            },
            PingState::Placed { ahead } if ahead <= backlog.len() => PingSlot::Placed { ahead },
            PingState::Placed { .. } => {
                return Err(InvalidPair::Senseless("a ping behind all that waits"));
            }
        };
        let watch = state.watch.filter(|_| is_watched_alike);
        let watch = watch.map(|watch| StallWatch::thaw(&watch, taken, anchor));
        Ok(Self {
            backlog: (!backlog.is_empty()).then(|| Box::new(BytesMut::from(&backlog[..]))),
            ping,
            watch: watch.transpose()?.map(Box::new),
            ..Self::default()
        })
    }
}
