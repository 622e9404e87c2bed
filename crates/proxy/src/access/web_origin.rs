//! Web origins (RFC 6454): from which page a browser asks.
//!
//! A browser says it in `Origin`, as `scheme://host[:port]`, and a page cannot change that. What is
//! not written just so was not written by a browser on behalf of a page that is listed: it matches
//! nothing.

use std::fmt;
use std::net::Ipv6Addr;

use crate::host::HostPattern;

/// The origin of a page, in the form in which origins are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin {
    /// Lower case.
    scheme: String,
    /// Lower case; an IPv6 literal with its brackets. Empty only for `file`.
    host: String,
    /// That of the scheme if none is written; `None` if that has none.
    port: Option<u16>,
}

/// Which origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// One, or those of all hosts below a name.
    Of {
        /// Lower case.
        scheme: String,
        /// Which hosts.
        host: HostPattern,
        /// The port.
        port: Option<u16>,
    },
    /// The origin of what has none that can be told: sandboxed frames, `data:` URLs and files.
    Null,
}

/// What is wrong with an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidOrigin {
    /// It does not begin with a scheme and `://`.
    Scheme,
    /// Something stands behind the host and the port.
    Path,
    /// It names a user.
    User,
    /// The host is none.
    Host,
    /// The port is none.
    Port,
}

// === impl WebOrigin ===

impl WebOrigin {
    /// Reads `scheme://host[:port]`.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, host, port) = parts(text)?;
        Ok(Self {
            host: whole_host(&scheme, host)?,
            scheme,
            port,
        })
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, &self.scheme, &self.host, self.port)
    }
}

// === impl OriginPattern ===

impl OriginPattern {
    /// Reads an origin, one whose host begins with `*.`, or `null`.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        if text == NULL {
            return Ok(Self::Null);
        }
        let (scheme, host, port) = parts(text)?;
        let host = match host.strip_prefix("*.") {
            // Addresses have no names below them.
            Some(name) if is_name(name) && !ends_in_a_number(name) => host.to_owned(),
            Some(_) => return Err(InvalidOrigin::Host),
            None => whole_host(&scheme, host)?,
        };
        Ok(Self::Of {
            host: HostPattern::new(&host),
            scheme,
            port,
        })
    }

    /// Whether it is for an `Origin` field with this value.
    #[must_use]
    pub fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Null => origin == NULL,
            Self::Of { .. } => WebOrigin::parse(origin).is_ok_and(|origin| self.is_for(&origin)),
        }
    }

    /// Whether it is for this origin.
    pub(super) fn is_for(&self, origin: &WebOrigin) -> bool {
        match self {
            Self::Null => false,
            Self::Of { scheme, host, port } => {
                *scheme == origin.scheme && *port == origin.port && host.matches(&origin.host)
            }
        }
    }

    /// Whether its pages come over the network in clear text: whoever is on the way can put words into them.
    #[must_use]
    pub fn is_in_clear_text(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Of { scheme, host, .. } => {
                let host = host.to_string();
                let is_loopback = host == "localhost"
                    || host.ends_with(".localhost")
                    || host == "[::1]"
                    || host.starts_with("127.");
                scheme == "http" && !is_loopback
            }
        }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str(NULL),
            Self::Of { scheme, host, port } => write(f, scheme, host, *port),
        }
    }
}

/// RFC 6454 6.2: "If the origin is an opaque one, then return the string "null"".
pub(super) const NULL: &str = "null";

/// No scheme is longer; what is told of an origin is bounded by it.
const LONGEST_SCHEME: usize = 63;

fn write(
    f: &mut fmt::Formatter<'_>,
    scheme: &str,
    host: impl fmt::Display,
    port: Option<u16>,
) -> fmt::Result {
    write!(f, "{scheme}://{host}")?;
    match port {
        Some(port) if Some(port) != default_port(scheme) => write!(f, ":{port}"),
        _ => Ok(()),
    }
}

/// The scheme in lower case, the host as it is written, and the port.
fn parts(text: &str) -> Result<(String, &str, Option<u16>), InvalidOrigin> {
    let (scheme, rest) = text.split_once("://").ok_or(InvalidOrigin::Scheme)?;
    // RFC 3986 3.1: "ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )".
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let begins_well = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    if !begins_well || scheme.len() > LONGEST_SCHEME || !scheme.bytes().all(is_rest) {
        return Err(InvalidOrigin::Scheme);
    }
    if rest.contains(['/', '?', '#', '\\']) {
        return Err(InvalidOrigin::Path);
    }
    if rest.contains('@') {
        return Err(InvalidOrigin::User);
    }
    let scheme = scheme.to_ascii_lowercase();
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(parse_port(port)?)),
        _ => (rest, default_port(&scheme)),
    };
    Ok((scheme, host, port))
}

fn parse_port(port: &str) -> Result<u16, InvalidOrigin> {
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = is_number.then(|| port.parse().ok()).flatten();
    port.filter(|port| *port != 0).ok_or(InvalidOrigin::Port)
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// A host that is one, in the form in which hosts are compared.
fn whole_host(scheme: &str, host: &str) -> Result<String, InvalidOrigin> {
    let literal = (host.strip_prefix('[')).and_then(|rest| rest.strip_suffix(']'));
    if let Some(literal) = literal {
        let address: Ipv6Addr = literal.parse().map_err(|_| InvalidOrigin::Host)?;
        return Ok(format!("[{address}]"));
    }
    // Pages of some embedded browsers are files and say so.
    if is_name(host) || (host.is_empty() && scheme == "file") {
        Ok(host.to_ascii_lowercase())
    } else {
        Err(InvalidOrigin::Host)
    }
}

/// Whether it is a name in ASCII. A dot behind it makes it another origin to browsers, and is none here.
fn is_name(host: &str) -> bool {
    let is_of_a_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    host.len() <= 253
        && host
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(is_of_a_label))
}

fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, origin: &str) -> bool {
        OriginPattern::parse(pattern).unwrap().matches(origin)
    }

    #[test]
    fn scheme_host_and_port_are_compared() {
        for (pattern, origin) in [
            ("https://example.com", "https://example.com"),
            ("https://example.com", "https://example.com:443"),
            ("https://example.com:443", "https://example.com"),
            ("http://example.com", "http://example.com:80"),
            ("https://Example.COM", "HTTPS://EXAMPLE.com"),
            ("https://example.com:8443", "https://example.com:8443"),
            ("http://[::1]:3000", "http://[0:0::1]:3000"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("https://*.example.com", "https://a.example.com"),
            ("https://*.example.com", "https://a.b.example.com:443"),
            ("https://*.example.com:8443", "https://a.example.com:8443"),
            ("chrome-extension://abc", "chrome-extension://abc"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("file://", "file://"),
            (
                "https://xn--bcher-kva.example",
                "https://xn--bcher-kva.example",
            ),
            ("null", "null"),
        ] {
            assert!(matches(pattern, origin), "{origin} is {pattern}");
        }
    }

    /// Each of these has let a page in somewhere.
    #[test]
    fn what_only_looks_like_an_origin_is_another() {
        for origin in [
            "http://example.com",
            "https://example.com:80",
            "https://example.com:8443",
            "https://example.com.evil.test",
            "https://evil.test/https://example.com",
            "https://evilexample.com",
            "https://example.com@evil.test",
            "https://evil.test#https://example.com",
            "https://evil.test?https://example.com",
            "https://evil.test\\.example.com",
            "https://example.com/",
            "https://example.com:",
            "https://example.com:+443",
            "https://example.com:4430",
            "https://example.com:443:443",
            "https://example.com.",
            "https://example.com https://evil.test",
            "https://example.com, https://evil.test",
            " https://example.com",
            "https:example.com",
            "https:/example.com",
            "https:///example.com",
            "//example.com",
            "example.com",
            "https://",
            "https://%65xample.com",
            "https://example.com%2eevil.test",
            "null",
            "NULL",
            "",
            "*",
        ] {
            assert!(!matches("https://example.com", origin), "{origin}");
            assert!(!matches("https://*.example.com", origin), "{origin}");
        }
        for origin in [
            "https://.example.com",
            "https://a..example.com",
            "https://*.example.com",
            "http://a.example.com",
        ] {
            assert!(!matches("https://*.example.com", origin), "{origin}");
        }
        for origin in ["Null", "null ", "https://null", "null, null"] {
            assert!(!matches("null", origin), "{origin}");
        }
    }

    #[test]
    fn patterns_that_are_none_are_told_apart() {
        for (text, wrong) in [
            ("*", InvalidOrigin::Scheme),
            ("example.com", InvalidOrigin::Scheme),
            ("*://example.com", InvalidOrigin::Scheme),
            ("1http://example.com", InvalidOrigin::Scheme),
            ("https://example.com/", InvalidOrigin::Path),
            ("https://example.com/chat", InvalidOrigin::Path),
            ("https://user@example.com", InvalidOrigin::User),
            ("https://", InvalidOrigin::Host),
            ("https://*", InvalidOrigin::Host),
            ("https://*.", InvalidOrigin::Host),
            ("https://a.*.com", InvalidOrigin::Host),
            ("https://*a.example.com", InvalidOrigin::Host),
            ("https://*.0.0.1", InvalidOrigin::Host),
            ("https://b\u{fc}cher.example", InvalidOrigin::Host),
            ("https://example.com.", InvalidOrigin::Host),
            ("https://::1", InvalidOrigin::Host),
            ("https://example.com:*", InvalidOrigin::Port),
            ("https://example.com:0", InvalidOrigin::Port),
            ("https://example.com:65536", InvalidOrigin::Port),
            ("https://example.com:", InvalidOrigin::Port),
        ] {
            assert_eq!(OriginPattern::parse(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn an_origin_is_shown_as_browsers_write_it() {
        let shown = |text: &str| WebOrigin::parse(text).unwrap().to_string();
        assert_eq!(shown("HTTPS://Example.com:443"), "https://example.com");
        assert_eq!(shown("http://[0::1]:3000"), "http://[::1]:3000");
        let pattern = OriginPattern::parse("https://*.Example.com:443").unwrap();
        assert_eq!(pattern.to_string(), "https://*.example.com");
    }
}
