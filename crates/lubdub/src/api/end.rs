//! Pairs that have ended.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pair::{Client, Upstream};
use super::words::CauseWord;

/// The latest ends, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Ends {
    /// How many ends are kept: the last 1,000 of this process.
    pub kept: usize,
    /// Those that the query asks for.
    pub ends: Vec<End>,
}

/// How a pair ended.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct End {
    /// Its number: `pair` in the log.
    pub pair: u64,
    /// When it ended.
    pub at: f64,
    /// The listener that accepted the client.
    pub listener: String,
    /// The route that its request took.
    pub route: String,
    /// Host and path of the request, as `log.request` allows.
    pub request: Option<String>,
    /// What the request is called (`X-Request-Id`).
    pub request_id: Option<String>,
    /// Why it ended: the same word as in the log and in `lubdub_pairs_closed_total`.
    #[schema(value_type = CauseWord)]
    pub cause: String,
    /// The same in a sentence.
    pub cause_text: String,
    /// After a lapse: whether the side's kernel still answered (`application`) or not (`network`).
    pub diagnosis: Option<String>,
    /// The Close that ended it, where one passed.
    pub close: Option<Close>,
    /// How long it lived.
    pub duration_seconds: f64,
    /// After a lapse: how long the side had been silent.
    pub lapsed_after_seconds: Option<f64>,
    /// What may help to understand the end.
    pub hint: Option<String>,
    pub client: Client,
    pub upstream: Upstream,
}

/// A Close frame.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Close {
    /// Its code; null where it had none.
    pub code: Option<u16>,
    /// Who sent it: `lubdub`, `client` or `upstream`.
    pub by: String,
}
