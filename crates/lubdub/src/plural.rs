//! Nouns for one and for many.

/// `noun`, as it is said of so many.
pub(crate) fn plural(count: u64, noun: &str) -> String {
    match count {
        1 => noun.to_owned(),
        _ => format!("{noun}s"),
    }
}
