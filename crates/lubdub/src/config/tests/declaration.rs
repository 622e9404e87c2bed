//! The declaration of the keys against all that must agree with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::keys::{self, NAME};
use super::super::leaf::{Leaf, Scalar};
use super::super::tree::Tree;
use super::super::*;
use super::with;

/// A tree with a value at `path`, the operator's names being "x".
fn tree_with(path: &[&str]) -> Table {
    let [table @ .., last] = path else {
        panic!("an empty path")
    };
    let mut root = Table::new(Origin::Default);
    let mut inner = &mut root;
    for segment in table {
        let segment = if *segment == NAME { "x" } else { segment };
        inner = inner.table_mut(segment).unwrap();
    }
    let leaf = Leaf {
        key: path.join("."),
        value: Scalar::Float(f64::INFINITY),
        origin: Origin::File("file".to_owned()),
    };
    inner.entries.insert((*last).to_owned(), Tree::Leaf(leaf));
    root
}

#[test]
fn what_is_declared_can_be_read() {
    for place in keys::places() {
        tree_with(&place.path)
            .read::<Raw>()
            .unwrap_or_else(|error| panic!("{place:?}: {error}"));
    }
}

#[test]
fn what_can_be_read_is_declared() {
    let mut tables: BTreeSet<&[&str]> = BTreeSet::new();
    for place in keys::places() {
        tables.extend((0..place.path.len()).map(|end| &place.path[..end]));
    }
    for table in tables {
        let declared = keys::children(table);
        if declared == [NAME] {
            continue;
        }
        // The refusal of an unknown key names the known ones.
        let refusal = tree_with(&[table, &["qqq"]].concat())
            .read::<Raw>()
            .unwrap_err()
            .to_string();
        let names = refusal
            .lines()
            .next()
            .unwrap_or_default()
            .split('`')
            .skip(1)
            .step_by(2);
        let known: BTreeSet<_> = names.filter(|name| *name != "qqq").collect();
        assert_eq!(
            known,
            declared.into_iter().collect(),
            "{table:?}: {refusal}"
        );
    }
}

#[test]
fn defaults_and_examples_are_values_that_their_keys_take() {
    for place in keys::places() {
        // These are files, which the example does not come with.
        if matches!(place.key.kind, keys::Kind::File) {
            continue;
        }
        // These are of Unix sockets, which the example has none of, and groups are the machine's.
        if matches!(place.key.kind, keys::Kind::Mode) {
            read::mode(&place.key.preset.literal().scalar()).unwrap();
            continue;
        }
        if matches!(place.key.kind, keys::Kind::Group) {
            continue;
        }
        // The listener that has an address, or the upstream that has a URL.
        let name = if place.path[0] == "listen" { "a" } else { "b" };
        let names = |segment: &&'static str| if *segment == NAME { name } else { segment };
        let key = place.path.iter().map(names).collect::<Vec<_>>().join(".");
        let value = if matches!(place.key.kind, keys::Kind::UpstreamName) {
            "b".to_owned()
        } else {
            place.key.preset.literal().scalar().to_string()
        };
        let mut set = vec![(&*key, &*value)];
        if place.key.name == "server_name" {
            // Without roots of the platform's.
            set.extend([
                ("upstream.b.url", "wss://b"),
                ("upstream.b.insecure_skip_verify", "true"),
            ]);
        }
        let Err(mistakes) = with(&set) else {
            continue;
        };
        // TLS needs a certificate besides, which is made of files.
        let is_tls = place.path.starts_with(&["listen", NAME, "tls"]);
        let mistakes = mistakes.to_string();
        assert!(
            is_tls && !mistakes.contains(&format!("{key} = ")),
            "{key} = {value}: {mistakes}"
        );
    }
}

/// Compares a committed file with what is made of the declaration, or writes it if
/// `LUBDUB_BLESS` is 1.
pub(super) fn assert_committed(path: &str, made: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    if std::env::var_os("LUBDUB_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(&path, made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "{} is not what the declaration of the keys makes; LUBDUB_BLESS=1 writes it",
        path.display()
    );
}

#[test]
fn the_committed_example_is_made_from_the_declaration() {
    assert_committed("lubdub.example.toml", &example());
}

#[test]
fn the_committed_reference_is_made_from_the_declaration() {
    assert_committed("docs/reference/config.md", &reference());
}

#[test]
fn the_committed_page_of_warnings_is_what_the_program_says() {
    assert_committed("docs/topics/checks.md", explanation::PAGE);
}
