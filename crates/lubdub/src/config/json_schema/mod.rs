//! The JSON Schema of the configuration file, for editors and for `taplo lint`: made from the declaration
//! of the keys.
//!
//! It is of draft 7, which every program that checks TOML by a schema understands (taplo, and with it the
//! extension Even Better TOML; Tombi). It says what a file may say by itself: nothing is required, since a
//! variable or a flag can set what the file leaves out, and what depends on two keys, on files or on the
//! machine is left to `lubdub check`. Whatever `check` takes, it takes.

mod document;
mod network;
mod number;
mod value;
mod words;

use self::document::{Entries, Schema};
use super::keys::{self, Applies, Found, Key, NAME, Preset, SECTIONS};
use super::name;

/// Names of the operator's choice: words with `-` or `_` between them.
const NAMES: &str = "^[A-Za-z0-9]+([-_][A-Za-z0-9]+)*$";

/// The schema as JSON.
pub(crate) fn json_schema() -> String {
    let schema = Schema {
        dialect: Some("http://json-schema.org/draft-07/schema#"),
        title: Some("lubdub's configuration"),
        description: Some(
            "Made from the declaration of the keys, by `lubdub config schema`. `lubdub check` finds what a \
             schema cannot know."
                .to_owned(),
        ),
        ..table(&[])
    };
    let mut json = serde_json::to_string_pretty(&schema).expect("it is text, numbers and tables");
    json.push('\n');
    json
}

/// The table at `path`, in which [`NAME`] stands for names.
fn table(path: &[&'static str]) -> Schema {
    let children = keys::children(path);
    let inner = |child: &'static str| {
        let path = [path, &[child]].concat();
        match keys::find(&path) {
            Found::Key(key) => of_key(key, &path),
            Found::Table | Found::Named | Found::Nothing => table(&path),
        }
    };
    let is_of_names = children == [NAME];
    let entries = children.into_iter();
    let entries = entries.map(|child| {
        let name = if is_of_names { NAMES } else { child };
        (name.to_owned(), inner(child))
    });
    let entries = Entries(entries.collect());
    let (pattern_properties, properties) = match is_of_names {
        true => (Some(entries), None),
        false => (None, Some(entries)),
    };
    Schema {
        description: about(path),
        kind: Some("object"),
        properties,
        pattern_properties,
        property_names: is_of_names.then(|| Box::new(names_in(path))),
        additional_properties: Some(false),
        ..Schema::default()
    }
}

/// What else is asked of the names in the table at `path`.
fn names_in(path: &[&str]) -> Schema {
    let taken = words::in_any_case(lubdub_metrics::NO_ROUTE);
    let is_taken = Schema {
        pattern: Some(format!("^{taken}$")),
        ..Schema::default()
    };
    Schema {
        max_length: Some(name::MAX),
        not: (path == ["route"]).then(|| Box::new(is_taken)),
        ..Schema::default()
    }
}

fn of_key(key: &Key, path: &[&str]) -> Schema {
    let value = key.preset.literal().scalar();
    let weaker = match path {
        ["route", NAME, rest @ ..] if key.reach == keys::Reach::PerRoute => Some(rest.join(".")),
        _ => None,
    };
    let mut description = format!("{}.", key.help);
    if let Some(weaker) = &weaker {
        description.push_str(&format!(
            " For this route; what it does not set is as in `{weaker}`."
        ));
    }
    if !key.more.is_empty() {
        description.push_str(&format!("\n\n{}", words::without_links(key.more)));
    }
    let applies = keys::applies(path).map_or("", Applies::as_str);
    description.push_str(&format!("\n\nWith a reload: {applies}."));
    // What a route does not set is another key's word, not the default.
    let is_default = matches!(key.preset, Preset::Default(_)) && weaker.is_none();
    let (default, examples) = match is_default {
        true => (Some(value), Vec::new()),
        false => (None, vec![value]),
    };
    Schema {
        description: Some(description),
        default,
        examples,
        ..value::of(key.kind)
    }
}

/// What the table at `path` is about, if it has keys.
fn about(path: &[&str]) -> Option<String> {
    let of = |path: &[&str]| {
        let path = path.join(".");
        SECTIONS.iter().find(|section| section.path == path)
    };
    let of_route = || match path {
        ["route", NAME, rest @ ..] => of(rest),
        _ => None,
    };
    let section = of(path).or_else(of_route)?;
    Some(words::without_links(section.about))
}
