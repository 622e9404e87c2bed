//! What there is to say about each warning: the sections of a page that is documentation, too.

/// The page. What is committed as docs/topics/checks.md is made from it, so that the program says
/// the same where there are no docs.
pub(super) const PAGE: &str = include_str!("explanations.txt");

/// Where the page is, from the root of the repository; its links begin there.
const DIRECTORY: &str = "docs/topics/";

/// The names of all warnings, in the order of their sections.
pub(crate) fn warnings() -> Vec<&'static str> {
    sections().map(|(name, _)| name).collect()
}

/// What there is to say about a warning; of all of them a line, if none is named.
pub(crate) fn explanation(name: Option<&str>) -> String {
    let found = sections().filter(|(known, _)| name.is_none_or(|name| name == *known));
    let text = found.map(|(known, text)| match name {
        Some(_) => format!("{known}\n\n{}\n", plain(text)),
        None => format!(
            "{known}: {}\n",
            plain(first_paragraph(text)).replace('\n', " ")
        ),
    });
    text.collect()
}

/// Each section: its name, and its text without white space around it.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    let sections = PAGE.split("\n## ").skip(1);
    sections.filter_map(|section| section.split_once('\n').map(|(n, text)| (n, text.trim())))
}

fn first_paragraph(text: &str) -> &str {
    text.split("\n\n").next().unwrap_or(text)
}

/// `text` with its links as words: behind what is linked, where more is said.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        let parts = link.split_once("](").and_then(|(words, after)| {
            let (target, after) = after.split_once(')')?;
            Some((words, target, after))
        });
        match parts {
            // Brackets that are no link hold a piece of configuration.
            Some((words, target, after)) if !words.contains(']') => {
                out.push_str(&format!("{words} ({})", place(target)));
                rest = after;
            }
            _ => {
                out.push('[');
                rest = link;
            }
        }
    }
    out + rest
}

/// Where a link of the page leads.
fn place(target: &str) -> String {
    match (target.strip_prefix('#'), target.strip_prefix("../")) {
        (Some(name), _) => format!("lubdub explain {name}"),
        (None, Some(above)) => format!("docs/{above}"),
        (None, None) => format!("{DIRECTORY}{target}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_become_words() {
        assert_eq!(
            plain("see [more\nof it](keepalive.md#x), [y](#y-z), [z](../reference/a.md) and [::]."),
            "see more\nof it (docs/topics/keepalive.md#x), y (lubdub explain y-z), \
             z (docs/reference/a.md) and [::]."
        );
    }
}
