//! Listeners and their certificates.

use std::collections::BTreeMap;
use std::sync::Arc;

use lubdub_proxy::settings::Listener;
use lubdub_proxy::tls;
use rustls::ServerConfig;

use super::super::error::Mistakes;
use super::super::{pem, raw, read};
use super::require;

/// All listeners, at least one.
pub(super) fn resolve(
    raw: &BTreeMap<String, raw::Listen>,
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
        .map(|(name, listen)| listener(name, listen, mistakes))
        .collect();
    listeners.into_iter().collect()
}

fn listener(name: &str, raw: &raw::Listen, mistakes: &mut Mistakes) -> Option<Listener> {
    let key = format!("listen.{name}");
    let address = require(
        &raw.address,
        &format!("{key}.address"),
        read::address,
        mistakes,
    );
    let tls = match &raw.tls {
        Some(tls) => server_config(&format!("{key}.tls"), tls, mistakes).map(Some),
        None => Some(None),
    };
    Some(Listener {
        name: name.into(),
        address: address?,
        tls: tls?,
    })
}

fn server_config(key: &str, raw: &raw::Tls, mistakes: &mut Mistakes) -> Option<Arc<ServerConfig>> {
    let mut certificates = raw.certificate.iter();
    let (Some((name, certificate)), None) = (certificates.next(), certificates.next()) else {
        mistakes.about(
            format!("{key}.certificate"),
            format!(
                "must have exactly one certificate, not {}",
                raw.certificate.len()
            ),
        );
        return None;
    };
    let key = format!("{key}.certificate.{name}");
    let chain = |value: &_| pem::certificates(&read::file(value)?);
    let chain = require(&certificate.cert, &format!("{key}.cert"), chain, mistakes);
    let private_key = |value: &_| pem::private_key(&read::file(value)?);
    let private_key = require(
        &certificate.key,
        &format!("{key}.key"),
        private_key,
        mistakes,
    );

    tls::server_config(chain?, private_key?)
        .map_err(|error| {
            // The enum is open, and its other variants speak for themselves.
            #[allow(clippy::wildcard_enum_match_arm)]
            let wrong = match error {
                rustls::Error::InconsistentKeys(_) => {
                    "the key does not belong to the certificate".to_owned()
                }
                error => format!("cannot be used: {error}"),
            };
            mistakes.about(key, wrong);
        })
        .ok()
}
