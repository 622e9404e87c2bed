//! Upstreams.

use std::collections::BTreeMap;
use std::sync::Arc;

use lubdub_proxy::settings::{Limits, ProxyVersion, Upstream};
use lubdub_proxy::tls::UpstreamTls;

use super::super::error::{Mistake, Mistakes, Wrong};
use super::super::leaf::{Leaf, Scalar};
use super::super::url::{self, UpstreamUrl};
use super::super::{name, raw, read};
use super::upstream_tls::{self, Trusts};
use super::{set, take};

/// The upstreams by name; `None` is one that is wrong, which is then noted.
pub(super) type Upstreams = BTreeMap<String, Option<Arc<Upstream>>>;

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
    let mut trusts = Trusts::default();
    raw.iter()
        .map(|(name, raw)| {
            (
                name.clone(),
                upstream(name, raw, limits, &mut trusts, mistakes).map(Arc::new),
            )
        })
        .collect()
}

fn upstream(
    name: &str,
    raw: &raw::Upstream,
    limits: Option<&Limits>,
    trusts: &mut Trusts,
    mistakes: &mut Mistakes,
) -> Option<Upstream> {
    let key = format!("upstream.{name}");
    let url = set(&raw.url, &format!("{key}.url"), mistakes);
    let url = url.and_then(|leaf| upstream_url(leaf, mistakes));
    let host_field = take(&raw.host, read::host_or_keep, mistakes);
    let waiting = take(&raw.limits.waiting, read::count_or_auto, mistakes);
    let requests = take(&raw.limits.requests, read::count_or_auto, mistakes);
    let proxy_protocol: Option<Option<ProxyVersion>> =
        take(&raw.proxy_protocol, read::choice, mistakes);
    let pool = take(&raw.pool, read::switch, mistakes);
    let pool_age = take(&raw.pool_age, read::duration, mistakes);
    let on_removed = take(&raw.on_removed, read::choice, mistakes);
    let tls = upstream_tls::resolve(&key, raw, url.as_ref(), trusts, mistakes);
    let (url, tls) = (url?, tls?);
    let proxy_protocol = proxy_protocol?;
    Some(Upstream {
        name: name.into(),
        site: url.site,
        tls: tls.map(Arc::new),
        host_field: host_field?,
        proxy_protocol,
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

/// The one of this name as it is written, where it is, and what TLS it takes to get there.
pub(super) fn at(
    raw: &BTreeMap<String, raw::Upstream>,
    name: &str,
    mistakes: &mut Mistakes,
) -> Option<(String, UpstreamUrl, Option<UpstreamTls>)> {
    let Some((known, raw)) = raw.iter().find(|(known, _)| name::same(known, name)) else {
        let known: Vec<_> = raw.keys().map(String::as_str).collect();
        let wrong = match known[..] {
            [] => "no upstream is configured; is the file named (--config)?".to_owned(),
            _ => format!("there is no such upstream, but {}", known.join(", ")),
        };
        mistakes.about(format!("upstream.{name}"), wrong);
        return None;
    };
    let key = format!("upstream.{known}");
    let url = set(&raw.url, &format!("{key}.url"), mistakes);
    let url = url.and_then(|leaf| upstream_url(leaf, mistakes));
    let tls = upstream_tls::resolve(&key, raw, url.as_ref(), &mut Trusts::default(), mistakes);
    Some((known.clone(), url?, tls?))
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
