//! Upgrades as they are asked for, and as they are told of.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::body::{self, BadBody};
use super::routing::wrong;
use crate::upgrade::{Order, Upgraded, Upgrader};

/// The body of a request, before its fields are read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    check: Option<Value>,
    only_if_new: Option<Value>,
}

/// Does what the body says. The answer comes when it is done, from the process that was asked.
pub(super) async fn order(upgrader: &Upgrader, body: &[u8]) -> Answer {
    let order = match read(body) {
        Ok(order) => order,
        Err(error) => return wrong(&error),
    };
    let told = |outcome: &str, successor: Option<u32>, moved: u64, kept: u64| {
        answer::json(&json!({
            "outcome": outcome, "successor": successor, "moved": moved, "kept": kept,
        }))
    };
    match upgrader.upgrade(order).await {
        Ok(Upgraded::Done {
            successor,
            moved,
            kept,
        }) => told("upgraded", Some(successor), moved, kept),
        Ok(Upgraded::Possible) => told("possible", None, 0, 0),
        Ok(Upgraded::NotNeeded) => told("current", None, 0, 0),
        Err(reason) => answer::text(StatusCode::CONFLICT, format!("{reason}\n")),
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
