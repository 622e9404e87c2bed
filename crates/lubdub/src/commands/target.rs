//! What a command connects to: a URL, taken apart.

use std::{fmt, io};

use http::uri::PathAndQuery;
use lubdub_proxy::settings::Site;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

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
        if config::is_unix(text) {
            let server = config::parse_url(text)?;
            let path = PathAndQuery::from_static("/");
            return Ok(Self { server, path });
        }
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
        let UpstreamUrl { security, site } = &self.server;
        let (host, port) = match site {
            Site::Named { host, port } if host.contains(':') => (format!("[{host}]"), port),
            Site::Named { host, port } => (host.to_string(), port),
            Site::Unix(_) => return "localhost".to_owned(),
        };
        match (security, port) {
            (Security::Plain, 80) | (Security::Tls, 443) => host,
            _ => format!("{host}:{port}"),
        }
    }
}

impl Target {
    /// As errors name it, with `scheme` before a host.
    pub(super) fn shown(&self, scheme: &str) -> String {
        let path = self.path.path();
        match &self.server.site {
            Site::Named { .. } => format!("{scheme}://{}{path}", self.authority()),
            Site::Unix(socket) => format!("unix:{}, {path}", socket.display()),
        }
    }

    /// The name that a certificate is checked against.
    pub(super) fn certificate_name(&self) -> anyhow::Result<&str> {
        match &self.server.site {
            Site::Named { host, .. } => Ok(host),
            Site::Unix(_) => {
                anyhow::bail!("a path is no name that a certificate can be checked against")
            }
        }
    }

    /// Connects.
    pub(super) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.server.site {
            Site::Named { host, port } => {
                let stream = TcpStream::connect((&**host, *port)).await?;
                // Or a ping could wait for the acknowledgement of the one before.
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Site::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

/// A connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// As errors name it: without the query, which may hold a secret.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.server.security {
            Security::Plain => "ws",
            Security::Tls => "wss",
        };
        f.write_str(&self.shown(scheme))
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
