//! The admin listener, for scrapers and operators: an HTTP interface that is described by what it serves (OpenAPI,
//! see `routing::description`), and a page that shows it.
//!
//! `routing` says which path answers what, `guard` who gets as far as a handler, and why: whoever is on this machine or
//! has the token ([`access`]) may look; who wants to change something has to satisfy more ([`change`]).
//!
//! It runs on the main thread's runtime, not on the workers': who looks must not delay pairs.

mod access;
mod answer;
mod body;
mod change;
mod close;
mod configuration;
mod cursor;
mod description;
mod drain;
#[expect(
    unused_qualifications,
    reason = "what describes parameters writes them so"
)]
mod ends;
mod events;
mod feed;
mod figures;
mod files;
mod filter;
mod guard;
mod history;
mod listener;
mod open;
mod page;
#[expect(
    unused_qualifications,
    reason = "what describes parameters writes them so"
)]
mod pairs;
mod rate;
mod reader;
mod reload;
mod routing;
mod status;
mod upgrade;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

use lubdub_metrics::Metrics;
use lubdub_proxy::Control;

pub(crate) use self::access::SharedAccess;
use self::change::Gate;
use self::cursor::Run;
use self::feed::Feed;
use self::history::History;
pub(crate) use self::listener::{Admin, AdminSocket, listen};
use crate::reload::Reloader;
use crate::upgrade::Upgrader;

/// What the answers are made from.
#[derive(Debug)]
pub(crate) struct State {
    metrics: Arc<Metrics>,
    proxy: Control,
    ready: Arc<Readiness>,
    access: Arc<SharedAccess>,
    /// `None` where there is no configuration to read again.
    reloader: Option<Arc<Reloader>>,
    /// `None` where there is no program to start again.
    upgrader: Option<Upgrader>,
    gate: Gate,
    started: Instant,
    started_at: SystemTime,
    run: Run,
    feed: Feed,
    history: History,
}

/// Whether new connections are welcome.
#[derive(Debug, Default)]
pub(crate) struct Readiness(AtomicBool);

impl State {
    pub(crate) fn new(
        access: Arc<SharedAccess>,
        metrics: Arc<Metrics>,
        proxy: Control,
        ready: Arc<Readiness>,
        reloader: Option<Arc<Reloader>>,
        upgrader: Option<Upgrader>,
    ) -> Self {
        let history = History::new(proxy.registry().overview());
        Self {
            metrics,
            proxy,
            ready,
            access,
            reloader,
            upgrader,
            gate: Gate::default(),
            started: tokio::time::Instant::now().into_std(),
            started_at: SystemTime::now(),
            run: Run::new(),
            feed: Feed::new(),
            history,
        }
    }

    fn is_ready(&self) -> bool {
        self.ready.0.load(Relaxed) && !self.proxy.is_drained()
    }
}

impl Readiness {
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Relaxed);
    }
}
