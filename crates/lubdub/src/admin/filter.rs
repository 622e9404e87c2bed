//! Which pairs somebody wants to see, live or ended: what their queries have in common.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::num::IntErrorKind;
use std::sync::Arc;

use http::StatusCode;
use ipnet::IpNet;
use lubdub_proxy::registry::PairFilter;
use lubdub_proxy::{Control, Names};

use super::answer::{Answer, problem};
use crate::config::same_name;

/// A parameter of a query will not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub(super) struct BadQuery {
    name: &'static str,
    reason: String,
}

/// What a query says of the pairs that it is about.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) route: Option<String>,
    pub(super) upstream: Option<String>,
    pub(super) listener: Option<String>,
    pub(super) client: Option<String>,
}

/// The most that is told at once, and what is told if nothing is said.
pub(super) const MOST: usize = 1000;

// === impl BadQuery ===

impl BadQuery {
    pub(super) fn new(name: &'static str, reason: impl Display) -> Self {
        Self {
            name,
            reason: reason.to_string(),
        }
    }

    pub(super) fn answer(&self) -> Answer {
        problem(StatusCode::BAD_REQUEST, self.to_string())
    }
}

// === impl Wanted ===

impl Wanted {
    /// Whether it says a name.
    pub(super) fn is_named(&self) -> bool {
        self.route.is_some() || self.upstream.is_some() || self.listener.is_some()
    }

    /// The names are those that there are.
    pub(super) fn filter(self, proxy: &Control) -> Result<PairFilter, BadQuery> {
        let names = proxy.names();
        self.among(&names)
    }

    /// The same where other names can be asked for.
    pub(super) fn among(self, names: &Names) -> Result<PairFilter, BadQuery> {
        Ok(PairFilter {
            route: named("route", self.route, &names.routes)?,
            upstream: named("upstream", self.upstream, &names.upstreams)?,
            listener: named("listener", self.listener, &names.listeners)?,
            client: self
                .client
                .map(|text| network(&text).map(|network| [network].into_iter().collect()))
                .transpose()?,
        })
    }
}

/// How many are wanted. More than the most are never told at once.
pub(super) fn limit(limit: Option<&str>) -> Result<usize, BadQuery> {
    let Some(text) = limit else { return Ok(MOST) };
    match text.parse::<usize>() {
        Ok(limit) => Ok(limit.min(MOST)),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Ok(MOST),
        Err(_) => {
            let reason = format_args!("must be a whole number, not {text:?}");
            Err(BadQuery::new("limit", reason))
        }
    }
}

/// The name as it is written in the configuration.
fn named(
    key: &'static str,
    name: Option<String>,
    known: &BTreeSet<Arc<str>>,
) -> Result<Option<Arc<str>>, BadQuery> {
    let found = name.map(|name| find(&name, known)).transpose();
    found.map_err(|reason| BadQuery::new(key, reason))
}

/// The name as it is written in the configuration, or else what there is.
pub(super) fn find(name: &str, known: &BTreeSet<Arc<str>>) -> Result<Arc<str>, String> {
    let found = known.iter().find(|known| same_name(known, name));
    found.map(Arc::clone).ok_or_else(|| {
        let known: Vec<_> = known.iter().map(|known| &**known).collect();
        format!("there is no {name:?}; there is: {}", known.join(", "))
    })
}

fn network(text: &str) -> Result<IpNet, BadQuery> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(|_| address()).map_err(|_| {
        let reason =
            format_args!("must be an address or a network such as 10.0.0.0/8, not {text:?}");
        BadQuery::new("client", reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            routes: ["chat-v2", "main"].map(Arc::from).into(),
            ..Names::default()
        }
    }

    #[test]
    fn names_are_compared_as_in_the_configuration() {
        let wanted = |route: &str| Wanted {
            route: Some(route.to_owned()),
            ..Wanted::default()
        };
        let filter = wanted("CHAT_V2").among(&names()).unwrap();
        assert_eq!(filter.route.as_deref(), Some("chat-v2"));
        let error = wanted("chat").among(&names()).unwrap_err().to_string();
        assert_eq!(
            error,
            "route: there is no \"chat\"; there is: chat-v2, main"
        );
    }

    #[test]
    fn a_client_is_an_address_or_a_network() {
        let text = |text: &str| network(text).map(|network| network.to_string());
        assert_eq!(text("10.1.2.3"), Ok("10.1.2.3/32".to_owned()));
        assert_eq!(text("10.0.0.0/8"), Ok("10.0.0.0/8".to_owned()));
        assert_eq!(text("2001:db8::/32"), Ok("2001:db8::/32".to_owned()));
        for wrong in ["", "unix", "10.0.0.0/33", "chat.example", "10.1.2.3:80"] {
            let error = text(wrong).unwrap_err().to_string();
            assert!(error.starts_with("client: must be"), "{error}");
        }
    }

    #[test]
    fn nobody_gets_more_than_the_most() {
        assert_eq!(limit(None), Ok(MOST));
        assert_eq!(limit(Some("0")), Ok(0));
        for many in ["1001", "99999999999999999999"] {
            assert_eq!(limit(Some(many)), Ok(MOST));
        }
        for wrong in ["-1", "x", ""] {
            let error = limit(Some(wrong)).unwrap_err().to_string();
            assert!(error.contains(&format!("not {wrong:?}")), "{error}");
        }
    }
}
