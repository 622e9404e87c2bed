//! What is accepted, but will not do in practice: what it is about, why, and where more is said.

use std::fmt;

use super::leaf::Leaf;
use super::origin::Origin;

/// The page with a section for every kind of warning, from the root of the repository.
const PAGE: &str = "docs/topics/checks.md";

/// Everything that an operator should know about a configuration without mistakes; may be empty.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Warnings(Vec<Warning>);

/// One warning: which value, set where, and why it will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// Its kind: the anchor of its explanation.
    pub slug: &'static str,
    /// The whole key.
    pub key: String,
    /// The value as TOML.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
    /// What will happen, in words that go on after a colon.
    pub reason: String,
}

// === impl Warnings ===

impl Warnings {
    /// Whether there is nothing to warn of.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes a warning about `leaf`, once: many routes inherit the same value.
    pub(super) fn push(&mut self, slug: &'static str, leaf: &Leaf, reason: String) {
        let known = |warning: &Warning| warning.slug == slug && warning.key == leaf.key;
        if !self.0.iter().any(known) {
            self.0.push(Warning {
                slug,
                key: leaf.key.clone(),
                value: leaf.value.to_string(),
                origin: leaf.origin.clone(),
                reason,
            });
        }
    }
}

#[cfg(test)]
impl std::ops::Deref for Warnings {
    type Target = [Warning];

    fn deref(&self) -> &[Warning] {
        &self.0
    }
}

/// Where warnings are denied they are why a command fails.
impl std::error::Error for Warnings {}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a warning")?,
            n => write!(f, "the configuration has {n} warnings")?,
        }
        for warning in &self.0 {
            write!(f, "\n  {warning}")?;
        }
        Ok(())
    }
}

// === impl Warning ===

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            slug,
            key,
            value,
            origin,
            reason,
        } = self;
        write!(
            f,
            "{key} = {value} ({origin}): {reason}\n    see {PAGE}#{slug}"
        )
    }
}
