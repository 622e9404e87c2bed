//! Configuration: from files, variables and flags to typed settings, or to every mistake in them.
//!
//! The way of a value: [`layers`] merges what was set and remembers where, [`schema`] refuses what
//! no key is declared for, [`implied`] adds the defaults and what need not be said, [`raw`] gives it the shape of
//! the program, and [`resolve`] reads it. What the keys are is declared once, in [`keys`].

mod advice;
mod choice;
mod duration;
mod error;
mod implied;
mod keys;
mod layers;
mod leaf;
mod machine;
mod name;
mod origin;
mod pem;
mod raw;
mod read;
mod reference;
mod render;
mod resolve;
mod schema;
mod size;
mod token;
mod tree;
mod url;

use std::net::SocketAddr;

use lubdub_proxy::settings::Settings;
use tracing::Level;

pub(crate) use advice::advice;
pub(crate) use duration::parse as parse_duration;
pub(crate) use error::Mistakes;
pub(crate) use layers::{FileSource, FlagValue, Sources};
pub(crate) use machine::Machine;
pub(crate) use origin::Origin;
pub(crate) use reference::reference;
pub(crate) use render::{defaults, example};
pub(crate) use token::Token;

use raw::Raw;
use tree::Table;

/// A whole configuration, without a mistake in it.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// What the proxy is told to do.
    pub settings: Settings,
    /// The listener for operators; `None` if it is off.
    pub admin: Option<AdminSettings>,
    /// What is logged and how.
    pub log: LogSettings,
    /// Every key that is in effect, with its origin.
    effective: Table,
}

/// The listener for operators.
#[derive(Debug, Clone)]
pub(crate) struct AdminSettings {
    /// Where it listens; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// What opens it to others than loopback.
    pub token: Option<Token>,
    /// Names in `Host`, lower case, that are answered besides IP literals and `localhost`.
    pub hosts: Vec<String>,
}

/// What is logged and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// The least severe level of lubdub's own that is logged.
    pub level: Level,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One flat object.
    Json,
}

/// Makes a configuration of `sources`.
///
/// # Errors
/// Every mistake that can be found.
pub(crate) fn load(sources: &Sources, machine: &Machine) -> Result<Config, Mistakes> {
    let mut tree = layers::merge(sources)?;
    let mut mistakes = Mistakes::default();
    schema::check(&mut tree, &mut mistakes);
    implied::complete(&mut tree);
    let raw: Raw = tree
        .read()
        .expect("whatever is not declared has been taken out");
    match resolve::resolve(&raw, machine, &mut mistakes) {
        Some(resolved) if mistakes.is_empty() => Ok(Config {
            settings: resolved.settings,
            admin: resolved.admin,
            log: resolved.log,
            effective: tree,
        }),
        _ => Err(mistakes),
    }
}

// === impl Config ===

impl Config {
    /// Every key that is in effect as TOML, with its origin in a comment.
    pub(crate) fn effective(&self) -> String {
        render::effective(&self.effective)
    }
}

#[cfg(test)]
mod tests;
