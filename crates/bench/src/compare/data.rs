//! All that a side-by-side run has measured; the page and the plots are made from it alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::peer::Peer;
use super::statistics::{Ratio, Spread};
use crate::cli::CompareArgs;
use crate::machine::Machine;
use crate::report::Report;

/// The file, beside the plots.
const FILE: &str = "benchmarks/data.json";

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Data {
    /// On what.
    pub machine: Machine,
    /// A sentence of whoever started it.
    pub note: Option<String>,
    /// How often each thing was measured.
    pub rounds: u64,
    /// For how long each time.
    pub seconds: f64,
    /// What every proxy said of its version.
    pub versions: BTreeMap<String, String>,
    /// Every measurement, in the order in which they were made.
    pub measurements: Vec<Measurement>,
    /// What could not be measured, or lost pairs.
    pub failures: Vec<String>,
}

/// One measurement.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measurement {
    /// Of which scenario.
    pub scenario: String,
    /// With how many workers.
    pub workers: usize,
    /// Of which proxy.
    pub peer: String,
    /// In which round.
    pub round: u64,
    /// The result that counts.
    pub value: Option<f64>,
    /// All results.
    pub report: Report,
}

/// The measurements of a proxy in a scenario.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series<'a> {
    pub scenario: &'a str,
    pub workers: usize,
    pub peer: &'a str,
}

// === impl Data ===

impl Data {
    /// Nothing yet.
    pub(super) fn new(machine: Machine, args: &CompareArgs, peers: &[Peer]) -> Self {
        Self {
            machine,
            note: args.note.clone(),
            rounds: args.rounds,
            seconds: args.seconds.as_secs_f64(),
            versions: (peers.iter())
                .map(|peer| (peer.name.to_owned(), peer.version.clone()))
                .collect(),
            measurements: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Reads what was saved.
    pub(super) fn load(out: &Path) -> anyhow::Result<Self> {
        let path = out.join(FILE);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Saves it.
    pub(super) fn save(&self, out: &Path) -> anyhow::Result<()> {
        let path = out.join(FILE);
        fs::create_dir_all(path.parent().unwrap_or(out))?;
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(fs::write(path, text)?)
    }

    /// The proxies of a scenario, lubdub first, then in the order of their first turns.
    pub(super) fn peers(&self, scenario: &str, workers: usize) -> Vec<&str> {
        let mut peers = Vec::new();
        for measurement in &self.measurements {
            if measurement.scenario == scenario
                && measurement.workers == workers
                && !peers.contains(&measurement.peer.as_str())
            {
                peers.push(measurement.peer.as_str());
            }
        }
        peers.sort_by_key(|peer| *peer != "lubdub");
        peers
    }

    /// The numbers of workers that a scenario was measured with.
    pub(super) fn workers(&self, scenario: &str) -> Vec<usize> {
        let mut workers: Vec<usize> = (self.measurements.iter())
            .filter(|measurement| measurement.scenario == scenario)
            .map(|measurement| measurement.workers)
            .collect();
        workers.sort_unstable();
        workers.dedup();
        workers
    }

    /// The measurements of a series.
    pub(super) fn series<'a>(
        &'a self,
        series: Series<'a>,
    ) -> impl Iterator<Item = &'a Measurement> {
        self.measurements.iter().filter(move |measurement| {
            measurement.scenario == series.scenario
                && measurement.workers == series.workers
                && measurement.peer == series.peer
        })
    }

    /// The spread of a series.
    pub(super) fn spread(&self, series: Series<'_>) -> Option<Spread> {
        let values: Vec<f64> = self.series(series).filter_map(|m| m.value).collect();
        Spread::of(&values)
    }

    /// The ratio of two series, round by round.
    pub(super) fn ratio(&self, above: Series<'_>, below: Series<'_>) -> Option<Ratio> {
        let below: BTreeMap<u64, f64> = (self.series(below))
            .filter_map(|m| Some((m.round, m.value?)))
            .collect();
        let pairs: Vec<(f64, f64)> = (self.series(above))
            .filter_map(|m| Some((m.value?, *below.get(&m.round)?)))
            .collect();
        Ratio::of(&pairs)
    }

    /// The rate, in echoes per second, that lubdub and nginx both reached in relay-125.
    pub(super) fn saturation(&self, workers: usize) -> Option<f64> {
        let rate = |peer| {
            let series = Series {
                scenario: "relay-125",
                workers,
                peer,
            };
            let rates: Vec<f64> = (self.series(series))
                .filter_map(|measurement| Some(measurement.report.relayed()?.echoes_per_second))
                .collect();
            Spread::of(&rates).map(|spread| spread.median)
        };
        [rate("lubdub"), rate("nginx")]
            .into_iter()
            .flatten()
            .min_by(f64::total_cmp)
    }
}
