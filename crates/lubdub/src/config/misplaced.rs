//! What to say about what stands where something of another shape belongs: a value in place of a
//! table, a list of tables, a table without a name.

use super::keys::{self, NAME};
use super::leaf::Scalar;
use super::render::example_path;

/// What to say of `value` at `path`, where a table belongs.
pub(super) fn in_place_of_table(path: &[&str], value: &Scalar) -> String {
    let key = path.join(".");
    if keys::children(path) == [NAME] {
        let example = example_table(path);
        return match value.is_of_tables() {
            true => format!("here tables have names: write [{example}] instead of [[{key}]]"),
            false => {
                format!(
                    "is a table of tables with names: write {}",
                    example_of(path, &example)
                )
            }
        };
    }
    if value.is_of_tables() {
        return format!("is one table: write [{key}] instead of [[{key}]]");
    }
    if let Some(example) = nameless(path) {
        let table = path[..path.len() - 1].join(".");
        return format!("the table lacks a name: write [{example}] instead of [{table}]");
    }
    match keys::children(path).first() {
        Some(first) => format!("is a table: set what is in it, such as {key}.{first}"),
        None => "is a table".to_owned(),
    }
}

/// What the table would be called whose name has been left out before the last segment of `path`;
/// `None` if that is no key of such tables.
pub(super) fn nameless(path: &[&str]) -> Option<String> {
    let (key, above) = path.split_last()?;
    let is_one =
        keys::children(above) == [NAME] && keys::children(&[above, &[NAME]].concat()).contains(key);
    is_one.then(|| example_table(above))
}

/// A table with a name in the table at `path`.
fn example_table(path: &[&str]) -> String {
    format!("{}.{}", path.join("."), example_name(path))
}

/// What examples call a table in the table at `path`.
fn example_name(path: &[&str]) -> String {
    let table = path.last().copied().unwrap_or_default();
    let example = example_path(&format!("{table}.{NAME}"));
    example
        .split_once('.')
        .map_or(NAME, |(_, name)| name)
        .to_owned()
}

/// A table with a name as the beginning of a file has it, with its first key.
fn example_of(path: &[&str], example: &str) -> String {
    let inside = [path, &[NAME]].concat();
    let first = keys::places()
        .iter()
        .find(|place| place.path.len() == inside.len() + 1 && place.begins_with(&inside));
    match first {
        Some(place) => {
            let value = place.key.preset.literal().scalar();
            format!("[{example}], and below it {} = {value}", place.key.name)
        }
        None => format!("[{example}]"),
    }
}
