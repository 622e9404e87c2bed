//! Configuration as TOML: the example file, the defaults, and what is in effect.

use std::sync::Arc;

use super::file;
use super::keys::{self, Example, Found, Kind, NAME, Preset, SECTIONS, Section};
use super::leaf::{Leaf, Scalar};
use super::origin::Origin;
use super::tree::{Table, Tree};

/// What the operator's names are in examples, by the table that they are in.
const NAMES: [(&str, &str); 4] = [
    ("listen", "public"),
    ("certificate", "main"),
    ("upstream", "chat"),
    ("route", "chat"),
];

/// Comments begin in this column at the latest.
const MAX_COLUMN: usize = 44;

/// The example file: enough to run, and all else as comments with its defaults.
pub(crate) fn example() -> String {
    let mut out = String::from(
        "#:schema ./lubdub.schema.json\n\
         # lubdub's configuration: an example that runs as it is. With what `lubdub config schema` prints beside\n\
         # it, under the name above, editors (with taplo: \"Even Better TOML\") complete and check it.\n\
         # What is commented out shows the default, or an example where there is none. Durations\n\
         # need a unit: ms, s, m, h, d. Any key can also be set by a variable, such as\n\
         # LUBDUB__KEEPALIVE__CLIENT__INTERVAL=5s, or by a flag: --set keepalive.client.interval=5s.\n",
    );
    for section in SECTIONS {
        let live = section.example == Example::Live;
        section_lines(&mut out, section, live, |preset| {
            live && matches!(preset, Preset::Required(_))
        });
    }
    out
}

/// All defaults, in effect; tables of the operator's choice as comments.
pub(crate) fn defaults() -> String {
    let mut out = String::from(
        "# lubdub's defaults. Nothing of this need be set; a listener and an upstream must be.\n",
    );
    for section in SECTIONS {
        let live = !section.path.contains(NAME);
        section_lines(&mut out, section, live, |preset| {
            live && matches!(preset, Preset::Default(_))
        });
    }
    out
}

/// What is in effect, with the origin of each value.
pub(crate) fn effective(root: &Table) -> String {
    let mut out = String::new();
    // In the order of the declaration, which is also that of the other documents.
    for name in keys::children(&[]) {
        if let Some(table) = root.table(name) {
            effective_table(&mut out, name, table);
        }
    }
    out
}

/// A path with the names that examples use.
pub(super) fn example_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('.') {
        let parent = segments.last().copied().unwrap_or_default();
        let name = NAMES
            .iter()
            .find(|(table, _)| *table == parent && segment == NAME);
        segments.push(name.map_or(segment, |(_, name)| name));
    }
    segments.join(".")
}

fn section_lines(
    out: &mut String,
    section: &Section,
    live: bool,
    is_live: impl Fn(Preset) -> bool,
) {
    out.push('\n');
    let about = section
        .about
        .split("\n\n")
        .next()
        .unwrap_or_default()
        .replace('`', "");
    for line in wrap(&about, 96) {
        out.push_str(&format!("# {line}\n"));
    }
    let mark = |live| if live { "" } else { "#" };
    out.push_str(&format!("{}[{}]\n", mark(live), example_path(section.path)));
    let lines: Vec<_> = section
        .keys
        .iter()
        .map(|key| {
            let value = key.preset.literal().scalar();
            (
                format!("{}{} = {value}", mark(is_live(key.preset)), key.name),
                key.help,
            )
        })
        .collect();
    let lines: Vec<_> = lines
        .iter()
        .map(|(line, comment)| (line.as_str(), *comment))
        .collect();
    commented(out, &lines);
}

/// A key that is in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// Whole, with dots.
    pub key: String,
    /// As TOML writes it.
    pub value: String,
    /// Where it was set; `None` for a default.
    pub origin: Option<String>,
}

/// What is in effect; it is written out when somebody asks.
#[derive(Debug)]
pub(crate) struct InEffect(Arc<Table>);

impl InEffect {
    pub(super) fn new(root: Arc<Table>) -> Self {
        Self(root)
    }

    /// Key by key, in the order of the declaration.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let children = keys::children(&[]);
        let trees = children.iter().filter_map(|name| self.0.entries.get(*name));
        let key = |leaf: &Leaf| Key {
            key: leaf.key.clone(),
            value: in_effect(leaf).to_string(),
            origin: (leaf.origin != Origin::Default).then(|| leaf.origin.to_string()),
        };
        trees.flat_map(Tree::leaves).map(key).collect()
    }
}

fn effective_table(out: &mut String, path: &str, table: &Table) {
    let mut lines = Vec::new();
    for (name, tree) in &table.entries {
        if let Tree::Leaf(leaf) = tree {
            let value = in_effect(leaf);
            lines.push((format!("{name} = {value}"), leaf.origin.to_string()));
        }
    }
    if !lines.is_empty() || table.entries.is_empty() {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("[{path}]\n"));
        // A comment ends with its line, whatever a file is called.
        let lines: Vec<_> = lines
            .iter()
            .map(|(line, origin)| (line.clone(), origin.replace('\n', " ")))
            .collect();
        let lines: Vec<_> = lines
            .iter()
            .map(|(line, o)| (line.as_str(), o.as_str()))
            .collect();
        commented(out, &lines);
    }
    for (name, table) in table.tables() {
        effective_table(out, &format!("{path}.{name}"), table);
    }
}

/// A value that means the same in whatever file it is put: a path begins where it is written.
fn in_effect(leaf: &Leaf) -> Scalar {
    let path: Vec<&str> = leaf.key.split('.').collect();
    match keys::find(&path) {
        Found::Key(key) if matches!(key.kind, Kind::File) => file::path(leaf).map_or_else(
            |_| leaf.value.clone(),
            |path| Scalar::Text(file::absolute(&path)),
        ),
        Found::Key(key) if matches!(key.kind, Kind::SocketOrOff) && !is_off(&leaf.value) => {
            file::place(leaf).map_or_else(
                |_| leaf.value.clone(),
                |path| Scalar::Text(file::absolute(&path)),
            )
        }
        Found::Key(_) | Found::Table | Found::Named | Found::Nothing => leaf.value.clone(),
    }
}

fn is_off(value: &Scalar) -> bool {
    matches!(value, Scalar::Text(text) if text == "off")
}

/// Lines with comments behind them, all in one column.
fn commented(out: &mut String, lines: &[(&str, &str)]) {
    let widths = lines.iter().map(|(line, _)| line.chars().count());
    let column = widths.max().unwrap_or_default().min(MAX_COLUMN);
    for (line, comment) in lines {
        out.push_str(&format!("{line:column$}  # {comment}\n"));
    }
}

/// Breaks text between words into lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_have_names() {
        assert_eq!(
            example_path("listen.NAME.tls.certificate.NAME"),
            "listen.public.tls.certificate.main"
        );
        assert_eq!(
            example_path("route.NAME.keepalive.client"),
            "route.chat.keepalive.client"
        );
    }

    #[test]
    fn comments_share_a_column() {
        let mut out = String::new();
        commented(&mut out, &[("a = 1", "one"), ("bc = 22", "two")]);
        assert_eq!(out, "a = 1    # one\nbc = 22  # two\n");
    }
}
