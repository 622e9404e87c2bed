//! The last hour.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::status::{Lapses, PerSide};

/// The last hour, in steps.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct History {
    /// From one sample to the next.
    pub step_seconds: f64,
    /// The upper bounds of the round trips that are counted together.
    pub bounds_seconds: Vec<f64>,
    /// The oldest first.
    pub samples: Vec<Sample>,
}

/// What happened in a step.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Sample {
    /// The end of the step.
    pub at: f64,
    /// Pairs open then.
    pub pairs: u64,
    /// Pairs that opened in it.
    pub opened: u64,
    /// Pairs that ended in it, by cause; none at 0.
    pub ended: BTreeMap<String, u64>,
    /// Lapses in it.
    pub lapses: Lapses,
    /// Round trips in it: one number for each bound, and one for what is above all.
    pub rtt: PerSide<Vec<u64>>,
}
