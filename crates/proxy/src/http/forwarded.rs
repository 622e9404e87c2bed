//! How the upstream is told who the client is: `X-Forwarded-*` and `Forwarded` (RFC 7239).

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::spelling::strip_imitations;
use crate::address::Peer;
use crate::caller::ClientAddress;
pub(super) use crate::caller::X_FORWARDED_FOR;
use crate::settings::{Forwarded, ForwardedStyle};

pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The header fields that say who the client is.
pub(super) const FAMILY: [HeaderName; 4] = [
    FORWARDED,
    X_FORWARDED_FOR,
    X_FORWARDED_PROTO,
    X_FORWARDED_HOST,
];

/// What is known about the client's end of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    /// Whoever is nearest to lubdub: the peer, or whom it connects for.
    pub(super) nearest: Peer,
    /// Whether that one is believed.
    pub(super) is_trusted: bool,
    /// Who is behind it.
    pub(super) client: ClientAddress,
    pub(super) tls: bool,
    pub(super) host: &'a str,
}

impl Forwarded {
    /// Whether it is lubdub that says who the client is.
    pub(super) fn is_ours(&self) -> bool {
        self.style != ForwardedStyle::Off
    }

    /// Writes the configured fields. What came in from somebody who is not trusted is dropped first:
    /// anybody can claim to be anybody. So is the family that is not read: who writes the other mostly
    /// passes it on as it came, and its reader would take a stranger's word for lubdub's.
    pub(super) fn apply(&self, headers: &mut HeaderMap, origin: Origin<'_>) {
        let (old, new) = match self.style {
            ForwardedStyle::Off => return,
            ForwardedStyle::XForwarded => (true, false),
            ForwardedStyle::Forwarded => (false, true),
            ForwardedStyle::Both => (true, true),
        };
        for name in FAMILY {
            let is_read = (name == FORWARDED) == (self.style == ForwardedStyle::Forwarded);
            if !origin.is_trusted || !is_read {
                headers.remove(name);
            }
        }
        // Whoever is trusted may have passed on what its client said in another spelling.
        strip_imitations(&FAMILY, headers);
        let nearest = ClientAddress::from(origin.nearest);
        let proto = if origin.tls { "https" } else { "http" };
        if old {
            // Who comes over a Unix socket has no address that could be told.
            if let Some(ip) = nearest.ip() {
                append(headers, X_FORWARDED_FOR, &ip.to_string());
            }
            // Somebody who is trusted has seen the client's end of it; we have only seen theirs.
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
        if new {
            // Nothing is left of the list that came in the other family, but who is at its end.
            let client = match old && origin.client != nearest {
                true => format!("for={}, ", node(origin.client.ip())),
                false => String::new(),
            };
            let element = format!(
                "{client}for={};host={};proto={proto}",
                node(nearest.ip()),
                quoted(origin.host)
            );
            append(headers, FORWARDED, &element);
        }
    }
}

/// Adds to the end of a list field, which becomes one line.
fn append(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    // As bytes: what is no text stays in its place, with all that stands beside it.
    let mut list: Vec<&[u8]> = headers
        .get_all(&name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    list.push(element.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&list.join(&b", "[..])) {
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
    use crate::settings::Trust;

    fn told(
        style: ForwardedStyle,
        trust: &[&str],
        peer: &str,
        came: &[(&str, &str)],
    ) -> Vec<String> {
        let trust = Trust {
            networks: trust
                .iter()
                .map(|network| network.parse().unwrap())
                .collect(),
            unix: false,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in came {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let nearest: Peer = peer.parse().unwrap();
        let is_trusted = trust.has(nearest.ip());
        let origin = Origin {
            nearest,
            is_trusted,
            client: match is_trusted {
                true => ClientAddress::behind(nearest, &headers, style, &trust),
                false => nearest.into(),
            },
            tls: true,
            host: "a.example:8443",
        };
        let forwarded = Forwarded {
            style,
            trust,
            via: false,
            request_id: false,
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

    /// WSGI and its like take `X_Forwarded_For` for `X-Forwarded-For`.
    #[test]
    fn nobody_is_believed_in_another_spelling() {
        let came = [
            ("x_forwarded_for", "6.6.6.6"),
            ("x-forwarded_proto", "gopher"),
        ];
        let said = [
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-host: a.example:8443",
            "x-forwarded-proto: https",
        ];
        for trusted in [&[][..], &["192.0.2.0/24"]] {
            let style = ForwardedStyle::XForwarded;
            assert_eq!(told(style, trusted, "192.0.2.1:4000", &came), said);
        }
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
    fn of_somebody_who_is_trusted_the_family_that_is_not_read_is_dropped() {
        let came = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "for=6.6.6.6;proto=http"),
        ];
        let told = |style| told(style, &["10.0.0.0/8"], "10.1.1.1:4000", &came);
        assert_eq!(
            told(ForwardedStyle::XForwarded),
            [
                "x-forwarded-for: 203.0.113.9, 10.1.1.1",
                "x-forwarded-host: a.example:8443",
                "x-forwarded-proto: http"
            ]
        );
        assert_eq!(
            told(ForwardedStyle::Forwarded),
            ["forwarded: for=6.6.6.6;proto=http, for=10.1.1.1;host=\"a.example:8443\";proto=https"]
        );
        // Both are written, and tell the same.
        assert_eq!(
            told(ForwardedStyle::Both),
            [
                "forwarded: for=203.0.113.9, for=10.1.1.1;host=\"a.example:8443\";proto=https",
                "x-forwarded-for: 203.0.113.9, 10.1.1.1",
                "x-forwarded-host: a.example:8443",
                "x-forwarded-proto: http"
            ]
        );
    }

    /// A line with a byte that is no ASCII was dropped, and with it what the balancer had written there.
    #[test]
    fn what_is_no_text_hides_nothing_beside_it() {
        let mut headers = HeaderMap::new();
        let line = HeaderValue::from_bytes(b"\xff, 203.0.113.9").unwrap();
        headers.insert(X_FORWARDED_FOR, line);
        append(&mut headers, X_FORWARDED_FOR, "10.1.1.1");
        assert_eq!(headers[X_FORWARDED_FOR], b"\xff, 203.0.113.9, 10.1.1.1"[..]);
    }

    #[test]
    fn off_touches_nothing() {
        let came = [("x-forwarded-for", "6.6.6.6")];
        let told = told(ForwardedStyle::Off, &[], "192.0.2.1:4000", &came);
        assert_eq!(told, ["x-forwarded-for: 6.6.6.6"]);
    }
}
