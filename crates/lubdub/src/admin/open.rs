//! What anybody may know: metrics, and whether lubdub is well.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use super::answer::{Answer, answer, text};

/// Metrics for Prometheus
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "probes", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(state): State<Arc<super::State>>) -> Answer {
    state.feed.sample(&state.metrics.proxy().watchers);
    let page = state.metrics.render();
    answer(StatusCode::OK, lubdub_metrics::CONTENT_TYPE, page)
}

/// Whether the process runs
#[utoipa::path(get, path = "/livez", operation_id = "livez", tag = "probes", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn live() -> Answer {
    text(StatusCode::OK, "alive\n")
}

/// Whether new pairs are welcome
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "probes", security(()), responses(
    (status = 200, body = String, content_type = "text/plain", description = "They are"),
    (status = 503, body = String, content_type = "text/plain", description = "It drains"),
))]
pub(super) async fn ready(State(state): State<Arc<super::State>>) -> Answer {
    match state.is_ready() {
        true => text(StatusCode::OK, "ready\n"),
        false => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}
