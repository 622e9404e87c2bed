//! What the admin listener answers with.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;

/// An answer, whole.
pub(super) type Answer = Response<Full<Bytes>>;

/// An answer that a person reads, with its line end.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", text.into())
}

/// An answer that a program reads.
pub(super) fn json(value: &serde_json::Value) -> Answer {
    json_of(StatusCode::OK, value)
}

/// The same with another status.
pub(super) fn json_of(status: StatusCode, value: &serde_json::Value) -> Answer {
    let text = format!("{value}\n");
    answer(status, "application/json", text.into())
}

/// An answer of a kind of its own.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    with(answer, CONTENT_TYPE, kind)
}

/// The same with one more field.
pub(super) fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    answer
}
