//! One end of a pair: its leg, what comes from it and what goes to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use lubdub_wire::{FrameCounts, FrameScanner};
use tokio::io::{AsyncRead, ReadBuf};

use super::link::PingMark;
use super::outlet::{Fin, Outlet};
use crate::leg::Leg;

/// One end of the pair.
pub(super) struct End {
    /// `None` once it was cut.
    pub(super) leg: Option<Leg>,
    /// Follows what comes from this side.
    pub(super) scanner: FrameScanner,
    pub(super) input: Input,
    /// Holds what goes to this side.
    pub(super) outlet: Outlet,
    /// Not read, because the other side is slow.
    pub(super) paused: bool,
    /// A Close came from this side.
    pub(super) said_close: bool,
    /// The own ping that runs this side's clock.
    pub(super) ping_mark: Option<PingMark>,
    /// What comes from it is thrown away: its frames count no more.
    pub(super) discarded: bool,
    /// It comes from another task or process: nothing is known yet of whether it can be read or written.
    pub(super) thawed: bool,
}

/// What comes from a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Is read and scanned.
    Open,
    /// Is read and thrown away unseen: a frame that is too big came while endpoints ended the pair.
    Blind,
    /// Has ended.
    Ended,
}

/// How a read went.
pub(super) enum Read {
    Bytes(usize),
    End,
    Failed(io::Error),
    Nothing,
}

/// How a leg is let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Closed, with what was written before.
    Close,
    /// Reset: the peer learns that this was no orderly end.
    Reset,
}

// === impl End ===

impl End {
    pub(super) fn new(leg: Leg, frame_bytes: Option<u64>) -> Self {
        Self {
            leg: Some(leg),
            scanner: FrameScanner::with_frame_limit(frame_bytes),
            input: Input::Open,
            outlet: Outlet::default(),
            paused: false,
            said_close: false,
            ping_mark: None,
            discarded: false,
            thawed: false,
        }
    }

    /// It is read, takes what it is sent, and is owed nothing.
    pub(super) fn is_plain(&self) -> bool {
        self.leg.is_some()
            && self.input == Input::Open
            && !self.paused
            && !self.thawed
            && self.outlet.is_plain()
    }

    /// How many frames were relayed from this side since they were last taken.
    pub(super) fn frames(&self) -> u64 {
        if self.discarded {
            return 0;
        }
        self.scanner.frames().total()
    }

    /// The frames that were relayed from this side since they were last taken.
    pub(super) fn take_frames(&mut self) -> FrameCounts {
        if self.discarded {
            return FrameCounts::default();
        }
        self.scanner.take_frames()
    }

    pub(super) fn read(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Read {
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

    /// What was sent together with others is sent by now.
    #[inline]
    pub(super) fn settle(&mut self) {
        if let Some(leg) = &mut self.leg {
            self.outlet.settle(leg);
        }
    }

    /// Nothing comes from it any more, and it has been told that nothing will come to it.
    pub(super) fn is_over(&self) -> bool {
        let told = self.outlet.fin == Fin::Sent;
        self.leg.is_none() || (self.input == Input::Ended && told)
    }
}
