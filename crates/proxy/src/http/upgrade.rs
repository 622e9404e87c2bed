//! What is a WebSocket upgrade, and what its answer must bring (RFC 6455 4.1 and 4.2.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Response, Version};
use sha1::{Digest, Sha1};

use super::headers::has_token;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// An upgrade to WebSocket.
    WebSocket,
    /// An upgrade to WebSocket with a body: what would be behind the body, frames or a request?
    WebSocketWithBody,
    /// A plain exchange.
    Plain,
}

/// Why a 101 is not the answer to the upgrade that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadSwitch {
    /// "If the response lacks an |Upgrade| header field or the |Upgrade| header field contains a
    /// value that is not an ASCII case-insensitive match for the value "websocket""
    #[error("its 101 does not upgrade to websocket")]
    Upgrade,
    /// "If the response lacks a |Sec-WebSocket-Accept| header field or the
    /// |Sec-WebSocket-Accept| contains a value other than the base64-encoded SHA-1 of the
    /// concatenation of the |Sec-WebSocket-Key| ... with the string
    /// "258EAFA5-E914-47DA-95CA-C5AB0DC85B11""
    #[error("its 101 has no right Sec-WebSocket-Accept")]
    Accept,
}

/// "The method of the request MUST be GET, and the HTTP version MUST be at least 1.1"; it "MUST
/// contain an |Upgrade| header field whose value MUST include the "websocket" keyword" and "a
/// |Connection| header field whose value MUST include the "Upgrade" token".
pub(super) fn asked<B>(request: &Request<B>) -> Asked {
    let headers = request.headers();
    let upgrade = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket");
    if !upgrade {
        Asked::Plain
    } else if has_body(headers) {
        Asked::WebSocketWithBody
    } else {
        Asked::WebSocket
    }
}

/// Whether a 101 answers the upgrade that was asked for with `key`.
pub(super) fn check<B>(response: &Response<B>, key: &[u8]) -> Result<(), BadSwitch> {
    if !has_token(response.headers(), &UPGRADE, "websocket") {
        return Err(BadSwitch::Upgrade);
    }
    let mut accepts = response.headers().get_all(SEC_WEBSOCKET_ACCEPT).iter();
    match (accepts.next(), accepts.next()) {
        (Some(accept), None) if accept.as_bytes() == accept_for(key).as_bytes() => Ok(()),
        _ => Err(BadSwitch::Accept),
    }
}

/// The key of an upgrade; empty if it brought none (then no answer will be right).
pub(super) fn key(headers: &HeaderMap) -> Vec<u8> {
    headers
        .get(SEC_WEBSOCKET_KEY)
        .map(|key| key.as_bytes().trim_ascii().to_vec())
        .unwrap_or_default()
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH).map(http::HeaderValue::as_bytes);
    headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length != b"0")
}

fn accept_for(key: &[u8]) -> String {
    let mut sha1 = Sha1::new();
    sha1.update(key);
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(sha1.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upgrade() -> http::request::Builder {
        Request::get("/chat")
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "WebSocket")
    }

    #[test]
    fn the_example_of_rfc_6455_1_3() {
        assert_eq!(
            accept_for(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn an_upgrade_is_told_from_everything_like_it() {
        let asked = |request: http::request::Builder| asked(&request.body(()).unwrap());
        assert_eq!(asked(upgrade()), Asked::WebSocket);
        assert_eq!(
            asked(upgrade().header("content-length", "0")),
            Asked::WebSocket
        );
        assert_eq!(asked(upgrade().method("POST")), Asked::Plain);
        assert_eq!(asked(upgrade().version(Version::HTTP_10)), Asked::Plain);
        assert_eq!(
            asked(Request::get("/").header("connection", "upgrade")),
            Asked::Plain
        );
        assert_eq!(
            asked(Request::get("/").header("upgrade", "websocket")),
            Asked::Plain
        );
        let h2c = Request::get("/")
            .header("connection", "upgrade")
            .header("upgrade", "h2c");
        assert_eq!(asked(h2c), Asked::Plain);
    }

    #[test]
    fn an_upgrade_with_a_body_is_neither() {
        let asked = |request: http::request::Builder| asked(&request.body(()).unwrap());
        let sized = upgrade().header("content-length", "5");
        assert_eq!(asked(sized), Asked::WebSocketWithBody);
        let chunked = upgrade().header("transfer-encoding", "chunked");
        assert_eq!(asked(chunked), Asked::WebSocketWithBody);
    }

    #[test]
    fn a_101_must_bring_the_right_accept() {
        let key = b"dGhlIHNhbXBsZSBub25jZQ==";
        let check = |upgrade: &str, accepts: &[&str]| {
            let mut response = Response::builder().status(101).header("upgrade", upgrade);
            for accept in accepts {
                response = response.header("sec-websocket-accept", *accept);
            }
            check(&response.body(()).unwrap(), key)
        };
        let right = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(check("websocket", &[right]), Ok(()));
        assert_eq!(check("WebSocket", &[right]), Ok(()));
        assert_eq!(check("h2c", &[right]), Err(BadSwitch::Upgrade));
        assert_eq!(check("websocket", &[]), Err(BadSwitch::Accept));
        assert_eq!(check("websocket", &["s3pP"]), Err(BadSwitch::Accept));
        assert_eq!(check("websocket", &[right, right]), Err(BadSwitch::Accept));
    }
}
