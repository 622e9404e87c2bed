//! Ending one pair.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use lubdub_proxy::CloseError;
use lubdub_proxy::registry::{Closing, Farewell};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::{self, Answer};
use super::body::{self, BadBody};
use super::guard::{Change, Id, wrong};
use super::pairs;
use crate::api::{CloseCode, Problem};

/// A pair that was told to end.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Told {
    /// Its number.
    pair: u64,
    /// `told`: it ends as soon as both sides have answered, or `timeouts.close` is over. `closing`: it was coming to its
    /// end already, and goes on with that; nobody is told anything more.
    outcome: &'static str,
}

/// What both sides are told.
//
// The fields are read one by one, so that what is wrong with one can be named.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CloseOrder, example = json!({"code": 4000, "reason": "moved"}))]
pub(super) struct Raw {
    /// The code of the Close: 1000 to 1003, 1007 to 1014 or 3000 to 4999; 1001 (going away) if not said.
    #[schema(value_type = Option<CloseCode>)]
    code: Option<Value>,
    /// Its reason, at most 123 bytes; what `close.*.reason` says if not said.
    #[schema(value_type = Option<String>, max_length = 123)]
    reason: Option<Value>,
}

/// Ends a pair by a Close to both sides
#[utoipa::path(post, path = "/api/v1/pairs/{id}/close", operation_id = "close_pair", tag = "pairs",
    params(("id" = usize, Path, description = "The number of the pair")),
    request_body = Raw,
    responses(
        (status = 200, body = Told, description = "Both sides are told, or the pair is coming to its end already"),
        (status = 404, body = Problem, content_type = Problem::TYPE, description = "No such pair lives"),
        (status = 409, body = Problem, content_type = Problem::TYPE, description = "The pairs are on their way to another process"),
    )
)]
pub(super) async fn order(
    State(state): State<Arc<super::State>>,
    Id(id): Id,
    change: Change,
) -> Answer {
    change
        .carry_out(async |body| {
            let farewell = match read(body) {
                Ok(farewell) => farewell,
                Err(error) => return wrong(&error),
            };
            let Some(pair) = pairs::find(&id) else {
                return pairs::none_such(&id);
            };
            match state.proxy.close(pair, farewell) {
                Ok(closing) => answer::json(&Told {
                    pair: pair.0,
                    outcome: match closing {
                        Closing::Told => "told",
                        Closing::Already => "closing",
                    },
                }),
                Err(CloseError::NoSuchPair(_)) => pairs::none_such(&id),
                Err(error @ (CloseError::HandingOver | CloseError::Deaf)) => {
                    answer::problem(StatusCode::CONFLICT, error.to_string())
                }
            }
        })
        .await
}

fn read(body: &[u8]) -> Result<Farewell, BadBody> {
    let raw: Raw = body::parse(body)?;
    let code = |value: Value| {
        let code = value.as_u64().and_then(|code| u16::try_from(code).ok());
        code.ok_or_else(|| {
            BadBody::field(
                "code",
                format_args!("must be a number such as 1001, not {value}"),
            )
        })
    };
    let code = raw
        .code
        .filter(|code| !code.is_null())
        .map(code)
        .transpose()?;
    let reason = body::text("reason", raw.reason)?;
    Farewell::try_new(code, reason.as_deref()).map_err(|error| {
        let field = match error {
            lubdub_proxy::registry::InvalidFarewell::Code(_) => "code",
            lubdub_proxy::registry::InvalidFarewell::TooLong(_) => "reason",
        };
        BadBody::field(field, error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_says_what_was_chosen() {
        assert_eq!(read(b"{}").unwrap().code().get(), 1001);
        let farewell = read(br#"{"code": 4000, "reason": "go"}"#).unwrap();
        assert_eq!(
            (farewell.code().get(), farewell.reason()),
            (4000, Some("go"))
        );
        let long = format!(r#"{{"reason": "{}"}}"#, "x".repeat(124));
        for (body, begins) in [
            (r#"{"code": "1001"}"#, "code: must be a number"),
            (r#"{"code": 1006}"#, "code: "),
            (r#"{"code": 70000}"#, "code: must be a number"),
            (r#"{"reason": 5}"#, "reason: must be text"),
            (long.as_str(), "reason: "),
            (r#"{"why": "x"}"#, "the body: "),
        ] {
            let error = read(body.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(begins), "{body}: {error}");
        }
    }
}
