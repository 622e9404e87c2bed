//! The admin listener, for scrapers and operators.
//!
//! | path | method | answers | who may ask |
//! | --- | --- | --- | --- |
//! | `/metrics` | GET | Prometheus text | anybody |
//! | `/livez` | GET | 200 while the process runs | anybody |
//! | `/readyz` | GET | 200, or 503 while it drains | anybody |
//! | `/api/v1/pairs` | GET | the live pairs, oldest first; `?limit=N` | see [`access`] |
//! | `/api/v1/pairs/{id}` | GET | one of them, or 404 | see [`access`] |
//! | `/api/v1/drain` | GET | the latest drain | see [`access`] |
//! | `/api/v1/drain` | POST | begins a drain, or calls it off | see [`change`] |
//! | `/api/v1/reload` | POST | reads the configuration again | see [`change`] |
//! | `/api/v1/upgrade` | POST | has the next program take over | who has the token, or comes over the Unix socket |
//!
//! HEAD is answered wherever GET is. It runs on the main thread's runtime, not on the workers':
//! a scrape of many series must not delay pairs.

mod access;
mod answer;
mod body;
mod change;
mod drain;
mod listener;
mod pairs;
mod rate;
mod reader;
mod reload;
mod routing;
mod upgrade;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use lubdub_metrics::Metrics;
use lubdub_proxy::Control;

pub(crate) use self::access::SharedAccess;
use self::change::Gate;
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
        Self {
            metrics,
            proxy,
            ready,
            access,
            reloader,
            upgrader,
            gate: Gate::default(),
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
