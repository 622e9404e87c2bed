//! What a command connects to: a URL, taken apart.

use std::fmt;

use http::uri::PathAndQuery;

use crate::config::{self, Security, UpstreamUrl, Wrong};

/// A server and what is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The server.
    pub(super) server: UpstreamUrl,
    /// The path, and perhaps a query.
    pub(super) path: PathAndQuery,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// If it is anything but a scheme, a host, and perhaps a port, a path and a query.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let after_scheme = text.find("://").map_or(0, |found| found + "://".len());
        let end = text[after_scheme..]
            .find(['/', '?', '#'])
            .map_or(text.len(), |found| after_scheme + found);
        let (server, path) = text.split_at(end);
        let server = config::parse_url(server)?;
        if path.contains('#') {
            return Err(Wrong::new("must not have a fragment: it is never sent"));
        }
        let path = match path {
            "" => Ok(PathAndQuery::from_static("/")),
            path if path.starts_with('?') => format!("/{path}").parse(),
            path => path.parse(),
        };
        let path = path.map_err(|_| Wrong::new("has a path that cannot be sent"))?;
        Ok(Self { server, path })
    }

    /// With `path` if it has none of its own.
    pub(super) fn or_path(mut self, path: &'static str) -> Self {
        if self.path == "/" {
            self.path = PathAndQuery::from_static(path);
        }
        self
    }

    /// The server as `Host` names it (RFC 9110 7.2).
    pub(super) fn authority(&self) -> String {
        let UpstreamUrl {
            security,
            host,
            port,
        } = &self.server;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        match (security, port) {
            (Security::Plain, 80) | (Security::Tls, 443) => host,
            _ => format!("{host}:{port}"),
        }
    }
}

/// As errors name it: without the query, which may hold a secret.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.server.security {
            Security::Plain => "ws",
            Security::Tls => "wss",
        };
        write!(f, "{scheme}://{}{}", self.authority(), self.path.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_server_and_a_path() {
        let parts = |text| {
            let target = Target::parse(text).unwrap();
            let (authority, path) = (target.authority(), target.path.to_string());
            (target.server.security, authority, path)
        };
        let (plain, tls) = (Security::Plain, Security::Tls);
        let expected = |security, authority: &str, path: &str| {
            (security, authority.to_owned(), path.to_owned())
        };
        assert_eq!(parts("ws://Chat"), expected(plain, "chat", "/"));
        assert_eq!(
            parts("ws://chat:80/a?b=c/d"),
            expected(plain, "chat", "/a?b=c/d")
        );
        assert_eq!(parts("wss://chat:80?b"), expected(tls, "chat:80", "/?b"));
        assert_eq!(parts("wss://[::1]:443/"), expected(tls, "[::1]", "/"));
        assert_eq!(parts("http://[::1]:1/x"), expected(plain, "[::1]:1", "/x"));
    }

    #[test]
    fn what_cannot_be_asked_is_named() {
        for (text, part) in [
            ("chat/x", "a scheme"),
            ("ftp://chat/x", "ws://"),
            ("ws:///x", "a host"),
            ("ws://me:secret@chat/x", "user"),
            ("ws://chat/x#y", "fragment"),
            ("ws://chat#y", "fragment"),
            ("ws://chat/a b", "path"),
        ] {
            let Wrong(wrong) = Target::parse(text).unwrap_err();
            assert!(wrong.contains(part), "{text}: {wrong}");
        }
    }
}
