//! The recorder: keeps every series of the table, hands out the handles, renders for Prometheus.
//!
//! It is not installed process-wide: whoever needs metrics is given the [`Metrics`] or a handle
//! from it, and two of them in one process do not meet. It does not listen and starts no threads.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::handles::{ListenerMetrics, ProxyMetrics, RouteMetrics, Unlogged};
use crate::handovers::Handovers;
use crate::labels::{Label, Reload};
use crate::names::{InvalidNames, Known, Names, NamesInUse};
use crate::process::{PROCESS, ProcessMetrics};
use crate::reloads::Reloads;
use crate::table::{self, Kind, Metric, TABLE, Unit};
use crate::upstream::UpstreamMetrics;

/// The media type of what [`Metrics::render`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of one program: made once, shared in an [`Arc`].
///
/// Every series exists, at 0, from the start: an alert on an increase would miss the first event
/// of a series that began with it.
#[derive(Debug)]
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    process: ProcessMetrics,
    known: Mutex<Known>,
    proxy: Arc<ProxyMetrics>,
    draining: Gauge,
    reloads: Reloads,
    handovers: Handovers,
    log_lines_dropped: Counter,
    refusals_not_logged: Unlogged,
    samplers: Samplers,
    users: Users,
}

/// What is asked for its numbers when somebody wants to see them.
#[derive(Default)]
struct Samplers(Mutex<Vec<Box<dyn Fn() + Send + Sync>>>);

/// What is asked which names it uses.
#[derive(Default)]
struct Users(Mutex<Option<Box<dyn Fn() -> NamesInUse + Send + Sync>>>);

/// What runs, for `lubdub_build_info`.
#[derive(Debug, Clone, Copy)]
pub struct BuildInfo<'a> {
    /// The version of the program.
    pub version: &'a str,
    /// The source revision that it was built from.
    pub revision: &'a str,
}

/// Registers series under the labels that are known so far.
///
/// The table says which of them a metric has.
pub(crate) struct Scope<'a> {
    recorder: &'a PrometheusRecorder,
    known: Vec<(Label, &'a str)>,
}

// === impl Metrics ===

impl Metrics {
    /// Makes the recorder and registers every series for every listener and route.
    ///
    /// # Errors
    /// If two names of a kind are the same, or a route has the reserved name [`NO_ROUTE`](crate::NO_ROUTE).
    pub fn new(build: BuildInfo<'_>, names: Names<'_>) -> Result<Self, InvalidNames> {
        let recorder = recorder();
        let scope = Scope {
            recorder: &recorder,
            known: Vec::new(),
        };
        scope
            .with(Label::Version, build.version)
            .with(Label::Revision, build.revision)
            .gauge(&table::BUILD_INFO)
            .set(1);
        let mut known = Known::default();
        known.admit(&scope, names)?;
        known.set_present(names);
        let proxy = Arc::new(ProxyMetrics::register(&scope));
        let draining = scope.gauge(&table::DRAINING);
        let log_lines_dropped = scope.counter(&table::LOG_LINES_DROPPED);
        let refusals_not_logged = Unlogged::register(&scope);
        let handovers = Handovers::register(&scope);
        let reloads = Reloads::register(&scope);

        Ok(Self {
            handle: recorder.handle(),
            recorder,
            process: ProcessMetrics::default(),
            known: Mutex::new(known),
            proxy,
            draining,
            reloads,
            handovers,
            log_lines_dropped,
            refusals_not_logged,
            samplers: Samplers::default(),
            users: Users::default(),
        })
    }

    /// Registers the series of those names that are new, at 0. They are not shown before
    /// [`set_present`](Self::set_present).
    ///
    /// # Errors
    /// If names are the same or reserved, or would be too many in the life of this process. Then nothing
    /// is registered.
    pub fn admit(&self, names: Names<'_>) -> Result<(), InvalidNames> {
        let scope = Scope {
            recorder: &self.recorder,
            known: Vec::new(),
        };
        self.known().admit(&scope, names)
    }

    /// Looks whether [`admit`](Self::admit) would take those names, and registers nothing.
    ///
    /// # Errors
    /// As those of `admit`.
    pub fn try_admit(&self, names: Names<'_>) -> Result<(), InvalidNames> {
        self.known().missing(names).map(|_| ())
    }

    /// These names are configured now. The series of others are left out of
    /// [`render`](Self::render), unless a live pair has them
    /// ([`ask_names_in_use`](Self::ask_names_in_use)).
    pub fn set_present(&self, names: Names<'_>) {
        self.known().set_present(names);
    }

    /// Has `names` called when there are names that are not configured any more: those in use are shown.
    pub fn ask_names_in_use(&self, names: impl Fn() -> NamesInUse + Send + Sync + 'static) {
        *self.users.lock() = Some(Box::new(names));
    }

    /// The handle of a listener, to be looked up when its name is configured.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<Arc<ListenerMetrics>> {
        self.known().listener(name).map(Arc::clone)
    }

    /// The handle of a route, to be looked up when its name is configured.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<Arc<RouteMetrics>> {
        self.known().route(name).map(Arc::clone)
    }

    /// The handle of an upstream, to be looked up when its name is configured.
    #[must_use]
    pub fn upstream(&self, name: &str) -> Option<Arc<UpstreamMetrics>> {
        self.known().upstream(name).map(Arc::clone)
    }

    /// When the upstreams were well last, by their names, as far as they ever were.
    #[must_use]
    pub fn last_successes(&self) -> Vec<(String, SystemTime)> {
        let known = self.known();
        let upstreams = known.upstreams.iter();
        upstreams
            .filter_map(|it| Some((it.name().to_owned(), it.last_success()?)))
            .collect()
    }

    /// The handle of what depends on no name.
    #[must_use]
    pub fn proxy(&self) -> &Arc<ProxyMetrics> {
        &self.proxy
    }

    /// Looks whether these certificates, each of a listener, may be known as well, and registers nothing.
    ///
    /// # Errors
    /// If names would be too many in the life of this process.
    pub fn try_certificates(&self, certificates: &[(&str, &str)]) -> Result<(), InvalidNames> {
        self.known().try_certificates(certificates)
    }

    /// These certificates, each of a listener, are configured now, and no others. Returns for each of them
    /// when it expires, in seconds since 1970: to be set before anybody looks.
    pub fn set_certificates(&self, certificates: &[(&str, &str)]) -> Vec<Gauge> {
        self.known().set_certificates(certificates);
        let expiry = |&(listener, certificate): &(&str, &str)| {
            let scope = Scope {
                recorder: &self.recorder,
                known: vec![
                    (Label::Listener, listener),
                    (Label::Certificate, certificate),
                ],
            };
            scope.gauge(&table::TLS_CERTIFICATE_EXPIRY)
        };
        certificates.iter().map(expiry).collect()
    }

    /// Has `sample` called before each rendering: what is kept as a plain number elsewhere need not be
    /// written to a gauge with every change.
    pub fn before_rendering(&self, sample: impl Fn() + Send + Sync + 'static) {
        self.samplers.lock().push(Box::new(sample));
    }

    /// Says whether lubdub is draining.
    pub fn set_draining(&self, draining: bool) {
        self.draining.set(u8::from(draining));
    }

    /// The configuration with which the program starts was read at `now`.
    pub fn configured(&self, now: SystemTime) {
        self.reloads.succeeded(now);
    }

    /// Counts a reload of the configuration that ended like this at `now`.
    pub fn reloaded(&self, outcome: Reload, now: SystemTime) {
        self.reloads.count(outcome, now);
    }

    /// How hand-overs went.
    pub fn handovers(&self) -> &Handovers {
        &self.handovers
    }

    /// Lines of the log that nobody will read.
    pub fn log_lines_dropped(&self) -> &Counter {
        &self.log_lines_dropped
    }

    /// Those who were not served without a line in the log, to be looked up at start.
    #[must_use]
    pub fn refusals_not_logged(&self) -> Unlogged {
        self.refusals_not_logged.clone()
    }

    /// All metrics in the text format of Prometheus ([`CONTENT_TYPE`]), in no particular order.
    ///
    /// Reads the process metrics first, from `/proc` on Linux. Takes locks, and time that grows
    /// with the number of routes: nothing for a thread that has pairs to serve.
    #[must_use]
    pub fn render(&self) -> String {
        let text = self.render_all();
        let known = self.known();
        if !known.has_absent() {
            return text;
        }
        let in_use = self.users.lock().as_ref().map(|names| names());
        known.without_absent(&text, &in_use.unwrap_or_default())
    }

    /// The same, with the names that are not configured any more.
    pub(crate) fn render_all(&self) -> String {
        self.process.collect(&self.recorder);
        for sample in self.samplers.lock().iter() {
            sample();
        }
        self.handle.render()
    }

    pub(crate) fn recorder(&self) -> &PrometheusRecorder {
        &self.recorder
    }

    pub(crate) fn knows<T>(&self, ask: impl FnOnce(&Known) -> T) -> T {
        ask(&self.known())
    }

    /// Moves the observations of histograms into their buckets.
    ///
    /// Until then each is kept as it is, 16 bytes and more: the program has to call this every few
    /// seconds, because nobody may ever ask for a rendering, which does the same.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Samplers ===

impl Samplers {
    fn lock(&self) -> MutexGuard<'_, Vec<Box<dyn Fn() + Send + Sync>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Samplers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Samplers").field(&self.lock().len()).finish()
    }
}

// === impl Users ===

impl Users {
    fn lock(&self) -> MutexGuard<'_, Option<Box<dyn Fn() -> NamesInUse + Send + Sync>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_there = self.lock().is_some();
        f.debug_tuple("Users").field(&is_there).finish()
    }
}

// === impl Scope ===

impl<'a> Scope<'a> {
    /// The same, with one more label known.
    pub(crate) fn with<'b>(&self, label: Label, value: &'b str) -> Scope<'b>
    where
        'a: 'b,
    {
        let mut known: Vec<(Label, &'b str)> = self.known.clone();
        known.push((label, value));
        Scope {
            recorder: self.recorder,
            known,
        }
    }

    pub(crate) fn counter(&self, metric: &Metric) -> Counter {
        self.recorder.register_counter(&self.key(metric), &METADATA)
    }

    pub(crate) fn gauge(&self, metric: &Metric) -> Gauge {
        self.recorder.register_gauge(&self.key(metric), &METADATA)
    }

    pub(crate) fn histogram(&self, metric: &Metric) -> Histogram {
        self.recorder
            .register_histogram(&self.key(metric), &METADATA)
    }

    fn key(&self, metric: &Metric) -> Key {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|label| metrics::Label::new(label.as_str(), self.value(*label).to_owned()))
            .collect();
        Key::from_parts(metric.name, labels)
    }

    fn value(&self, label: Label) -> &'a str {
        self.known
            .iter()
            .find_map(|(known, value)| (*known == label).then_some(*value))
            .expect("a metric is registered where all of its labels are known")
    }
}

/// Required by the recorder's interface, and not looked at by this recorder.
pub(crate) const METADATA: Metadata<'static> = Metadata::new("lubdub", Level::INFO, None);

/// A recorder that knows the help text and the buckets of every declared metric.
///
/// It has no idle timeout: that would delete series that handles go on writing to.
fn recorder() -> PrometheusRecorder {
    let recorder = TABLE
        .iter()
        .fold(PrometheusBuilder::new(), |builder, metric| {
            match metric.kind {
                Kind::Counter | Kind::Gauge => builder,
                // Without buckets it would be a summary, which cannot be added up over instances.
                Kind::Histogram { buckets } => builder
                    .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
                    .expect("every histogram is declared with buckets"),
            }
        })
        .build_recorder();
    for metric in TABLE.iter().chain(PROCESS) {
        describe(&recorder, metric);
    }
    recorder
}

fn describe(recorder: &PrometheusRecorder, metric: &Metric) {
    let name = metric.name.into();
    let help = metric.help.into();
    let unit = metric.unit.map(|unit| match unit {
        Unit::Seconds => metrics::Unit::Seconds,
        Unit::Bytes => metrics::Unit::Bytes,
    });
    match metric.kind {
        Kind::Counter => recorder.describe_counter(name, unit, help),
        Kind::Gauge => recorder.describe_gauge(name, unit, help),
        Kind::Histogram { .. } => recorder.describe_histogram(name, unit, help),
    }
}
