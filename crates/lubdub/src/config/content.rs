//! What the files held that a configuration names: whether it is the same again.
//!
//! It is looked at before the files are read for use. Where one is written in between, it is told at the next
//! reload that it has changed, and never taken for the same.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lubdub_proxy::tls;

use super::keys::{self, Found, Kind};
use super::leaf::Leaf;
use super::tree::{Table, Tree};
use super::{file, read, reading, url};

/// How often something was met that can be read once.
static READS: AtomicU64 = AtomicU64::new(0);

/// What every file held, by the key that names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents(BTreeMap<String, Content>);

/// What a file held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Where it is; `None` for the certificates of the platform, which nobody has named.
    pub file: Option<PathBuf>,
    /// Tells it from other contents. Never shown: it may be of a secret.
    digest: u64,
}

// === impl Contents ===

impl Contents {
    /// What the files hold that `tree` names.
    pub(crate) fn of(tree: &Table) -> Self {
        let leaves = tree.entries.values().flat_map(Tree::leaves);
        let named = leaves.filter_map(|leaf| {
            let path: Vec<&str> = leaf.key.split('.').collect();
            let Found::Key(key) = keys::find(&path) else {
                return None;
            };
            matches!(key.kind, Kind::File).then(|| Some((leaf.key.clone(), Content::of(leaf)?)))?
        });
        let mut contents: BTreeMap<_, _> = named.collect();
        let mut platform = None;
        for key in trusting_the_platform(tree) {
            let digest = *platform.get_or_insert_with(|| digest(&tls::platform_roots()));
            contents.insert(key, Content { file: None, digest });
        }
        Self(contents)
    }

    /// The keys whose files hold something else in `next`, as far as they are the same files.
    pub(crate) fn changed<'a>(
        &'a self,
        next: &'a Self,
    ) -> impl Iterator<Item = (&'a str, &'a Content)> {
        next.0.iter().filter_map(|(key, after)| {
            let before = self.0.get(key)?;
            (before.file == after.file && before.digest != after.digest)
                .then_some((key.as_str(), after))
        })
    }
}

impl Content {
    fn of(leaf: &Leaf) -> Option<Self> {
        let path = file::place(leaf).ok()?;
        // Whatever it is for: one that is cut off would look the same as another.
        let held = reading::read_again(&path, reading::LONGEST);
        Some(Self {
            digest: match held {
                Ok(Some(held)) => digest(&held),
                // What can be read once is never the same again.
                Ok(None) => READS.fetch_add(1, Relaxed),
                Err(error) => digest(&error.to_string()),
            },
            file: Some(path),
        })
    }
}

/// The keys that would name the authorities of those upstreams that have none of their own.
fn trusting_the_platform(tree: &Table) -> Vec<String> {
    let Some(upstreams) = tree.table("upstream") else {
        return Vec::new();
    };
    let trusting = upstreams.tables().into_iter().filter(|(_, upstream)| {
        let Some(Tree::Leaf(leaf)) = upstream.entries.get("url") else {
            return false;
        };
        let url = read::text(&leaf.value).ok().map(url::parse);
        let is_tls = matches!(url, Some(Ok(url)) if url.security == url::Security::Tls);
        let is_blind = matches!(
            upstream.entries.get("insecure_skip_verify"),
            Some(Tree::Leaf(leaf)) if read::switch(&leaf.value) == Ok(true)
        );
        is_tls && !is_blind && !upstream.entries.contains_key("ca")
    });
    trusting
        .map(|(name, _)| format!("upstream.{name}.ca"))
        .collect()
}

fn digest(contents: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    contents.hash(&mut hasher);
    hasher.finish()
}
