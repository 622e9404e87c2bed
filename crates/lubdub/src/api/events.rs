//! What a watcher is told, beside a status, samples and ends.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// More has happened than is told.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub(crate) struct LeftOut {
    /// So many pairs ended in this second beyond those that were told.
    pub ends: u64,
}
