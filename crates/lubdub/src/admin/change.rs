//! What a request that changes something has to satisfy, beyond what [`access`](super::access) asks
//! of all.
//!
//! A page from anywhere can have an operator's browser send a request to this machine. It cannot
//! give it the type `application/json` without asking first, and the browser says where it comes from.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use http::{StatusCode, Uri};
use lubdub_proxy::Peer;
use tokio::time::Instant;
use tracing::info;

use super::access::Proof;
use super::rate::Rate;

/// What bounds how often something is asked, and how often a refusal is told of.
#[derive(Debug)]
pub(super) struct Gate {
    changes: Rate,
    refusals: Rate,
    not_logged: AtomicU64,
}

/// Why a request may not change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Objection {
    #[error("this comes from a page of another site (Origin)")]
    Origin,
    #[error("this comes from a page of another site (Sec-Fetch-Site)")]
    Site,
    #[error("Content-Type must be application/json")]
    Type,
    #[error("too many requests; at most 10 a second change anything")]
    Rate,
}

impl Objection {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Origin | Self::Site => StatusCode::FORBIDDEN,
            Self::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Rate => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

// === impl Gate ===

impl Gate {
    /// Whether one more may be done now.
    pub(super) fn pass(&self) -> Result<(), Objection> {
        match self.changes.take(Instant::now()) {
            true => Ok(()),
            false => Err(Objection::Rate),
        }
    }

    /// Tells of what was asked by who may ask.
    pub(super) fn tell(&self, path: &str, client: Peer, proof: Proof, status: StatusCode) {
        info!(
            %client,
            path,
            by = proof.as_str(),
            status = status.as_u16(),
            "admin was asked for a change"
        );
    }

    /// Tells of what was asked by who may not, or may not so often.
    pub(super) fn tell_refused(&self, path: &str, client: Peer, status: StatusCode, reason: &str) {
        if !self.refusals.take(Instant::now()) {
            self.not_logged.fetch_add(1, Relaxed);
            return;
        }
        let not_logged = self.not_logged.swap(0, Relaxed);
        info!(
            %client,
            path,
            status = status.as_u16(),
            reason,
            not_logged = (not_logged > 0).then_some(not_logged),
            "admin refused a change"
        );
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            changes: Rate::per_second(10),
            refusals: Rate::per_second(10),
            not_logged: AtomicU64::new(0),
        }
    }
}

/// Whether a request comes from a page that is not of this listener's.
pub(super) fn check_origin(headers: &HeaderMap) -> Result<(), Objection> {
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let is_ours = |origin: &HeaderValue| {
        let origin = origin.to_str().ok()?.parse::<Uri>().ok()?;
        origin.scheme()?;
        let authority = origin.authority()?.as_str().as_bytes();
        Some(authority.eq_ignore_ascii_case(host?))
    };
    let mut origins = headers.get_all(ORIGIN).iter();
    if !origins.all(|origin| is_ours(origin) == Some(true)) {
        return Err(Objection::Origin);
    }
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if !sites.all(|site| site == "same-origin" || site == "none") {
        return Err(Objection::Site);
    }
    Ok(())
}

/// Whether a request brings JSON.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Objection> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let is_json = |kind: &HeaderValue| {
        let essence = kind.as_bytes().split(|b| *b == b';').next();
        essence.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"application/json"))
    };
    match (types.next(), types.next()) {
        (Some(kind), None) if is_json(kind) => Ok(()),
        _ => Err(Objection::Type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_pages_of_this_listener_may() {
        let check = |fields: &[(&'static str, &str)]| {
            let host = ("host", "localhost:9901");
            check_origin(&headers(&[&[host], fields].concat()))
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[("origin", "http://localhost:9901")]), Ok(()));
        assert_eq!(check(&[("origin", "http://LOCALHOST:9901")]), Ok(()));
        assert_eq!(check(&[("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(check(&[("sec-fetch-site", "none")]), Ok(()));
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://localhost",
            "http://localhost:9902",
            "http://localhost:9901.evil.example",
            "localhost:9901",
            "http://evil.example/@localhost:9901",
        ] {
            assert_eq!(
                check(&[("origin", origin)]),
                Err(Objection::Origin),
                "{origin}"
            );
        }
        let two = [
            ("origin", "http://localhost:9901"),
            ("origin", "http://evil.example"),
        ];
        assert_eq!(check(&two), Err(Objection::Origin));
        for site in ["cross-site", "same-site", "", "Same-Origin"] {
            assert_eq!(
                check(&[("sec-fetch-site", site)]),
                Err(Objection::Site),
                "{site}"
            );
        }
    }

    #[test]
    fn only_json_is_taken() {
        let check = |kind: &str| check_type(&headers(&[("content-type", kind)]));
        assert_eq!(check("application/json"), Ok(()));
        assert_eq!(check("Application/JSON; charset=utf-8"), Ok(()));
        for kind in [
            "text/plain",
            "application/jsonp",
            "",
            "text/plain; application/json",
        ] {
            assert_eq!(check(kind), Err(Objection::Type), "{kind}");
        }
        assert_eq!(check_type(&HeaderMap::new()), Err(Objection::Type));
        let two = [
            ("content-type", "application/json"),
            ("content-type", "text/plain"),
        ];
        assert_eq!(check_type(&headers(&two)), Err(Objection::Type));
    }
}
