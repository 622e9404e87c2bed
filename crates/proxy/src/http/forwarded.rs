//! How the upstream is told who the client is: `X-Forwarded-*` and `Forwarded` (RFC 7239).

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use crate::address::Peer;
use crate::settings::{Forwarded, ForwardedStyle};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What is known about the client's end of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) peer: Peer,
    pub(super) tls: bool,
    pub(super) host: &'a str,
}

impl Forwarded {
    /// Whether it is lubdub that says who the client is.
    pub(super) fn is_ours(&self) -> bool {
        self.style != ForwardedStyle::Off
    }

    /// Writes the configured fields. What came in from a peer that is not trusted is dropped
    /// first: anybody can claim to be anybody.
    pub(super) fn apply(&self, headers: &mut HeaderMap, origin: Origin<'_>) {
        if !self.is_ours() {
            return;
        }
        let peer = origin.peer.ip().map(|ip| ip.to_canonical());
        let is_trusted =
            peer.is_some_and(|peer| self.trust.iter().any(|network| network.contains(&peer)));
        if !is_trusted {
            for name in [
                FORWARDED,
                X_FORWARDED_FOR,
                X_FORWARDED_PROTO,
                X_FORWARDED_HOST,
            ] {
                headers.remove(name);
            }
        }
        let proto = if origin.tls { "https" } else { "http" };
        if matches!(
            self.style,
            ForwardedStyle::XForwarded | ForwardedStyle::Both
        ) {
            // Who comes over a Unix socket has no address that could be told.
            if let Some(peer) = peer {
                append(headers, X_FORWARDED_FOR, &peer.to_string());
            }
            // A trusted peer has seen the client's end of it; we have only seen the peer's.
            for (name, value) in [(X_FORWARDED_PROTO, proto), (X_FORWARDED_HOST, origin.host)] {
                if value.is_empty() {
                    continue;
                }
                if let (false, Ok(value)) =
                    (headers.contains_key(&name), HeaderValue::from_str(value))
                {
                    headers.insert(name, value);
                }
            }
        }
        if matches!(self.style, ForwardedStyle::Forwarded | ForwardedStyle::Both) {
            let element = format!(
                "for={};host={};proto={proto}",
                node(peer),
                quoted(origin.host)
            );
            append(headers, FORWARDED, &element);
        }
    }
}

/// Adds to the end of a list field, which becomes one line.
fn append(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let mut list: Vec<&str> = headers
        .get_all(&name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    list.push(element);
    if let Ok(value) = HeaderValue::from_str(&list.join(", ")) {
        headers.insert(name, value);
    }
}

/// RFC 7239 6: "an IPv6 address is always enclosed in square brackets", and then it "MUST be
/// quoted, since ":" is not a valid character in "token"". "unknown" is said of who has none (6.2).
fn node(ip: Option<IpAddr>) -> String {
    match ip {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => format!("\"[{ip}]\""),
    }
}

/// A quoted-string (RFC 9110 5.6.4), so that any Host fits.
fn quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(
        style: ForwardedStyle,
        trust: &[&str],
        peer: &str,
        came: &[(&str, &str)],
    ) -> Vec<String> {
        let forwarded = Forwarded {
            style,
            trust: trust
                .iter()
                .map(|network| network.parse().unwrap())
                .collect(),
            via: false,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in came {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let origin = Origin {
            peer: peer.parse().unwrap(),
            tls: true,
            host: "a.example:8443",
        };
        forwarded.apply(&mut headers, origin);
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let mut lines: Vec<_> = headers.iter().map(line).collect();
        lines.sort();
        lines
    }

    #[test]
    fn strangers_claims_are_dropped() {
        let came = [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6")];
        assert_eq!(
            told(ForwardedStyle::XForwarded, &[], "192.0.2.1:4000", &came),
            [
                "x-forwarded-for: 192.0.2.1",
                "x-forwarded-host: a.example:8443",
                "x-forwarded-proto: https"
            ]
        );
    }

    #[test]
    fn a_trusted_peers_word_is_kept_and_added_to() {
        let came = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "10.0.0.7"),
            ("x-forwarded-proto", "http"),
        ];
        assert_eq!(
            told(
                ForwardedStyle::XForwarded,
                &["10.0.0.0/8"],
                "[::ffff:10.1.1.1]:4000",
                &came
            ),
            [
                "x-forwarded-for: 203.0.113.9, 10.0.0.7, 10.1.1.1",
                "x-forwarded-host: a.example:8443",
                "x-forwarded-proto: http"
            ]
        );
    }

    #[test]
    fn rfc_7239_quotes_what_is_no_token() {
        assert_eq!(
            told(ForwardedStyle::Forwarded, &[], "[2001:db8::1]:4000", &[]),
            ["forwarded: for=\"[2001:db8::1]\";host=\"a.example:8443\";proto=https"]
        );
        assert_eq!(quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
    }

    #[test]
    fn who_has_no_address_is_told_of_as_unknown() {
        let came = [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6")];
        assert_eq!(
            told(ForwardedStyle::Both, &["0.0.0.0/0"], "unix", &came),
            [
                "forwarded: for=unknown;host=\"a.example:8443\";proto=https",
                "x-forwarded-host: a.example:8443",
                "x-forwarded-proto: https"
            ]
        );
    }

    #[test]
    fn off_touches_nothing() {
        let came = [("x-forwarded-for", "6.6.6.6")];
        let told = told(ForwardedStyle::Off, &[], "192.0.2.1:4000", &came);
        assert_eq!(told, ["x-forwarded-for: 6.6.6.6"]);
    }
}
