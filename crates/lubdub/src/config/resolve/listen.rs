//! Listeners and their certificates.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lubdub_proxy::settings::Listener;
use lubdub_proxy::tls::{self, Certificate, Certificates};
use rustls::ServerConfig;

use super::super::certificate::{CertificateFiles, CertificateSettings, Digest, Fault, Part};
use super::super::error::Mistakes;
use super::super::leaf::Leaf;
use super::super::tree::Table;
use super::super::{pem, raw, read};
use super::address::Addresses;
use super::{load, require, set, take, unix};

/// All listeners, at least one, and their certificates.
pub(super) fn resolve(
    tree: &Table,
    raw: &BTreeMap<String, raw::Listen>,
    addresses: &Addresses<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Vec<Listener>, Vec<CertificateSettings>)> {
    if raw.is_empty() {
        mistakes.about(
            "listen",
            "there is no listener: set listen.NAME.address, or use --listen",
        );
        return None;
    }
    let mut certificates = Vec::new();
    let listeners: Vec<_> = raw
        .iter()
        .map(|(name, listen)| listener(tree, name, listen, addresses, &mut certificates, mistakes))
        .collect();
    let listeners = listeners.into_iter().collect::<Option<_>>()?;
    Some((listeners, certificates))
}

fn listener(
    tree: &Table,
    name: &str,
    raw: &raw::Listen,
    addresses: &Addresses<'_>,
    certificates: &mut Vec<CertificateSettings>,
    mistakes: &mut Mistakes,
) -> Option<Listener> {
    let address = require(
        &raw.address,
        &format!("listen.{name}.address"),
        read::address,
        mistakes,
    );
    let tls = match &raw.tls {
        Some(tls) => server_config(tree, name, tls, certificates, mistakes).map(Some),
        None => Some(None),
    };
    let access = unix::access(
        &raw.mode,
        &raw.group,
        &format!("listen.{name}.address"),
        address.as_ref(),
        mistakes,
    );
    let address = address?;
    Some(Listener {
        name: name.into(),
        v6_only: addresses.v6_only(&address),
        address,
        access: access?,
        tls: tls?,
    })
}

/// TLS with the certificates that are below `key`, which are added to `certificates`.
fn server_config(
    tree: &Table,
    listener: &str,
    raw: &raw::Tls,
    certificates: &mut Vec<CertificateSettings>,
    mistakes: &mut Mistakes,
) -> Option<Arc<ServerConfig>> {
    let key = format!("listen.{listener}.tls");
    let watch = take(&raw.watch, read::duration_or_off, mistakes);
    let below = format!("{key}.certificate");
    let Some(tables) = tree.at(&below).filter(|_| !raw.certificate.is_empty()) else {
        let wrong = format!("has no certificate: set {below}.NAME.cert and its key");
        mistakes.wrong_at(&key, tree.mentioned_by(&key), wrong);
        return None;
    };
    // All of them, so that every mistake is found.
    let read: Vec<_> = tables
        .tables()
        .into_iter()
        .map(|(name, _)| {
            let read = certificate(&format!("{below}.{name}"), &raw.certificate[name], mistakes);
            read.map(|read| (name, read))
        })
        .collect();
    let read = read.into_iter().collect::<Option<Vec<_>>>()?;
    let watch = watch?;
    let (all, files): (Vec<_>, Vec<_>) = read
        .into_iter()
        .map(|(name, (certificate, files, seen))| (certificate, (name, files, seen)))
        .unzip();
    let all = Certificates::new(all);
    let settings = files
        .into_iter()
        .enumerate()
        .map(|(place, (name, files, seen))| CertificateSettings {
            listener: listener.into(),
            name: name.into(),
            files,
            seen,
            certificates: Arc::clone(&all),
            place,
            watch,
        });
    certificates.extend(settings);
    Some(tls::server_config(all))
}

/// A file that must be named, with what names it.
fn path<'a>(
    leaf: &'a Option<Leaf>,
    key: &str,
    mistakes: &mut Mistakes,
) -> Option<(&'a Leaf, PathBuf)> {
    let leaf = set(leaf, key, mistakes)?;
    load(leaf, |path| Ok(path.to_owned()), mistakes).map(|path| (leaf, path))
}

/// The certificate that is at `key`, and where it is from.
fn certificate(
    key: &str,
    raw: &raw::Certificate,
    mistakes: &mut Mistakes,
) -> Option<(Certificate, CertificateFiles, Digest)> {
    let cert = path(&raw.cert, &format!("{key}.cert"), mistakes);
    let private = path(&raw.key, &format!("{key}.key"), mistakes);
    let (Some((cert, cert_path)), Some((private, key_path))) = (&cert, &private) else {
        // The one that is there may be wrong as well.
        if let Some((leaf, _)) = cert {
            load(leaf, pem::certificates, mistakes);
        }
        if let Some((leaf, _)) = private {
            load(leaf, pem::private_key, mistakes);
        }
        return None;
    };
    let files = CertificateFiles {
        table: key.to_owned(),
        cert: cert_path.clone(),
        key: key_path.clone(),
    };
    let contents = files.read();
    let seen = contents.digest();
    let read = contents.certificate().map_err(|faults| {
        for Fault { part, wrong } in faults {
            let leaf = match part {
                Part::Cert => cert,
                Part::Key => private,
            };
            mistakes.wrong(leaf, wrong.0);
        }
    });
    read.ok().map(|certificate| (certificate, files, seen))
}
