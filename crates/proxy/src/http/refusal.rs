//! Every answer that is lubdub's own, in one place. It tells the client what it can do about it
//! and nothing about the inside.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, UPGRADE};
use http::{Response, StatusCode};
use lubdub_metrics::Outcome;

use super::answer::Answer;

/// What a client whom there is no room for is told to wait, in seconds.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("10");
/// One that asks too often may ask again within the next second: no rate is lower than one a second.
const RETRY_NEXT_SECOND: HeaderValue = HeaderValue::from_static("1");

/// RFC 9209: what an intermediary has to say about an answer.
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

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
    headers.insert(PROXY_STATUS, proxy_status(outcome));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, RETRY_SECONDS);
    } else if status == StatusCode::TOO_MANY_REQUESTS {
        headers.insert(RETRY_AFTER, RETRY_NEXT_SECOND);
    }
    response
}

/// That the answer is lubdub's own, and of which kind of RFC 9209 2.3. No details and no next hop: these are for the
/// log.
fn proxy_status(outcome: Outcome) -> HeaderValue {
    HeaderValue::from_static(match outcome {
        Outcome::NoRoute => "lubdub; error=destination_not_found",
        Outcome::ConnectFailed => "lubdub; error=destination_unavailable",
        Outcome::ConnectTimeout => "lubdub; error=connection_timeout",
        Outcome::AnswerTimeout => "lubdub; error=http_response_timeout",
        Outcome::BadAnswer => "lubdub; error=http_protocol_error",
        Outcome::Limited | Outcome::AtCapacity | Outcome::UpstreamBusy | Outcome::Draining => {
            "lubdub; error=connection_limit_reached"
        }
        Outcome::RateLimited | Outcome::Forbidden | Outcome::Origin => {
            "lubdub; error=http_request_denied"
        }
        Outcome::Loop => "lubdub; error=proxy_loop_detected",
        Outcome::BadRequest | Outcome::RequestTimeout => "lubdub; error=http_request_error",
        Outcome::Upgraded | Outcome::Refused | Outcome::ClientGone => {
            "lubdub; error=proxy_internal_error"
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The statuses and errors that were promised.
    #[test]
    fn every_refusal_says_that_it_is_lubdubs_own_and_what_it_is_about() {
        for (outcome, status, error, retry) in [
            (Outcome::NoRoute, 404, "destination_not_found", None),
            (Outcome::ConnectFailed, 502, "destination_unavailable", None),
            (Outcome::ConnectTimeout, 504, "connection_timeout", None),
            (Outcome::AnswerTimeout, 504, "http_response_timeout", None),
            (Outcome::BadAnswer, 502, "http_protocol_error", None),
            (
                Outcome::Limited,
                503,
                "connection_limit_reached",
                Some("10"),
            ),
            (
                Outcome::AtCapacity,
                503,
                "connection_limit_reached",
                Some("10"),
            ),
            (
                Outcome::UpstreamBusy,
                503,
                "connection_limit_reached",
                Some("10"),
            ),
            (
                Outcome::Draining,
                503,
                "connection_limit_reached",
                Some("10"),
            ),
            (Outcome::RateLimited, 429, "http_request_denied", Some("1")),
            (Outcome::Forbidden, 403, "http_request_denied", None),
            (Outcome::Origin, 403, "http_request_denied", None),
            (Outcome::Loop, 508, "proxy_loop_detected", None),
            (Outcome::BadRequest, 400, "http_request_error", None),
            (Outcome::RequestTimeout, 408, "http_request_error", None),
        ] {
            let answer = refusal(outcome);
            let field = |name| answer.headers().get(name).map(|it| it.to_str().unwrap());
            assert_eq!(answer.status(), status, "{outcome}");
            let expected = format!("lubdub; error={error}");
            assert_eq!(field(PROXY_STATUS), Some(&*expected), "{outcome}");
            assert_eq!(field(RETRY_AFTER), retry, "{outcome}");
        }
    }
}
