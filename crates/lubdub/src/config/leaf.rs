//! One configured value, before anybody asked what it means.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::origin::Origin;

/// A value with its key and its origin, so that whoever finds it wrong can say so in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leaf {
    /// The whole key, with dots.
    pub key: String,
    /// What was set.
    pub value: Scalar,
    /// Where it was set.
    pub origin: Origin,
}

/// What TOML can say without a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
}

/// What stands for a table in an array: no key takes one, and nobody needs to see it whole.
pub(crate) const TABLE: &str = "{..}";

impl Scalar {
    /// Whether it is an array of tables.
    pub(crate) fn is_of_tables(&self) -> bool {
        let is_table = |value: &Self| matches!(value, Self::Text(text) if text == TABLE);
        matches!(self, Self::List(values) if values.iter().any(is_table))
    }

    /// The same value as a number, if it is text that says nothing but a number.
    ///
    /// The environment and the command line know only text.
    pub(crate) fn into_number(self) -> Self {
        let Self::Text(text) = self else { return self };
        if let Ok(integer) = text.parse() {
            return Self::Integer(integer);
        }
        // `f64` would also take "inf" and "nan", which nobody means to write.
        match text.parse() {
            Ok(float) if text.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                Self::Float(float)
            }
            _ => Self::Text(text),
        }
    }

    /// The same value as `true` or `false`, if it is text that says so.
    pub(crate) fn into_switch(self) -> Self {
        let Self::Text(text) = self else { return self };
        text.parse().map_or(Self::Text(text), Self::Bool)
    }
}

impl fmt::Display for Scalar {
    /// As TOML writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => toml::Value::Float(*value).fmt(f),
            // In one line, for messages: a string of JSON is one of TOML.
            Self::Text(value) if value.contains('\n') => {
                serde_json::Value::from(value.as_str()).fmt(f)
            }
            Self::Text(value) => toml::Value::String(value.clone()).fmt(f),
            Self::List(values) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_in_one_line_and_as_toml_has_it() {
        for (text, shown) in [
            ("5s", r#""5s""#),
            ("5s\n", r#""5s\n""#),
            ("a\t\"b\"\n\\", r#""a\t\"b\"\n\\""#),
        ] {
            assert_eq!(Scalar::Text(text.to_owned()).to_string(), shown);
            let read: toml::Table = format!("text = {shown}").parse().unwrap();
            assert_eq!(read["text"].as_str(), Some(text));
        }
    }

    #[test]
    fn text_becomes_a_number_only_if_it_is_nothing_else() {
        let number = |text: &str| Scalar::Text(text.to_owned()).into_number();
        assert_eq!(number("100"), Scalar::Integer(100));
        assert_eq!(number("0.5"), Scalar::Float(0.5));
        for text in ["auto", "nan", "inf", "5s", "", "0x10"] {
            assert_eq!(number(text), Scalar::Text(text.to_owned()));
        }
    }

    #[test]
    fn text_becomes_true_or_false_only_if_it_says_so() {
        let switch = |text: &str| Scalar::Text(text.to_owned()).into_switch();
        assert_eq!(switch("true"), Scalar::Bool(true));
        assert_eq!(switch("false"), Scalar::Bool(false));
        for text in ["yes", "on", "1", "True", ""] {
            assert_eq!(switch(text), Scalar::Text(text.to_owned()));
        }
    }

    #[test]
    fn it_is_shown_as_toml() {
        let list = Scalar::List(vec![Scalar::Text("a\"b".to_owned()), Scalar::Integer(1)]);
        let shown = format!("v = {list}");
        let parsed: toml::Table = toml::from_str(&shown).unwrap();
        assert_eq!(parsed["v"][0].as_str(), Some("a\"b"));
        assert_eq!(parsed["v"][1].as_integer(), Some(1));
    }
}
