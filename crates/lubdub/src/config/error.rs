//! What is wrong with a configuration: all of it, each mistake on a line of its own.

use std::fmt;

use super::leaf::{Leaf, Scalar};
use super::origin::Origin;

/// Every mistake that was found; never empty when it is returned as an error.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Mistakes(Vec<Mistake>);

/// One mistake: what, which value, set where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The key, or the file or variable that could not be read at all.
    pub what: String,
    /// The value as TOML, if there is one and it may be shown.
    pub value: Option<String>,
    /// Where it was set, if it was.
    pub origin: Option<Origin>,
    /// What is wrong and what would be right.
    pub wrong: Wrong,
}

/// Why a value cannot be meant, in words that say what can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Wrong(pub String);

// === impl Mistakes ===

impl Mistakes {
    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// Notes a mistake, once: a value that many routes inherit is wrong for all of them.
    pub(crate) fn push(&mut self, mistake: Mistake) {
        if !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    /// Notes that the value of `leaf` is wrong.
    pub(crate) fn wrong(&mut self, leaf: &Leaf, wrong: impl Into<String>) {
        self.push(Mistake {
            what: leaf.key.clone(),
            value: Some(leaf.value.to_string()),
            origin: Some(leaf.origin.clone()),
            wrong: Wrong(wrong.into()),
        });
    }

    /// Notes that `what`, which is more than one value, is wrong.
    pub(crate) fn wrong_at(
        &mut self,
        what: impl Into<String>,
        origin: Option<&Origin>,
        wrong: impl Into<String>,
    ) {
        self.push(Mistake {
            what: what.into(),
            value: None,
            origin: origin.cloned(),
            wrong: Wrong(wrong.into()),
        });
    }

    /// Notes that `what` is missing.
    pub(crate) fn about(&mut self, what: impl Into<String>, wrong: impl Into<String>) {
        self.wrong_at(what, None, wrong);
    }

    /// Reads a value; `None` if it is wrong, which is then noted.
    pub(crate) fn read<T>(
        &mut self,
        leaf: &Leaf,
        read: impl FnOnce(&Scalar) -> Result<T, Wrong>,
    ) -> Option<T> {
        read(&leaf.value)
            .map_err(|Wrong(wrong)| self.wrong(leaf, wrong))
            .ok()
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a mistake")?,
            n => write!(f, "the configuration has {n} mistakes")?,
        }
        for mistake in &self.0 {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

// === impl Mistake ===

impl Mistake {
    /// So much of a value is shown, in characters.
    const SHOWN: usize = 200;
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(value) = &self.value {
            match value.char_indices().nth(Self::SHOWN) {
                None => write!(f, " = {value}")?,
                Some((at, _)) => write!(f, " = {}... ({} bytes)", &value[..at], value.len())?,
            }
        }
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.wrong)
    }
}

// === impl Wrong ===

impl Wrong {
    /// A sentence without a full stop.
    pub(crate) fn new(wrong: impl Into<String>) -> Self {
        Self(wrong.into())
    }
}
