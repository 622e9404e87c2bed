//! Text about keys, and words in patterns.

/// `text` with the words of its links in place of them: they lead from page to page, and here is none.
pub(super) fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after
            .split_once("](")
            .and_then(|(words, after)| Some((words, after.split_once(')')?.1)));
        plain.push_str(before);
        match link {
            Some((words, after)) if !words.contains(['[', ']']) => {
                plain.push_str(words);
                rest = after;
            }
            _ => {
                plain.push('[');
                rest = after;
            }
        }
    }
    plain + rest
}

/// A pattern for `word`, whatever the case of its letters.
pub(super) fn in_any_case(word: &str) -> String {
    let either = |c: char| match c.is_ascii_alphabetic() {
        true => format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()),
        false => c.to_string(),
    };
    word.chars().map(either).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_become_their_words() {
        for (text, expected) in [
            ("see [the log](log.md#x).", "see the log."),
            ("`[::]` and [a](b) `[]` [c](d)", "`[::]` and a `[]` c"),
            ("as [\"a\"]; (b)", "as [\"a\"]; (b)"),
        ] {
            assert_eq!(without_links(text), expected);
        }
    }

    #[test]
    fn case_does_not_count() {
        assert_eq!(in_any_case("te-1"), "[Tt][Ee]-1");
    }
}
