//! From what was set to what is meant: the typed settings, or every mistake.

mod address;
mod listen;
mod process;
mod route;
mod terms;
mod upstream;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lubdub_proxy::settings::{Drain, Forwarded, FrontTimeouts, Limits, Settings};

use super::error::{Mistakes, Wrong};
use super::leaf::{Leaf, Scalar};
use super::machine::Machine;
use super::raw::{self, Raw};
use super::tree::Table;
use super::{AdminSettings, LogSettings, read};

/// The smallest bound of a request head: less than this hyper cannot work with.
const MIN_HEAD: u64 = 8 * 1024;

/// What a configuration says.
pub(crate) struct Resolved {
    /// To the proxy.
    pub settings: Settings,
    /// To the admin listener, if there is one.
    pub admin: Option<AdminSettings>,
    /// To the log.
    pub log: LogSettings,
}

/// Reads `raw`, which has the values of `tree`. `None` if something is wrong, which is then noted.
pub(crate) fn resolve(
    tree: &Table,
    raw: &Raw,
    machine: &Machine,
    mistakes: &mut Mistakes,
) -> Option<Resolved> {
    // Everything is read before the first `?`, so that every mistake is found.
    let listeners = listen::resolve(tree, &raw.listen, mistakes);
    let upstreams = upstream::resolve(&raw.upstream, mistakes);
    let base = raw.terms();
    let base_terms = terms::resolve(&base, mistakes);
    let routes = route::resolve(tree, &raw.route, &base, &upstreams, mistakes);
    let timeouts = front_timeouts(&raw.timeouts, mistakes);
    let limits = limits(&raw.limits, machine, mistakes);
    let forwarded = forwarded(&raw.forwarded, mistakes);
    let drain = drain(&raw.drain, mistakes);
    let workers = take(&raw.runtime.workers, read::count_or_auto, mistakes);
    let admin = process::admin(&raw.admin, mistakes);
    let log = process::log(&raw.log, mistakes);
    let logging = process::logging(&raw.log, mistakes);
    address::refuse_shared(raw, mistakes);

    base_terms?;
    let settings = Settings {
        listeners: listeners?,
        routes: routes?.into_iter().map(Arc::new).collect(),
        timeouts: timeouts?,
        limits: limits?,
        forwarded: forwarded?,
        drain: drain?,
        logging: logging?,
        workers: workers?.unwrap_or(machine.cores),
    };
    Some(Resolved {
        settings,
        admin: admin?,
        log: log?,
    })
}

/// Where the admin listener is to be, the inner `None` for nowhere. `None` if that is wrong, which is
/// then noted.
pub(crate) fn admin_address(raw: &Raw, mistakes: &mut Mistakes) -> Option<Option<SocketAddr>> {
    process::admin_address(&raw.admin, mistakes)
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
    let Some(leaf) = leaf else {
        mistakes.about(key, "must be set");
        return None;
    };
    mistakes.read(leaf, read)
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
    let http_idle = take(&raw.http_idle, read::duration_or_off, mistakes);
    Some(FrontTimeouts {
        first_byte: first_byte?,
        request_head: request_head?,
        tls: tls?,
        http_idle: http_idle?,
    })
}

fn limits(raw: &raw::Limits, machine: &Machine, mistakes: &mut Mistakes) -> Option<Limits> {
    let pairs = take(&raw.pairs, |value| pairs(value, machine), mistakes);
    let pairs_per_source = take(&raw.pairs_per_source, read::count_or_off, mistakes);
    let handshakes = take(&raw.handshakes, read::count, mistakes);
    let head_bytes = take(&raw.head_bytes, head_bytes, mistakes);
    Some(Limits {
        pairs: pairs?,
        pairs_per_source: pairs_per_source?,
        handshakes: handshakes?,
        // A pair is one connection on either side.
        sockets: NonZeroUsize::new(machine.pairs())?,
        head_bytes: head_bytes?,
    })
}

fn pairs(value: &Scalar, machine: &Machine) -> Result<usize, Wrong> {
    let carried = machine.pairs();
    if carried == 0 {
        return Err(Wrong(format!(
            "the file limit of {} carries no pair; raise it",
            machine.files
        )));
    }
    match read::count_or_auto(value)? {
        None => Ok(carried),
        Some(pairs) if pairs.get() <= carried => Ok(pairs.get()),
        Some(_) => Err(Wrong(format!(
            "is more than the {carried} that the file limit of {} carries",
            machine.files
        ))),
    }
}

fn head_bytes(value: &Scalar) -> Result<usize, Wrong> {
    let bytes = read::size(value)?;
    if bytes < MIN_HEAD {
        return Err(Wrong::new("must be at least \"8KiB\""));
    }
    usize::try_from(bytes).map_err(|_| Wrong::new("is more than this machine can address"))
}

fn forwarded(raw: &raw::Forwarded, mistakes: &mut Mistakes) -> Option<Forwarded> {
    let style = take(&raw.style, read::choice, mistakes);
    let trust = take(&raw.trust, read::networks, mistakes);
    Some(Forwarded {
        style: style?,
        trust: trust?,
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
