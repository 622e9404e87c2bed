//! The JSON Schema against the program. Whatever any test here gives to [`load`](super::load), the schema judges as
//! well: it refuses nothing that is taken, and what it does not refuse has its reason in [`CANNOT_KNOW`].

use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};

use super::super::keys::{self, Kind, NAME};
use super::super::leaf::Scalar;
use super::super::tree::Tree;
use super::super::{layers, name};
use super::*;

/// A part of what `check` says, and why a schema cannot know it.
const CANNOT_KNOW: [(&str, &str); 13] = [
    ("there is no listener", ANOTHER_LAYER),
    ("there is no upstream: set", ANOTHER_LAYER),
    ("there is no route", ANOTHER_LAYER),
    ("has no certificate", ANOTHER_LAYER),
    ("must be set", ANOTHER_LAYER),
    ("there is no such upstream", ANOTHER_LAYER),
    ("its route would be called \"none\"", ANOTHER_LAYER),
    ("nobody may send the header", ANOTHER_LAYER),
    ("is also", TWO_VALUES),
    ("is for the same host and path_prefix as", TWO_VALUES),
    ("is the same name as", TWO_VALUES),
    ("that the file limit of", MACHINE_ONLY),
    ("the file limit of 90 carries no pair", MACHINE_ONLY),
];
const ANOTHER_LAYER: &str = "a variable or a flag can set what is missing";
const TWO_VALUES: &str = "a schema does not compare one value or name with another";
const MACHINE_ONLY: &str = "it is so on this machine only";

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    assert!(jsonschema::draft7::meta::is_valid(&schema));
    jsonschema::draft7::new(&schema).unwrap()
});

/// The keys that the schema refuses in `document`.
fn refused(document: &Value) -> Vec<String> {
    SCHEMA.iter_errors(document).flat_map(places).collect()
}

fn places(error: ValidationError<'_>) -> Vec<String> {
    let at = error.instance_path().to_string();
    let at = at.trim_start_matches('/').replace('/', ".");
    let inside = |name: &str| match at.as_str() {
        "" => name.to_owned(),
        at => format!("{at}.{name}"),
    };
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        return unexpected.iter().map(|name| inside(name)).collect();
    }
    if let ValidationErrorKind::PropertyNames { error } = error.kind() {
        return vec![inside(error.instance().as_str().unwrap())];
    }
    vec![at]
}

/// What a file with this table would be.
fn document(table: &Table) -> Value {
    let entry = |(name, tree): (&String, &Tree)| {
        let value = match tree {
            Tree::Leaf(leaf) => json!(leaf.value),
            Tree::Table(table) => document(table),
        };
        (name.clone(), value)
    };
    Value::Object(table.entries.iter().map(entry).collect())
}

/// Whether one of the keys is the other, or below it.
fn is_about(a: &str, b: &str) -> bool {
    a.split('.')
        .zip(b.split('.'))
        .all(|(a, b)| name::same(a, b))
}

/// Holds what the program said of `sources` against the schema.
pub(super) fn compare(sources: &Sources, loaded: Result<&Config, &Mistakes>) {
    let Ok(layers) = layers::read(sources) else {
        return;
    };
    let documents: Vec<_> = layers.set.iter().map(document).collect();
    let refused: Vec<_> = documents.iter().flat_map(refused).collect();
    let Err(mistakes) = loaded else {
        assert!(
            refused.is_empty(),
            "{refused:?} can be taken: {documents:?}"
        );
        return;
    };
    for key in &refused {
        let is_mistake = mistakes.iter().any(|mistake| is_about(&mistake.what, key));
        assert!(is_mistake, "nothing is wrong with {key}: {documents:?}");
    }
    for mistake in mistakes.iter() {
        let Wrong(wrong) = &mistake.wrong;
        let is_known = refused.iter().any(|key| is_about(&mistake.what, key));
        let is_excused = CANNOT_KNOW.iter().any(|(part, _)| wrong.contains(part));
        assert!(is_known || is_excused, "the schema takes {mistake:?}");
    }
}

#[test]
fn the_committed_schema_is_made_from_the_declaration() {
    declaration::assert_committed("docs/reference/lubdub.schema.json", &json_schema());
}

/// What is refused in the TOML `text`.
fn refused_in(text: &str) -> Vec<String> {
    let table: toml::Table = text.parse().unwrap();
    refused(&json!(table))
}

#[test]
fn the_files_that_come_with_lubdub_are_taken() {
    assert_eq!(refused_in(&defaults()), [""; 0]);
    assert_eq!(refused_in(&example()), [""; 0]);
    // With all that is commented out.
    let is_setting = |line: &str| !line.starts_with("# ") && !line.starts_with("#:");
    let whole = |line: &'static str| line.strip_prefix('#').filter(|_| is_setting(line));
    let text: &'static str = example().leak();
    let lines: Vec<_> = text
        .lines()
        .map(|line| whole(line).unwrap_or(line))
        .collect();
    let table: toml::Table = lines.join("\n").parse().unwrap();
    assert!(table["listen"]["public"]["tls"]["certificate"].is_table());
    assert_eq!(refused(&json!(table)), [""; 0]);
}

/// The value at `path`, in as many tables.
fn at(path: &[&str], value: Value) -> Value {
    path.iter().rev().fold(value, |inner, segment| {
        let name = if *segment == NAME { "x" } else { segment };
        json!({ name: inner })
    })
}

#[test]
fn every_default_and_example_is_taken_and_no_value_of_another_type() {
    for place in keys::places() {
        let value = json!(place.key.preset.literal().scalar());
        assert_eq!(refused(&at(&place.path, value)), [""; 0], "{place:?}");
        for wrong in [json!({}), json!(null), json!([[]]), json!([1])] {
            let refused = refused(&at(&place.path, wrong.clone()));
            assert!(!refused.is_empty(), "{wrong} for {place:?}");
        }
        let takes_numbers = place.key.kind.takes_numbers();
        let is_refused = |value: Value| !refused(&at(&place.path, value)).is_empty();
        assert!(takes_numbers || is_refused(json!(7)), "{place:?}");
        assert!(is_refused(json!(-7)), "{place:?}");
        assert!(is_refused(json!(1.5)), "{place:?}");
        let is_switch = matches!(place.key.kind, Kind::Switch);
        assert_eq!(is_refused(json!(true)), !is_switch, "{place:?}");
        let is_free = matches!(place.key.kind, Kind::File | Kind::SocketOrOff | Kind::Group);
        assert!(is_free || is_refused(json!("a\tb c")), "{place:?}");
    }
}

/// Text that the schema takes although its key does not: a pattern that tells it apart would be no pattern that a
/// person reads.
fn passes(kind: Kind) -> &'static [&'static str] {
    if matches!(kind, Kind::Group) {
        // A number as programs write it.
        &["1e-3"]
    } else if matches!(kind, Kind::ServerName) {
        // Names that are none of a host's.
        &["0x10", values::LABEL_TOO_LONG]
    } else if matches!(
        kind,
        Kind::Duration | Kind::DurationOrZero | Kind::DurationOrOff
    ) {
        // More than a year only when the units are added up.
        &["364d25h"]
    } else if matches!(kind, Kind::Size(_) | Kind::SizeOrOff(_)) {
        // More than can be counted, with as many digits as the most that can be.
        &["9999999999999999999", "99999999999999999999B"]
    } else if matches!(kind, Kind::Count | Kind::CountOrOff | Kind::CountOrAuto) {
        &["9999999999999999999"]
    } else if matches!(kind, Kind::ByteRateOrOff) {
        &["99999999999999999999B/s"]
    } else {
        &[]
    }
}

/// Whether the schema takes `value` although its key does not, and may.
fn may_pass(kind: Kind, value: &Scalar) -> bool {
    match value {
        Scalar::Text(text) => passes(kind).contains(&text.as_str()),
        // To a schema 5.0 is an integer (JSON Schema Validation, section 6.1.1), to TOML and to the program it is none.
        Scalar::Float(float) if float.fract() == 0.0 => {
            let integer = Scalar::Text(float.to_string()).into_number();
            values::is_taken(kind, &integer)
        }
        Scalar::Float(_) | Scalar::Bool(_) | Scalar::Integer(_) | Scalar::List(_) => false,
    }
}

/// The readers are the measure: the schema takes all that they take, and refuses what they refuse.
#[test]
fn the_schema_judges_single_values_as_the_program_does() {
    for place in keys::places() {
        let kind = place.key.kind;
        for value in values::all() {
            let read = kind.understood(value.clone());
            let is_taken = values::is_taken(kind, &read) || may_pass(kind, &value);
            let refused = refused(&at(&place.path, json!(value)));
            let said = format!("{}: {value}, {kind:?}", place.path.join("."));
            assert_eq!(refused.is_empty(), is_taken, "{said}: {refused:?}");
        }
    }
}
