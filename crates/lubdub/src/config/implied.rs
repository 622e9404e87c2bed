//! What need not be said: a route where there is one upstream, and what routes leave out.
//!
//! It is put into the tree like any other value, so that it is also shown like any other.

use super::keys;
use super::leaf::Scalar;
use super::origin::Origin;
use super::tree::{Table, Tree};

/// Adds what is implied to `root`.
pub(crate) fn complete(root: &mut Table) {
    let upstreams: Vec<String> = root
        .table("upstream")
        .map(|upstreams| upstreams.entries.keys().cloned().collect())
        .unwrap_or_default();
    let Some(routes) = root.table_mut("route") else { return };
    let only = match &upstreams[..] {
        [only] => Some(only),
        _ => None,
    };
    if let Some(only) = only
        && routes.entries.is_empty()
    {
        routes.entries.insert(only.clone(), Tree::Table(Table::new(Origin::Default)));
    }
    for (name, route) in &mut routes.entries {
        let Tree::Table(route) = route else { continue };
        let key = format!("route.{name}");
        if let Some(only) = only {
            route.imply(&key, "upstream", Scalar::Text(only.clone()));
        }
        for place in keys::places() {
            if let (["route", keys::NAME, last], keys::Preset::Default(literal)) =
                (&place.path[..], place.key.preset)
            {
                route.imply(&key, last, literal.scalar());
            }
        }
    }
}
