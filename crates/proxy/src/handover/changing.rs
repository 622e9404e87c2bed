//! One change of a whole process at a time: nothing is reloaded or drained while it is handed over, and it is not
//! handed over in the middle of a reload.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::HandoverError;

/// Whether a hand-over is under way. The lock is held by whoever changes something, for as long as that takes: a
/// moment, for files have been read before.
#[derive(Debug, Default)]
pub(crate) struct Changing(Mutex<bool>);

/// A change that is being made; nobody else makes one.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    is_handing_over: MutexGuard<'a, bool>,
}

/// A hand-over that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay<'a>(&'a Changing);

// === impl Changing ===

impl Changing {
    /// Waits until nobody else makes a change.
    pub(crate) fn change(&self) -> Change<'_> {
        // Nothing that is done under the lock leaves it half changed.
        let is_handing_over = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Change { is_handing_over }
    }

    /// Begins a hand-over, once the change that is being made has been made, unless it `may` not be: nothing can be
    /// begun in between.
    pub(crate) fn begin(
        &self,
        may: impl FnOnce() -> Result<(), HandoverError>,
    ) -> Result<UnderWay<'_>, HandoverError> {
        let mut change = self.change();
        if change.is_handing_over() {
            return Err(HandoverError::UnderWay);
        }
        may()?;
        *change.is_handing_over = true;
        Ok(UnderWay(self))
    }

    /// Whether somebody makes a change at this moment.
    #[cfg(test)]
    pub(crate) fn is_being_made(&self) -> bool {
        self.0.try_lock().is_err()
    }
}

// === impl Change ===

impl Change<'_> {
    /// Whether another process takes over.
    pub(crate) fn is_handing_over(&self) -> bool {
        *self.is_handing_over
    }
}

// === impl UnderWay ===

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *self.0.change().is_handing_over = false;
    }
}
