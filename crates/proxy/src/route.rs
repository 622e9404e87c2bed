//! Which route a request belongs to: the most specific host and path prefix win, so that there is
//! no order to get wrong.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::settings::Route;

/// Routes, most specific first.
#[derive(Debug, Clone)]
pub struct RouteTable(Vec<Arc<Route>>);

/// The place of a route in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteIndex(pub(crate) usize);

impl RouteTable {
    /// Orders `routes` by how specific they are: those for a host before those for any, then
    /// longer path prefixes before shorter ones.
    #[must_use]
    pub fn new(mut routes: Vec<Arc<Route>>) -> Self {
        routes.sort_by_key(|route| (Reverse(route.host.is_some()), Reverse(prefix(route).len())));
        Self(routes)
    }

    /// The route for a request to `host` (as in the Host field, with or without a port) and
    /// `path`.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<RouteIndex> {
        let host = without_dot(without_port(host));
        let index = self.0.iter().position(|route| {
            let host_matches = match &route.host {
                Some(wanted) => without_dot(wanted).eq_ignore_ascii_case(host),
                None => true,
            };
            host_matches && is_under(prefix(route), path)
        })?;
        Some(RouteIndex(index))
    }

    /// All routes, most specific first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.0.iter()
    }
}

impl std::ops::Index<RouteIndex> for RouteTable {
    type Output = Arc<Route>;

    fn index(&self, index: RouteIndex) -> &Arc<Route> {
        &self.0[index.0]
    }
}

/// A prefix without its trailing slash: `/chat/` and `/chat` cover the same paths.
fn prefix(route: &Route) -> &str {
    route.path_prefix.trim_end_matches('/')
}

/// Whether `path` lies under `prefix`, segment by segment: `/chat` covers `/chat` and `/chat/x`,
/// not `/chatter`.
fn is_under(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.is_empty())
}

/// The host of `host[:port]`, where the host may be an IPv6 literal in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && !name.is_empty() => name,
        _ => host,
    }
}

/// A name without the dot of the root, which some clients write behind it: it is the same name.
fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing;

    fn table(routes: &[(&str, Option<&str>, &str)]) -> RouteTable {
        let route = |&(name, host, prefix): &(&str, Option<&str>, &str)| {
            let mut route = testing::route(name);
            route.host = host.map(str::to_owned);
            prefix.clone_into(&mut route.path_prefix);
            Arc::new(route)
        };
        RouteTable::new(routes.iter().map(route).collect())
    }

    #[test]
    fn the_most_specific_wins_whatever_the_order() {
        let routes = [
            ("any", None, "/"),
            ("deep", None, "/chat/rooms"),
            ("chat", None, "/chat/"),
            ("host", Some("a.example"), "/"),
            ("host_chat", Some("a.example"), "/chat"),
        ];
        let mut reversed = routes;
        reversed.reverse();
        for routes in [routes, reversed] {
            let table = table(&routes);
            let found = |host, path| Some(table[table.find(host, path)?].name.to_string());
            assert_eq!(found("b.example", "/").as_deref(), Some("any"));
            assert_eq!(found("b.example", "/chat").as_deref(), Some("chat"));
            assert_eq!(found("b.example", "/chat/").as_deref(), Some("chat"));
            assert_eq!(found("b.example", "/chatter").as_deref(), Some("any"));
            assert_eq!(found("b.example", "/chat/rooms/1").as_deref(), Some("deep"));
            assert_eq!(found("A.Example:8080", "/x").as_deref(), Some("host"));
            assert_eq!(
                found("a.example", "/chat/rooms").as_deref(),
                Some("host_chat")
            );
        }
    }

    /// `chat.example.com.` is the same host, and missed its route.
    #[test]
    fn a_host_with_the_dot_of_the_root_finds_its_route() {
        for wanted in ["a.example", "a.example."] {
            let table = table(&[("any", None, "/"), ("host", Some(wanted), "/")]);
            for host in ["a.example", "a.example.", "A.Example.:8080"] {
                let found = table.find(host, "/").unwrap();
                assert_eq!(&*table[found].name, "host", "{host} for {wanted}");
            }
            for host in ["a.example..", ".", ""] {
                let found = table.find(host, "/").unwrap();
                assert_eq!(&*table[found].name, "any", "{host}");
            }
        }
    }

    #[test]
    fn what_no_route_covers_is_not_found() {
        let table = table(&[("chat", Some("a.example"), "/chat")]);
        assert!(table.find("b.example", "/chat").is_none());
        assert!(table.find("a.example", "/other").is_none());
        assert!(table.find("", "/chat").is_none());
    }

    #[test]
    fn ports_are_not_part_of_a_host() {
        assert_eq!(without_port("[::1]:8080"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
        assert_eq!(without_port("a.example:80"), "a.example");
        assert_eq!(without_port("a.example"), "a.example");
    }
}
