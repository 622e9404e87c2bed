//! What was set, by one layer or by all: tables of tables of leaves, each leaf with its origin.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::leaf::{Leaf, Scalar};
use super::origin::Origin;

/// A table or a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Tree {
    /// A value.
    Leaf(Leaf),
    /// A table.
    Table(Table),
}

/// A table; it may be empty, which still says that it is there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Table {
    /// What is in it, by name.
    pub entries: BTreeMap<String, Tree>,
    /// Who mentioned it first: the only trace of a table without entries.
    #[serde(skip)]
    pub origin: Origin,
    /// Its place among the tables beside it, where their order counts.
    #[serde(skip)]
    pub place: Place,
}

/// The place of a table. Those that the file names come in its order, all others behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// It is the one with this number in the file.
    File(usize),
    /// It has none but by its name.
    Name,
}

// === impl Table ===

impl Table {
    /// An empty table.
    pub(crate) fn new(origin: Origin) -> Self {
        Self {
            entries: BTreeMap::new(),
            origin,
            place: Place::Name,
        }
    }

    /// The table with this name in it, if there is one.
    pub(crate) fn table(&self, name: &str) -> Option<&Self> {
        match self.entries.get(name)? {
            Tree::Table(table) => Some(table),
            Tree::Leaf(_) => None,
        }
    }

    /// The table with this key in it, if there is one.
    pub(crate) fn at(&self, key: &str) -> Option<&Self> {
        key.split('.')
            .try_fold(self, |table, name| table.table(name))
    }

    /// The table with this name in it, made if need be; `None` if the name is a value's.
    pub(crate) fn table_mut(&mut self, name: &str) -> Option<&mut Self> {
        let tree = self
            .entries
            .entry(name.to_owned())
            .or_insert_with(|| Tree::Table(Self::new(Origin::Default)));
        match tree {
            Tree::Table(table) => Some(table),
            Tree::Leaf(_) => None,
        }
    }

    /// The tables in it by name, in the order that counts.
    pub(crate) fn tables(&self) -> Vec<(&str, &Self)> {
        let tables = self.entries.iter().filter_map(|(name, tree)| match tree {
            Tree::Table(table) => Some((name.as_str(), table)),
            Tree::Leaf(_) => None,
        });
        let mut tables: Vec<_> = tables.collect();
        // Those that share a place stay in the order of their names.
        tables.sort_by_key(|(_, table)| table.place);
        tables
    }

    /// Gives the tables in it, as far as they are named, the places of `names`.
    pub(crate) fn arrange<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for (number, name) in names.enumerate() {
            if let Some(Tree::Table(table)) = self.entries.get_mut(name) {
                table.place = Place::File(number);
            }
        }
    }

    /// Who mentioned the table with this key first; `None` if it is only implied.
    pub(crate) fn mentioned_by(&self, key: &str) -> Option<&Origin> {
        let table = self.at(key)?;
        (table.origin != Origin::Default).then_some(&table.origin)
    }

    /// Lays a stronger layer over it, value by value.
    pub(crate) fn overlay(&mut self, stronger: Self) {
        for (name, tree) in stronger.entries {
            match (self.entries.get_mut(&name), tree) {
                (Some(Tree::Table(weaker)), Tree::Table(stronger)) => weaker.overlay(stronger),
                (_, tree) => {
                    self.entries.insert(name, tree);
                }
            }
        }
    }

    /// Sets a built-in value unless something is set.
    pub(crate) fn imply(&mut self, key: &str, name: &str, value: Scalar) {
        self.entries.entry(name.to_owned()).or_insert_with(|| {
            Tree::Leaf(Leaf {
                key: format!("{key}.{name}"),
                value,
                origin: Origin::Default,
            })
        });
    }

    /// Reads the tree as `T`.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, toml::de::Error> {
        let value = toml::Value::try_from(self).map_err(serde::de::Error::custom)?;
        value.try_into()
    }
}

// === impl Tree ===

impl Tree {
    /// Every value in it, in order.
    pub(crate) fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Self::Leaf(leaf) => vec![leaf],
            Self::Table(table) => table.entries.values().flat_map(Self::leaves).collect(),
        }
    }
}
