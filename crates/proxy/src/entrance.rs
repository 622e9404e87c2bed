//! Where connections come in: a listener, what is counted there, and the places of those that did.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lubdub_metrics::ListenerMetrics;

use crate::budget::Budget;
use crate::settings::Listener;

/// A listener, as those know it who came in there.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) listener: Listener,
    pub(crate) metrics: Arc<ListenerMetrics>,
    /// Connections that came in at a listener of this name and are open.
    pub(crate) open: Arc<AtomicUsize>,
    /// The places for connections of clients, whatever the listener.
    pub(crate) connections: Arc<Budget>,
}

/// The place of a client's connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Entrance>);

impl Entrance {
    const ANY: usize = usize::MAX / 4;

    /// A place, if there is one now.
    pub(crate) fn try_place(self: &Arc<Self>) -> Option<Place> {
        self.connections.try_occupy().then(|| self.occupied())
    }

    /// Waits for a place.
    pub(crate) async fn place(self: &Arc<Self>) -> Place {
        self.connections.occupy().await;
        self.occupied()
    }

    /// A place, even beyond the bound by so many.
    pub(crate) fn try_place_beyond(self: &Arc<Self>, extra: usize) -> Option<Place> {
        let occupied = self.connections.try_occupy_beyond(extra);
        occupied.then(|| self.occupied())
    }

    /// A place, also where there is none, for who was let in elsewhere.
    pub(crate) fn place_beyond(self: &Arc<Self>) -> Place {
        while !self.connections.try_occupy_beyond(Self::ANY) {}
        self.occupied()
    }

    fn occupied(self: &Arc<Self>) -> Place {
        self.open.fetch_add(1, Relaxed);
        Place(Arc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
        self.0.connections.give_back();
    }
}
