//! Routes: which requests, to which upstream, on which terms.

use std::collections::BTreeMap;
use std::sync::Arc;

use lubdub_metrics::NO_ROUTE;
use lubdub_proxy::settings::{self, Access, Route, Upstream};

use super::super::error::Mistakes;
use super::super::leaf::Leaf;
use super::super::raw::{self, Terms};
use super::super::tree::Table;
use super::super::{name, read, schema};
use super::upstream::Upstreams;
use super::{optional, rates, table_set_at, take, terms};

/// All routes, at least one.
pub(super) fn resolve(
    tree: &Table,
    raw: &BTreeMap<String, raw::Route>,
    base: &Terms,
    upstreams: &Upstreams,
    mistakes: &mut Mistakes,
) -> Option<Vec<Route>> {
    if raw.is_empty() && !upstreams.is_empty() {
        mistakes.about(
            "route",
            "there is no route: with several upstreams they must be set",
        );
    }
    // One that was set has been refused; this one would be the only upstream's.
    if let Some(taken) = raw.keys().find(|name| name::same(name, NO_ROUTE)) {
        let key = format!("upstream.{taken}");
        let wrong = format!(
            "its route would be called \"{taken}\" as well, which stands in metrics for requests \
             that reach no route; choose another name, or set route.NAME.upstream = \"{taken}\""
        );
        mistakes.wrong_at(&key, tree.mentioned_by(&key), wrong);
    }
    let routes: Vec<_> = raw
        .iter()
        .map(|(name, raw)| route(name, raw, base, upstreams, mistakes))
        .collect();
    refuse_same_share(tree, raw, &routes, mistakes);
    let routes: Option<Vec<_>> = routes.into_iter().collect();
    routes.filter(|routes| !routes.is_empty())
}

fn route(
    name: &str,
    raw: &raw::Route,
    base: &Terms,
    upstreams: &Upstreams,
    mistakes: &mut Mistakes,
) -> Option<Route> {
    let host = optional(&raw.host, read::host_pattern, mistakes);
    let path_prefix = take(&raw.path_prefix, read::path_prefix, mistakes);
    let strip_prefix = take(&raw.strip_prefix, read::switch, mistakes);
    let access = access(raw, mistakes);
    let pairs = optional(&raw.limits.pairs, read::count_or_off, mistakes);
    let on_removed = take(&raw.on_removed, read::choice, mistakes);
    let upstream = match &raw.upstream {
        Some(leaf) => find(leaf, upstreams, mistakes),
        None => {
            let known = known(upstreams);
            mistakes.about(
                format!("route.{name}.upstream"),
                format!("must be set: {known}"),
            );
            None
        }
    };
    let terms = terms::resolve(&raw.terms(base), mistakes);
    let rates = rates::resolve(&raw.rate, mistakes);
    Some(Route {
        name: name.into(),
        host: host?,
        path_prefix: path_prefix?,
        strip_prefix: strip_prefix?,
        access: access?,
        upstream: upstream?,
        terms: Arc::new(settings::Terms {
            rates: rates?,
            ..terms?
        }),
        pairs: pairs?.flatten(),
        on_removed: on_removed?,
    })
}

/// Who may come in.
fn access(raw: &raw::Route, mistakes: &mut Mistakes) -> Option<Access> {
    let allow = take(&raw.allow, read::networks, mistakes);
    let deny = take(&raw.deny, read::networks, mistakes);
    let origins = take(&raw.origins, read::origins, mistakes);
    let origin_missing = take(&raw.origin_missing, read::choice, mistakes);
    Some(Access {
        allow: allow?.into_iter().collect(),
        deny: deny?.into_iter().collect(),
        origins: origins?,
        origin_missing: origin_missing?,
    })
}

/// The upstream that `leaf` names. One that is there but wrong has been noted already.
fn find(leaf: &Leaf, upstreams: &Upstreams, mistakes: &mut Mistakes) -> Option<Arc<Upstream>> {
    let name = mistakes.read(leaf, |value| read::text(value).map(str::to_owned))?;
    let mut all = upstreams.iter();
    if let Some((_, upstream)) = all.find(|(known, _)| name::same(known, &name)) {
        return upstream.clone();
    }
    let wrong = match schema::nearest(&name, upstreams.keys().map(String::as_str)) {
        Some(near) => format!("there is no such upstream; did you mean \"{near}\"?"),
        None => format!("there is no such upstream: {}", known(upstreams)),
    };
    mistakes.wrong(leaf, wrong);
    None
}

fn known(upstreams: &Upstreams) -> String {
    if upstreams.is_empty() {
        return "there is none at all".to_owned();
    }
    let names: Vec<_> = upstreams.keys().map(String::as_str).collect();
    format!("there is {}", names.join(", "))
}

/// Notes routes for the same requests: which of them would win?
fn refuse_same_share(
    tree: &Table,
    raw: &BTreeMap<String, raw::Route>,
    routes: &[Option<Route>],
    mistakes: &mut Mistakes,
) {
    let routes: Vec<_> = routes.iter().flatten().collect();
    for (i, route) in routes.iter().enumerate() {
        let same =
            |other: &&&Route| other.host == route.host && other.path_prefix == route.path_prefix;
        if let Some(first) = routes[..i].iter().find(same) {
            let key = format!("route.{}", route.name);
            let first = table_set_at(tree, &format!("route.{}", first.name));
            // What makes it the same may have been set elsewhere than the rest of it.
            let set = raw.get(&*route.name);
            let share = set.map(|set| [&set.host, &set.path_prefix]);
            let leaves = share.into_iter().flatten().flatten();
            let origin = leaves
                .map(|leaf| &leaf.origin)
                .chain(tree.mentioned_by(&key))
                .max();
            let wrong = format!("is for the same host and path_prefix as {first}");
            mistakes.wrong_at(&key, origin, wrong);
        }
    }
}
