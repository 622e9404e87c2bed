//! TLS toward upstreams: whom lubdub believes, which name they must have, and what lubdub shows of itself.

use std::collections::HashMap;
use std::path::PathBuf;

use lubdub_proxy::settings::Site;
use lubdub_proxy::tls::{self, Certificate, UpstreamTls, UpstreamTrust};
use rustls_pki_types::ServerName;

use super::super::error::{Mistakes, Wrong};
use super::super::leaf::Leaf;
use super::super::url::{Security, UpstreamUrl};
use super::super::{pem, raw, read};
use super::certificate::{Named, certificate};
use super::{load, optional, take};

/// Whom upstreams are verified by, by the file that says so, `None` being the platform: its certificates
/// are read once, not for every upstream.
#[derive(Default)]
pub(super) struct Trusts(HashMap<Option<PathBuf>, UpstreamTrust>);

/// TLS toward the upstream at `key`, the inner `None` for none. The outer `None` says that something is
/// wrong, which is then noted.
pub(super) fn resolve(
    key: &str,
    raw: &raw::Upstream,
    url: Option<&UpstreamUrl>,
    trusts: &mut Trusts,
    mistakes: &mut Mistakes,
) -> Option<Option<UpstreamTls>> {
    let is_blind = take(&raw.insecure_skip_verify, read::switch, mistakes);
    let server_name = optional(&raw.server_name, read::server_name, mistakes);
    let shown = shown(key, raw, mistakes);
    if url.is_some_and(|url| url.security == Security::Plain) {
        return refuse(key, raw, is_blind == Some(true), mistakes).then_some(None);
    }
    // Before the first `?`, so that both are found.
    let name = match server_name {
        Some(Some(name)) => Some(name),
        Some(None) => url.and_then(|url| own_name(key, raw, url, mistakes)),
        None => None,
    };
    let is_blind = is_blind?;
    let trust = match &raw.ca {
        None if is_blind => UpstreamTrust::anybody(),
        // What `ca` names is read in any case, for the day when it is asked again.
        _ => match trust(raw, trusts, mistakes)? {
            _ if is_blind => UpstreamTrust::anybody(),
            trust => trust,
        },
    };
    Some(Some(UpstreamTls::new(name?, trust, shown?)))
}

/// Whether nothing is set that only makes sense with TLS. What is, is noted.
fn refuse(key: &str, raw: &raw::Upstream, is_blind: bool, mistakes: &mut Mistakes) -> bool {
    let set = [&raw.ca, &raw.certificate, &raw.key, &raw.server_name];
    let blind = raw.insecure_skip_verify.as_ref().filter(|_| is_blind);
    let set: Vec<_> = set.into_iter().flatten().chain(blind).collect();
    for leaf in &set {
        mistakes.wrong(
            leaf,
            format!("{key}.url must be wss, https or wss+unix for this"),
        );
    }
    set.is_empty()
}

/// What lubdub shows of itself, if anything.
fn shown(key: &str, raw: &raw::Upstream, mistakes: &mut Mistakes) -> Option<Option<Certificate>> {
    if raw.certificate.is_none() && raw.key.is_none() {
        return Some(None);
    }
    let named = Named {
        table: key,
        cert_name: "certificate",
        cert: &raw.certificate,
        key: &raw.key,
    };
    certificate(&named, mistakes).map(|(certificate, ..)| Some(certificate))
}

/// The host of the URL as the name that a certificate must have.
fn own_name(
    key: &str,
    raw: &raw::Upstream,
    url: &UpstreamUrl,
    mistakes: &mut Mistakes,
) -> Option<ServerName<'static>> {
    let (name, wrong) = match &url.site {
        Site::Named { host, .. } => (
            tls::server_name(host),
            format!("has a host that no certificate can be for: set {key}.server_name"),
        ),
        Site::Unix(_) => (
            None,
            format!("needs {key}.server_name: a path is no name that a certificate can be for"),
        ),
    };
    if let (None, Some(leaf)) = (&name, &raw.url) {
        mistakes.wrong(leaf, wrong);
    }
    name
}

fn trust(
    raw: &raw::Upstream,
    trusts: &mut Trusts,
    mistakes: &mut Mistakes,
) -> Option<UpstreamTrust> {
    let path = match &raw.ca {
        Some(leaf) => Some(load(leaf, |path| Ok(path.to_owned()), mistakes)?),
        None => None,
    };
    if let Some(trust) = trusts.0.get(&path) {
        return Some(trust.clone());
    }
    let made = match path.as_deref().map(pem::certificates).transpose() {
        Ok(Some(certificates)) => UpstreamTrust::named(certificates),
        Ok(None) => UpstreamTrust::platform(),
        Err(Wrong(wrong)) => return refused(raw, wrong, mistakes),
    };
    match made {
        Ok(trust) => {
            trusts.0.insert(path, trust.clone());
            Some(trust)
        }
        Err(error) => {
            let wrong = format!("TLS to this upstream cannot be set up: {error}");
            refused(raw, wrong, mistakes)
        }
    }
}

/// Notes that nobody can be trusted.
fn refused(raw: &raw::Upstream, wrong: String, mistakes: &mut Mistakes) -> Option<UpstreamTrust> {
    // Without authorities of its own it is for its URL that it takes the platform's.
    let leaf: Option<&Leaf> = raw.ca.as_ref().or(raw.url.as_ref());
    if let Some(leaf) = leaf {
        mistakes.wrong(leaf, wrong);
    }
    None
}
