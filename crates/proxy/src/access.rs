//! Who may come in at a route: from which networks, and from which pages.
//!
//! Networks are about everything that is asked for. Pages are about upgrades only: a browser lets every
//! page in the world open a WebSocket to anywhere, with the user's cookies, and leaves it to the server to
//! look at `Origin` (RFC 6455 10.2). Plain requests have rules of the browser's own.

mod networks;
mod web_origin;

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HeaderName, ORIGIN};
use lubdub_metrics::Outcome;

pub use networks::Networks;
pub use web_origin::{InvalidOrigin, OriginPattern, WebOrigin};

/// Who may come in at a route. By default everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Only from these networks; from everywhere if there is none.
    pub allow: Networks,
    /// Not from these, allowed or not.
    pub deny: Networks,
    /// Upgrades only from pages with these origins; from all if there is none.
    pub origins: Vec<OriginPattern>,
    /// What becomes of upgrades that tell no origin.
    pub origin_missing: OriginMissing,
}

/// What becomes of upgrades that tell no origin: whoever is no browser need not tell one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OriginMissing {
    /// They come in.
    #[default]
    Allow,
    /// They do not.
    Deny,
}

/// Why somebody may not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// Its address is one that may not.
    #[error("its address is in deny")]
    Address,
    /// Its address is none of those that may.
    #[error("its address is not in allow")]
    Stranger,
    /// It has no address, and only some may come in.
    #[error("it has no address, and allow has networks")]
    Nobody,
    /// The page is none of those that may.
    #[error("its origin {0} is not in origins")]
    Page(WebOrigin),
    /// Nobody can tell which page.
    #[error("its origin is null, which is not in origins")]
    Null,
    /// What it tells is no origin.
    #[error("what it has in {0} is no origin")]
    NoOrigin(HeaderName),
    /// It tells several.
    #[error("it has {0} more than once")]
    Several(HeaderName),
    /// It tells none.
    #[error("it has no Origin")]
    Silent,
}

/// How the drafts before RFC 6455 called it. Whoever understands them may believe it.
const SEC_WEBSOCKET_ORIGIN: HeaderName = HeaderName::from_static("sec-websocket-origin");

// === impl Access ===

impl Access {
    /// Whether who comes from this address may. Who has none is in no network.
    pub(crate) fn admit(&self, client: Option<IpAddr>) -> Result<(), Denied> {
        match client {
            Some(client) if self.deny.contains(client) => Err(Denied::Address),
            _ if self.allow.is_empty() => Ok(()),
            Some(client) if self.allow.contains(client) => Ok(()),
            Some(_) => Err(Denied::Stranger),
            None => Err(Denied::Nobody),
        }
    }

    /// Whether an upgrade with these fields may. Each field that tells the page has to name one that may.
    pub(crate) fn admit_page(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let mut is_silent = true;
        for name in [ORIGIN, SEC_WEBSOCKET_ORIGIN] {
            let mut lines = headers.get_all(&name).iter();
            let Some(origin) = lines.next() else {
                continue;
            };
            is_silent = false;
            if self.origins.is_empty() {
                continue;
            }
            if lines.next().is_some() {
                return Err(Denied::Several(name));
            }
            match origin.to_str() {
                Ok(origin) => self.admit_origin(origin, name)?,
                Err(_) => return Err(Denied::NoOrigin(name)),
            }
        }
        if is_silent && self.origin_missing == OriginMissing::Deny {
            return Err(Denied::Silent);
        }
        Ok(())
    }

    fn admit_origin(&self, origin: &str, name: HeaderName) -> Result<(), Denied> {
        if origin == web_origin::NULL {
            let is_listed = self.origins.contains(&OriginPattern::Null);
            return if is_listed { Ok(()) } else { Err(Denied::Null) };
        }
        let origin = WebOrigin::parse(origin).map_err(|_| Denied::NoOrigin(name))?;
        let mut listed = self.origins.iter();
        if listed.any(|pattern| pattern.is_for(&origin)) {
            Ok(())
        } else {
            Err(Denied::Page(origin))
        }
    }
}

// === impl Denied ===

impl Denied {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Address | Self::Stranger | Self::Nobody => Outcome::Forbidden,
            Self::Page(_) | Self::Null | Self::NoOrigin(_) | Self::Several(_) | Self::Silent => {
                Outcome::Origin
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn networks(all: &[&str]) -> Networks {
        all.iter()
            .map(|text| text.parse::<ipnet::IpNet>().unwrap())
            .collect()
    }

    fn pages(origins: &[&str]) -> Access {
        let origins = origins.iter();
        Access {
            origins: origins
                .map(|it| OriginPattern::parse(it).unwrap())
                .collect(),
            ..Access::default()
        }
    }

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn deny_goes_before_allow_and_who_has_no_address_is_in_neither() {
        let access = Access {
            allow: networks(&["10.0.0.0/8", "fd00::/8"]),
            deny: networks(&["10.9.0.0/16"]),
            ..Access::default()
        };
        let admit = |text: &str| access.admit(Some(text.parse().unwrap()));
        assert_eq!(admit("10.0.0.1"), Ok(()));
        assert_eq!(admit("::ffff:10.0.0.1"), Ok(()));
        assert_eq!(admit("fd00::1"), Ok(()));
        assert_eq!(admit("10.9.0.1"), Err(Denied::Address));
        assert_eq!(admit("::ffff:10.9.0.1"), Err(Denied::Address));
        assert_eq!(admit("192.0.2.1"), Err(Denied::Stranger));
        assert_eq!(access.admit(None), Err(Denied::Nobody));
        let denying = Access {
            deny: networks(&["0.0.0.0/0", "::/0"]),
            ..Access::default()
        };
        assert_eq!(denying.admit(None), Ok(()));
        assert_eq!(
            denying.admit(Some([10, 0, 0, 1].into())),
            Err(Denied::Address)
        );
        assert_eq!(Access::default().admit(None), Ok(()));
    }

    #[test]
    fn every_word_on_the_page_has_to_be_right() {
        let access = pages(&["https://example.com", "https://*.example.org"]);
        let admit = |lines: &[_]| access.admit_page(&fields(lines));
        let (right, evil) = ("https://example.com", "https://evil.test");
        assert_eq!(admit(&[("origin", right)]), Ok(()));
        assert_eq!(admit(&[("origin", "https://a.example.org")]), Ok(()));
        assert_eq!(admit(&[("sec-websocket-origin", right)]), Ok(()));
        assert_eq!(admit(&[]), Ok(()));
        let page = Denied::Page(WebOrigin::parse(evil).unwrap());
        assert_eq!(admit(&[("origin", evil)]), Err(page.clone()));
        assert_eq!(
            admit(&[("origin", right), ("sec-websocket-origin", evil)]),
            Err(page.clone())
        );
        assert_eq!(
            admit(&[("origin", evil), ("sec-websocket-origin", right)]),
            Err(page)
        );
        assert_eq!(
            admit(&[("origin", right), ("origin", right)]),
            Err(Denied::Several(ORIGIN))
        );
        assert_eq!(admit(&[("origin", "null")]), Err(Denied::Null));
        for text in [
            "",
            "https://example.com/",
            "https://example.com\t",
            "\u{e4}",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, HeaderValue::from_str(text).unwrap());
            assert_eq!(
                access.admit_page(&headers),
                Err(Denied::NoOrigin(ORIGIN)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn null_comes_in_only_if_it_is_listed() {
        let headers = fields(&[("origin", "null")]);
        assert_eq!(pages(&["null"]).admit_page(&headers), Ok(()));
        assert_eq!(Access::default().admit_page(&headers), Ok(()));
        assert!(
            pages(&["https://example.com"])
                .admit_page(&headers)
                .is_err()
        );
    }

    #[test]
    fn who_tells_no_page_is_let_in_unless_that_is_denied() {
        for origins in [&["https://example.com"][..], &[]] {
            let mut access = pages(origins);
            assert_eq!(access.admit_page(&HeaderMap::new()), Ok(()));
            access.origin_missing = OriginMissing::Deny;
            assert_eq!(access.admit_page(&HeaderMap::new()), Err(Denied::Silent));
            let headers = fields(&[("origin", "https://example.com")]);
            assert_eq!(access.admit_page(&headers), Ok(()));
        }
    }
}
