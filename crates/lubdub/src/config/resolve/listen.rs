//! Listeners and their certificates.

use std::sync::Arc;

use lubdub_proxy::settings::{Listener, ProxyProtocol};
use lubdub_proxy::tls::{self, Certificates};
use rustls::ServerConfig;

use super::super::certificate::CertificateSettings;
use super::super::error::Mistakes;
use super::super::raw::{self, Raw};
use super::super::read;
use super::super::tree::Table;
use super::address::Addresses;
use super::certificate::{Named, certificate};
use super::{optional, require, take};

/// All listeners, at least one, and their certificates.
pub(super) fn resolve(
    tree: &Table,
    raw: &Raw,
    addresses: &Addresses<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Vec<Listener>, Vec<CertificateSettings>)> {
    if raw.listen.is_empty() {
        mistakes.about(
            "listen",
            "there is no listener: set listen.NAME.address, or use --listen",
        );
        return None;
    }
    let mut certificates = Vec::new();
    let listeners: Vec<_> = raw
        .listen
        .iter()
        .map(|(name, listen)| {
            refuse_header_from_nobody(listen, &raw.forwarded, mistakes);
            listener(tree, name, listen, addresses, &mut certificates, mistakes)
        })
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
    let proxy_protocol = take(&raw.proxy_protocol, read::choice, mistakes);
    let trust = optional(&raw.trust, read::trust, mistakes);
    let address = address?;
    Some(Listener {
        name: name.into(),
        v6_only: addresses.v6_only(&address),
        address,
        tls: tls?,
        proxy_protocol: proxy_protocol?,
        trust: trust?,
    })
}

/// A header that is required of everybody, and that nobody may say, keeps everybody out.
fn refuse_header_from_nobody(
    listen: &raw::Listen,
    forwarded: &raw::Forwarded,
    mistakes: &mut Mistakes,
) {
    let (Some(set), Some(trust)) = (
        &listen.proxy_protocol,
        listen.trust.as_ref().or(forwarded.trust.as_ref()),
    ) else {
        return;
    };
    let is_required = read::choice(&set.value) == Ok(ProxyProtocol::Required);
    let is_from_nobody = read::trust(&trust.value).is_ok_and(|trust| trust.is_nobody());
    if is_required && is_from_nobody {
        let key = &trust.key;
        let wrong = format!(
            "{key} is empty: nobody may send the header, and everybody would be refused; name the \
             networks of those who send it"
        );
        mistakes.wrong(set, wrong);
    }
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
            let raw = &raw.certificate[name];
            let named = Named {
                table: &format!("{below}.{name}"),
                cert_name: "cert",
                cert: &raw.cert,
                key: &raw.key,
            };
            certificate(&named, mistakes).map(|read| (name, read))
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
