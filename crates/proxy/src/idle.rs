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
    all: Mutex<BTreeMap<u64, Waiting>>,
    next: AtomicU64,
}

/// A connection that waits.
#[derive(Debug)]
struct Waiting {
    told: Arc<Notify>,
    keeps: Keeps,
}

/// What goes with a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Nothing,
    /// Connections to upstreams, over which it has logged in.
    Upstreams,
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
    pub(crate) fn enter(&self, keeps: Keeps) -> Idle<'_> {
        let number = self.next.fetch_add(1, Relaxed);
        let told = Arc::<Notify>::default();
        let waiting = Waiting {
            told: Arc::clone(&told),
            keeps,
        };
        self.all().insert(number, waiting);
        Idle {
            of: self,
            number,
            told,
        }
    }

    /// Tells the oldest to go, if there is one.
    pub(crate) fn close_oldest(&self) -> bool {
        let oldest = self.all().pop_first();
        oldest.is_some_and(|(_, oldest)| oldest.tell())
    }

    /// Tells the oldest of those to go that keep connections to upstreams, if there is one.
    pub(crate) fn close_oldest_with_upstreams(&self) -> bool {
        let mut all = self.all();
        let mut found = all.iter().filter(|(_, it)| it.keeps == Keeps::Upstreams);
        let number = found.next().map(|(number, _)| *number);
        let oldest = number.and_then(|number| all.remove(&number));
        oldest.is_some_and(|oldest| oldest.tell())
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn tell(self) -> bool {
        self.told.notify_one();
        true
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
        let (first, second, third) = (
            all.enter(Keeps::Nothing),
            all.enter(Keeps::Nothing),
            all.enter(Keeps::Nothing),
        );
        drop(first);
        assert!(all.close_oldest());
        second.told_to_go().await;
        assert!(all.close_oldest());
        third.told_to_go().await;
        assert!(!all.close_oldest());
    }

    #[tokio::test]
    async fn who_keeps_connections_to_upstreams_goes_for_those() {
        let all = IdleConnections::default();
        let _first = all.enter(Keeps::Nothing);
        let second = all.enter(Keeps::Upstreams);
        assert!(all.close_oldest_with_upstreams());
        second.told_to_go().await;
        assert!(!all.close_oldest_with_upstreams());
        assert!(all.close_oldest());
    }
}
