//! Why something is not answered (RFC 9457).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why something is not answered: problem details (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The words that belong to the status.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong, and with what.
    pub detail: String,
}

impl Problem {
    /// Its media type.
    pub(crate) const TYPE: &str = "application/problem+json";

    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
        }
    }
}
