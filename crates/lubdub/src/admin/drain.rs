//! Drains as they are asked for, and as they are told of. Durations go in as in the configuration
//! ("5m"), and come out in seconds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use lubdub_proxy::{Control, DrainError, Progress, Selection, Stage};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::{self, Answer};
use super::body::{self, BadBody};
use super::filter;
use super::guard::{Change, Look, NoQuery, wrong};
use crate::api::{self, DrainState, Drains, Problem, Span};
use crate::config::parse_duration;

/// What a drain is asked for with.
//
// The fields are read one by one, so that what is wrong with one can be named.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DrainOrder, example = json!({"route": "chat", "older_than": "2h", "spread": "5m"}))]
pub(super) struct Raw {
    /// Only pairs of this route.
    #[schema(value_type = Option<String>)]
    route: Option<Value>,
    /// Only pairs to this upstream.
    #[schema(value_type = Option<String>)]
    upstream: Option<Value>,
    /// Only pairs that came in at this listener.
    #[schema(value_type = Option<String>)]
    listener: Option<Value>,
    /// Only pairs that opened so long ago, such as `2h`.
    #[schema(value_type = Option<Span>)]
    older_than: Option<Value>,
    /// Over which time, such as `5m`; `drain.spread` if not said.
    #[schema(value_type = Option<Span>)]
    spread: Option<Value>,
    /// Alone: calls the drain off.
    #[schema(value_type = Option<bool>)]
    cancel: Option<Value>,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Begin {
        selection: Selection,
        spread: Option<Duration>,
    },
    CallOff,
}

/// Begins a drain, or calls it off
#[utoipa::path(
    post,
    path = "/api/v1/drain",
    operation_id = "drain",
    tag = "changes",
    request_body(content = Raw, description = "With no field: drains all of lubdub"),
    responses(
        (status = 200, body = api::Drain, description = "It is under way, or called off"),
        (status = 409, body = Problem, content_type = Problem::TYPE, description = "It cannot be done now"),
    )
)]
pub(super) async fn order(State(state): State<Arc<super::State>>, change: Change) -> Answer {
    change
        .carry_out(async |body| ordered(&state.proxy, body))
        .await
}

/// The latest drain
#[utoipa::path(get, path = "/api/v1/drain", operation_id = "latest_drain", tag = "state",
    responses((status = 200, body = Drains)))]
pub(super) async fn show(State(state): State<Arc<super::State>>, _: Look, _: NoQuery) -> Answer {
    answer::json(&Drains {
        draining: state.proxy.is_drained(),
        drain: state.proxy.latest_drain().as_ref().map(tell),
    })
}

/// Does what the body says.
fn ordered(proxy: &Control, body: &[u8]) -> Answer {
    let names = proxy.names();
    let known = |key: &str, name: String| {
        let known = match key {
            "route" => &names.routes,
            "upstream" => &names.upstreams,
            _ => &names.listeners,
        };
        find(key, &name, known)
    };
    let done = match read(body, known) {
        Ok(Order::Begin { selection, spread }) => proxy.drain(selection, spread),
        Ok(Order::CallOff) => proxy.call_off_drain(),
        Err(error) => return wrong(&error),
    };
    match done {
        Ok(progress) => answer::json(&tell(&progress)),
        Err(
            error @ (DrainError::UnderWay(_)
            | DrainError::Whole(_)
            | DrainError::Ending
            | DrainError::HandingOver
            | DrainError::Nothing),
        ) => answer::problem(StatusCode::CONFLICT, error.to_string()),
    }
}

fn read(
    body: &[u8],
    known: impl Fn(&str, String) -> Result<Arc<str>, BadBody>,
) -> Result<Order, BadBody> {
    let raw: Raw = body::parse(body)?;
    let is_cancelled = body::flag("cancel", raw.cancel)?;
    let name = |key, value| -> Result<_, BadBody> {
        let name = body::text(key, value)?;
        name.map(|name| known(key, name)).transpose()
    };
    let selection = Selection {
        route: name("route", raw.route)?,
        upstream: name("upstream", raw.upstream)?,
        listener: name("listener", raw.listener)?,
        older_than: duration("older_than", raw.older_than)?,
    };
    let spread = duration("spread", raw.spread)?;
    if !is_cancelled {
        return Ok(Order::Begin { selection, spread });
    }
    if !selection.is_whole() || spread.is_some() {
        let reason = "stands alone: there is one drain at a time, and this calls it off";
        return Err(BadBody::field("cancel", reason));
    }
    Ok(Order::CallOff)
}

/// The name as it is written in the configuration.
fn find(key: &str, name: &str, known: &BTreeSet<Arc<str>>) -> Result<Arc<str>, BadBody> {
    filter::find(name, known).map_err(|reason| BadBody::field(key, reason))
}

fn duration(key: &str, value: Option<Value>) -> Result<Option<Duration>, BadBody> {
    let text = body::text(key, value)?;
    let read = |text: String| parse_duration(&text).map_err(|error| BadBody::field(key, error));
    text.map(read).transpose()
}

/// A drain as it is told of.
pub(super) fn tell(progress: &Progress) -> api::Drain {
    let selection = &progress.selection;
    let name = |name: &Option<Arc<str>>| name.as_deref().map(str::to_owned);
    api::Drain {
        id: progress.id,
        state: match progress.stage {
            Stage::Waiting => DrainState::Waiting,
            Stage::Running => DrainState::Running,
            Stage::Done => DrainState::Done,
            Stage::CalledOff => DrainState::Cancelled,
        },
        whole: selection.is_whole(),
        route: name(&selection.route),
        upstream: name(&selection.upstream),
        listener: name(&selection.listener),
        older_than_seconds: selection.older_than.map(|age| age.as_secs_f64()),
        spread_seconds: progress.spread.as_secs_f64(),
        matched: progress.matched,
        told: progress.told,
        remaining: progress.remaining,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Order, BadBody> {
        let names = BTreeSet::from(["chat-v2", "main"].map(Arc::from));
        super::read(body.as_bytes(), |key, name| find(key, &name, &names))
    }

    fn refused(body: &str) -> String {
        let error = read(body).unwrap_err();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        error.to_string()
    }

    #[test]
    fn nothing_said_is_everybody() {
        let everybody = |spread| Order::Begin {
            selection: Selection::default(),
            spread,
        };
        assert_eq!(read("{}"), Ok(everybody(None)));
        assert_eq!(
            read(r#"{"cancel": false, "route": null}"#),
            Ok(everybody(None))
        );
        let spread = Some(Duration::from_secs(300));
        assert_eq!(read(r#"{"spread": "5m"}"#), Ok(everybody(spread)));
        assert_eq!(
            read(r#"{"spread": "0s"}"#),
            Ok(everybody(Some(Duration::ZERO)))
        );
    }

    #[test]
    fn names_are_compared_as_in_the_configuration() {
        let selection = Selection {
            route: Some("chat-v2".into()),
            older_than: Some(Duration::from_secs(7200)),
            ..Selection::default()
        };
        let order = read(r#"{"route": "CHAT_V2", "older_than": "2h"}"#);
        assert_eq!(
            order,
            Ok(Order::Begin {
                selection,
                spread: None
            })
        );
    }

    #[test]
    fn cancel_stands_alone() {
        assert_eq!(read(r#"{"cancel": true}"#), Ok(Order::CallOff));
        for with in [
            r#""route": "main""#,
            r#""spread": "1s""#,
            r#""older_than": "1s""#,
        ] {
            let reason = refused(&format!(r#"{{"cancel": true, {with}}}"#));
            assert!(reason.starts_with("cancel: "), "{reason}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, begins, has) in [
            ("", "there is no body", "{}"),
            ("[]", "the body must be", "object"),
            (
                "[null, null, null, null, null, null]",
                "the body must be",
                "object",
            ),
            ("{", "the body: ", "EOF"),
            (r#"{"rout": "main"}"#, "the body: ", "`rout`"),
            (
                r#"{"route": "main", "route": "chat-v2"}"#,
                "the body: ",
                "duplicate field `route`",
            ),
            (r#"{"route": 5}"#, "route: ", "not 5"),
            (r#"{"listener": "other"}"#, "listener: ", "chat-v2, main"),
            (r#"{"upstream": ["main"]}"#, "upstream: ", "text"),
            (r#"{"older_than": "2"}"#, "older_than: ", "unit"),
            (r#"{"spread": 5}"#, "spread: ", "text"),
            (r#"{"cancel": "yes"}"#, "cancel: ", "true or false"),
        ] {
            let reason = refused(body);
            assert!(
                reason.starts_with(begins) && reason.contains(has),
                "{body}: {reason}"
            );
        }
    }
}
