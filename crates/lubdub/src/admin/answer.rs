//! What the admin listener answers with.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;

use crate::api::Problem;

/// An answer.
pub(super) type Answer = Response;

/// An answer that a person reads, with its line end.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", text)
}

/// An answer that a program reads.
pub(super) fn json(value: &impl Serialize) -> Answer {
    json_of(StatusCode::OK, value)
}

/// The same with another status.
pub(super) fn json_of(status: StatusCode, value: &impl Serialize) -> Answer {
    written(status, "application/json", value)
}

/// Why there is no answer.
pub(super) fn problem(status: StatusCode, detail: impl Into<String>) -> Answer {
    written(status, Problem::TYPE, &Problem::new(status, detail))
}

/// An answer of a kind of its own.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Body::from(body.into()).into_response();
    *answer.status_mut() = status;
    let answer = with(answer, CONTENT_TYPE, kind);
    // It is of this moment, and perhaps not for everybody.
    with(answer, CACHE_CONTROL, "no-store")
}

/// The same with one more field.
pub(super) fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    answer
}

fn written(status: StatusCode, kind: &'static str, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(mut json) => {
            json.push(b'\n');
            answer(status, kind, json)
        }
        // Numbers, texts and lists can all be written.
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
