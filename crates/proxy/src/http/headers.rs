//! Which header fields go no further than one connection (RFC 9110 7.6.1).

use http::StatusCode;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
    UPGRADE,
};
use http::response::Parts;

use super::forwarded::FAMILY;
use super::trailers::Withheld;
use crate::settings::Forwarded;

/// "Intermediaries SHOULD remove or replace fields that are known to require removal before
/// forwarding, whether or not they appear as a connection-option". Transfer-Encoding and Trailer
/// stay: hyper frames the forwarded body anew and reads them for it; Upgrade is dealt with apart.
const KNOWN: [&str; 3] = ["proxy-connection", "keep-alive", "te"];

/// "Intermediaries MUST parse a received Connection header field before a message is forwarded
/// and, for each connection-option in this field, remove any header or trailer field(s) from the
/// message with the same name as the connection-option, and then remove the Connection header
/// field itself".
///
/// Fields that frame or address the message are kept even if they are named: to remove them would
/// change what the message is (and has been used to smuggle requests). What is removed goes no
/// further in the trailers either.
pub(super) fn strip_connection_options(headers: &mut HeaderMap) -> Withheld {
    strip_but(headers, &[])
}

/// The same for the head of a request. Fields that say who the client is stay as well, where lubdub adds
/// to them: a client could have what a balancer has written taken out behind it.
pub(super) fn strip_request(headers: &mut HeaderMap, forwarded: &Forwarded) -> Withheld {
    if forwarded.is_ours() {
        strip_but(headers, &FAMILY)
    } else {
        strip_connection_options(headers)
    }
}

fn strip_but(headers: &mut HeaderMap, kept: &[HeaderName]) -> Withheld {
    let options: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .collect();
    for option in &options {
        let keep = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING];
        if !keep.contains(option) && !kept.contains(option) {
            headers.remove(option);
        }
    }
    for name in KNOWN {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
    headers.remove(UPGRADE);
    // RFC 9112 6.3: "If a message is received with both a Transfer-Encoding and a Content-Length
    // header field, the Transfer-Encoding overrides the Content-Length", and "an intermediary that
    // chooses to forward the message MUST first remove the received Content-Length field".
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    Withheld::named(options)
}

/// The same for the head of an answer. RFC 9110 15.5.22: "The server MUST send an Upgrade header field
/// in a 426 response to indicate the required protocol(s)", so that one keeps it. In other answers it
/// only says what the upstream could speak on this connection, which is not the client's.
pub(super) fn strip_answer(answer: &mut Parts) -> Withheld {
    let required: Vec<HeaderValue> = if answer.status == StatusCode::UPGRADE_REQUIRED {
        answer.headers.get_all(UPGRADE).iter().cloned().collect()
    } else {
        Vec::new()
    };
    let withheld = strip_connection_options(&mut answer.headers);
    if !required.is_empty() {
        let option = HeaderValue::from_static("Upgrade");
        answer.headers.insert(CONNECTION, option);
    }
    for protocols in required {
        answer.headers.append(UPGRADE, protocols);
    }
    withheld
}

/// An answer whose end is not where everybody would look for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadFraming {
    #[error("its Content-Length is no number")]
    NoLength,
    #[error("it has two different Content-Lengths")]
    TwoLengths,
    #[error("it is chunked twice")]
    ChunkedTwice,
}

/// Makes one length of several that say the same, whether they frame a body or only tell of one (HEAD, 304). RFC
/// 9110 8.6: "a sender MUST NOT forward a message with a Content-Length header field value that does not match the ABNF
/// above, with one exception: a recipient of a Content-Length header field value consisting of the same decimal value
/// repeated as a comma-separated list [..] MAY either reject the message as invalid or replace that invalid field value
/// with a single valid decimal value".
pub(super) fn settle_framing(answer: &mut Parts) -> Result<(), BadFraming> {
    let headers = &mut answer.headers;
    if is_chunked_twice(headers) {
        return Err(BadFraming::ChunkedTwice);
    }
    // The length counts for nothing there, and goes no further.
    if headers.contains_key(TRANSFER_ENCODING) || answer.status == StatusCode::NO_CONTENT {
        return Ok(());
    }
    let lines = headers.get_all(CONTENT_LENGTH).iter();
    let mut lengths = lines
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii);
    let Some(length) = lengths.next() else {
        return Ok(());
    };
    let mut is_one = true;
    for other in lengths {
        if other != length {
            return Err(BadFraming::TwoLengths);
        }
        is_one = false;
    }
    if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
        return Err(BadFraming::NoLength);
    }
    if !is_one {
        let length = HeaderValue::from_bytes(length).map_err(|_| BadFraming::NoLength)?;
        headers.insert(CONTENT_LENGTH, length);
    }
    Ok(())
}

/// RFC 9112 6.1: "A sender MUST NOT apply the chunked transfer coding more than once to a message body." Only one of
/// the two would be undone here, and the next reader might undo both.
pub(super) fn is_chunked_twice(headers: &HeaderMap) -> bool {
    token_count(headers, &TRANSFER_ENCODING, "chunked") > 1
}

/// The one `websocket` among the protocols that an Upgrade field names, in its own spelling.
pub(super) fn websocket_token(headers: &HeaderMap) -> Option<HeaderValue> {
    let token = tokens(headers, &UPGRADE).find(|token| token.eq_ignore_ascii_case(b"websocket"))?;
    HeaderValue::from_bytes(token).ok()
}

/// Whether a list field contains a token, whatever its case.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    token_count(headers, name, token) > 0
}

/// How often a list field contains a token, whatever its case.
pub(super) fn token_count(headers: &HeaderMap, name: &HeaderName, token: &str) -> usize {
    tokens(headers, name)
        .filter(|found| found.eq_ignore_ascii_case(token.as_bytes()))
        .count()
}

/// The elements of a list field (RFC 9110 5.6.1), over all its lines. As bytes: an element that is
/// no text must not hide those beside it.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value: &HeaderValue| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|&(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn what_connection_names_goes_no_further() {
        let mut map = headers(&[
            ("connection", "close, X-Secret"),
            ("connection", "te"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2c"),
            ("x-other", "2"),
        ]);
        strip_connection_options(&mut map);
        assert_eq!(map, headers(&[("x-other", "2")]));
    }

    #[test]
    fn what_frames_or_addresses_the_message_stays() {
        let lines = [("host", "a"), ("content-length", "3")];
        let mut map = headers(&lines);
        map.append(CONNECTION, HeaderValue::from_static("host, content-length"));
        strip_connection_options(&mut map);
        assert_eq!(map, headers(&lines));
    }

    #[test]
    fn chunked_overrides_a_length() {
        let mut map = headers(&[("transfer-encoding", "chunked"), ("content-length", "5")]);
        strip_connection_options(&mut map);
        assert_eq!(map, headers(&[("transfer-encoding", "chunked")]));
    }

    #[test]
    fn an_answer_has_one_length() {
        let answered = |status: u16, lines: &[(&'static str, &'static str)]| {
            let answer = http::Response::builder().status(status).body(()).unwrap();
            let mut answer = answer.into_parts().0;
            answer.headers = headers(lines);
            settle_framing(&mut answer).map(|()| answer.headers)
        };
        let settled = |lines: &[(&'static str, &'static str)]| answered(200, lines);
        for once in [
            vec![("content-length", "3")],
            vec![("content-length", "3, 3")],
            vec![("content-length", "3"), ("content-length", " 3 ,3")],
        ] {
            assert_eq!(settled(&once), Ok(headers(&[("content-length", "3")])));
        }
        for (value, error) in [
            ("3, 4", BadFraming::TwoLengths),
            ("abc", BadFraming::NoLength),
            ("-1", BadFraming::NoLength),
            ("+1", BadFraming::NoLength),
            ("3,", BadFraming::TwoLengths),
            ("", BadFraming::NoLength),
        ] {
            assert_eq!(settled(&[("content-length", value)]), Err(error), "{value}");
        }
        let two = [("content-length", "3"), ("content-length", "4")];
        assert_eq!(settled(&two), Err(BadFraming::TwoLengths));
        let chunked = [("transfer-encoding", "chunked"); 2];
        assert_eq!(settled(&chunked), Err(BadFraming::ChunkedTwice));
        assert_eq!(settled(&chunked[1..]), Ok(headers(&chunked[1..])));
        // These go no further.
        let both = [("transfer-encoding", "chunked"), ("content-length", "3, 4")];
        assert_eq!(settled(&both), Ok(headers(&both)));
        assert_eq!(answered(204, &two), Ok(headers(&two)));
    }

    #[test]
    fn only_a_426_says_what_it_wants() {
        let stripped = |status: u16| {
            let answer = http::Response::builder()
                .status(status)
                .header("connection", "upgrade, x-hop")
                .header("upgrade", "websocket")
                .header("upgrade", "h2c")
                .header("x-hop", "1");
            let (mut answer, ()) = answer.body(()).unwrap().into_parts();
            strip_answer(&mut answer);
            answer.headers
        };
        let wants = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("upgrade", "h2c"),
        ];
        assert_eq!(stripped(426), headers(&wants));
        assert_eq!(stripped(200), HeaderMap::new());
    }

    #[test]
    fn of_several_protocols_only_websocket_goes_on() {
        let map = headers(&[("upgrade", "h2c"), ("upgrade", "foo/1, WebSocket")]);
        assert_eq!(websocket_token(&map).unwrap(), "WebSocket");
        assert_eq!(websocket_token(&headers(&[("upgrade", "h2c")])), None);
    }

    #[test]
    fn tokens_are_found_in_any_line_and_case() {
        let map = headers(&[("connection", "keep-alive, "), ("connection", "x,UPGRADE")]);
        assert!(has_token(&map, &CONNECTION, "upgrade"));
        assert!(!has_token(&map, &CONNECTION, "up"));
    }
}
