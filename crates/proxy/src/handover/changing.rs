//! One change of a whole process at a time: nothing is reloaded or drained while it is handed over.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::HandoverError;

/// Whether a hand-over is under way, or done.
#[derive(Debug, Default)]
pub(crate) struct Changing(AtomicBool);

/// A hand-over that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay<'a>(&'a Changing);

// === impl Changing ===

impl Changing {
    pub(crate) fn begin(&self) -> Result<UnderWay<'_>, HandoverError> {
        match self.0.swap(true, SeqCst) {
            true => Err(HandoverError::UnderWay),
            false => Ok(UnderWay(self)),
        }
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.0.load(SeqCst)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.0.store(false, SeqCst);
    }
}
