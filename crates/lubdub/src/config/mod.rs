//! Configuration: from files, variables and flags to typed settings, or to every mistake in them.
//!
//! The way of a value: [`layers`] says what was set and where, [`schema`] refuses in each layer what
//! no key is declared for, [`tree`] lays them over each other, [`implied`] adds the defaults and what
//! need not be said, [`raw`] gives it the shape of the program, [`resolve`] reads it, and [`lint`]
//! doubts it. What the keys are is declared once, in [`keys`].

mod certificate;
mod change;
mod choice;
mod clients;
mod content;
mod duration;
mod error;
mod explanation;
mod file;
mod implied;
mod json_schema;
mod keys;
mod layers;
mod leaf;
mod lint;
mod machine;
mod misplaced;
mod name;
mod origin;
mod pem;
mod rate;
mod raw;
mod read;
mod reading;
mod reference;
mod render;
mod renewal;
mod resolve;
mod schema;
mod size;
mod token;
mod tree;
mod url;
mod warning;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lubdub_proxy::Address;
use lubdub_proxy::settings::Settings;
use lubdub_proxy::tls::UpstreamTls;
use lubdub_proxy::unix::Permissions;
use tracing::Level;

#[cfg(test)]
pub(crate) use certificate::CertificateFiles;
pub(crate) use certificate::{CertificateSettings, Digest, Part};
pub(crate) use change::Change;
pub(crate) use clients::ClientSettings;
pub(crate) use duration::{but_zero, parse as parse_duration, written};
pub(crate) use error::{Mistakes, Wrong};
pub(crate) use explanation::{explanation, warnings};
pub(crate) use json_schema::json_schema;
pub(crate) use keys::Applies;
pub(crate) use layers::{FileSource, FlagValue, Replaced, Sources};
pub(crate) use machine::Machine;
pub(crate) use name::{is_name, same as same_name};
pub(crate) use origin::Origin;
pub(crate) use pem::certificates;
pub(crate) use reference::reference;
pub(crate) use render::{InEffect, Key, defaults, example};
pub(crate) use renewal::{Rearranged, Rewritten};
pub(crate) use token::Token;
pub(crate) use url::{Security, UpstreamUrl, is_unix, parse as parse_url};
pub(crate) use warning::{Warning, Warnings};

use content::Contents;
use layers::Layers;
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
    /// How a new process takes over.
    pub handover: HandoverSettings,
    /// The certificates of the listeners.
    pub certificates: Vec<CertificateSettings>,
    /// Who vouches for the clients of those listeners that ask them for certificates.
    pub clients: Vec<ClientSettings>,
    /// What will not do in practice.
    pub warnings: Warnings,
    /// What `--listen` and `--upstream` have replaced.
    pub replaced: Vec<Replaced>,
    /// Every key that is in effect, with its origin.
    effective: Arc<Table>,
    /// What the files held that they name.
    contents: Contents,
}

/// The listener for operators.
#[derive(Debug, Clone)]
pub(crate) struct AdminSettings {
    /// Where it listens; port 0 lets the kernel choose.
    pub address: Address,
    /// Whether it leaves IPv4 alone where it is `[::]`: somebody else has that.
    pub v6_only: bool,
    /// Who may connect, where it is a Unix socket.
    pub permissions: Permissions,
    /// What opens it to others than loopback.
    pub token: Option<Token>,
    /// Names in `Host`, lower case, that are answered besides IP literals and `localhost`.
    pub hosts: Vec<String>,
}

/// How a new process takes the place of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandoverSettings {
    /// Where one from outside connects, if it can.
    pub socket: Option<Arc<Path>>,
    /// Who can.
    pub permissions: Permissions,
    /// How long this one keeps what cannot be moved; `None`: to its end.
    pub linger: Option<Duration>,
}

/// What is logged and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// The least severe level of lubdub's own that is logged.
    pub level: Level,
}

/// Whether a listener asks its clients for certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// No.
    Off,
    /// Who has one shows it.
    Optional,
    /// Who has none does not come in.
    Required,
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
    let mut mistakes = Mistakes::default();
    let (tree, raw, layers) = read(sources, &mut mistakes)?;
    let contents = Contents::of(&tree);
    match resolve::resolve(&tree, &raw, machine, &mut mistakes) {
        Some(resolved) if mistakes.is_empty() => Ok(Config {
            warnings: lint::find(&raw, &resolved, &layers.unread, machine),
            replaced: layers.replaced,
            settings: resolved.settings,
            admin: resolved.admin,
            log: resolved.log,
            handover: resolved.handover,
            certificates: resolved.certificates,
            clients: resolved.clients,
            effective: Arc::new(tree),
            contents,
        }),
        _ => Err(mistakes),
    }
}

/// Where `sources` put the admin listener; `None` if it is off. Whatever else is wrong or missing
/// in them is left alone: the flags of the process that listens there are not known here.
///
/// # Errors
/// If this cannot be said.
pub(crate) fn admin_address(sources: &Sources) -> Result<Option<Address>, Mistakes> {
    let (_, raw, _) = read(sources, &mut Mistakes::default())?;
    let mut mistakes = Mistakes::default();
    resolve::admin_address(&raw, &mut mistakes).ok_or(mistakes)
}

/// The token of the admin listener that `sources` name; `None` if they name none. For the rest,
/// see [`admin_address`].
///
/// # Errors
/// If it cannot be read.
pub(crate) fn admin_token(sources: &Sources) -> Result<Option<Token>, Mistakes> {
    let (_, raw, _) = read(sources, &mut Mistakes::default())?;
    let mut mistakes = Mistakes::default();
    resolve::admin_token(&raw, &mut mistakes).ok_or(mistakes)
}

/// The name of an upstream as `sources` write it, where they put it, and what TLS it takes to get there. For
/// the rest, see
/// [`admin_address`].
///
/// # Errors
/// If there is none of this name, or this cannot be said.
pub(crate) fn upstream(
    sources: &Sources,
    name: &str,
) -> Result<(String, UpstreamUrl, Option<UpstreamTls>), Mistakes> {
    let (_, raw, _) = read(sources, &mut Mistakes::default())?;
    let mut mistakes = Mistakes::default();
    resolve::upstream_at(&raw, name, &mut mistakes).ok_or(mistakes)
}

/// What `sources` set, with what is implied, as a tree and in the shape of the program, and what is
/// left of the layers.
fn read(sources: &Sources, mistakes: &mut Mistakes) -> Result<(Table, Raw, Layers), Mistakes> {
    let mut tree = Table::new(Origin::Default);
    let mut layers = layers::read(sources)?;
    for mut layer in layers.set.drain(..) {
        // Each by itself: under a stronger layer's table a value in its place could not be seen.
        schema::check(&mut layer, mistakes);
        name::adopt(&mut layer, &tree);
        tree.overlay(layer);
    }
    implied::complete(&mut tree);
    let raw = tree
        .read()
        .expect("whatever is not declared has been taken out");
    Ok((tree, raw, layers))
}

// === impl Config ===

impl Config {
    /// The flags of the whole, and what each has replaced.
    pub(crate) fn replacements(&self) -> Vec<(&'static str, String)> {
        let of_flag = |flag| {
            let these = self.replaced.iter().filter(move |each| each.flag == flag);
            let these: Vec<_> = these
                .map(|each| format!("{} ({})", each.key, each.origin))
                .collect();
            (flag, these.join(", "))
        };
        let flags: BTreeSet<_> = self.replaced.iter().map(|each| each.flag).collect();
        flags.into_iter().map(of_flag).collect()
    }

    /// What is different in `next`.
    pub(crate) fn changes_to<'a>(&'a self, next: &'a Self) -> Vec<Change<'a>> {
        change::between(&self.effective, &next.effective)
    }

    /// Every key that is in effect as TOML, with its origin in a comment.
    pub(crate) fn effective(&self) -> String {
        render::effective(&self.effective)
    }

    /// The same, for who may ask for it later.
    pub(crate) fn in_effect(&self) -> InEffect {
        InEffect::new(Arc::clone(&self.effective))
    }
}

#[cfg(test)]
mod tests;
