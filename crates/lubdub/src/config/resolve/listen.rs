//! Listeners and their certificates.

use std::collections::BTreeMap;
use std::sync::Arc;

use lubdub_proxy::settings::Listener;
use lubdub_proxy::tls;
use rustls::ServerConfig;

use super::super::error::Mistakes;
use super::super::tree::Table;
use super::super::{pem, raw, read};
use super::address::Addresses;
use super::{load, require, set, table_set_at};

/// All listeners, at least one.
pub(super) fn resolve(
    tree: &Table,
    raw: &BTreeMap<String, raw::Listen>,
    addresses: &Addresses<'_>,
    mistakes: &mut Mistakes,
) -> Option<Vec<Listener>> {
    if raw.is_empty() {
        mistakes.about(
            "listen",
            "there is no listener: set listen.NAME.address, or use --listen",
        );
        return None;
    }
    let listeners: Vec<_> = raw
        .iter()
        .map(|(name, listen)| listener(tree, name, listen, addresses, mistakes))
        .collect();
    listeners.into_iter().collect()
}

fn listener(
    tree: &Table,
    name: &str,
    raw: &raw::Listen,
    addresses: &Addresses<'_>,
    mistakes: &mut Mistakes,
) -> Option<Listener> {
    let key = format!("listen.{name}");
    let address = require(
        &raw.address,
        &format!("{key}.address"),
        read::address,
        mistakes,
    );
    let tls = match &raw.tls {
        Some(tls) => server_config(tree, &format!("{key}.tls"), tls, mistakes).map(Some),
        None => Some(None),
    };
    let address = address?;
    Some(Listener {
        name: name.into(),
        address,
        v6_only: addresses.v6_only(address),
        tls: tls?,
    })
}

fn server_config(
    tree: &Table,
    key: &str,
    raw: &raw::Tls,
    mistakes: &mut Mistakes,
) -> Option<Arc<ServerConfig>> {
    let certificate_key = |name: &str| format!("{key}.certificate.{name}");
    let mut certificates = raw.certificate.iter();
    let Some((name, certificate)) = certificates.next() else {
        let wrong = format!("has no certificate: set {key}.certificate.NAME.cert and its key");
        mistakes.wrong_at(key, tree.mentioned_by(key), wrong);
        return None;
    };
    let key = certificate_key(name);
    if let Some((other, _)) = certificates.next() {
        let other = certificate_key(other);
        let wrong = format!(
            "a listener takes one certificate, and there is {}",
            table_set_at(tree, &key)
        );
        mistakes.wrong_at(&other, tree.mentioned_by(&other), wrong);
        return None;
    }
    with_certificate(&key, certificate, mistakes)
}

/// TLS with the certificate that is at `key`.
fn with_certificate(
    key: &str,
    raw: &raw::Certificate,
    mistakes: &mut Mistakes,
) -> Option<Arc<ServerConfig>> {
    let chain = set(&raw.cert, &format!("{key}.cert"), mistakes)
        .and_then(|leaf| load(leaf, pem::certificates, mistakes));
    let private_key = set(&raw.key, &format!("{key}.key"), mistakes)
        .and_then(|leaf| load(leaf, pem::private_key, mistakes));

    tls::server_config(chain?, private_key?)
        .map_err(|error| {
            // The enum is open, and its other variants speak for themselves.
            #[allow(clippy::wildcard_enum_match_arm)]
            let (leaf, wrong) = match error {
                rustls::Error::InconsistentKeys(_) => {
                    (&raw.key, format!("does not belong to {key}.cert"))
                }
                rustls::Error::InvalidCertificate(error) => (&raw.cert, pem::unusable(&error).0),
                error => (&raw.key, format!("cannot be used: {error}")),
            };
            if let Some(leaf) = leaf {
                mistakes.wrong(leaf, wrong);
            }
        })
        .ok()
}
