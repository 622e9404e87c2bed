//! A schema as data: as much of draft 7 as is said here, in an order that does not depend on who builds it.

use serde::{Serialize, Serializer};

use super::super::leaf::Scalar;

/// What a value must be: all that is said here. Named as in draft 7, but where that would say little.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Schema {
    /// The draft that it is written in.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub(super) dialect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// Its type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<Scalar>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) examples: Vec<Scalar>,
    /// All that it can be.
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub(super) words: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) minimum: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) maximum: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min_length: Option<usize>,
    /// In characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_length: Option<usize>,
    /// Without lookahead: not every program has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pattern: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) items: Option<Box<Self>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) any_of: Vec<Self>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) all_of: Vec<Self>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not: Option<Box<Self>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) properties: Option<Entries>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pattern_properties: Option<Entries>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) property_names: Option<Box<Self>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) additional_properties: Option<bool>,
}

/// Schemas by name or pattern, in their order.
#[derive(Debug)]
pub(super) struct Entries(pub(super) Vec<(String, Schema)>);

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, schema)| (name, schema)))
    }
}

// === impl Schema ===

impl Schema {
    /// A string that all of this matches.
    pub(super) fn text(pattern: impl Into<String>) -> Self {
        Self {
            kind: Some("string"),
            pattern: Some(pattern.into()),
            ..Self::default()
        }
    }

    /// A whole number within these bounds.
    pub(super) fn integer(minimum: Option<i64>, maximum: Option<i64>) -> Self {
        Self {
            kind: Some("integer"),
            minimum,
            maximum,
            ..Self::default()
        }
    }

    /// Any number of such items.
    pub(super) fn array(items: Self) -> Self {
        Self {
            kind: Some("array"),
            items: Some(Box::new(items)),
            ..Self::default()
        }
    }

    /// One of these.
    pub(super) fn any(of: Vec<Self>) -> Self {
        Self {
            any_of: of,
            ..Self::default()
        }
    }
}
