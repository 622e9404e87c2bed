//! What holds if a key is not set, in a form that can be declared in a constant.

use super::super::leaf::Scalar;

/// What holds if a key is not set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Preset {
    /// This value.
    Default(Literal),
    /// Nothing, or what the key's description says. The value is an example.
    Optional(Literal),
    /// It must be set wherever its table is. The value is an example.
    Required(Literal),
}

/// A value that can be declared in a constant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Literal {
    /// True or false.
    Switch(bool),
    /// A string.
    Text(&'static str),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// An array of strings.
    Texts(&'static [&'static str]),
}

// === impl Preset ===

impl Preset {
    pub(super) const fn text(value: &'static str) -> Self {
        Self::Default(Literal::Text(value))
    }

    pub(super) const fn switch(value: bool) -> Self {
        Self::Default(Literal::Switch(value))
    }

    pub(super) const fn integer(value: i64) -> Self {
        Self::Default(Literal::Integer(value))
    }

    /// The value, be it in effect or an example.
    pub(crate) fn literal(self) -> Literal {
        match self {
            Self::Default(literal) | Self::Optional(literal) | Self::Required(literal) => literal,
        }
    }
}

// === impl Literal ===

impl Literal {
    /// The value itself.
    pub(crate) fn scalar(self) -> Scalar {
        match self {
            Self::Switch(value) => Scalar::Bool(value),
            Self::Text(value) => Scalar::Text(value.to_owned()),
            Self::Integer(value) => Scalar::Integer(value),
            Self::Float(value) => Scalar::Float(value),
            Self::Texts(values) => Scalar::List(
                values
                    .iter()
                    .map(|text| Scalar::Text((*text).to_owned()))
                    .collect(),
            ),
        }
    }
}
