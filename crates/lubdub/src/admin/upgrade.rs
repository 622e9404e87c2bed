//! Upgrades as they are asked for, and as they are told of.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::body::{self, BadBody};
use super::routing::wrong;
use crate::upgrade::Upgrader;

/// The body of a request, before its fields are read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    check: Option<Value>,
}

/// Does what the body says. The answer comes when it is done, from the process that was asked.
pub(super) async fn order(upgrader: &Upgrader, body: &[u8]) -> Answer {
    let only_check = match read(body) {
        Ok(only_check) => only_check,
        Err(error) => return wrong(&error),
    };
    match upgrader.upgrade(only_check).await {
        Ok(upgraded) => answer::json(&json!({
            "outcome": if only_check { "possible" } else { "upgraded" },
            "successor": upgraded.successor,
            "moved": upgraded.moved,
            "kept": upgraded.kept,
        })),
        Err(reason) => answer::text(StatusCode::CONFLICT, format!("{reason}\n")),
    }
}

fn read(body: &[u8]) -> Result<bool, BadBody> {
    let raw: Raw = body::parse(body)?;
    body::flag("check", raw.check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_is_made_unless_it_is_only_to_be_checked() {
        assert_eq!(read(b"{}"), Ok(false));
        assert_eq!(read(br#"{"check": true}"#), Ok(true));
        for (body, begins) in [
            (r#"{"program": "/bin/sh"}"#, "the body: "),
            (r#"{"check": 1}"#, "check: "),
        ] {
            let error = read(body.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(begins), "{body}: {error}");
        }
    }
}
