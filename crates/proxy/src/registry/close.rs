//! A Close by which an operator ends one pair. What it says is kept beside the pairs, not in each of them: next to
//! none ever needs it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lubdub_wire::{CloseCode, InvalidCloseCode};

use super::{Order, PairId, Registry};

/// What both sides of a pair are told when an operator ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    code: CloseCode,
    reason: Option<Box<str>>,
}

/// Why a Close cannot say something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFarewell {
    /// No Close may carry the code.
    #[error(transparent)]
    Code(#[from] InvalidCloseCode),
    /// RFC 6455 5.5: a control frame has room for 125 bytes, two of which are the code.
    #[error(
        "a reason has at most {most} bytes in UTF-8, and this one has {0}",
        most = Farewell::REASON_MAX
    )]
    TooLong(usize),
}

/// There is no such pair, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no pair {id}", id = .0.0)]
pub struct NoSuchPair(pub PairId);

/// What became of an order to close a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Both sides are told.
    Told,
    /// It was coming to its end already, and goes on with that: nobody is told anything more.
    Already,
}

/// Farewells that were ordered, of pairs that have not ended yet.
#[derive(Debug, Default)]
pub(super) struct Farewells(Mutex<BTreeMap<PairId, Arc<Farewell>>>);

// === impl Farewell ===

impl Farewell {
    /// The longest reason, in bytes.
    pub const REASON_MAX: usize = 123;

    /// A Close with this code, or 1001 (going away), and this reason, or what `close.*.reason` says.
    ///
    /// # Errors
    /// If no Close may say that.
    pub fn try_new(code: Option<u16>, reason: Option<&str>) -> Result<Self, InvalidFarewell> {
        let code = code.map(CloseCode::try_new).transpose()?;
        if let Some(reason) = reason
            && reason.len() > Self::REASON_MAX
        {
            return Err(InvalidFarewell::TooLong(reason.len()));
        }
        Ok(Self {
            code: code.unwrap_or(CloseCode::GOING_AWAY),
            reason: reason.map(Into::into),
        })
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> CloseCode {
        self.code
    }

    /// The reason, if one was chosen.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

// === impl Registry ===

impl Registry {
    /// Tells a pair to end with this farewell to both sides. One that is coming to its end already goes on with
    /// that; of several farewells the first counts.
    pub(crate) fn close(&self, id: PairId, farewell: Farewell) -> Result<Closing, NoSuchPair> {
        let pair = self.pair(id).ok_or(NoSuchPair(id))?;
        if pair.is_closing() {
            return Ok(Closing::Already);
        }
        let mut farewells = self.farewells.lock();
        farewells.entry(id).or_insert_with(|| Arc::new(farewell));
        drop(farewells);
        pair.order(Order::Close);
        // It may have ended before it could know that there is something to forget.
        if self.pair(id).is_none() {
            self.farewells.forget(id);
        }
        Ok(Closing::Told)
    }

    /// What a pair that was told to close is to say.
    pub(crate) fn farewell(&self, id: PairId) -> Option<Arc<Farewell>> {
        self.farewells.lock().get(&id).cloned()
    }
}

// === impl Farewells ===

impl Farewells {
    /// The pair has ended.
    pub(super) fn forget(&self, id: PairId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PairId, Arc<Farewell>>> {
        // Nothing that is done under the lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_farewell_says_what_a_close_may_say() {
        let farewell = Farewell::try_new(None, None).unwrap();
        assert_eq!(farewell.code(), CloseCode::GOING_AWAY);
        assert_eq!(farewell.reason(), None);
        for code in [1000, 1003, 1007, 1014, 3000, 4999] {
            let farewell = Farewell::try_new(Some(code), Some("bye")).unwrap();
            assert_eq!(farewell.code().get(), code);
            assert_eq!(farewell.reason(), Some("bye"));
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            let invalid = Farewell::try_new(Some(code), None).unwrap_err();
            assert!(matches!(invalid, InvalidFarewell::Code(_)), "{code}");
            assert!(invalid.to_string().contains(&code.to_string()));
        }
    }

    #[test]
    fn a_reason_has_as_many_bytes_as_there_is_room_for() {
        let reason = "ä".repeat(61) + "b";
        assert_eq!(reason.len(), Farewell::REASON_MAX);
        assert!(Farewell::try_new(None, Some(&reason)).is_ok());
        let too_long = Farewell::try_new(None, Some(&"ä".repeat(62)));
        assert_eq!(too_long, Err(InvalidFarewell::TooLong(124)));
    }
}
