//! How hand-overs of pairs from one process to the next went.

use metrics::{Counter, Gauge};

use crate::labels::{Handover, Label, Way};
use crate::recorder::Scope;
use crate::table;

/// How hand-overs went.
#[derive(Debug)]
pub struct Handovers {
    /// Pairs that go on in earlier processes.
    pub lingering: Gauge,
    pairs: [[Counter; Handover::ALL.len()]; Way::ALL.len()],
}

// === impl Handovers ===

impl Handovers {
    pub(crate) fn register(scope: &Scope<'_>) -> Self {
        Self {
            lingering: scope.gauge(&table::LINGERING_PAIRS),
            pairs: Way::ALL.map(|way| {
                let scope = scope.with(Label::Way, way.as_str());
                Handover::ALL.map(|outcome| {
                    scope
                        .with(Label::Handover, outcome.as_str())
                        .counter(&table::HANDOVER_PAIRS)
                })
            }),
        }
    }

    /// Pairs that went this way, and of which this became.
    pub fn pairs(&self, way: Way, outcome: Handover) -> &Counter {
        &self.pairs[way as usize][outcome as usize]
    }
}
