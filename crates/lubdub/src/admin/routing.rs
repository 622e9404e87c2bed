//! Which path answers what, by which method.

use std::sync::Arc;

use axum::Router;
use http::StatusCode;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Answer, problem};
use super::description::Described;
use super::guard::Look;
use super::{
    State, close, configuration, drain, ends, events, history, open, page, pairs, reload, status,
    upgrade,
};

/// All that there is.
pub(super) fn described() -> (Router<Arc<State>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(open::metrics))
        .routes(routes!(open::live))
        .routes(routes!(open::ready))
        .routes(routes!(page::page))
        .routes(routes!(page::description))
        .routes(routes!(status::show))
        .routes(routes!(history::show))
        .routes(routes!(pairs::list))
        .routes(routes!(pairs::show))
        .routes(routes!(close::order))
        .routes(routes!(ends::list))
        .routes(routes!(configuration::show))
        .routes(routes!(events::follow))
        .routes(routes!(drain::show, drain::order))
        .routes(routes!(reload::order))
        .routes(routes!(upgrade::order))
        .split_for_parts()
}

/// What answers.
pub(super) fn router(state: Arc<State>) -> Router {
    let (router, _) = described();
    router
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .with_state(state)
}

/// Who may not ask does not learn what there is.
async fn nothing(_: Look) -> Answer {
    problem(StatusCode::NOT_FOUND, "there is nothing of this name")
}

async fn not_so() -> Answer {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "it is not to be asked in this way; Allow says how",
    )
}
