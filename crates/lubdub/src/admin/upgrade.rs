//! Upgrades as they are asked for, and as they are told of.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::{self, Answer};
use super::body::{self, BadBody};
use super::guard::{Replacement, wrong};
use crate::api::Problem;
use crate::upgrade::{Order, Upgraded, Upgrader};

/// What came of an upgrade.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replaced {
    /// `upgraded`, `possible` of a check, or `current`: the program on disk is the one that runs.
    outcome: &'static str,
    /// The new process.
    successor: Option<u32>,
    /// Pairs that went to it.
    moved: u64,
    /// Pairs that stay for now.
    kept: u64,
}

/// What an upgrade is asked for with.
//
// The fields are read one by one, so that what is wrong with one can be named.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UpgradeOrder, example = json!({"check": true}))]
pub(super) struct Raw {
    /// Only have the new program check the configuration.
    #[schema(value_type = Option<bool>)]
    check: Option<Value>,
    /// Without `check`: do nothing if the program on disk is the one that runs.
    #[schema(value_type = Option<bool>)]
    only_if_new: Option<Value>,
}

/// Has lubdub replaced by the program on disk
///
/// The answer comes when it is done, from the process that was asked.
#[utoipa::path(
    post,
    path = "/api/v1/upgrade",
    operation_id = "upgrade",
    tag = "changes",
    request_body = Raw,
    responses(
        (status = 200, body = Replaced, description = "It is done, possible, or not needed"),
        (status = 409, body = Problem, content_type = Problem::TYPE, description = "lubdub goes on as it was; this says why"),
    )
)]
pub(super) async fn order(
    State(state): State<Arc<super::State>>,
    Replacement(change): Replacement,
) -> Answer {
    change
        .carry_out(async |body| match &state.upgrader {
            Some(upgrader) => ordered(upgrader, body).await,
            None => answer::problem(StatusCode::CONFLICT, "there is no program to start again"),
        })
        .await
}

/// Does what the body says.
async fn ordered(upgrader: &Upgrader, body: &[u8]) -> Answer {
    let order = match read(body) {
        Ok(order) => order,
        Err(error) => return wrong(&error),
    };
    let told = |outcome, successor, moved, kept| {
        answer::json(&Replaced {
            outcome,
            successor,
            moved,
            kept,
        })
    };
    match upgrader.upgrade(order).await {
        Ok(Upgraded::Done {
            successor,
            moved,
            kept,
        }) => told("upgraded", Some(successor), moved, kept),
        Ok(Upgraded::Possible) => told("possible", None, 0, 0),
        Ok(Upgraded::NotNeeded) => told("current", None, 0, 0),
        Err(reason) => answer::problem(StatusCode::CONFLICT, reason),
    }
}

fn read(body: &[u8]) -> Result<Order, BadBody> {
    let raw: Raw = body::parse(body)?;
    let check = body::flag("check", raw.check)?;
    let only_if_new = body::flag("only_if_new", raw.only_if_new)?;
    match (check, only_if_new) {
        (true, true) => Err(BadBody::field(
            "only_if_new",
            "does not go together with check",
        )),
        (true, false) => Ok(Order::Check),
        (false, true) => Ok(Order::UpgradeIfNew),
        (false, false) => Ok(Order::Upgrade),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_is_made_unless_it_is_only_to_be_checked() {
        assert_eq!(read(b"{}"), Ok(Order::Upgrade));
        assert_eq!(read(br#"{"check": true}"#), Ok(Order::Check));
        assert_eq!(
            read(br#"{"only_if_new": true, "check": false}"#),
            Ok(Order::UpgradeIfNew)
        );
        for (body, begins) in [
            (r#"{"program": "/bin/sh"}"#, "the body: "),
            (r#"{"check": 1}"#, "check: "),
            (r#"{"check": true, "only_if_new": true}"#, "only_if_new: "),
        ] {
            let error = read(body.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(begins), "{body}: {error}");
        }
    }
}
