//! What differs between two configurations, and from when on it holds.

use std::collections::BTreeMap;

use super::keys::{self, Applies};
use super::leaf::Leaf;
use super::origin::Origin;
use super::tree::{Table, Tree};

/// A key whose value is another one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change<'a> {
    /// What it was and where it was set; `None` if it was not set.
    pub before: Option<&'a Leaf>,
    /// What it is and where it is set; `None` if it is not set any more.
    pub after: Option<&'a Leaf>,
    /// From when on the new value holds.
    pub applies: Applies,
}

/// Every change from one configuration to another, in the order of the keys.
pub(crate) fn between<'a>(before: &'a Table, after: &'a Table) -> Vec<Change<'a>> {
    let (before, after) = (leaves(before), leaves(after));
    let mut all: Vec<_> = before.keys().chain(after.keys()).copied().collect();
    all.sort_unstable();
    all.dedup();
    let change = |key: &str| {
        let (before, after) = (before.get(key).copied(), after.get(key).copied());
        let path: Vec<&str> = key.split('.').collect();
        let change = Change {
            before,
            after,
            // Whatever is no key has been refused before it could get here.
            applies: keys::applies(&path).unwrap_or(Applies::AtOnce),
        };
        change.is_one().then_some(change)
    };
    all.into_iter().filter_map(change).collect()
}

fn leaves(table: &Table) -> BTreeMap<&str, &Leaf> {
    let all = table.entries.values().flat_map(Tree::leaves);
    all.map(|leaf| (&*leaf.key, leaf)).collect()
}

// === impl Change ===

impl Change<'_> {
    /// Whether it changes anything. A default that comes or goes with its table says nothing.
    fn is_one(&self) -> bool {
        match (self.before, self.after) {
            (Some(before), Some(after)) => before.value != after.value,
            (Some(leaf), None) | (None, Some(leaf)) => leaf.origin != Origin::Default,
            (None, None) => false,
        }
    }

    /// The whole key.
    pub(crate) fn key(&self) -> &str {
        let leaf = self.after.or(self.before);
        leaf.map(|leaf| &*leaf.key).unwrap_or_default()
    }

    /// The old value as it is written, or that there was none.
    pub(crate) fn written_before(&self) -> String {
        written(self.before)
    }

    /// The new one.
    pub(crate) fn written_after(&self) -> String {
        written(self.after)
    }
}

fn written(value: Option<&Leaf>) -> String {
    let text = |leaf: &Leaf| leaf.value.to_string();
    value.map_or_else(|| "not set".to_owned(), text)
}
