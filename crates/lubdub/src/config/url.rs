//! Where an upstream is: a scheme, a host and a port, and nothing else; or a Unix socket.
//!
//! Not a general URL: a path would compete with the request's own, and a user or a query would be
//! a secret in a place that is logged.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use lubdub_proxy::Address;
use lubdub_proxy::settings::Site;

use super::error::Wrong;

/// A scheme and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamUrl {
    /// Whether TLS is spoken.
    pub security: Security,
    /// A host name in lower case, or an IP literal, without brackets, and the port, which is the scheme's if none was
    /// given; or a Unix socket.
    pub site: Site,
}

/// Whether TLS is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// `ws`, `http`, `unix`.
    Plain,
    /// `wss`, `https`, `wss+unix`.
    Tls,
}

/// Reads an upstream's URL.
///
/// # Errors
/// If it is anything but one of the four schemes, a host and perhaps a port, or `unix:` or `wss+unix:` and a path.
pub(crate) fn parse(text: &str) -> Result<UpstreamUrl, Wrong> {
    if let Some((security, path)) = unix(text) {
        let address = Address::unix(Path::new(path)).map_err(|error| Wrong(error.to_string()))?;
        let site = match address {
            Address::Unix(path) => Site::Unix(path),
            Address::Ip(_) => unreachable!("a path is no IP address"),
        };
        return Ok(UpstreamUrl { security, site });
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(not_a_url)?;
    let (security, default_port) = match scheme.to_ascii_lowercase().as_str() {
        "ws" | "http" => (Security::Plain, 80),
        "wss" | "https" => (Security::Tls, 443),
        _ => {
            return Err(Wrong::new(
                "must begin with ws://, wss://, http://, https://, unix: or wss+unix:",
            ));
        }
    };
    // A lone slash says no more than its absence.
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains('@') {
        return Err(Wrong::new("must not name a user or a password"));
    }
    if authority.contains(['?', '#']) {
        return Err(Wrong::new(
            "must not have a query or a fragment: a request brings its own",
        ));
    }
    if authority.contains('/') {
        return Err(Wrong::new("must not have a path: a request brings its own"));
    }
    let (host, port) = split_port(authority)?;
    let port = match port {
        Some(port) => parse_port(port)?,
        None => default_port,
    };
    Ok(UpstreamUrl {
        security,
        site: Site::Named {
            host: host.into(),
            port,
        },
    })
}

/// Whether `text` has the scheme of a Unix socket.
pub(crate) fn is_unix(text: &str) -> bool {
    unix(text).is_some()
}

/// What stands behind the scheme of a Unix socket, if `text` has one.
fn unix(text: &str) -> Option<(Security, &str)> {
    let schemes = [("unix:", Security::Plain), ("wss+unix:", Security::Tls)];
    schemes.into_iter().find_map(|(scheme, security)| {
        let (begins, path) = text.split_at_checked(scheme.len())?;
        begins
            .eq_ignore_ascii_case(scheme)
            .then_some((security, path))
    })
}

/// `text` without what may be a secret: for messages about URLs that are refused.
pub(crate) fn redacted(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let rest = match rest.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => rest.to_owned(),
    };
    let rest = match rest.split_once(['?', '#']) {
        Some((before, _)) => format!("{before}?***"),
        None => rest,
    };
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{rest}")
}

/// Whether `host` can be a host name: letters, digits, hyphens and underscores between dots.
pub(crate) fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

/// Splits `host[:port]`; the host comes back checked, without brackets and in lower case.
fn split_port(authority: &str) -> Result<(String, Option<&str>), Wrong> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (literal, after) = rest.split_once(']').ok_or_else(not_a_url)?;
        let address: Ipv6Addr = literal.parse().map_err(|_| not_a_url())?;
        let port = match after {
            "" => None,
            _ => Some(after.strip_prefix(':').ok_or_else(not_a_url)?),
        };
        return Ok((address.to_string(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if host.parse::<Ipv6Addr>().is_ok() || port.is_some_and(|port| port.contains(':')) {
        return Err(Wrong::new(
            "an IPv6 address needs brackets, as in \"ws://[::1]:9000\"",
        ));
    }
    let looks_like_an_address = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let usable = if looks_like_an_address {
        host.parse::<Ipv4Addr>().is_ok()
    } else {
        is_host_name(host)
    };
    if usable {
        Ok((host.to_ascii_lowercase(), port))
    } else {
        Err(not_a_url())
    }
}

fn parse_port(port: &str) -> Result<u16, Wrong> {
    port.parse()
        .ok()
        .filter(|parsed| *parsed != 0 && port.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| Wrong::new("must have a port from 1 to 65535"))
}

fn not_a_url() -> Wrong {
    Wrong::new("must be a scheme, a host and perhaps a port, such as \"ws://127.0.0.1:9000\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_hosts_and_ports() {
        let url = |text| {
            let url = parse(text).unwrap();
            match url.site {
                Site::Named { host, port } => (url.security, host.to_string(), port),
                Site::Unix(_) => panic!("{text} is no Unix socket"),
            }
        };
        assert_eq!(
            url("ws://Chat.Example"),
            (Security::Plain, "chat.example".to_owned(), 80)
        );
        assert_eq!(url("wss://chat/"), (Security::Tls, "chat".to_owned(), 443));
        assert_eq!(
            url("http://127.0.0.1:9000"),
            (Security::Plain, "127.0.0.1".to_owned(), 9000)
        );
        assert_eq!(
            url("https://[::1]:8443"),
            (Security::Tls, "::1".to_owned(), 8443)
        );
        assert_eq!(
            url("WS://[2001:DB8::1]"),
            (Security::Plain, "2001:db8::1".to_owned(), 80)
        );
    }

    #[test]
    fn a_unix_socket_has_a_path_and_nothing_else() {
        for (text, security, path) in [
            ("unix:/run/app.sock", Security::Plain, "/run/app.sock"),
            ("unix:///run/app.sock", Security::Plain, "/run/app.sock"),
            ("WSS+Unix:/run/App.sock", Security::Tls, "/run/App.sock"),
            ("unix:/run/a?b#c@d", Security::Plain, "/run/a?b#c@d"),
        ] {
            let site = Site::Unix(Path::new(path).into());
            assert_eq!(
                parse(text).unwrap(),
                UpstreamUrl { security, site },
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_refused_is_named() {
        for (text, part) in [
            ("unix:run/app.sock", "from the root"),
            ("unix:@app", "abstract"),
            ("unix:", "from the root"),
            ("http+unix:/run/app.sock", "a scheme"),
            ("127.0.0.1:9000", "a scheme"),
            ("tcp://h", "ws://"),
            ("ws://user:secret@h", "user"),
            ("ws://h/chat", "path"),
            ("ws://h?token=1", "query"),
            ("ws://h:0", "port"),
            ("ws://h:+80", "port"),
            ("ws://h:99999", "port"),
            ("ws://::1", "brackets"),
            ("ws://::1:9000", "brackets"),
            ("ws://", "a host"),
            ("ws://:80", "a host"),
            ("ws://a b", "a host"),
            ("ws://1.2.3.4.5", "a host"),
            ("ws://[::1", "a host"),
            ("ws://[::1]x", "a host"),
            ("ws://bücher.example", "a host"),
        ] {
            let Wrong(wrong) = parse(text).unwrap_err();
            assert!(wrong.contains(part), "{text}: {wrong}");
        }
    }

    #[test]
    fn secrets_are_not_repeated() {
        assert_eq!(
            redacted("ws://user:secret@h:1/p?token=1"),
            "ws://***@h:1/p?***"
        );
        assert_eq!(redacted("user:secret@h"), "***@h");
        assert_eq!(redacted("ws://h:1"), "ws://h:1");
    }
}
