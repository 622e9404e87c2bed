//! The predecessor's part in handing batches over, without I/O: whose a batch is at every moment.
//!
//! A batch is given away in three steps: it is offered, the successor is ready, `Go` is said. Up to
//! the last one it can be taken back. Whoever writes the messages tells this machine whether they
//! were written: what did not go into the socket whole, the successor will never act on.

use super::message::{FromPredecessor, Refused};

/// The batch that is on its way, if one is.
#[derive(Debug)]
pub(crate) struct Giver<T> {
    last: u64,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    /// Nothing is on its way.
    Idle,
    /// The successor has it, or will.
    Offered(Vec<T>),
    /// `Go` is being written.
    Going {
        accepted: Vec<T>,
        refused: Vec<(T, String)>,
    },
}

/// Whose the pairs of a batch are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settled<T> {
    /// The successor's: they are to be forgotten.
    pub(crate) gone: Vec<T>,
    /// The predecessor's: they are to be thawed. Why, if the successor said so.
    pub(crate) kept: Vec<(T, Option<String>)>,
}

/// Why an answer of the successor's makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Senseless {
    /// Nothing was offered, or something else.
    #[error("it is ready for batch {0}, which was not offered")]
    NotOffered(u64),
    /// A pair that is not in the batch.
    #[error("it refuses pair {0} of a batch that has fewer")]
    NoSuchPair(u16),
}

// === impl Giver ===

impl<T> Giver<T> {
    pub(crate) fn new() -> Self {
        Self {
            last: 0,
            state: State::Idle,
        }
    }

    /// Whether another batch can be offered.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// The number of the next batch.
    pub(crate) fn next(&self) -> u64 {
        self.last + 1
    }

    /// Offers a batch, the next. If the message with it cannot be written, [`Giver::take_back`] is
    /// due.
    ///
    /// # Panics
    /// If another one is on its way.
    pub(crate) fn offer(&mut self, batch: Vec<T>) {
        assert!(self.is_idle(), "one batch at a time is on its way");
        self.last = self.next();
        self.state = State::Offered(batch);
    }

    /// The successor holds the batch. Returns `Go`, to be written; [`Giver::handle_go_written`] is
    /// to be told how that went. `None` for a batch that was kept meanwhile.
    pub(crate) fn handle_ready(
        &mut self,
        batch: u64,
        refused: Vec<Refused>,
    ) -> Result<Option<FromPredecessor>, Senseless> {
        if batch > self.last {
            return Err(Senseless::NotOffered(batch));
        }
        if batch < self.last || !matches!(self.state, State::Offered(_)) {
            return Ok(None);
        }
        let State::Offered(pairs) = std::mem::replace(&mut self.state, State::Idle) else {
            unreachable!("it was looked at above");
        };
        let wrong = refused
            .iter()
            .find(|it| usize::from(it.place) >= pairs.len());
        if let Some(wrong) = wrong {
            let place = wrong.place;
            self.state = State::Offered(pairs);
            return Err(Senseless::NoSuchPair(place));
        }
        let mut pairs: Vec<_> = pairs.into_iter().map(Some).collect();
        let refused = refused.into_iter().filter_map(|it| {
            let pair = pairs[usize::from(it.place)].take()?;
            Some((pair, it.reason))
        });
        let refused = refused.collect();
        let accepted = pairs.into_iter().flatten().collect();
        self.state = State::Going { accepted, refused };
        Ok(Some(FromPredecessor::Go { batch }))
    }

    /// `Go` was written, whole. If it could not be written at all, [`Giver::take_back`] is due.
    pub(crate) fn handle_go_written(&mut self) -> Settled<T> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Going { accepted, refused } => Settled {
                gone: accepted,
                kept: told(refused),
            },
            state @ (State::Idle | State::Offered(_)) => {
                self.state = state;
                Settled::nothing()
            }
        }
    }

    /// What has to be written before [`Giver::take_back`], if the successor still reads: it may hold
    /// the batch.
    pub(crate) fn keep(&self) -> Option<FromPredecessor> {
        (!self.is_idle()).then_some(FromPredecessor::Keep { batch: self.last })
    }

    /// The batch stays, whole. `Keep` was written, or the successor is dead, or it has never had
    /// the whole batch.
    pub(crate) fn take_back(&mut self) -> Settled<T> {
        let kept = match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => Vec::new(),
            State::Offered(pairs) => pairs.into_iter().map(|pair| (pair, None)).collect(),
            State::Going { accepted, refused } => {
                let accepted = accepted.into_iter().map(|pair| (pair, None));
                accepted.chain(told(refused)).collect()
            }
        };
        Settled {
            gone: Vec::new(),
            kept,
        }
    }
}

fn told<T>(refused: Vec<(T, String)>) -> Vec<(T, Option<String>)> {
    let refused = refused.into_iter();
    refused.map(|(pair, reason)| (pair, Some(reason))).collect()
}

// === impl Settled ===

impl<T> Settled<T> {
    fn nothing() -> Self {
        Self {
            gone: Vec::new(),
            kept: Vec::new(),
        }
    }
}
