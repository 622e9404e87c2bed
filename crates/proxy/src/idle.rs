//! Connections of clients on which nothing is under way, the oldest first: when places run short, they
//! are the ones to go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections that wait for their client's next request.
#[derive(Debug, Default)]
pub(crate) struct IdleConnections {
    /// By the order in which they fell idle.
    all: Mutex<BTreeMap<u64, Arc<Notify>>>,
    next: AtomicU64,
}

/// A connection's place in that order, for as long as it is idle.
#[derive(Debug)]
pub(crate) struct Idle<'a> {
    of: &'a IdleConnections,
    number: u64,
    told: Arc<Notify>,
}

impl IdleConnections {
    /// One more, until what comes back is dropped.
    pub(crate) fn enter(&self) -> Idle<'_> {
        let number = self.next.fetch_add(1, Relaxed);
        let told = Arc::<Notify>::default();
        self.all().insert(number, Arc::clone(&told));
        Idle {
            of: self,
            number,
            told,
        }
    }

    /// Tells the oldest to go, if there is one.
    pub(crate) fn close_oldest(&self) -> bool {
        let oldest = self.all().pop_first();
        oldest.is_some_and(|(_, told)| {
            told.notify_one();
            true
        })
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Notify>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle<'_> {
    /// Until it has to go.
    pub(crate) async fn told_to_go(&self) {
        self.told.notified().await;
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.of.all().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_goes_first_and_who_is_busy_again_stays() {
        let all = IdleConnections::default();
        let (first, second, third) = (all.enter(), all.enter(), all.enter());
        drop(first);
        assert!(all.close_oldest());
        second.told_to_go().await;
        assert!(all.close_oldest());
        third.told_to_go().await;
        assert!(!all.close_oldest());
    }
}
