//! What need not be said: the defaults, a route where there is one upstream, and what routes leave
//! out.
//!
//! It is put into the tree like any other value, so that it is also shown like any other, and after
//! what is no value has been taken out, so that the defaults are there whatever was set.

use super::keys::{self, NAME, Preset, Reach};
use super::leaf::Scalar;
use super::origin::Origin;
use super::tree::{Table, Tree};

/// Adds what is implied to `root`.
pub(crate) fn complete(root: &mut Table) {
    add_defaults(root);
    add_to_listeners(root);
    add_to_upstreams(root);
    add_routes(root);
}

/// Adds the values of keys whose tables are always there.
fn add_defaults(root: &mut Table) {
    for place in keys::places() {
        let Preset::Default(literal) = place.key.preset else {
            continue;
        };
        if place.path.contains(&NAME) {
            continue;
        }
        let [tables @ .., name] = &place.path[..] else {
            continue;
        };
        let table = tables
            .iter()
            .try_fold(&mut *root, |table, name| table.table_mut(name));
        if let Some(table) = table {
            table.imply(&tables.join("."), name, literal.scalar());
        }
    }
}

/// Adds what listeners leave out, and those with TLS of that. A listener without it stays so.
fn add_to_listeners(root: &mut Table) {
    let Some(listeners) = root.table_mut("listen") else {
        return;
    };
    for (name, listener) in &mut listeners.entries {
        let Tree::Table(listener) = listener else {
            continue;
        };
        for place in keys::places() {
            let Preset::Default(literal) = place.key.preset else {
                continue;
            };
            match place.path[..] {
                ["listen", NAME, last] => {
                    listener.imply(&format!("listen.{name}"), last, literal.scalar());
                }
                ["listen", NAME, "tls", last] => {
                    if let Some(Tree::Table(tls)) = listener.entries.get_mut("tls") {
                        tls.imply(&format!("listen.{name}.tls"), last, literal.scalar());
                    }
                }
                _ => {}
            }
        }
    }
}

/// Adds what upstreams leave out.
fn add_to_upstreams(root: &mut Table) {
    let Some(upstreams) = root.table_mut("upstream") else {
        return;
    };
    for (name, upstream) in &mut upstreams.entries {
        let Tree::Table(upstream) = upstream else {
            continue;
        };
        for place in keys::places() {
            if let (["upstream", NAME, tables @ .., last], Preset::Default(literal)) =
                (&place.path[..], place.key.preset)
            {
                let key = [&["upstream", name], tables].concat().join(".");
                let table = tables
                    .iter()
                    .try_fold(&mut *upstream, |table, name| table.table_mut(name));
                if let Some(table) = table {
                    table.imply(&key, last, literal.scalar());
                }
            }
        }
    }
}

/// Adds the route to the only upstream, and what routes leave out.
fn add_routes(root: &mut Table) {
    let upstreams: Vec<String> = root
        .table("upstream")
        .map(|upstreams| upstreams.entries.keys().cloned().collect())
        .unwrap_or_default();
    let Some(routes) = root.table_mut("route") else {
        return;
    };
    let only = match &upstreams[..] {
        [only] => Some(only),
        _ => None,
    };
    if let Some(only) = only
        && routes.entries.is_empty()
    {
        routes
            .entries
            .insert(only.clone(), Tree::Table(Table::new(Origin::Default)));
    }
    for (name, route) in &mut routes.entries {
        let Tree::Table(route) = route else { continue };
        let key = format!("route.{name}");
        if let Some(only) = only {
            route.imply(&key, "upstream", Scalar::Text(only.clone()));
        }
        for place in keys::places() {
            // What can be set for one route as well has its default elsewhere.
            if let (["route", NAME, tables @ .., last], Reach::Global, Preset::Default(literal)) =
                (&place.path[..], place.key.reach, place.key.preset)
            {
                let key = [&[key.as_str()], tables].concat().join(".");
                let table = tables
                    .iter()
                    .try_fold(&mut *route, |table, name| table.table_mut(name));
                if let Some(table) = table {
                    table.imply(&key, last, literal.scalar());
                }
            }
        }
    }
}
