//! The names that an operator gives to listeners, upstreams, routes and certificates.
//!
//! They become metric labels and parts of variables. A variable is upper case and has no hyphen, and
//! two underscores in a row separate its levels. So case does not count when names are compared, a
//! hyphen equals an underscore, and neither can stand beside another: every name can be said by a
//! variable. What is shown is the name as the first layer writes it.

use std::mem;

use super::keys::{self, NAME};
use super::tree::{Table, Tree};

/// The longest name.
pub(super) const MAX: usize = 63;

/// What a name may look like, for messages.
pub(crate) const RULE: &str = "a name is at most 63 letters, digits, - and _, without - or _ at an \
                               end or two of them in a row";

/// The one name that a route cannot have, for messages.
pub(crate) const TAKEN: &str =
    "this name stands in metrics for requests that reach no route; choose another";

/// Whether `name` is one.
pub(crate) fn is_name(name: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
    name.len() <= MAX && name.split(['-', '_']).all(is_word)
}

/// Whether two names are one.
pub(crate) fn same(a: &str, b: &str) -> bool {
    let folded = |b: u8| match b {
        b'-' => b'_',
        b => b.to_ascii_lowercase(),
    };
    a.bytes().map(folded).eq(b.bytes().map(folded))
}

/// Writes the names in `layer`, and the keys of its values, as `weaker` layers do where these have
/// them.
pub(crate) fn adopt(layer: &mut Table, weaker: &Table) {
    adopt_below(layer, Some(weaker), &mut Vec::new());
}

fn adopt_below(layer: &mut Table, weaker: Option<&Table>, path: &mut Vec<String>) {
    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
    let are_names = keys::children(&segments) == [NAME];
    for (name, mut tree) in mem::take(&mut layer.entries) {
        let mut known = weaker.into_iter().flat_map(|table| table.entries.keys());
        let known = known.find(|known| are_names && same(known, &name));
        let name = known.unwrap_or(&name).clone();
        path.push(name.clone());
        match &mut tree {
            Tree::Table(table) => {
                let weaker = weaker.and_then(|weaker| weaker.table(&name));
                adopt_below(table, weaker, path);
            }
            Tree::Leaf(leaf) => leaf.key = path.join("."),
        }
        path.pop();
        layer.entries.insert(name, tree);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "a".repeat(MAX);
        for name in [
            "a", "1", "1a", "chat", "Chat", "chat_v2", "chat-v2", "a-b_c", "A1-2b_c", &longest,
        ] {
            assert!(is_name(name), "{name}");
        }
        let too_long = "a".repeat(MAX + 1);
        for name in [
            "", "_a", "a_", "-a", "a-", "a__b", "a--b", "a-_b", "a.b", "a b", "ä", &too_long,
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn case_does_not_count_and_a_hyphen_is_an_underscore() {
        assert!(same("Chat-V2", "chat_v2"));
        assert!(same("a", "A"));
        assert!(!same("chat-v2", "chatv2"));
        assert!(!same("a", "ab"));
    }
}
