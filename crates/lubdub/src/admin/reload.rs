//! Reloads as they are asked for, and as they are told of.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::answer::{self, Answer};
use super::body::{self, BadBody};
use super::guard::{Change, wrong};
use crate::api::Problem;
use crate::config::Warning;
use crate::reload::{Purpose, Reloader, Report, Told};

/// What a reload has done, or would do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reloaded {
    /// `applied`, or `possible` of a dry run.
    outcome: &'static str,
    /// The number of the configuration that is in effect.
    generation: u64,
    changes: Vec<KeyChange>,
    /// What `lubdub check` would say.
    warnings: Vec<Warned>,
}

/// A key that has another value.
#[derive(Debug, Serialize, ToSchema)]
struct KeyChange {
    key: String,
    before: String,
    after: String,
    /// Where it is set.
    origin: Option<String>,
    /// From when on it holds.
    applies: &'static str,
    /// The file that holds something else, where the value is the same.
    content_of: Option<String>,
}

/// What will not do in practice.
#[derive(Debug, Serialize, ToSchema)]
struct Warned {
    warning: &'static str,
    setting: String,
    reason: String,
}

/// Why a reload changes nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReloadRefused {
    /// Always `refused`.
    outcome: &'static str,
    /// Everything that is wrong, a line each.
    mistakes: Vec<String>,
}

/// What a reload is asked for with.
//
// The fields are read one by one, so that what is wrong with one can be named.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReloadOrder, example = json!({"dry_run": true}))]
pub(super) struct Raw {
    /// Only say what a reload would do.
    #[schema(value_type = Option<bool>)]
    dry_run: Option<Value>,
}

/// Reads the configuration again
#[utoipa::path(
    post,
    path = "/api/v1/reload",
    operation_id = "reload",
    tag = "changes",
    request_body = Raw,
    responses(
        (status = 200, body = Reloaded, description = "It is in effect, or would be"),
        (status = 409, body = Problem, content_type = Problem::TYPE, description = "A reload is under way, or there is nothing to read"),
        (status = 422, body = ReloadRefused, description = "Something is wrong with it: nothing is changed"),
        (status = 500, body = Problem, content_type = Problem::TYPE, description = "It broke off; the log says where"),
    )
)]
pub(super) async fn order(State(state): State<Arc<super::State>>, change: Change) -> Answer {
    change
        .carry_out(async |body| match &state.reloader {
            Some(reloader) => ordered(reloader, body).await,
            None => answer::problem(StatusCode::CONFLICT, "there is no configuration to reload"),
        })
        .await
}

/// Does what the body says. A reload reads files, so it runs on a thread of its own.
async fn ordered(reloader: &Arc<Reloader>, body: &[u8]) -> Answer {
    let purpose = match read(body) {
        Ok(purpose) => purpose,
        Err(error) => return wrong(&error),
    };
    let Some(turn) = reloader.try_turn() else {
        return answer::problem(StatusCode::CONFLICT, "a reload is under way already");
    };
    match spawn_blocking(move || turn.reload(purpose)).await {
        Ok(Ok(report)) => answer::json(&tell(report, purpose)),
        Ok(Err(refused)) => {
            let refused = ReloadRefused {
                outcome: "refused",
                mistakes: refused.reasons(),
            };
            answer::json_of(StatusCode::UNPROCESSABLE_ENTITY, &refused)
        }
        // It panicked, and the log says where.
        Err(_) => answer::problem(StatusCode::INTERNAL_SERVER_ERROR, "the reload broke off"),
    }
}

fn read(body: &[u8]) -> Result<Purpose, BadBody> {
    let raw: Raw = body::parse(body)?;
    Ok(match body::flag("dry_run", raw.dry_run)? {
        true => Purpose::Try,
        false => Purpose::Apply,
    })
}

fn tell(report: Report, purpose: Purpose) -> Reloaded {
    let change = |change: Told| KeyChange {
        key: change.key,
        before: change.before,
        after: change.after,
        origin: change.origin,
        applies: change.applies,
        content_of: change.content_of,
    };
    let warning = |warning: &Warning| Warned {
        warning: warning.slug,
        setting: warning.setting(),
        reason: warning.reason.clone(),
    };
    Reloaded {
        outcome: match purpose {
            Purpose::Apply => "applied",
            Purpose::Try => "possible",
        },
        generation: report.generation,
        warnings: report.warnings.iter().map(warning).collect(),
        changes: report.changes.into_iter().map(change).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_is_applied_unless_it_is_only_to_be_tried() {
        assert_eq!(read(b"{}"), Ok(Purpose::Apply));
        assert_eq!(read(br#"{"dry_run": false}"#), Ok(Purpose::Apply));
        assert_eq!(read(br#"{"dry_run": true}"#), Ok(Purpose::Try));
        for (body, begins) in [
            (r#"{"dry-run": true}"#, "the body: "),
            (r#"{"dry_run": 1}"#, "dry_run: "),
            ("", "there is no body"),
        ] {
            let error = read(body.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(begins), "{body}: {error}");
        }
    }
}
