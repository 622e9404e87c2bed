//! What is new in the next configuration though no key says so: what is in a file, and the order of tables.

use super::content::Content;
use super::keys::{self, Applies};
use super::leaf::Leaf;
use super::tree::{Table, Tree};
use super::{Config, file};

/// A file with other contents, whatever they are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rewritten<'a> {
    /// The key that names it, or would.
    pub key: &'a str,
    /// What it is set to; `None` for what the platform has.
    pub leaf: Option<&'a Leaf>,
    /// Where it is.
    pub file: String,
    /// From when on the new contents hold.
    pub applies: Applies,
}

/// Tables in another order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rearranged {
    /// The key of the table that they are in.
    pub key: String,
    /// Their names as they were.
    pub before: String,
    /// As they are.
    pub after: String,
    /// From when on the new order holds.
    pub applies: Applies,
}

// === impl Config ===

impl Config {
    /// The files that hold something else in `next`, without the certificates that are in use already because their
    /// files are watched.
    pub(crate) fn rewritten_in<'a>(&'a self, next: &'a Self) -> Vec<Rewritten<'a>> {
        let changed = self.contents.changed(&next.contents);
        let changed = changed.filter(|(key, _)| !self.shows_already(key, next));
        changed
            .map(|(key, content)| Rewritten::new(key, content, &next.effective))
            .collect()
    }

    /// The certificates of listeners that are in another order in `next`: who asks for no name that one of them has is
    /// shown the first.
    pub(crate) fn rearranged_in(&self, next: &Self) -> Vec<Rearranged> {
        let listeners = next.effective.table("listen").map(Table::tables);
        let listeners = listeners.into_iter().flatten();
        listeners
            .filter_map(|(name, _)| {
                let key = format!("listen.{name}.tls.certificate");
                Rearranged::of(key, &self.effective, &next.effective)
            })
            .collect()
    }

    /// Whether `key` is of a certificate of `next` that clients are shown already.
    fn shows_already(&self, key: &str, next: &Self) -> bool {
        let table = key.rsplit_once('.').map(|(table, _)| table);
        let shown = |config: &Self| {
            let mut all = config.certificates.iter();
            let found = all.find(|it| Some(&*it.files.table) == table)?;
            Some(found.certificates.get(found.place))
        };
        match (shown(self), shown(next)) {
            (Some(used), Some(next)) => used == next,
            _ => false,
        }
    }
}

// === impl Rewritten ===

impl<'a> Rewritten<'a> {
    fn new(key: &'a str, content: &Content, effective: &'a Table) -> Self {
        let path: Vec<&str> = key.split('.').collect();
        let file = content.file.as_deref().map(file::absolute);
        Self {
            key,
            leaf: leaf(effective, &path),
            file: file.unwrap_or_else(|| "the platform's certificates".to_owned()),
            // What names a file is a key.
            applies: keys::applies(&path).unwrap_or(Applies::AtOnce),
        }
    }
}

fn leaf<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Leaf> {
    let (name, tables) = path.split_last()?;
    let table = tables
        .iter()
        .try_fold(table, |table, name| table.table(name))?;
    match table.entries.get(*name)? {
        Tree::Leaf(leaf) => Some(leaf),
        Tree::Table(_) => None,
    }
}

// === impl Rearranged ===

impl Rearranged {
    /// The tables at `key`, if those that were there before are in another order, or another one is the first.
    fn of(key: String, before: &Table, after: &Table) -> Option<Self> {
        let names = |table: &'_ Table| -> Option<Vec<String>> {
            let tables = table.at(&key)?.tables();
            Some(tables.iter().map(|(name, _)| (*name).to_owned()).collect())
        };
        let (before, after) = (names(before)?, names(after)?);
        let both = |these: &[String], those: &[String]| -> Vec<String> {
            let in_both = these.iter().filter(|name| those.contains(name));
            in_both.cloned().collect()
        };
        let is_same =
            before.first() == after.first() && both(&before, &after) == both(&after, &before);
        if is_same {
            return None;
        }
        let path: Vec<&str> = key.split('.').chain(["NAME", "cert"]).collect();
        Some(Self {
            applies: keys::applies(&path).unwrap_or(Applies::AtOnce),
            before: before.join(", "),
            after: after.join(", "),
            key,
        })
    }
}
