//! Reloads as they are asked for, and as they are told of.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::answer::{self, Answer};
use super::body::{self, BadBody};
use super::routing::wrong;
use crate::config::Warning;
use crate::reload::{Purpose, Refused, Reloader, Report, Told};

/// The body of a request, before its fields are read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    dry_run: Option<Value>,
}

/// Does what the body says. A reload reads files, so it runs on a thread of its own.
pub(super) async fn order(reloader: &Arc<Reloader>, body: &[u8]) -> Answer {
    let purpose = match read(body) {
        Ok(purpose) => purpose,
        Err(error) => return wrong(&error),
    };
    let Some(turn) = reloader.try_turn() else {
        return answer::text(StatusCode::CONFLICT, "a reload is under way already\n");
    };
    match spawn_blocking(move || turn.reload(purpose)).await {
        Ok(Ok(report)) => answer::json(&tell(&report, purpose)),
        Ok(Err(refused)) => {
            answer::json_of(StatusCode::UNPROCESSABLE_ENTITY, &tell_refused(&refused))
        }
        // It panicked, and the log says where.
        Err(_) => answer::text(StatusCode::INTERNAL_SERVER_ERROR, "the reload broke off\n"),
    }
}

fn read(body: &[u8]) -> Result<Purpose, BadBody> {
    let raw: Raw = body::parse(body)?;
    Ok(match body::flag("dry_run", raw.dry_run)? {
        true => Purpose::Try,
        false => Purpose::Apply,
    })
}

fn tell(report: &Report, purpose: Purpose) -> Value {
    let outcome = match purpose {
        Purpose::Apply => "applied",
        Purpose::Try => "possible",
    };
    let change = |change: &Told| {
        json!({
            "key": change.key,
            "before": change.before,
            "after": change.after,
            "origin": change.origin,
            "applies": change.applies,
            "content_of": change.content_of,
        })
    };
    let warning = |warning: &Warning| {
        json!({
            "warning": warning.slug,
            "setting": warning.setting(),
            "reason": warning.reason,
        })
    };
    json!({
        "outcome": outcome,
        "generation": report.generation,
        "changes": report.changes.iter().map(change).collect::<Vec<_>>(),
        "warnings": report.warnings.iter().map(warning).collect::<Vec<_>>(),
    })
}

fn tell_refused(refused: &Refused) -> Value {
    json!({
        "outcome": "refused",
        "mistakes": refused.reasons(),
    })
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
