//! The configuration that is in effect.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{self, Answer};
use super::guard::{Look, NoQuery};
use crate::api::Problem;
use crate::config::Key;

/// The configuration that is in effect.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Configuration {
    /// Its number: 1 at the start, one more with each reload.
    generation: u64,
    keys: Vec<Setting>,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
struct Setting {
    key: String,
    /// As TOML writes it.
    value: String,
    /// Where it was set; null for a default.
    origin: Option<String>,
}

/// The configuration that is in effect
#[utoipa::path(get, path = "/api/v1/config", operation_id = "config", tag = "state", responses(
    (status = 200, body = Configuration),
    (status = 409, body = Problem, content_type = Problem::TYPE, description = "It was read from nowhere"),
))]
pub(super) async fn show(State(state): State<Arc<super::State>>, _: Look, _: NoQuery) -> Answer {
    let Some(reloader) = &state.reloader else {
        return answer::problem(
            StatusCode::CONFLICT,
            "there is no configuration that was read",
        );
    };
    let standing = reloader.standing();
    let setting = |key: Key| Setting {
        key: key.key,
        value: key.value,
        origin: key.origin,
    };
    answer::json(&Configuration {
        generation: state.proxy.generation_number(),
        keys: standing.in_effect.keys().into_iter().map(setting).collect(),
    })
}
