//! Every answer that is lubdub's own, in one place. It tells the client what it can do about it
//! and nothing about the inside.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, UPGRADE};
use http::{Response, StatusCode};
use lubdub_metrics::Outcome;

use super::answer::Answer;

/// What a client whom there is no room for is told to wait, in seconds.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("10");

/// The answer to a request that lubdub does not relay, or whose relaying failed.
pub(super) fn refusal(outcome: Outcome) -> Response<Answer> {
    let status = match outcome {
        Outcome::BadRequest => StatusCode::BAD_REQUEST,
        Outcome::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Outcome::NoRoute => StatusCode::NOT_FOUND,
        Outcome::Forbidden | Outcome::Origin => StatusCode::FORBIDDEN,
        Outcome::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Outcome::Limited | Outcome::AtCapacity | Outcome::UpstreamBusy | Outcome::Draining => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Outcome::Loop => StatusCode::LOOP_DETECTED,
        Outcome::ConnectTimeout | Outcome::AnswerTimeout => StatusCode::GATEWAY_TIMEOUT,
        Outcome::ConnectFailed | Outcome::BadAnswer => StatusCode::BAD_GATEWAY,
        // These are not answered by lubdub; if they were, it would be its fault.
        Outcome::Upgraded | Outcome::Refused | Outcome::ClientGone => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    let reason = status.canonical_reason().unwrap_or_default();
    let text = format!("{} {reason}\n", status.as_u16());
    let mut response = Response::new(Answer::Text(Some(Bytes::from(text))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, RETRY_SECONDS);
    }
    response
}

/// Ends the connection behind this answer, so that what follows can never be taken for a request. An
/// `Upgrade` (of a 426) stays an option of this connection.
pub(super) fn and_close(mut response: Response<Answer>) -> Response<Answer> {
    let options = if response.headers().contains_key(UPGRADE) {
        "Upgrade, close"
    } else {
        "close"
    };
    let options = HeaderValue::from_static(options);
    response.headers_mut().insert(CONNECTION, options);
    response
}
