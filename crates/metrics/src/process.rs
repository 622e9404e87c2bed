//! The `process_*` metrics that every Prometheus client has, read from the operating system.
//!
//! Not counted by lubdub and not kept: they are read anew for each rendering.

use metrics_exporter_prometheus::PrometheusRecorder;
use metrics_process::Collector;

use crate::table::Metric;

/// The metrics that are read from the operating system.
pub const PROCESS: &[Metric] = &[
    Metric::counter(
        "process_cpu_seconds_total",
        &[],
        "User and system CPU time used, in whole seconds.",
    )
    .in_seconds(),
    Metric::gauge("process_open_fds", &[], "File descriptors open now."),
    Metric::gauge(
        "process_max_fds",
        &[],
        "File descriptors that may be open (soft limit); 0 for no limit.",
    ),
    Metric::gauge("process_virtual_memory_bytes", &[], "Virtual memory size.").in_bytes(),
    Metric::gauge(
        "process_virtual_memory_max_bytes",
        &[],
        "Virtual memory size allowed (soft limit); 0 for no limit.",
    )
    .in_bytes(),
    Metric::gauge("process_resident_memory_bytes", &[], "Memory in RAM.").in_bytes(),
    Metric::gauge(
        "process_start_time_seconds",
        &[],
        "When the process started, since the Unix epoch.",
    )
    .in_seconds(),
    Metric::gauge("process_threads", &[], "Threads of the process."),
];

/// Reads the process metrics.
#[derive(Debug, Default)]
pub(crate) struct ProcessMetrics {
    collector: Collector,
}

impl ProcessMetrics {
    /// Reads them all now and sets them on `recorder`.
    ///
    /// The collector writes to whatever recorder the thread has. It gets ours for the length of the
    /// call, so that none has to be installed for the process.
    pub(crate) fn collect(&self, recorder: &PrometheusRecorder) {
        metrics::with_local_recorder(recorder, || self.collector.collect());
    }
}
