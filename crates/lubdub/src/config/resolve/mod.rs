//! From what was set to what is meant: the typed settings, or every mistake.

mod address;
mod certificate;
mod circle;
mod limits;
mod listen;
mod process;
mod rates;
mod route;
mod terms;
mod unix;
mod upstream;
mod upstream_tls;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use lubdub_proxy::Address;
use lubdub_proxy::settings::{Drain, Forwarded, FrontTimeouts, Settings, Site};
use lubdub_proxy::tls::UpstreamTls;

use super::certificate::CertificateSettings;
use super::clients::ClientSettings;
use super::error::{Mistakes, Wrong};
use super::leaf::{Leaf, Scalar};
use super::machine::{Household, Machine};
use super::raw::{self, Raw};
use super::token::Token;
use super::tree::Table;
use super::url::UpstreamUrl;
use super::{AdminSettings, HandoverSettings, LogSettings, file, read, url};
use crate::allocator;
use address::Addresses;

/// What a configuration says.
pub(crate) struct Resolved {
    /// To the proxy.
    pub settings: Settings,
    /// To the admin listener, if there is one.
    pub admin: Option<AdminSettings>,
    /// To the log.
    pub log: LogSettings,
    /// To the hand-over.
    pub handover: HandoverSettings,
    /// The certificates of the listeners.
    pub certificates: Vec<CertificateSettings>,
    /// Who vouches for their clients.
    pub clients: Vec<ClientSettings>,
}

/// Reads `raw`, which has the values of `tree`. `None` if something is wrong, which is then noted.
pub(crate) fn resolve(
    tree: &Table,
    raw: &Raw,
    machine: &Machine,
    mistakes: &mut Mistakes,
) -> Option<Resolved> {
    // Everything is read before the first `?`, so that every mistake is found.
    let addresses = Addresses::of(raw);
    let listeners = listen::resolve(tree, raw, &addresses, mistakes);
    let workers = take(&raw.runtime.workers, read::count_or_auto, mistakes);
    let io_uring = take(&raw.runtime.io_uring, read::switch, mistakes);
    let household = household(raw, workers.flatten().unwrap_or(machine.cores));
    let limits = limits::resolve(&raw.limits, machine, &household, mistakes);
    let upstreams = upstream::resolve(&raw.upstream, limits.as_ref(), mistakes);
    let base = raw.terms();
    let base_terms = terms::resolve(&base, mistakes);
    let routes = route::resolve(tree, &raw.route, &base, &upstreams, mistakes);
    let timeouts = front_timeouts(&raw.timeouts, mistakes);
    let forwarded = forwarded(&raw.forwarded, mistakes);
    let drain = drain(&raw.drain, mistakes);
    let admin = process::admin(&raw.admin, &addresses, mistakes);
    let log = process::log(&raw.log, mistakes);
    let handover = process::handover(&raw.handover, mistakes);
    let logging = process::logging(&raw.log, mistakes);
    addresses.refuse_overlaps(mistakes);
    circle::refuse(raw, &addresses, mistakes);

    base_terms?;
    let (listeners, tls) = listeners?;
    let settings = Settings {
        listeners,
        routes: routes?.into_iter().map(Arc::new).collect(),
        timeouts: timeouts?,
        limits: limits?,
        forwarded: forwarded?,
        drain: drain?,
        logging: logging?,
        workers: workers.map(|_| household.workers)?,
        io_uring: io_uring?,
        tidy: allocator::give_back,
    };
    Some(Resolved {
        settings,
        admin: admin?,
        log: log?,
        handover: handover?,
        certificates: tls.certificates,
        clients: tls.clients,
    })
}

/// What will have descriptors besides clients and upstreams.
fn household(raw: &Raw, workers: NonZeroUsize) -> Household {
    let urls = raw.upstream.values().filter_map(|set| set.url.as_ref());
    let names: BTreeSet<_> = urls
        .filter_map(|leaf| url::parse(read::text(&leaf.value).ok()?).ok())
        .filter_map(|url| match url.site {
            Site::Named { host, .. } => Some(host),
            Site::Unix(_) => None,
        })
        .filter(|host| host.parse::<IpAddr>().is_err())
        .collect();
    Household {
        workers,
        listeners: raw.listen.len(),
        names: names.len(),
    }
}

/// Where the admin listener is to be, the inner `None` for nowhere. `None` if that is wrong, which is
/// then noted.
pub(crate) fn admin_address(raw: &Raw, mistakes: &mut Mistakes) -> Option<Option<Address>> {
    process::admin_address(&raw.admin, mistakes)
}

/// What opens the admin listener, the inner `None` for nothing. `None` if that is wrong, which is then
/// noted.
pub(crate) fn admin_token(raw: &Raw, mistakes: &mut Mistakes) -> Option<Option<Token>> {
    process::admin_token(&raw.admin, mistakes)
}

/// The upstream of this name as it is written, where it is, and what TLS it takes to get there. `None` if that
/// is wrong, which is then noted.
pub(crate) fn upstream_at(
    raw: &Raw,
    name: &str,
    mistakes: &mut Mistakes,
) -> Option<(String, UpstreamUrl, Option<UpstreamTls>)> {
    upstream::at(&raw.upstream, name, mistakes)
}

/// Reads a value that is there because it has a default.
fn take<T>(
    leaf: &Option<Leaf>,
    read: impl FnOnce(&Scalar) -> Result<T, Wrong>,
    mistakes: &mut Mistakes,
) -> Option<T> {
    let leaf = leaf
        .as_ref()
        .expect("the defaults set every key that is read like this");
    mistakes.read(leaf, read)
}

/// Reads a value that must be set; `key` is its key.
fn require<T>(
    leaf: &Option<Leaf>,
    key: &str,
    read: impl FnOnce(&Scalar) -> Result<T, Wrong>,
    mistakes: &mut Mistakes,
) -> Option<T> {
    set(leaf, key, mistakes).and_then(|leaf| mistakes.read(leaf, read))
}

/// What must be set; `key` is its key.
fn set<'a>(leaf: &'a Option<Leaf>, key: &str, mistakes: &mut Mistakes) -> Option<&'a Leaf> {
    if leaf.is_none() {
        mistakes.about(key, "must be set");
    }
    leaf.as_ref()
}

/// Reads the file that `leaf` names.
fn load<T>(
    leaf: &Leaf,
    load: impl FnOnce(&Path) -> Result<T, Wrong>,
    mistakes: &mut Mistakes,
) -> Option<T> {
    file::path(leaf)
        .and_then(|path| load(&path))
        .map_err(|Wrong(wrong)| mistakes.wrong(leaf, wrong))
        .ok()
}

/// Reads a value that may be missing. The outer `None` says that it is wrong.
fn optional<T>(
    leaf: &Option<Leaf>,
    read: impl FnOnce(&Scalar) -> Result<T, Wrong>,
    mistakes: &mut Mistakes,
) -> Option<Option<T>> {
    match leaf {
        Some(leaf) => mistakes.read(leaf, read).map(Some),
        None => Some(None),
    }
}

/// The key of a table for messages about another, with where it was set.
fn table_set_at(tree: &Table, key: &str) -> String {
    match tree.mentioned_by(key) {
        Some(origin) => format!("{key} ({origin})"),
        None => key.to_owned(),
    }
}

fn front_timeouts(raw: &raw::Timeouts, mistakes: &mut Mistakes) -> Option<FrontTimeouts> {
    let first_byte = take(&raw.first_byte, read::duration, mistakes);
    let request_head = take(&raw.request_head, read::duration, mistakes);
    let tls = take(&raw.tls, read::duration, mistakes);
    let proxy_header = take(&raw.proxy_header, read::duration, mistakes);
    let http_idle = take(&raw.http_idle, read::duration_or_off, mistakes);
    Some(FrontTimeouts {
        first_byte: first_byte?,
        request_head: request_head?,
        tls: tls?,
        proxy_header: proxy_header?,
        http_idle: http_idle?,
    })
}

fn forwarded(raw: &raw::Forwarded, mistakes: &mut Mistakes) -> Option<Forwarded> {
    let style = take(&raw.style, read::choice, mistakes);
    let trust = take(&raw.trust, read::trust, mistakes);
    let via = take(&raw.via, read::switch, mistakes);
    let request_id = take(&raw.request_id, read::switch, mistakes);
    Some(Forwarded {
        style: style?,
        trust: trust?,
        via: via?,
        request_id: request_id?,
    })
}

fn drain(raw: &raw::Drain, mistakes: &mut Mistakes) -> Option<Drain> {
    let delay = take(&raw.delay, read::duration_or_zero, mistakes);
    let spread = take(&raw.spread, read::duration_or_zero, mistakes);
    let timeout = take(&raw.timeout, read::duration, mistakes);
    Some(Drain {
        delay: delay?,
        spread: spread?,
        timeout: timeout?,
    })
}
