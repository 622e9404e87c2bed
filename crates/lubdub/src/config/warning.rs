//! What is accepted, but will not do in practice: what it is about, why, and where more is said.

use std::fmt;

use tracing::warn;

use super::leaf::Leaf;
use super::origin::Origin;

/// Everything that an operator should know about a configuration without mistakes; may be empty.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Warnings(Vec<Warning>);

/// One warning: which value, set where, and why it will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// Its kind: the name of its explanation.
    pub slug: &'static str,
    /// The whole key, or the variable that it is about.
    pub key: String,
    /// The value as TOML and where it was set; `None` for a variable.
    pub set: Option<(String, Origin)>,
    /// What will happen, in words that go on after a colon.
    pub reason: String,
}

// === impl Warnings ===

impl Warnings {
    /// Notes a warning about `leaf`, once: many routes inherit the same value.
    pub(super) fn push(&mut self, slug: &'static str, leaf: &Leaf, reason: String) {
        let known = |warning: &Warning| warning.slug == slug && warning.key == leaf.key;
        if !self.0.iter().any(known) {
            self.0.push(Warning {
                slug,
                key: leaf.key.clone(),
                set: Some((leaf.value.to_string(), leaf.origin.clone())),
                reason,
            });
        }
    }

    /// Notes a warning about a variable.
    pub(super) fn push_variable(&mut self, slug: &'static str, name: &str, reason: String) {
        self.0.push(Warning {
            slug,
            key: name.to_owned(),
            set: None,
            reason,
        });
    }
}

impl Warnings {
    /// Logs each of them, as `lubdub check` would have said it.
    pub(crate) fn log(&self) {
        for warning in self.iter() {
            warn!(
                warning = warning.slug,
                setting = warning.setting(),
                reason = warning.reason,
                see = warning.see(),
                "the configuration has a warning"
            );
        }
    }
}

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

impl Warning {
    /// What it is about: the key with its value and origin, or a variable.
    pub(crate) fn setting(&self) -> String {
        let key = &self.key;
        match &self.set {
            Some((value, origin)) => format!("{key} = {value} ({origin})"),
            None => key.clone(),
        }
    }

    /// The command that says more.
    pub(crate) fn see(&self) -> String {
        format!("lubdub explain {}", self.slug)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (setting, reason, see) = (self.setting(), &self.reason, self.see());
        write!(f, "{setting}: {reason}\n    see: {see}")
    }
}
