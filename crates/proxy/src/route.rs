//! Which route a request belongs to: the most specific host and path prefix win, so that there is
//! no order to get wrong.

use std::cmp::Reverse;
use std::sync::Arc;

use http::uri::PathAndQuery;
use lubdub_metrics::PairMetrics;

use crate::budget::Budget;
use crate::drain::LastRemoval;
use crate::generation::General;
use crate::host::{self, HostPattern};
use crate::live_terms::LiveTerms;
use crate::namesakes::OfRoute;
use crate::registry::PairNames;
use crate::settings::{Access, OnRemoved, Route, Terms};
use crate::upstream::Upstream;

/// Routes, most specific first.
#[derive(Debug)]
pub(crate) struct RouteTable(Vec<Arc<RouteState>>);

/// A route, with all that belongs to it.
#[derive(Debug)]
pub(crate) struct RouteState {
    pub(crate) name: Arc<str>,
    /// The terms on which its pairs begin.
    pub(crate) terms: Arc<Terms>,
    /// Those on which they live.
    pub(crate) live_terms: Arc<LiveTerms>,
    /// What holds for all routes.
    pub(crate) general: Arc<General>,
    /// Who answers.
    pub(crate) upstream: Arc<Upstream>,
    /// Pairs at a time. Counted where there is no bound as well: a reload may bring one.
    pub(crate) pairs: Arc<Budget>,
    /// How many there may be.
    most_pairs: usize,
    pub(crate) on_removed: OnRemoved,
    /// When its pairs had to go last.
    pub(crate) last_removal: Arc<LastRemoval>,
    /// What there is for each listener that a request can come in at.
    doors: Box<[Door]>,
    /// Who may come in.
    pub(crate) access: Access,
    host: Option<HostPattern>,
    path_prefix: String,
    strip_prefix: bool,
}

/// A route, as it is for requests that come in at one listener.
#[derive(Debug)]
struct Door {
    names: Arc<PairNames>,
    metrics: Arc<PairMetrics>,
}

impl RouteState {
    /// A route, with what its name has.
    pub(crate) fn new(
        route: &Route,
        of_name: OfRoute,
        general: &Arc<General>,
        upstream: Arc<Upstream>,
        metrics: Box<[(Arc<str>, Arc<PairMetrics>)]>,
    ) -> Self {
        let door = |(listener, metrics)| Door {
            names: Arc::new(PairNames {
                listener,
                route: Arc::clone(&route.name),
                upstream: Arc::clone(&route.upstream.name),
            }),
            metrics,
        };
        let doors = metrics.into_iter().map(door).collect();
        Self {
            name: Arc::clone(&route.name),
            terms: Arc::clone(&route.terms),
            live_terms: of_name.live_terms,
            general: Arc::clone(general),
            upstream,
            pairs: of_name.pairs,
            most_pairs: route.pairs.unwrap_or(usize::MAX),
            on_removed: route.on_removed,
            last_removal: of_name.last_removal,
            doors,
            access: route.access.clone(),
            host: route.host.clone(),
            path_prefix: route.path_prefix.clone(),
            strip_prefix: route.strip_prefix,
        }
    }

    /// What is in effect from now on is what it says. Says whether pairs that are open have something of it.
    pub(crate) fn take_effect(&self) -> bool {
        self.pairs.resize(self.most_pairs);
        self.live_terms.renew(&self.terms)
    }

    /// Whether a reload has removed it, or its upstream, and sent its pairs away since this was in effect.
    pub(crate) fn has_sent_pairs_away(&self) -> bool {
        let generation = self.general.generation;
        let removals = [&self.last_removal, &self.upstream.last_removal];
        removals.iter().any(|last| last.is_behind(generation))
    }

    /// What is counted for requests that came in at this listener.
    pub(crate) fn metrics(&self, listener: &Arc<str>) -> &Arc<PairMetrics> {
        &self.door(listener).metrics
    }

    /// What pairs know of it whose client came in at this listener.
    pub(crate) fn names(&self, listener: &Arc<str>) -> &Arc<PairNames> {
        &self.door(listener).names
    }

    fn door(&self, listener: &Arc<str>) -> &Door {
        let mut doors = self.doors.iter();
        let found = doors.find(|door| door.names.listener == *listener);
        found.expect("every listener's requests are counted on every route")
    }

    fn takes(&self, host: &str, path: &str) -> bool {
        let is_host = |wanted: &HostPattern| wanted.matches(host);
        self.host.as_ref().is_none_or(is_host) && is_under(prefix(&self.path_prefix), path)
    }

    /// The target that the upstream gets for one that this route takes. What stands behind the prefix stays as
    /// it is, byte for byte: what it comes to is for the upstream to say.
    pub(crate) fn target(&self, target: PathAndQuery) -> PathAndQuery {
        let prefix = prefix(&self.path_prefix);
        if !self.strip_prefix || prefix.is_empty() {
            return target;
        }
        let Some(rest) = target.as_str().strip_prefix(prefix) else {
            return target;
        };
        let stripped = if rest.starts_with('/') {
            PathAndQuery::try_from(rest)
        } else {
            // Of `/chat` and `/chat?q` nothing is left of the path.
            PathAndQuery::try_from(format!("/{rest}"))
        };
        stripped.unwrap_or(target)
    }
}

impl RouteTable {
    /// Orders `routes` by how specific they are: those for one host, then those for all below a
    /// name, longer names first, then those for any; among these, longer path prefixes first.
    pub(crate) fn new(mut routes: Vec<Arc<RouteState>>) -> Self {
        let length = |route: &RouteState| prefix(&route.path_prefix).len();
        let rank = |route: &RouteState| {
            let host = route.host.as_ref();
            (host.is_none(), host.map(HostPattern::rank))
        };
        routes.sort_by_key(|route| (rank(route), Reverse(length(route))));
        Self(routes)
    }

    /// The route for a request to `host` (as in the Host field, with or without a port) and
    /// `path`.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<&Arc<RouteState>> {
        let host = host::bare(host);
        self.0.iter().find(|route| route.takes(&host, path))
    }

    /// All routes, most specific first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<RouteState>> {
        self.0.iter()
    }
}

/// A prefix without its trailing slash: `/chat/` and `/chat` cover the same paths.
fn prefix(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// Whether `path` lies under `prefix`, segment by segment: `/chat` covers `/chat` and `/chat/x`,
/// not `/chatter`.
fn is_under(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.is_empty())
}

#[cfg(test)]
pub(crate) mod testing {
    //! Routes for unit tests.

    use super::*;
    use crate::settings::{self, Forwarded, FrontTimeouts, RequestDetail, Trust};
    use crate::upstream;

    /// A route that nobody counts.
    pub(crate) fn state(route: &Route) -> RouteState {
        let upstream = Arc::new(upstream::testing::upstream(&route.upstream));
        let general = Arc::new(General {
            generation: 1,
            timeouts: FrontTimeouts::default(),
            head_bytes: 65_536,
            forwarded: Forwarded {
                style: settings::ForwardedStyle::Off,
                trust: Trust::default(),
                via: false,
                request_id: false,
            },
            subjects: crate::http::Subjects::default(),
            request_detail: RequestDetail::Off,
            drain: settings::testing::drain(),
        });
        RouteState::new(
            route,
            OfRoute::new(route),
            &general,
            upstream,
            Box::default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    fn table(routes: &[(&str, Option<&str>, &str)]) -> RouteTable {
        let route = |&(name, host, prefix): &(&str, Option<&str>, &str)| {
            let mut route = settings::testing::route(name);
            route.host = host.map(HostPattern::new);
            prefix.clone_into(&mut route.path_prefix);
            Arc::new(testing::state(&route))
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
            let found = |host, path| Some(table.find(host, path)?.name.to_string());
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
                assert_eq!(&*found.name, "host", "{host} for {wanted}");
            }
            for host in ["a.example..", ".", ""] {
                let found = table.find(host, "/").unwrap();
                assert_eq!(&*found.name, "any", "{host}");
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
    fn one_host_goes_before_a_wildcard_and_a_longer_name_before_a_shorter() {
        let routes = [
            ("any", None, "/"),
            ("any_chat", None, "/chat"),
            ("com", Some("*.example.com"), "/"),
            ("com_chat", Some("*.example.com"), "/chat"),
            ("deep", Some("*.b.example.com"), "/"),
            ("exact", Some("a.b.example.com"), "/chat"),
        ];
        let mut reversed = routes;
        reversed.reverse();
        for routes in [routes, reversed] {
            let table = table(&routes);
            let found = |host, path| &*table.find(host, path).unwrap().name;
            assert_eq!(found("a.b.example.com", "/chat"), "exact");
            assert_eq!(found("A.B.example.com.:80", "/chat/1"), "exact");
            assert_eq!(found("a.b.example.com", "/"), "deep");
            assert_eq!(found("c.b.example.com", "/chat"), "deep");
            assert_eq!(found("b.example.com", "/chat"), "com_chat");
            assert_eq!(found("b.example.com", "/x"), "com");
            assert_eq!(found("example.com", "/chat"), "any_chat");
            assert_eq!(found("", "/"), "any");
        }
    }

    #[test]
    fn what_is_stripped_is_the_prefix_and_nothing_else() {
        let stripped = |prefix: &str, target: &'static str| {
            let mut route = settings::testing::route("main");
            prefix.clone_into(&mut route.path_prefix);
            route.strip_prefix = true;
            let target = PathAndQuery::from_static(target);
            testing::state(&route).target(target).to_string()
        };
        for (target, expected) in [
            ("/chat", "/"),
            ("/chat/", "/"),
            ("/chat?", "/?"),
            ("/chat?q=/chat", "/?q=/chat"),
            ("/chat/room?q", "/room?q"),
            ("/chat//room", "//room"),
            ("/chat/../admin", "/../admin"),
            ("/chat/%2e%2E/%63", "/%2e%2E/%63"),
            ("/chat/chat", "/chat"),
            ("/other", "/other"),
            ("*", "*"),
        ] {
            assert_eq!(stripped("/chat/", target), expected, "{target}");
        }
        assert_eq!(stripped("/", "/chat"), "/chat");
    }
}
