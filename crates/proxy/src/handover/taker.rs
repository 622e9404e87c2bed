//! The successor's part in taking batches over, without I/O: whether what it holds is its own.
//!
//! It holds a batch frozen until it is told whose it is: by `Go`, by `Keep`, or by the end of the
//! connection, which says that the predecessor is dead. There is no timeout: a predecessor that
//! stands still may yet say either.

use super::message::{FromSuccessor, Refused};

/// The batch that is held, if one is.
#[derive(Debug)]
pub(crate) struct Taker<T> {
    held: Option<Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    batch: u64,
    pairs: Vec<T>,
}

/// Why a message of the predecessor's makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Senseless {
    /// A batch before the one that is held was settled.
    #[error("it sends batch {next} and has not said what becomes of batch {held}")]
    Unsettled { held: u64, next: u64 },
    /// A batch that is not held.
    #[error("it says what becomes of batch {0}, which is not held")]
    NotHeld(u64),
}

// === impl Taker ===

impl<T> Taker<T> {
    pub(crate) fn new() -> Self {
        Self { held: None }
    }

    /// Whether no batch is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_none()
    }

    /// A batch has come whole. Returns what to answer, and what is refused, to be dropped at once:
    /// the predecessor goes on with those as soon as it reads the answer.
    pub(crate) fn handle_batch(
        &mut self,
        batch: u64,
        pairs: Vec<Result<T, String>>,
    ) -> Result<FromSuccessor, Senseless> {
        if let Some(held) = &self.held {
            let held = held.batch;
            return Err(Senseless::Unsettled { held, next: batch });
        }
        let mut refused = Vec::new();
        let mut taken = Vec::with_capacity(pairs.len());
        for (place, pair) in pairs.into_iter().enumerate() {
            match pair {
                Ok(pair) => taken.push(pair),
                Err(reason) => refused.push(Refused {
                    place: u16::try_from(place).expect("a batch has a few hundred pairs at most"),
                    reason,
                }),
            }
        }
        self.held = Some(Held {
            batch,
            pairs: taken,
        });
        Ok(FromSuccessor::Ready { batch, refused })
    }

    /// The batch is ours: what is returned is to be thawed.
    pub(crate) fn handle_go(&mut self, batch: u64) -> Result<Vec<T>, Senseless> {
        self.settle(batch)
    }

    /// The batch is not ours: it is dropped, which closes this process's descriptors and no more.
    pub(crate) fn handle_keep(&mut self, batch: u64) -> Result<(), Senseless> {
        self.settle(batch).map(drop)
    }

    /// The connection has ended by itself: the predecessor is dead, and what is held is ours.
    pub(crate) fn handle_gone(&mut self) -> Vec<T> {
        self.held.take().map_or_else(Vec::new, |held| held.pairs)
    }

    fn settle(&mut self, batch: u64) -> Result<Vec<T>, Senseless> {
        match self.held.take_if(|held| held.batch == batch) {
            Some(held) => Ok(held.pairs),
            None => Err(Senseless::NotHeld(batch)),
        }
    }
}
