//! What one scan says: what to forward, and why it stopped.

use std::fmt;

use crate::scanner::{Received, Residue};
use crate::{Header, Opcode};

/// At which boundary of the forwarded stream a scan is to stop.
///
/// A scan that already stands there stops at once, having forwarded nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stop {
    /// At none.
    #[default]
    Never,
    /// Between two messages.
    AtMessageBoundary,
    /// Between two frames, be it within a fragmented message.
    AtFrameBoundary,
    /// Between two messages, once [so many](crate::FrameCounts::messages) have begun; between two
    /// frames, if more have: who begins one within another (RFC 6455 5.4 forbids it) gets no further.
    BehindMessages(u64),
}

/// What to do with a part of the input.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "bytes that are not forwarded are lost"]
pub struct Step<'a> {
    /// Header bytes held back from earlier inputs, to be forwarded first. Mostly empty.
    pub residue: Residue,
    /// A part of the input, to be forwarded next.
    pub forward: &'a [u8],
    /// The part of the input that was not looked at yet.
    pub rest: &'a [u8],
    /// Why the scan stopped.
    pub event: Event<'a>,
}

/// Why a scan stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// The input is used up.
    Exhausted,
    /// The forwarded stream is at a boundary of the kind that [`Stop`] asked for.
    Boundary,
    /// A PING of at most 125 bytes has been forwarded whole.
    Ping(Received<'a>),
    /// A Close of at most 125 bytes has been forwarded whole.
    Close(Received<'a>),
    /// A PONG of at most 125 bytes, *not* forwarded: the caller sends [`Received::raw`] on or
    /// swallows the frame. Either way the stream is at a frame boundary.
    Pong(Received<'a>),
    /// The next frame announces more than the limit. No byte of it is forwarded: asked again, the
    /// scanner says the same, until the limit is [lifted](crate::FrameScanner::lift_frame_limit).
    TooBig(Header),
}

// === impl Event ===

impl<'a> Event<'a> {
    #[inline]
    pub(super) fn of(opcode: Opcode, frame: Received<'a>) -> Self {
        match opcode {
            Opcode::PING => Self::Ping(frame),
            Opcode::CLOSE => Self::Close(frame),
            _ => Self::Pong(frame),
        }
    }
}

// === impl Step ===

impl<'a> Step<'a> {
    pub(super) fn exhausted(residue: Residue, forward: &'a [u8]) -> Self {
        Self {
            residue,
            forward,
            rest: &[],
            event: Event::Exhausted,
        }
    }

    pub(super) fn boundary(residue: Residue, input: &'a [u8], at: usize) -> Self {
        let (forward, rest) = input.split_at(at);
        Self {
            residue,
            forward,
            rest,
            event: Event::Boundary,
        }
    }
}

/// Tells lengths, not bytes: endpoints' payloads are not for logs.
impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("residue", &self.residue.len())
            .field("forward", &self.forward.len())
            .field("rest", &self.rest.len())
            .field("event", &self.event)
            .finish()
    }
}
