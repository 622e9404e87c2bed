//! The names that an operator gives to listeners, upstreams, routes and certificates.
//!
//! They become metric labels and parts of environment variables: lower case, so that upper-casing
//! loses nothing, and without two underscores in a row, which separate the levels there.

/// The longest name.
const MAX: usize = 32;

/// What a name may look like, for messages.
pub(crate) const RULE: &str =
    "a name is at most 32 of a-z, 0-9 and single underscores, beginning with a letter";

/// The one name that a route cannot have, for messages.
pub(crate) const TAKEN: &str =
    "this name stands in metrics for requests that reach no route; choose another";

/// Whether `name` matches `[a-z][a-z0-9]*(_[a-z0-9]+)*` and is not too long.
pub(crate) fn is_name(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    name.len() <= MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.split('_').all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "a".repeat(MAX);
        for name in ["a", "chat", "chat_v2", "a1_2b_c", &longest] {
            assert!(is_name(name), "{name}");
        }
        let too_long = "a".repeat(MAX + 1);
        for name in [
            "", "_a", "a_", "a__b", "1a", "Chat", "a-b", "a.b", "ä", &too_long,
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
