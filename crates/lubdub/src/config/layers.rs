//! What is set, layer by layer, the weakest first: the file, the environment, the command line.
//! (The defaults are weaker still; [`super::implied`] puts them in where nothing is set.)
//!
//! The only file that knows figment, which reads the TOML file. One layer per variable and per flag
//! gives every value the exact name that it came from, and text stays as it was written until the
//! key that it belongs to says how to read it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};
use figment::{Profile, Provider};
use serde::Deserialize;
use toml::de::ValueDeserializer;

use super::error::{Mistake, Mistakes, Wrong};
use super::keys;
use super::leaf::{Leaf, Scalar};
use super::origin::Origin;
use super::tree::{Table, Tree};

/// What variables begin with, and what separates the levels of a key in them.
const PREFIX: &str = "LUBDUB__";
const SEPARATOR: &str = "__";

/// All that configuration is made from, as plain data: nothing else is looked at.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sources {
    /// The file, and only this one: parent directories are not searched.
    pub file: Option<FileSource>,
    /// The environment; variables that are not lubdub's are ignored.
    pub variables: Vec<(OsString, OsString)>,
    /// Keys that were set on the command line, the strongest last.
    pub flags: Vec<FlagValue>,
    /// Top-level tables of the layers below the flags that do not count.
    pub replaced: Vec<&'static str>,
}

/// A configuration file that was asked for; it must be there.
#[derive(Debug, Clone)]
pub(crate) struct FileSource {
    /// Where it is.
    pub path: PathBuf,
    /// Who asked for it.
    pub named_by: Origin,
}

/// A key that was set on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlagValue {
    /// The flag, such as `--listen`.
    pub flag: &'static str,
    /// The key that it sets, with dots.
    pub key: String,
    /// The value as text.
    pub value: String,
}

/// What each layer sets, the weakest first. It has not been checked yet.
///
/// # Errors
/// If the file cannot be read or is not TOML, or if a variable is not text: then the rest would
/// be about a configuration that nobody wrote.
pub(crate) fn read(sources: &Sources) -> Result<Vec<Table>, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut layers = Vec::new();
    if let Some(source) = &sources.file {
        layers.extend(file(source).map_err(|mistake| mistakes.push(mistake)).ok());
    }
    layers.extend(variables(&sources.variables, &mut mistakes));
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    for layer in &mut layers {
        layer
            .entries
            .retain(|table, _| !sources.replaced.contains(&table.as_str()));
    }
    layers.extend(sources.flags.iter().map(|FlagValue { flag, key, value }| {
        layer(&Origin::Flag((*flag).to_owned()), key, parse_text(value))
    }));
    Ok(layers)
}

/// What the file says.
fn file(source: &FileSource) -> Result<Table, Mistake> {
    let name = source.path.display().to_string();
    match Toml::file_exact(&source.path).data() {
        Ok(mut profiles) => {
            let dict = profiles.remove(&Profile::Default).unwrap_or_default();
            Ok(table("", dict, &Origin::File(name)))
        }
        Err(error) => Err(Mistake {
            what: name,
            value: None,
            origin: Some(source.named_by.clone()),
            wrong: Wrong(error.kind.to_string().trim_end().replace('\n', "\n  ")),
        }),
    }
}

/// What the environment says, in the order of the names.
fn variables(variables: &[(OsString, OsString)], mistakes: &mut Mistakes) -> Vec<Table> {
    let mut layers = Vec::new();
    let sorted: BTreeMap<_, _> = variables
        .iter()
        .map(|(name, value)| (name, value))
        .collect();
    for (name, text) in sorted {
        let Some(name) = name.to_str() else { continue };
        let Some(key) = name.strip_prefix(PREFIX) else {
            if let Some(meant) = nearly_ours(name) {
                mistakes.about(name, format!("is not lubdub's; did you mean {meant}?"));
            }
            continue;
        };
        let Some(text) = text.to_str() else {
            mistakes.about(name, "must be UTF-8");
            continue;
        };
        let key = key.to_lowercase().replace(SEPARATOR, ".");
        let origin = Origin::Variable(name.to_owned());
        layers.push(layer(&origin, &key, parse_text(text)));
    }
    layers
}

/// The variable that was meant, if one underscore is missing: `LUBDUB_LOG__LEVEL`.
///
/// Other variables with one underscore are left alone. Kubernetes makes `LUBDUB_PORT` and its like
/// for a service of this name.
fn nearly_ours(name: &str) -> Option<String> {
    let rest = name.strip_prefix("LUBDUB_")?;
    let (table, _) = rest.split_once(SEPARATOR)?;
    keys::children(&[])
        .contains(&table.to_lowercase().as_str())
        .then(|| format!("{PREFIX}{rest}"))
}

/// What text from the environment or the command line says: a TOML string or array if it is
/// written as one, else the text as it is.
fn parse_text(text: &str) -> Value {
    let as_toml = || <Value as Deserialize>::deserialize(ValueDeserializer::new(text)).ok();
    let quoted = text.starts_with(['[', '"', '\'']);
    quoted
        .then(as_toml)
        .flatten()
        .unwrap_or_else(|| Value::from(text))
}

/// A layer that sets one key.
fn layer(origin: &Origin, key: &str, value: Value) -> Table {
    // From the innermost table outward. An empty segment stays, and is an unknown key later.
    let mut segments = key.rsplit('.');
    let last = segments.next().unwrap_or(key);
    let mut dict = Dict::from([(last.to_owned(), value)]);
    for segment in segments {
        dict = Dict::from([(segment.to_owned(), Value::from(dict))]);
    }
    table("", dict, origin)
}

/// The table at `key` of a layer.
fn table(key: &str, dict: Dict, origin: &Origin) -> Table {
    let mut table = Table::new(origin.clone());
    for (name, value) in dict {
        let key = if key.is_empty() {
            name.clone()
        } else {
            format!("{key}.{name}")
        };
        let tree = if let Value::Dict(_, dict) = value {
            Tree::Table(self::table(&key, dict, origin))
        } else {
            Tree::Leaf(Leaf {
                key,
                value: scalar(value),
                origin: origin.clone(),
            })
        };
        table.entries.insert(name, tree);
    }
    table
}

fn scalar(value: Value) -> Scalar {
    match value {
        Value::String(_, text) => Scalar::Text(text),
        Value::Char(_, c) => Scalar::Text(c.to_string()),
        Value::Bool(_, value) => Scalar::Bool(value),
        Value::Num(_, number) => match number.to_i128().and_then(|n| i64::try_from(n).ok()) {
            Some(integer) => Scalar::Integer(integer),
            None => Scalar::Float(number.to_f64().unwrap_or(f64::NAN)),
        },
        Value::Array(_, values) => Scalar::List(values.into_iter().map(scalar).collect()),
        // Tables in arrays and the like: no key takes them, and nobody needs to see them whole.
        Value::Dict(..) | Value::Empty(..) => Scalar::Text("{..}".to_owned()),
    }
}
