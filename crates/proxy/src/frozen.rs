//! Pairs that stand still, on their way to another process.
//!
//! A pair that is asked to ([`Registry::freeze`](crate::registry::Registry::freeze)) stops between
//! two turns and gives up all that it knows as plain data, and both sockets, taken out of the event
//! queue. What is this process's own (its entry, its places, its count among the open pairs) is held
//! until it is known whose the pair is: then it goes on here ([`FrozenPair::thaw`]) as if nothing had
//! been, or is forgotten ([`FrozenPair::forget`]) without being counted as ended.

mod anchor;
mod state;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use lubdub_keepalive::PerSide;
use tokio::sync::mpsc;

pub(crate) use self::anchor::Anchor;
pub(crate) use self::state::{
    ArrivalState, EndState, InvalidPair, OutletState, PairState, PingMarkState, PingState,
    RateState, WatchState,
};
use crate::worker::Worker;

/// A pair that stands still.
///
/// To drop it is a mistake, and ends the pair as one of lubdub's: it is to be thawed or forgotten.
#[derive(Debug)]
pub(crate) struct FrozenPair {
    pub(crate) state: PairState,
    /// Nobody waits for them, and nothing was done to them.
    pub(crate) sockets: PerSide<OwnedFd>,
    held: Box<dyn Held>,
}

/// What is this process's own of a pair that stands still.
pub(crate) trait Held: fmt::Debug + Send {
    /// The pair goes on with these sockets, on that worker.
    fn thaw(self: Box<Self>, sockets: PerSide<OwnedFd>, on: &Worker) -> io::Result<()>;

    /// The pair is another process's.
    fn forget(self: Box<Self>);
}

/// A pair that was asked to stand still, and what became of that.
#[derive(Debug)]
pub(crate) struct Frozen {
    /// Its number.
    pub(crate) pair: u64,
    pub(crate) outcome: Result<Box<FrozenPair>, Kept>,
}

/// Where a pair is to say what became of it: once.
pub(crate) type Freezer = mpsc::UnboundedSender<Frozen>;

/// Why a pair does not stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Kept {
    /// The keys of a TLS session cannot be moved: it goes on.
    #[error("a side speaks TLS")]
    Tls,
    /// It is coming to its end, or was ordered to: it goes on until then.
    #[error("it is coming to its end")]
    Ending,
    /// Somebody else waits for the end of one of its sockets: it goes on.
    #[error("a socket is shared")]
    Shared,
    /// It is no more.
    #[error("it has ended")]
    Ended,
}

impl FrozenPair {
    pub(crate) fn new(state: PairState, sockets: PerSide<OwnedFd>, held: Box<dyn Held>) -> Self {
        Self {
            state,
            sockets,
            held,
        }
    }

    /// It goes on in this process.
    ///
    /// # Errors
    /// If the worker's runtime does not take the sockets; the pair has ended then.
    pub(crate) fn thaw(self, on: &Worker) -> io::Result<()> {
        self.held.thaw(self.sockets, on)
    }

    /// It goes on in another process: here it only ceases to be. The descriptors are closed, which ends
    /// no connection that somebody else has.
    pub(crate) fn forget(self) {
        self.held.forget();
    }
}
