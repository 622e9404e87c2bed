//! What is probed: a server at a URL, or an upstream as it is configured.

use std::path::Path;

use anyhow::Context as _;
use http::uri::PathAndQuery;
use lubdub_proxy::tls::{self, UpstreamTls, UpstreamTrust};

use super::super::target::Target;
use crate::config::{self, Security, Sources, Wrong};

/// What is asked for on the command line.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// A server, by its URL.
    Url(Target),
    /// An upstream, by its name, and what is asked of it.
    Upstream { name: String, path: PathAndQuery },
}

/// Where it is, and what TLS it takes to get there.
pub(super) struct Place {
    pub(super) target: Target,
    /// `None` if no TLS is spoken.
    pub(super) tls: Option<UpstreamTls>,
    /// The upstream that it is.
    upstream: Option<String>,
}

// === impl Asked ===

impl Asked {
    /// Reads a URL, or the name of an upstream and perhaps a path.
    ///
    /// # Errors
    /// If it is neither.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let end = text.find(['/', '?']).unwrap_or(text.len());
        let (name, path) = text.split_at(end);
        // A host without its scheme is told what is missing; no name has a dot or a colon.
        if name.is_empty() || !config::is_name(name) {
            return Target::parse(text).map(Self::Url);
        }
        let path = match path {
            "" => Ok(PathAndQuery::from_static("/")),
            path if path.starts_with('?') => format!("/{path}").parse(),
            path => path.parse(),
        };
        let path = path.map_err(|_| Wrong::new("has a path that cannot be sent"))?;
        let name = name.to_owned();
        Ok(Self::Upstream { name, path })
    }

    /// Whether `--ca` makes no sense with it, and why.
    pub(super) fn objection_to_ca(&self) -> Option<&'static str> {
        match self {
            Self::Url(target) if target.server.security == Security::Tls => None,
            Self::Url(_) => Some("--ca is for wss:// and https:// only"),
            Self::Upstream { .. } => {
                Some("--ca is for a URL: an upstream is trusted as it is configured")
            }
        }
    }

    /// Finds out where it is. `ca` is the file of the authorities of a URL.
    pub(super) fn place(&self, ca: Option<&Path>, sources: &Sources) -> anyhow::Result<Place> {
        match self {
            Self::Url(target) => Ok(Place {
                tls: tls_of(target, ca)?,
                target: target.clone(),
                upstream: None,
            }),
            Self::Upstream { name, path } => {
                let (name, server, tls) = config::upstream(sources, name)?;
                let path = path.clone();
                Ok(Place {
                    target: Target { server, path },
                    tls,
                    upstream: Some(name),
                })
            }
        }
    }
}

/// TLS with the server of a URL, verified as lubdub would by default.
fn tls_of(target: &Target, ca: Option<&Path>) -> anyhow::Result<Option<UpstreamTls>> {
    let trust = match (target.server.security, ca) {
        (Security::Plain, _) => return Ok(None),
        (Security::Tls, None) => UpstreamTrust::platform()?,
        (Security::Tls, Some(path)) => config::certificates(path)
            .map_err(anyhow::Error::from)
            .and_then(|certificates| Ok(UpstreamTrust::named(certificates)?))
            .with_context(|| format!("--ca {}", path.display()))?,
    };
    let host = target.certificate_name()?;
    let name = tls::server_name(host)
        .with_context(|| format!("{host} is a host that no certificate can be for"))?;
    Ok(Some(UpstreamTls::new(name, trust, None)))
}

// === impl Place ===

impl Place {
    /// What a key of the upstream is called for whoever probes it.
    pub(super) fn key(&self, last: &str) -> String {
        match &self.upstream {
            Some(name) => format!("upstream.{name}.{last}"),
            None if last == "ca" => "--ca (upstream.NAME.ca)".to_owned(),
            None => format!("upstream.NAME.{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_scheme_and_may_be_a_name_is_an_upstream() {
        let upstream = |text| match Asked::parse(text).unwrap() {
            Asked::Upstream { name, path } => (name, path.to_string()),
            Asked::Url(target) => panic!("{target}"),
        };
        let expected = |name: &str, path: &str| (name.to_owned(), path.to_owned());
        assert_eq!(upstream("chat"), expected("chat", "/"));
        assert_eq!(
            upstream("chat-v2/room?x=1"),
            expected("chat-v2", "/room?x=1")
        );
        assert_eq!(upstream("chat?x=a/b"), expected("chat", "/?x=a/b"));
        assert!(matches!(Asked::parse("wss://chat/x"), Ok(Asked::Url(_))));
        for text in ["", "/x", "localhost:9000", "chat.example.com", "ftp://chat"] {
            assert!(Asked::parse(text).is_err(), "{text}");
        }
    }
}
