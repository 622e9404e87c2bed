//! Logins that belong to a connection, not to a request.
//!
//! With NTLM and Negotiate (RFC 4559) a backend logs in the TCP connection: whoever sends a request over
//! it later is that user. A connection over which such a challenge or such an answer has passed is for
//! the client that it belongs to, and for nobody else.

use http::header::{
    AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    WWW_AUTHENTICATE,
};

/// Whether a request logs its connection in, or is about to.
pub(super) fn is_asked_for(request: &HeaderMap) -> bool {
    names_a_scheme(request, [AUTHORIZATION, PROXY_AUTHORIZATION])
}

/// Whether an answer asks for such a login.
pub(super) fn is_offered(answer: &HeaderMap) -> bool {
    names_a_scheme(answer, [WWW_AUTHENTICATE, PROXY_AUTHENTICATE])
}

fn names_a_scheme(headers: &HeaderMap, names: [HeaderName; 2]) -> bool {
    let mut values = names.iter().flat_map(|name| headers.get_all(name));
    values.any(|value| schemes(value).any(is_of_connection))
}

/// What may be the name of a scheme: the first word of each element of the list. (A comma within a
/// quoted string makes more of them than there are, never fewer.)
fn schemes(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let elements = value.as_bytes().split(|&byte| byte == b',');
    elements.filter_map(|element| {
        let mut words = element.trim_ascii().split(u8::is_ascii_whitespace);
        words.next()
    })
}

fn is_of_connection(scheme: &[u8]) -> bool {
    [&b"ntlm"[..], b"negotiate"]
        .iter()
        .any(|of_connection| scheme.eq_ignore_ascii_case(of_connection))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn logins_of_a_connection_are_told_from_those_of_a_request() {
        for (value, expected) in [
            ("NTLM TlRMTVNTUAABAAAA", true),
            ("negotiate YII=", true),
            ("Negotiate", true),
            ("Basic realm=\"a\", NTLM", true),
            ("Basic dXNlcjpwYXNz", false),
            ("Bearer ntlm", false),
            ("Digest username=\"ntlm\"", false),
            ("", false),
        ] {
            for name in [AUTHORIZATION, PROXY_AUTHORIZATION] {
                assert_eq!(is_asked_for(&with(name, value)), expected, "{value}");
            }
            for name in [WWW_AUTHENTICATE, PROXY_AUTHENTICATE] {
                assert_eq!(is_offered(&with(name, value)), expected, "{value}");
            }
        }
        assert!(!is_offered(&with(AUTHORIZATION, "NTLM")));
    }
}
