//! Guards the boundary between *counting* and *being counted*: the one table of metrics, typed
//! handles to every series in it, and the recorder that renders them for Prometheus. This crate
//! knows nothing of frames, heartbeats, sockets or the runtime.
//!
//! It is told what happened and never asks. Nothing is installed process-wide: [`Metrics`] is made
//! once, its handles are resolved once per listener and route, and from then on a count is an
//! atomic addition without a name, a hash or a lock. The program renders on request and calls
//! [`Metrics::upkeep`] on a timer of its own.
//!
//! [`Cause`] and [`Outcome`] are the definition, for the whole project, of how a pair ends and how
//! a handshake ends: the same words are metric label, log field and status text.

#![forbid(unsafe_code)]

mod closed_enum;
mod counts;
mod handles;
mod handovers;
mod labels;
mod names;
mod process;
mod recorder;
mod reference;
mod reloads;
mod table;
mod upstream;

pub use closed_enum::Value;
pub use counts::Count;
pub use handles::{
    BudgetMetrics, DirectionMetrics, ListenerMetrics, NO_ROUTE, OpenPair, PairMetrics,
    ProxyMetrics, RouteMetrics, SideMetrics, Unlogged,
};
pub use handovers::Handovers;
pub use labels::{
    Cause, Class, Connect, Diagnosis, Handover, Label, OpcodeClass, Outcome, Pause, Reload,
    TlsFailure, Way,
};
pub use metrics::{Counter, Gauge, Histogram};
pub use names::{InvalidNames, Names, NamesInUse};
pub use process::PROCESS;
pub use recorder::{BuildInfo, CONTENT_TYPE, Metrics};
pub use reference::reference;
pub use table::{Kind, Metric, PING_SECONDS, TABLE, Unit};
pub use upstream::UpstreamMetrics;
