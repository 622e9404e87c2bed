//! The configured names that are label values: which are known, and which are shown.
//!
//! Names come and go with the configuration. Series are never removed: handles go on writing to them. Those of
//! names that nobody uses any more are left out when the metrics are rendered, and a name that returns goes on
//! from its values.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::handles::{ListenerMetrics, NO_ROUTE, RouteMetrics};
use crate::recorder::Scope;
use crate::upstream::UpstreamMetrics;

/// The configured names that become label values.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The names of the listeners.
    pub listeners: &'a [&'a str],
    /// The names of the routes.
    pub routes: &'a [&'a str],
    /// The names of the upstreams.
    pub upstreams: &'a [&'a str],
}

/// Why names cannot be told apart in labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNames {
    /// Two listeners would share their series.
    #[error("two listeners are named {0:?}")]
    DuplicateListener(String),
    /// Two routes would share their series.
    #[error("two routes are named {0:?}")]
    DuplicateRoute(String),
    /// Two upstreams would share their series.
    #[error("two upstreams are named {0:?}")]
    DuplicateUpstream(String),
    /// A route would share its series with requests that reached no route.
    #[error("a route cannot be named {NO_ROUTE:?}, which stands for no route in metrics")]
    ReservedRoute,
    /// Series are never removed, so that names that come and go must have an end.
    #[error(
        "names of listeners, their certificates, routes and upstreams would be {0} in the life of this process; \
         {most} is the most",
        most = Names::MOST
    )]
    TooMany(usize),
}

/// Names that live pairs have, whether they are configured or not.
#[derive(Debug, Default)]
pub struct NamesInUse {
    /// The names of their listeners.
    pub listeners: BTreeSet<Arc<str>>,
    /// The names of their routes.
    pub routes: BTreeSet<Arc<str>>,
    /// The names of their upstreams.
    pub upstreams: BTreeSet<Arc<str>>,
}

/// Every name that was ever configured, with its handle.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) listeners: Vec<Arc<ListenerMetrics>>,
    pub(crate) routes: Vec<Arc<RouteMetrics>>,
    pub(crate) upstreams: Vec<Arc<UpstreamMetrics>>,
    /// The certificates, each with its listener.
    certificates: BTreeSet<(String, String)>,
    /// Those that are configured now.
    present: Present,
}

/// Names that are not known yet.
#[derive(Debug)]
pub(crate) struct Missing<'a> {
    listeners: Vec<&'a str>,
    routes: Vec<&'a str>,
    upstreams: Vec<&'a str>,
}

#[derive(Debug, Default)]
struct Present {
    listeners: BTreeSet<String>,
    routes: BTreeSet<String>,
    upstreams: BTreeSet<String>,
    certificates: BTreeSet<(String, String)>,
}

// === impl Names ===

impl Names<'_> {
    /// A process knows at most so many in its life, of all kinds together.
    pub const MOST: usize = 1000;

    pub(crate) fn check(&self) -> Result<(), InvalidNames> {
        if let Some(name) = duplicate(self.listeners) {
            return Err(InvalidNames::DuplicateListener(name.to_owned()));
        }
        if let Some(name) = duplicate(self.routes) {
            return Err(InvalidNames::DuplicateRoute(name.to_owned()));
        }
        if let Some(name) = duplicate(self.upstreams) {
            return Err(InvalidNames::DuplicateUpstream(name.to_owned()));
        }
        if self.routes.contains(&NO_ROUTE) {
            return Err(InvalidNames::ReservedRoute);
        }
        Ok(())
    }
}

// === impl Known ===

impl Known {
    /// Registers the series of those names that are new. Nothing is registered if something is wrong.
    pub(crate) fn admit(
        &mut self,
        scope: &Scope<'_>,
        names: Names<'_>,
    ) -> Result<(), InvalidNames> {
        let missing = self.missing(names)?;
        for name in missing.routes {
            let route = Arc::new(RouteMetrics::register(scope, name));
            for listener in &self.listeners {
                listener.add(scope, &route);
            }
            self.routes.push(route);
        }
        for name in missing.listeners {
            let listener = ListenerMetrics::register(scope, name, &self.routes);
            self.listeners.push(Arc::new(listener));
        }
        for name in missing.upstreams {
            let upstream = UpstreamMetrics::register(scope, name);
            self.upstreams.push(Arc::new(upstream));
        }
        Ok(())
    }

    /// Those that are not known yet, if they may be.
    pub(crate) fn missing<'a>(&self, names: Names<'a>) -> Result<Missing<'a>, InvalidNames> {
        names.check()?;
        let missing = Missing {
            listeners: unknown(names.listeners, |name| self.listener(name).is_some()),
            routes: unknown(names.routes, |name| self.route(name).is_some()),
            upstreams: unknown(names.upstreams, |name| self.upstream(name).is_some()),
        };
        let new = missing.listeners.len() + missing.routes.len() + missing.upstreams.len();
        self.have_room_for(new)?;
        Ok(missing)
    }

    /// Whether these certificates, each with its listener, may be known as well.
    pub(crate) fn try_certificates(
        &self,
        certificates: &[(&str, &str)],
    ) -> Result<(), InvalidNames> {
        let is_new = |(listener, name): &&(&str, &str)| {
            let certificate = ((*listener).to_owned(), (*name).to_owned());
            !self.certificates.contains(&certificate)
        };
        self.have_room_for(certificates.iter().filter(is_new).count())
    }

    fn have_room_for(&self, new: usize) -> Result<(), InvalidNames> {
        let of_listeners = self.listeners.len() + self.certificates.len();
        let all = of_listeners + self.routes.len() + self.upstreams.len() + new;
        // Those that are known already cost nothing.
        if new > 0 && all > Names::MOST {
            return Err(InvalidNames::TooMany(all));
        }
        Ok(())
    }

    /// These names are configured now, and no others.
    pub(crate) fn set_present(&mut self, names: Names<'_>) {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.present.listeners = owned(names.listeners);
        self.present.routes = owned(names.routes);
        self.present.upstreams = owned(names.upstreams);
    }

    /// These certificates, each with its listener, are configured now, and no others.
    pub(crate) fn set_certificates(&mut self, certificates: &[(&str, &str)]) {
        let owned = |&(listener, name): &(&str, &str)| (listener.to_owned(), name.to_owned());
        self.present.certificates = certificates.iter().map(owned).collect();
        let present = self.present.certificates.iter().cloned();
        self.certificates.extend(present);
    }

    pub(crate) fn listener(&self, name: &str) -> Option<&Arc<ListenerMetrics>> {
        self.listeners.iter().find(|it| it.name() == name)
    }

    pub(crate) fn route(&self, name: &str) -> Option<&Arc<RouteMetrics>> {
        self.routes.iter().find(|it| it.name() == name)
    }

    pub(crate) fn upstream(&self, name: &str) -> Option<&Arc<UpstreamMetrics>> {
        self.upstreams.iter().find(|it| it.name() == name)
    }

    /// Whether names are known that are not configured any more.
    pub(crate) fn has_absent(&self) -> bool {
        self.listeners.len() > self.present.listeners.len()
            || self.routes.len() > self.present.routes.len()
            || self.upstreams.len() > self.present.upstreams.len()
            || self.certificates.len() > self.present.certificates.len()
    }

    /// Whether a line is about no certificate, or about one that is configured.
    fn has_present_certificate(&self, line: &str) -> bool {
        label(line, "certificate=\"").is_none_or(|certificate| {
            let listener = label(line, "listener=\"").unwrap_or_default();
            let certificate = (listener.to_owned(), certificate.to_owned());
            self.present.certificates.contains(&certificate)
        })
    }

    /// Leaves the series out of `text` whose names are neither configured nor in use.
    pub(crate) fn without_absent(&self, text: &str, in_use: &NamesInUse) -> String {
        let is_shown = |line: &&str| {
            line.starts_with('#')
                || ((label(line, "listener=\"")).is_none_or(|it| {
                    self.present.listeners.contains(it) || in_use.listeners.contains(it)
                }) && label(line, "route=\"").is_none_or(|it| {
                    it == NO_ROUTE || self.present.routes.contains(it) || in_use.routes.contains(it)
                }) && label(line, "upstream=\"").is_none_or(|it| {
                    self.present.upstreams.contains(it) || in_use.upstreams.contains(it)
                }) && self.has_present_certificate(line))
        };
        let lines = text.split_inclusive('\n');
        lines.filter(is_shown).collect()
    }
}

/// The value of a label in a line of the text format, as in `route="chat"`. Names need no escaping.
fn label<'a>(line: &'a str, label: &str) -> Option<&'a str> {
    let labels = line.split_once('{')?.1;
    // The whole word: another label may end like this one.
    let at = labels
        .match_indices(label)
        .find(|(at, _)| *at == 0 || labels[..*at].ends_with(','))?
        .0;
    labels[at + label.len()..].split('"').next()
}

fn unknown<'a>(names: &[&'a str], is_known: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let names = names.iter().copied();
    names.filter(|name| !is_known(name)).collect()
}

/// The first name that was there before.
fn duplicate<'a>(names: &[&'a str]) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    names.iter().copied().find(|name| !seen.insert(*name))
}
