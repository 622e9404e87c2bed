//! Holds what was set against what can be set: unknown keys, bad names, values where tables belong.
//!
//! What is refused is also taken out, so that the rest can be read and all mistakes are found.

use lubdub_metrics::NO_ROUTE;

use super::error::{Mistake, Mistakes, Wrong};
use super::keys::{self, Found};
use super::leaf::{Leaf, Scalar};
use super::name;
use super::origin::Origin;
use super::tree::{Table, Tree};

/// Checks the shape of `root`; what is left in it can be read.
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
    table.entries.retain(|segment, tree| {
        path.push(segment.clone());
        let keep = check_entry(tree, path, mistakes);
        path.pop();
        keep
    });
}

/// Whether the entry can stay.
fn check_entry(tree: &mut Tree, path: &mut Vec<String>, mistakes: &mut Mistakes) -> bool {
    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
    match (keys::find(&segments), tree) {
        (Found::Key(key), Tree::Leaf(leaf)) => {
            if key.kind.takes_numbers() {
                let value = std::mem::replace(&mut leaf.value, Scalar::Bool(false));
                leaf.value = value.into_number();
            }
            true
        }
        (Found::Table, Tree::Table(table)) => {
            check_table(table, path, mistakes);
            true
        }
        (Found::Named, Tree::Table(table)) => {
            let wrong = match segments[..] {
                ["route", NO_ROUTE] => Some(name::TAKEN),
                [.., name] if !name::is_name(name) => Some(name::RULE),
                _ => None,
            };
            match wrong {
                Some(wrong) => refuse(&Tree::Table(table.clone()), path, wrong, mistakes),
                None => check_table(table, path, mistakes),
            }
            wrong.is_none()
        }
        (Found::Table | Found::Named, Tree::Leaf(leaf)) => {
            let [first, ..] = keys::children(&segments)[..] else {
                return false;
            };
            mistakes.wrong(
                leaf,
                format!(
                    "is a table: set what is in it, such as {}.{first}",
                    leaf.key
                ),
            );
            false
        }
        (Found::Key(_), tree @ Tree::Table(_)) => {
            refuse(tree, path, "takes a value, not a table", mistakes);
            false
        }
        (Found::Nothing, tree) => {
            refuse(tree, path, &unknown(&segments), mistakes);
            false
        }
    }
}

/// Notes that `tree` is refused: once for every place where something in it was set.
fn refuse(tree: &Tree, path: &[String], wrong: &str, mistakes: &mut Mistakes) {
    let note = |origin: &Origin, leaf: Option<&Leaf>| Mistake {
        what: path.join("."),
        value: leaf.map(|leaf| leaf.value.to_string()),
        origin: Some(origin.clone()),
        wrong: Wrong::new(wrong),
    };
    match tree {
        Tree::Leaf(leaf) => mistakes.push(note(&leaf.origin, Some(leaf))),
        Tree::Table(table) if table.entries.is_empty() => mistakes.push(note(&table.origin, None)),
        Tree::Table(_) => {
            for leaf in tree.leaves() {
                mistakes.push(note(&leaf.origin, None));
            }
        }
    }
}

/// What to say about a path whose last segment is unknown.
fn unknown(path: &[&str]) -> String {
    let (Some(last), table) = (path.last(), &path[..path.len().saturating_sub(1)]) else {
        return "unknown key".to_owned();
    };
    let siblings = keys::children(table);
    let dotted = |table: &[&str], name: &str| [table, &[name]].concat().join(".");
    if let Some(name) = nearest(last, siblings.iter().copied()) {
        return format!("unknown key; did you mean {}?", dotted(table, name));
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
        let says = |path: &[&str]| unknown(path).split_off("unknown key; ".len());
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
        assert_eq!(says(&["log", "colour"]), "log has format, level");
    }

    #[test]
    fn what_is_far_is_not_suggested() {
        assert_eq!(nearest("qqqq", ["pairs", "handshakes"]), None);
        assert_eq!(nearest("piars", ["pairs", "handshakes"]), Some("pairs"));
    }
}
