//! Connections to upstreams that are kept for the next plain request.
//!
//! One is kept only as long as it is worth it: unused for [`KEPT`] at the most, as old as the upstream's
//! `pool_age`, and connected to an address that the name still has. Each is a file descriptor, so the
//! oldest of all are closed first when places for connections run short.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::carrier::Carrier;

/// The connections of one upstream that are kept, by the worker on whose thread they are.
#[derive(Debug)]
pub(super) struct Pool {
    shelves: Box<[Arc<Shelf>]>,
}

/// Those of one worker, the one that was used last at the back.
#[derive(Debug, Default)]
struct Shelf {
    shelved: Mutex<Shelved>,
    /// The next look is to come sooner than was said.
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Shelved {
    carriers: VecDeque<OnShelf>,
    /// When a task next looks which of them have to go; `None` if there is no such task.
    next_look: Option<Instant>,
}

/// A connection that nobody uses at the moment.
#[derive(Debug)]
struct OnShelf {
    since: Instant,
    /// It is of no use from then on.
    until: Instant,
    carrier: Carrier,
}

/// All connections that are kept, whoever the upstream: those which have to go first.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Vec<Weak<Shelf>>>);

/// How long an unused connection is kept: under the idle limits of common backends (nginx 75 s; Node's
/// 5 s would be too short to be of use), so that few races for a closing one are lost.
const KEPT: Duration = Duration::from_secs(30);

/// Unused connections kept for an upstream on a worker.
const MOST: usize = 32;

/// How long a connection that is closed may take to give its place back.
pub(super) const CLOSING: Duration = Duration::from_millis(500);

// === impl Pool ===

impl Pool {
    pub(super) fn new(workers: usize, kept: &Kept) -> Self {
        let shelves: Box<[_]> = (0..workers).map(|_| Arc::<Shelf>::default()).collect();
        let mut all = kept.lock();
        all.retain(|shelf| shelf.strong_count() > 0);
        all.extend(shelves.iter().map(Arc::downgrade));
        Self { shelves }
    }

    /// A connection that was kept by this worker for one of these addresses. Those that are found to be of no
    /// use any more are closed.
    pub(super) fn take(&self, worker: usize, addresses: Option<&[SocketAddr]>) -> Option<Carrier> {
        let mut shelved = self.shelf(worker).lock();
        while let Some(OnShelf { carrier, .. }) = shelved.carriers.pop_back() {
            let is_there = (carrier.address.ip())
                .is_none_or(|ip| addresses.is_none_or(|now| now.contains(&ip)));
            if carrier.is_ready() && is_there {
                return Some(carrier);
            }
        }
        None
    }

    /// Keeps a connection that can carry a request now, until it is of this age at the most.
    pub(super) fn put(&self, worker: usize, carrier: Carrier, age: Duration) {
        let since = Instant::now();
        let until = (since + KEPT).min(carrier.opened + age);
        if until <= since {
            // Else the next request could be quicker than the task that closes it.
            return;
        }
        let shelf = self.shelf(worker);
        let mut shelved = shelf.lock();
        if shelved.carriers.len() == MOST {
            shelved.carriers.pop_front();
        }
        shelved.carriers.push_back(OnShelf {
            since,
            until,
            carrier,
        });
        match shelved.next_look {
            None => {
                shelved.next_look = Some(until);
                tokio::spawn(Shelf::watch(Arc::clone(shelf)));
            }
            Some(next) if until < next => {
                shelved.next_look = Some(until);
                shelf.sooner.notify_one();
            }
            Some(_) => {}
        }
    }

    fn shelf(&self, worker: usize) -> &Arc<Shelf> {
        &self.shelves[worker % self.shelves.len()]
    }
}

// === impl Shelf ===

impl Shelf {
    /// Closes what has been kept for long enough, and what the upstream has closed, until there is nothing
    /// left.
    async fn watch(shelf: Arc<Self>) {
        loop {
            let next = {
                let mut shelved = shelf.lock();
                let now = Instant::now();
                shelved
                    .carriers
                    .retain(|kept| !kept.carrier.is_closed() && now < kept.until);
                shelved.next_look = shelved.carriers.iter().map(|kept| kept.until).min();
                shelved.next_look
            };
            let Some(next) = next else {
                return;
            };
            tokio::select! {
                () = sleep_until(next) => {}
                () = shelf.sooner.notified() => {}
            }
        }
    }

    fn oldest(&self) -> Option<Instant> {
        let shelved = self.lock();
        shelved.carriers.front().map(|kept| kept.since)
    }

    fn lock(&self) -> MutexGuard<'_, Shelved> {
        self.shelved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Kept ===

impl Kept {
    /// Closes the connection that nobody has used for the longest time, if any is kept.
    pub(crate) fn close_oldest(&self) -> bool {
        let shelves: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let oldest = shelves
            .iter()
            .filter_map(|shelf| Some((shelf.oldest()?, shelf)))
            .min_by_key(|(since, _)| *since);
        let Some((_, shelf)) = oldest else {
            return false;
        };
        // Those that the upstream has closed have given their place back already.
        let mut shelved = shelf.lock();
        while let Some(kept) = shelved.carriers.pop_front() {
            if !kept.carrier.is_closed() {
                return true;
            }
        }
        drop(shelved);
        self.close_oldest()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Shelf>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
