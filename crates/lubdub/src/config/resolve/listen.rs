//! Listeners and their certificates.

use std::sync::Arc;

use lubdub_proxy::settings::{Listener, ProxyProtocol};
use lubdub_proxy::tls::{Authorities, Certificates, Clients, ServerTls};

use super::super::certificate::{CertificateSettings, Digest};
use super::super::clients::{ClientFault, ClientFiles, ClientPart, ClientSettings};
use super::super::error::Mistakes;
use super::super::leaf::Leaf;
use super::super::raw::{self, Raw};
use super::super::tree::Table;
use super::super::{ClientAuth, read};
use super::address::Addresses;
use super::certificate::{Named, certificate};
use super::{load, optional, require, take, unix};

/// What TLS at the listeners is made of, for those who look at the files again.
#[derive(Default)]
pub(super) struct TlsSettings {
    pub(super) certificates: Vec<CertificateSettings>,
    pub(super) clients: Vec<ClientSettings>,
}

/// All listeners, at least one, and their certificates.
pub(super) fn resolve(
    tree: &Table,
    raw: &Raw,
    addresses: &Addresses<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Vec<Listener>, TlsSettings)> {
    if raw.listen.is_empty() {
        mistakes.about(
            "listen",
            "there is no listener: set listen.NAME.address, or use --listen",
        );
        return None;
    }
    let mut all = TlsSettings::default();
    let listeners: Vec<_> = raw
        .listen
        .iter()
        .map(|(name, listen)| {
            refuse_header_from_nobody(listen, &raw.forwarded, mistakes);
            listener(tree, name, listen, addresses, &mut all, mistakes)
        })
        .collect();
    let listeners = listeners.into_iter().collect::<Option<_>>()?;
    Some((listeners, all))
}

fn listener(
    tree: &Table,
    name: &str,
    raw: &raw::Listen,
    addresses: &Addresses<'_>,
    all: &mut TlsSettings,
    mistakes: &mut Mistakes,
) -> Option<Listener> {
    let address = require(
        &raw.address,
        &format!("listen.{name}.address"),
        read::address,
        mistakes,
    );
    let tls = match &raw.tls {
        Some(tls) => server_tls(tree, name, tls, all, mistakes).map(Some),
        None => Some(None),
    };
    let permissions = unix::permissions(
        &raw.mode,
        &raw.group,
        &format!("listen.{name}.address"),
        address.as_ref(),
        mistakes,
    );
    let proxy_protocol = take(&raw.proxy_protocol, read::choice, mistakes);
    let trust = optional(&raw.trust, read::trust, mistakes);
    let address = address?;
    Some(Listener {
        name: name.into(),
        v6_only: addresses.v6_only(&address),
        address,
        permissions: permissions?,
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

/// TLS as `raw` says. What it is made of is added to `made_of`.
fn server_tls(
    tree: &Table,
    listener: &str,
    raw: &raw::Tls,
    made_of: &mut TlsSettings,
    mistakes: &mut Mistakes,
) -> Option<Arc<ServerTls>> {
    let key = format!("listen.{listener}.tls");
    let watch = take(&raw.watch, read::duration_or_off, mistakes);
    let subject_header = optional(&raw.subject_header, read::field, mistakes);
    let clients = clients(&key, raw, mistakes);
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
    let (watch, subject_header, (clients, client_files)) = (watch?, subject_header?, clients?);
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
    made_of.certificates.extend(settings);
    let tls = match ServerTls::new(all, clients, subject_header) {
        Ok(tls) => tls,
        Err(error) => {
            mistakes.about(key, format!("has no keys for tickets: {error}"));
            return None;
        }
    };
    let settings = client_files.map(|(files, seen)| ClientSettings {
        listener: listener.into(),
        files,
        seen,
        tls: Arc::clone(&tls),
        watch,
    });
    made_of.clients.extend(settings);
    Some(tls)
}

/// Who of the clients is let in, and which files say so, if there are any.
fn clients(
    key: &str,
    raw: &raw::Tls,
    mistakes: &mut Mistakes,
) -> Option<(Clients, Option<(ClientFiles, Digest)>)> {
    let auth = take(&raw.client_auth, read::choice, mistakes);
    let mut file = |leaf: &Option<Leaf>| match leaf {
        Some(leaf) => load(leaf, |path| Ok(path.to_owned()), mistakes).map(Some),
        None => Some(None),
    };
    let (ca, crl) = (file(&raw.client_ca), file(&raw.client_crl));
    let (auth, ca, crl) = (auth?, ca?, crl?);
    let read = match ca {
        Some(ca) => {
            let table = key.to_owned();
            Some(authorities(ClientFiles { table, ca, crl }, raw, mistakes)?)
        }
        None => None,
    };
    // What is not asked for is read all the same: a mistake in it would wait for the day on which it is.
    match (auth, read) {
        (ClientAuth::Off, _) => Some((Clients::Anyone, None)),
        (ClientAuth::Optional, Some((authorities, files))) => {
            Some((Clients::Optional(authorities), Some(files)))
        }
        (ClientAuth::Required, Some((authorities, files))) => {
            Some((Clients::Required(authorities), Some(files)))
        }
        (ClientAuth::Optional | ClientAuth::Required, None) => {
            let auth = raw.client_auth.as_ref();
            let auth = auth.expect("it has a default, which is another one");
            let wrong = format!("needs {key}.client_ca: somebody has to vouch for clients");
            mistakes.wrong(auth, wrong);
            None
        }
    }
}

/// Those in the files, and what was read.
fn authorities(
    files: ClientFiles,
    raw: &raw::Tls,
    mistakes: &mut Mistakes,
) -> Option<(Authorities, (ClientFiles, Digest))> {
    let contents = files.read();
    let seen = contents.digest();
    match contents.authorities() {
        Ok(authorities) => Some((authorities, (files, seen))),
        Err(faults) => {
            for ClientFault { part, wrong } in faults {
                let leaf = match part {
                    ClientPart::Ca => &raw.client_ca,
                    ClientPart::Crl => &raw.client_crl,
                };
                if let Some(leaf) = leaf {
                    mistakes.wrong(leaf, wrong.0);
                }
            }
            None
        }
    }
}
