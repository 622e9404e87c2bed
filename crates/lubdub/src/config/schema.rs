//! Holds what a layer sets against what can be set: unknown keys, bad names, values where tables
//! belong.
//!
//! What is refused is also taken out, so that the rest can be read and all mistakes are found.

use lubdub_metrics::NO_ROUTE;

use super::error::{Mistake, Mistakes, Wrong};
use super::keys::{self, Found};
use super::leaf::{Leaf, Scalar};
use super::tree::{Table, Tree};
use super::{misplaced, name, url};

/// Words in the keys of secrets.
const SECRETIVE: [&str; 4] = ["key", "password", "secret", "token"];

/// Checks the shape of the layer `root`; what is left in it can be read.
pub(crate) fn check(root: &mut Table, mistakes: &mut Mistakes) {
    check_table(root, &mut Vec::new(), mistakes);
}

/// The best of `known` for `given`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (given.len() / 3).max(1);
    known
        .into_iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&given.to_lowercase(), name),
                name,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn check_table(table: &mut Table, path: &mut Vec<String>, mistakes: &mut Mistakes) {
    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
    let are_names = keys::children(&segments) == [keys::NAME];
    let mut names: Vec<String> = Vec::new();
    table.entries.retain(|segment, tree| {
        let twin = names.iter().find(|name| name::same(name, segment));
        path.push(segment.clone());
        let keep = match (twin, &*tree) {
            (Some(twin), Tree::Table(table)) if are_names => {
                let wrong = format!(
                    "is the same name as {twin}: case does not count, and - is as good as _"
                );
                refuse_table(table, path, &wrong, mistakes);
                false
            }
            _ => check_entry(tree, path, mistakes),
        };
        path.pop();
        names.push(segment.clone());
        keep
    });
}

/// Whether the entry can stay.
fn check_entry(tree: &mut Tree, path: &mut Vec<String>, mistakes: &mut Mistakes) -> bool {
    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
    match (keys::find(&segments), tree) {
        (Found::Key(key), Tree::Leaf(leaf)) => {
            let value = std::mem::replace(&mut leaf.value, Scalar::Bool(false));
            leaf.value = key.kind.understood(value);
            true
        }
        (Found::Table, Tree::Table(table)) => {
            check_table(table, path, mistakes);
            true
        }
        (Found::Named, Tree::Table(table)) => {
            let wrong = match segments[..] {
                ["route", name] if name::same(name, NO_ROUTE) => Some(name::TAKEN),
                [.., name] if !name::is_name(name) => Some(name::RULE),
                _ => None,
            };
            match wrong {
                Some(wrong) => refuse_table(table, path, wrong, mistakes),
                None => check_table(table, path, mistakes),
            }
            wrong.is_none()
        }
        (Found::Table | Found::Named, Tree::Leaf(leaf)) => {
            let wrong = misplaced::in_place_of_table(&segments, &leaf.value);
            refuse_leaf(leaf, wrong, mistakes);
            false
        }
        (Found::Key(_), Tree::Table(table)) => {
            refuse_table(table, path, "takes a value, not a table", mistakes);
            false
        }
        (Found::Nothing, tree) => {
            refuse_unknown(tree, &segments, mistakes);
            false
        }
    }
}

/// Notes that the table at `path` is refused.
fn refuse_table(table: &Table, path: &[String], wrong: &str, mistakes: &mut Mistakes) {
    mistakes.wrong_at(path.join("."), Some(&table.origin), wrong);
}

/// Notes every value in `tree`, which is at `path` and no key is declared for.
fn refuse_unknown(tree: &Tree, path: &[&str], mistakes: &mut Mistakes) {
    let leaves = tree.leaves();
    if let (Tree::Table(table), true) = (tree, leaves.is_empty()) {
        mistakes.wrong_at(path.join("."), Some(&table.origin), unknown(path, &[]));
    }
    for leaf in leaves {
        let below: Vec<&str> = leaf.key.split('.').skip(path.len()).collect();
        refuse_leaf(leaf, unknown(path, &below), mistakes);
    }
}

/// Notes that a value is refused which no key takes; it may be a secret that went astray.
fn refuse_leaf(leaf: &Leaf, wrong: String, mistakes: &mut Mistakes) {
    let key = leaf.key.to_lowercase();
    let is_secretive = SECRETIVE.iter().any(|word| key.contains(word));
    mistakes.push(Mistake {
        what: leaf.key.clone(),
        value: (!is_secretive).then(|| redacted(&leaf.value).to_string()),
        origin: Some(leaf.origin.clone()),
        wrong: Wrong(wrong),
    });
}

/// `value` without what URLs in it may hold.
fn redacted(value: &Scalar) -> Scalar {
    match value {
        Scalar::Text(text) => Scalar::Text(url::redacted(text)),
        Scalar::List(values) => Scalar::List(values.iter().map(redacted).collect()),
        Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Float(_) => value.clone(),
    }
}

/// What to say about a path whose last segment is unknown, with a value at `below` in it.
fn unknown(path: &[&str], below: &[&str]) -> String {
    let (Some(last), table) = (path.last(), &path[..path.len().saturating_sub(1)]) else {
        return "unknown key".to_owned();
    };
    let siblings = keys::children(table);
    if let Some(name) = nearest(last, siblings.iter().copied()) {
        let meant = [table, &[name], below].concat();
        let meant = match keys::find(&meant) {
            Found::Nothing => &meant[..path.len()],
            Found::Key(_) | Found::Table | Found::Named => &meant[..],
        };
        return format!("unknown key; did you mean {}?", meant.join("."));
    }
    // Perhaps the right key in a table that lacks a name, whose name its own table is taken for.
    if let Some(example) = misplaced::nameless(table)
        && let Some(inner) = table.last()
    {
        let meant = [&[example.as_str(), inner, last], below].concat();
        return format!("unknown key; did you mean {}?", meant.join("."));
    }
    // Perhaps the right key in the wrong table.
    let elsewhere = keys::places()
        .iter()
        .find(|place| place.key.name == *last && !place.path.contains(&keys::NAME));
    if let Some(place) = elsewhere {
        return format!("unknown key; did you mean {}?", place.path.join("."));
    }
    match table {
        [] => format!("unknown key; there are {}", siblings.join(", ")),
        _ => format!(
            "unknown key; {} has {}",
            table.join("."),
            siblings.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near_or_in_another_table() {
        let says = |path: &[&str]| unknown(path, &[]).split_off("unknown key; ".len());
        assert_eq!(says(&["keepalvie"]), "did you mean keepalive?");
        assert_eq!(
            says(&["timeouts", "conect"]),
            "did you mean timeouts.connect?"
        );
        assert_eq!(
            says(&["listen", "a", "adress"]),
            "did you mean listen.a.address?"
        );
        assert_eq!(says(&["Log"]), "did you mean log?");
        assert_eq!(
            says(&["keepalive", "interval"]),
            "did you mean keepalive.client.interval?"
        );
        assert_eq!(
            says(&["log", "colour"]),
            "log has format, level, request, refusals"
        );
    }

    #[test]
    fn a_suggestion_for_a_table_goes_on_to_the_key_as_far_as_that_is_known() {
        let says = |below: &[&str]| unknown(&["keepalvie"], below).split_off("unknown key; ".len());
        assert_eq!(
            says(&["client", "interval"]),
            "did you mean keepalive.client.interval?"
        );
        assert_eq!(says(&["client", "colour"]), "did you mean keepalive?");
    }

    #[test]
    fn what_is_far_is_not_suggested() {
        assert_eq!(nearest("qqqq", ["pairs", "handshakes"]), None);
        assert_eq!(nearest("piars", ["pairs", "handshakes"]), Some("pairs"));
    }
}
