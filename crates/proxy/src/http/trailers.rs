//! Which trailer fields go no further (RFC 9110 6.5): what would be taken out of a head must not come
//! in behind the body, and what decides how a message is read, or whose it is, comes too late there.
//!
//! hyper then sends those of the rest that the head announced in `Trailer`.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, MAX_FORWARDS, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};

use super::Subjects;
use super::forwarded::FAMILY;
use super::spelling::strip;
use crate::request_id::X_REQUEST_ID;
use crate::settings::Forwarded;

/// RFC 9110 6.5.1: "Many fields cannot be processed outside the header section because their
/// evaluation is necessary prior to receiving the content, such as those that describe message
/// framing, routing, authentication, request modifiers, response controls, or content format."
const NEVER: [HeaderName; 21] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    EXPECT,
    HOST,
    MAX_FORWARDS,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    WWW_AUTHENTICATE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// What of a message's trailers goes no further, as its head has it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Withheld {
    /// What `Connection` named.
    named: Vec<HeaderName>,
    /// Who the client is, too.
    family: bool,
    /// Whose certificate it has.
    subjects: Subjects,
    /// And what the request is called.
    request_id: bool,
}

impl Withheld {
    /// "remove any header or trailer field(s) from the message with the same name as the
    /// connection-option" (RFC 9110 7.6.1).
    pub(super) fn named(named: Vec<HeaderName>) -> Self {
        Self {
            named,
            ..Self::default()
        }
    }

    /// Whatever a client says of itself, or of its request, goes no further either, where that is lubdub's
    /// to say: not that of a trusted peer, because a reader that puts trailers behind the head's fields
    /// would take it for lubdub's word.
    pub(super) fn with_ours(self, forwarded: &Forwarded) -> Self {
        Self {
            family: forwarded.is_ours(),
            request_id: forwarded.request_id,
            ..self
        }
    }

    /// Nor what a client says of its certificate.
    pub(super) fn with_subjects(self, subjects: &Subjects) -> Self {
        Self {
            subjects: subjects.clone(),
            ..self
        }
    }

    /// What goes on.
    pub(super) fn filter(&self, mut trailers: HeaderMap) -> HeaderMap {
        for name in self.named.iter().chain(&NEVER) {
            trailers.remove(name);
        }
        if self.family {
            strip(&FAMILY, &mut trailers);
        }
        self.subjects.strip(&mut trailers);
        if self.request_id {
            strip(&[X_REQUEST_ID], &mut trailers);
        }
        trailers
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::settings::{ForwardedStyle, Trust};

    fn left(withheld: &Withheld, names: &[&'static str]) -> Vec<String> {
        let trailers = names
            .iter()
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")))
            .collect();
        let left = withheld.filter(trailers);
        let mut left: Vec<_> = left.keys().map(ToString::to_string).collect();
        left.sort();
        left
    }

    #[test]
    fn what_frames_routes_or_identifies_never_passes() {
        for name in NEVER {
            let mut trailers = HeaderMap::new();
            trailers.append(&name, HeaderValue::from_static("1"));
            trailers.append(&name, HeaderValue::from_static("2"));
            assert!(Withheld::default().filter(trailers).is_empty(), "{name}");
        }
    }

    #[test]
    fn what_connection_named_is_withheld_and_no_more() {
        let withheld = Withheld::named(vec![HeaderName::from_static("x-hop")]);
        let names = ["x-hop", "x-sum", "x_forwarded-for", "x_request_id"];
        assert_eq!(
            left(&withheld, &names),
            ["x-sum", "x_forwarded-for", "x_request_id"]
        );
        let mut forwarded = Forwarded {
            style: ForwardedStyle::XForwarded,
            trust: Trust::default(),
            via: false,
            request_id: false,
        };
        let ours = withheld.clone().with_ours(&forwarded);
        assert_eq!(left(&ours, &names), ["x-sum", "x_request_id"]);
        (forwarded.style, forwarded.request_id) = (ForwardedStyle::Off, true);
        let ours = withheld.with_ours(&forwarded);
        assert_eq!(left(&ours, &names), ["x-sum", "x_forwarded-for"]);
    }
}
