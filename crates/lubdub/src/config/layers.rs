//! What is set, layer by layer, the weakest first: the file, the environment, the command line.
//! (The defaults are weaker still; [`super::implied`] puts them in where nothing is set.)
//!
//! The only file that knows figment, which reads the TOML file. One layer per variable and per flag
//! gives every value the exact name that it came from, and text stays as it was written until the
//! key that it belongs to says how to read it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};
use figment::{Profile, Provider};
use serde::Deserialize;
use toml::de::ValueDeserializer;

use super::error::{Mistake, Mistakes, Wrong};
use super::file;
use super::keys;
use super::leaf::{Leaf, Scalar, TABLE};
use super::origin::Origin;
use super::reading;
use super::tree::{Table, Tree};

/// What variables begin with, and what separates the levels of a key in them.
const PREFIX: &str = "LUBDUB__";
const SEPARATOR: &str = "__";
/// What a date is to figment: a table with this key.
const DATE: &str = "$__toml_private_datetime";

/// All that configuration is made from, as plain data: nothing else is looked at.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sources {
    /// The file, and only this one: parent directories are not searched.
    pub file: Option<FileSource>,
    /// The environment; variables that are not lubdub's are ignored.
    pub variables: Vec<(OsString, OsString)>,
    /// Keys that were set on the command line, the strongest last.
    pub flags: Vec<FlagValue>,
    /// Top-level tables of the layers below the flags that do not count, and the flags that say so.
    pub replaced: Vec<(&'static str, &'static str)>,
}

/// What was set, and what was only meant to be.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// What each layer sets, the weakest first. It has not been checked yet.
    pub set: Vec<Table>,
    /// What flags have replaced.
    pub replaced: Vec<Replaced>,
    /// Variables that look like lubdub's, and that nobody reads.
    pub unread: Vec<Unread>,
}

/// A table of the operator's choice that does not count because of a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// The flag.
    pub flag: &'static str,
    /// The key of the table.
    pub key: String,
    /// Who set it.
    pub origin: Origin,
}

/// A variable that looks like one of lubdub's, and that nobody reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Its name. What it holds is not kept: it may be a secret.
    pub name: String,
    /// What was probably meant.
    pub meant: String,
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

/// What each layer sets.
///
/// # Errors
/// If the file cannot be read or is not TOML, or if a variable is not text: then the rest would
/// be about a configuration that nobody wrote.
pub(crate) fn read(sources: &Sources) -> Result<Layers, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut layers = Layers::default();
    if let Some(source) = &sources.file {
        let set = of_file(source).map_err(|mistake| mistakes.push(mistake));
        layers.set.extend(set.ok());
    }
    variables(&sources.variables, &mut layers, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    for (table, flag) in &sources.replaced {
        for layer in &mut layers.set {
            if let Some(Tree::Table(named)) = layer.entries.remove(*table) {
                layers
                    .replaced
                    .extend(named.entries.keys().map(|name| Replaced {
                        flag,
                        key: format!("{table}.{name}"),
                        origin: layer.origin.clone(),
                    }));
            }
        }
    }
    layers
        .set
        .extend(sources.flags.iter().map(|FlagValue { flag, key, value }| {
            layer(&Origin::Flag((*flag).to_owned()), key, parse_text(value))
        }));
    Ok(layers)
}

/// What the file says.
fn of_file(source: &FileSource) -> Result<Table, Mistake> {
    let name = source.path.display().to_string();
    let mistake = |wrong: String| Mistake {
        what: name.clone(),
        value: None,
        origin: Some(source.named_by.clone()),
        wrong: Wrong(wrong),
    };
    // Once: it may be a pipe.
    let text = reading::read_text(&source.path).map_err(|error| {
        let is_missing = error.kind() == ErrorKind::NotFound;
        mistake(if is_missing && source.path.is_relative() {
            let place = file::absolute(&source.path);
            format!("{error}; it was looked for at {place}")
        } else {
            error.to_string()
        })
    })?;
    let data = Toml::string(&text).data();
    let mut profiles =
        data.map_err(|error| mistake(error.kind.to_string().trim_end().replace('\n', "\n  ")))?;
    let dict = profiles.remove(&Profile::Default).unwrap_or_default();
    let mut root = table("", dict, &Origin::File(name));
    arrange(&mut root, &text);
    Ok(root)
}

/// Arranges the certificates of each listener as the file has them: the first is shown to whoever asks
/// for none. (figment forgets the order.)
fn arrange(root: &mut Table, text: &str) {
    let Ok(written) = text.parse::<toml::Table>() else {
        return;
    };
    let Some(Tree::Table(listeners)) = root.entries.get_mut("listen") else {
        return;
    };
    for (name, listener) in &mut listeners.entries {
        let names = ["listen", name, "tls", "certificate"];
        let written = names.into_iter().try_fold(&written, |table, name| {
            table.get(name).and_then(toml::Value::as_table)
        });
        let Tree::Table(listener) = listener else {
            continue;
        };
        let certificates = ["tls", "certificate"]
            .into_iter()
            .try_fold(listener, |table, name| match table.entries.get_mut(name) {
                Some(Tree::Table(table)) => Some(table),
                Some(Tree::Leaf(_)) | None => None,
            });
        if let (Some(certificates), Some(written)) = (certificates, written) {
            certificates.arrange(written.keys().map(String::as_str));
        }
    }
}

/// What the environment says, in the order of the names.
fn variables(variables: &[(OsString, OsString)], layers: &mut Layers, mistakes: &mut Mistakes) {
    let sorted: BTreeMap<_, _> = variables
        .iter()
        .map(|(name, value)| (name, value))
        .collect();
    // A case of its own makes no key of its own, nor does `-` in the place of `_`.
    let mut keys = BTreeMap::new();
    for (name, text) in sorted {
        let Some(name) = name.to_str() else {
            let name = name.to_string_lossy();
            if name.starts_with(PREFIX) {
                mistakes.about(name, "its name must be UTF-8");
            }
            continue;
        };
        let Some(key) = name.strip_prefix(PREFIX) else {
            layers.unread.extend(meant_by(name).map(|meant| Unread {
                name: name.to_owned(),
                meant,
            }));
            continue;
        };
        let Some(text) = text.to_str() else {
            mistakes.about(name, "must be UTF-8");
            continue;
        };
        let key = key.to_lowercase().replace(SEPARATOR, ".");
        if let Some(other) = keys.insert(key.replace('-', "_"), name) {
            mistakes.about(name, format!("sets the same key as {other}"));
            continue;
        }
        let origin = Origin::Variable(name.to_owned());
        layers.set.push(layer(&origin, &key, parse_text(text)));
    }
}

/// The variable that was probably meant by one that nobody reads; `None` if it is not lubdub's.
///
/// These are `lubdub__...`, which has to be upper case, and `LUBDUB_` with the name of a table behind
/// it, which lacks an underscore.
fn meant_by(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    if upper.starts_with(PREFIX) {
        return Some(upper);
    }
    let rest = name.strip_prefix(&PREFIX[..PREFIX.len() - 1])?;
    let tables = keys::children(&[]);
    let (table, below) = tables.into_iter().find_map(|table| {
        let below = rest.strip_prefix(&table.to_uppercase())?;
        (below.is_empty() || below.starts_with('_')).then_some((table, below))
    })?;
    // Kubernetes makes LUBDUB_ADMIN_PORT and its like of a Service that is called lubdub-admin.
    let of_service = |word: &str| {
        let after = below.strip_prefix(word);
        after.is_some_and(|after| after.is_empty() || after.starts_with('_'))
    };
    if of_service("_PORT") || of_service("_SERVICE") {
        return None;
    }
    // The key with this very name if one underscore stood for two, else one of that table.
    let variable = |separator: &str, path: &[&str]| path.join(separator).to_uppercase();
    let mut paths = keys::places().iter().map(|place| &place.path[..]);
    let path = (paths.clone().find(|path| variable("_", path) == rest))
        .or_else(|| paths.find(|path| path.first() == Some(&table)))?;
    if below.contains(SEPARATOR) {
        return Some(format!("{PREFIX}{rest}"));
    }
    Some(format!("{PREFIX}{}", variable(SEPARATOR, path)))
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
        let is_table = (value.as_dict()).is_some_and(|dict| !dict.contains_key(DATE));
        let tree = if is_table {
            let dict = value.into_dict().unwrap_or_default();
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
        Value::Dict(_, mut dict) => match dict.remove(DATE).map(scalar) {
            Some(Scalar::Text(date)) => Scalar::Text(date),
            Some(_) | None => Scalar::Text(TABLE.to_owned()),
        },
        Value::Empty(..) => Scalar::Text(TABLE.to_owned()),
    }
}
