//! Upstreams and the certificates that they are trusted by.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use lubdub_proxy::settings::{Limits, ProxyVersion, Upstream};
use lubdub_proxy::tls;
use rustls::ClientConfig;

use super::super::error::{Mistake, Mistakes, Wrong};
use super::super::leaf::{Leaf, Scalar};
use super::super::url::{self, Security, UpstreamUrl};
use super::super::{pem, raw, read};
use super::{load, take};

/// The upstreams by name; `None` is one that is wrong, which is then noted.
pub(super) type Upstreams = BTreeMap<String, Option<Arc<Upstream>>>;

/// TLS configurations by the file that they trust, `None` being the platform: the platform's
/// certificates are read once, not for every upstream.
type ClientConfigs = HashMap<Option<PathBuf>, Arc<ClientConfig>>;

/// Upgrades that wait for an upstream at a time, if nobody says otherwise: a storm of clients that
/// come back to a healthy one is let through.
const WAITING: usize = 1024;

/// All upstreams. Without `limits`, which are wrong then, nobody can say how many may wait for one.
pub(super) fn resolve(
    raw: &BTreeMap<String, raw::Upstream>,
    limits: Option<&Limits>,
    mistakes: &mut Mistakes,
) -> Upstreams {
    if raw.is_empty() {
        mistakes.about(
            "upstream",
            "there is no upstream: set upstream.NAME.url, or use --upstream",
        );
    }
    let mut configs = ClientConfigs::new();
    raw.iter()
        .map(|(name, raw)| {
            (
                name.clone(),
                upstream(name, raw, limits, &mut configs, mistakes).map(Arc::new),
            )
        })
        .collect()
}

fn upstream(
    name: &str,
    raw: &raw::Upstream,
    limits: Option<&Limits>,
    configs: &mut ClientConfigs,
    mistakes: &mut Mistakes,
) -> Option<Upstream> {
    let key = format!("upstream.{name}");
    let url = match &raw.url {
        Some(leaf) => upstream_url(leaf, mistakes),
        None => {
            mistakes.about(format!("{key}.url"), "must be set");
            None
        }
    };
    let host_field = take(&raw.host, read::host_or_keep, mistakes);
    let waiting = take(&raw.limits.waiting, read::count_or_auto, mistakes);
    let requests = take(&raw.limits.requests, read::count_or_auto, mistakes);
    let proxy_protocol: Option<Option<ProxyVersion>> =
        take(&raw.proxy_protocol, read::choice, mistakes);
    let pool = take(&raw.pool, read::switch, mistakes);
    let pool_age = take(&raw.pool_age, read::duration, mistakes);
    let on_removed = take(&raw.on_removed, read::choice, mistakes);
    let ca = match &raw.ca {
        Some(leaf) => load(leaf, |path| Ok(path.to_owned()), mistakes).map(Some),
        None => Some(None),
    };
    let (url, ca) = (url?, ca?);
    let tls = match (url.security, ca, &raw.ca) {
        (Security::Plain, Some(_), Some(leaf)) => {
            mistakes.wrong(leaf, format!("{key}.url must be wss or https for this"));
            return None;
        }
        (Security::Plain, ..) => None,
        (Security::Tls, ca, leaf) => match client_config(ca, configs) {
            Ok(config) => Some(config),
            Err(Wrong(wrong)) => {
                // Without authorities of its own it is for its URL that it takes the platform's.
                if let Some(leaf) = leaf.as_ref().or(raw.url.as_ref()) {
                    mistakes.wrong(leaf, wrong);
                }
                return None;
            }
        },
    };
    Some(Upstream {
        name: name.into(),
        host: url.host.into(),
        port: url.port,
        tls,
        host_field: host_field?,
        proxy_protocol: proxy_protocol?,
        waiting: match waiting? {
            Some(waiting) => waiting.get(),
            None => WAITING.min(share(limits?.pairs, 4)),
        },
        requests: match requests? {
            Some(requests) => requests.get(),
            None => share(limits?.connections.get(), 2),
        },
        pool: pool?,
        pool_age: pool_age?,
        on_removed: on_removed?,
    })
}

/// One of so many parts, but not nothing.
fn share(of: usize, parts: usize) -> usize {
    (of / parts).max(1)
}

/// A URL that is refused may hold what must not be shown.
fn upstream_url(leaf: &Leaf, mistakes: &mut Mistakes) -> Option<UpstreamUrl> {
    let text = match read::text(&leaf.value) {
        Ok(text) => text,
        Err(Wrong(wrong)) => {
            mistakes.wrong(leaf, wrong);
            return None;
        }
    };
    url::parse(text)
        .map_err(|wrong| {
            mistakes.push(Mistake {
                what: leaf.key.clone(),
                value: Some(Scalar::Text(url::redacted(text)).to_string()),
                origin: Some(leaf.origin.clone()),
                wrong,
            });
        })
        .ok()
}

fn client_config(
    ca: Option<PathBuf>,
    configs: &mut ClientConfigs,
) -> Result<Arc<ClientConfig>, Wrong> {
    if let Some(config) = configs.get(&ca) {
        return Ok(Arc::clone(config));
    }
    let certificates = ca.as_deref().map(pem::certificates).transpose()?;
    let config = tls::client_config(certificates)
        .map_err(|error| Wrong(format!("TLS to this upstream cannot be set up: {error}")))?;
    configs.insert(ca, Arc::clone(&config));
    Ok(config)
}
