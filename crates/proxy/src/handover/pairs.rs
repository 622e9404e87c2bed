//! The pairs themselves on their way: frozen out of one process, thawed in the other.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use lubdub_metrics::{Handover, Way};

use super::predecessor::Store;
use super::successor::Arrivals;
use crate::proxy::Proxy;
use crate::registry::PairId;
use crate::shared::Shared;

/// A pair that stands still in the process that it leaves.
#[derive(Debug)]
pub(crate) struct Standing;

/// A pair that stands still in the process that it comes to.
#[derive(Debug)]
pub(crate) struct Coming;

/// The pairs of this process.
#[derive(Debug)]
pub(crate) struct Pairs {
    shared: Arc<Shared>,
    /// Up to here they were looked at.
    looked_at: PairId,
}

/// Where pairs come in.
#[derive(Debug)]
pub(crate) struct Newcomers {
    shared: Arc<Shared>,
}

// === impl Pairs ===

impl Pairs {
    pub(crate) fn of(proxy: &Proxy) -> Self {
        Self {
            shared: Arc::clone(proxy.shared()),
            looked_at: PairId(0),
        }
    }
}

impl Store for Pairs {
    type Frozen = Standing;

    async fn freeze(&mut self, _most: usize) -> Vec<Standing> {
        Vec::new()
    }

    fn pack<'a>(&self, _pair: &'a Standing) -> (Vec<u8>, [BorrowedFd<'a>; 2]) {
        unimplemented!()
    }

    fn thaw(&mut self, _pair: Standing, _reason: Option<&str>) {}

    fn forget(&mut self, _pair: Standing) {}
}

// === impl Newcomers ===

impl Newcomers {
    pub(crate) fn of(proxy: &Proxy) -> Self {
        Self {
            shared: Arc::clone(proxy.shared()),
        }
    }

    /// So many pairs have come.
    pub(crate) fn count(&self, taken: u64) {
        let handovers = self.shared.metrics.handovers();
        handovers.pairs(Way::In, Handover::Moved).increment(taken);
    }
}

impl Arrivals for Newcomers {
    type Frozen = Coming;

    fn unpack(&mut self, _state: &[u8], _sockets: [OwnedFd; 2]) -> Result<Coming, String> {
        Err("not yet".to_owned())
    }

    fn start(&mut self, _pair: Coming) {}
}
