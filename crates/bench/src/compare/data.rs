//! All that a side-by-side run has measured; the page and the plots are made from it alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::peer::{Peer, family};
use super::scenario::BAR_WORKERS;
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
    /// With which arguments.
    pub arguments: String,
    /// A sentence of whoever started it.
    pub note: Option<String>,
    /// How often each thing was measured at most.
    pub rounds: u64,
    /// For how long each time.
    pub seconds: f64,
    /// How often what is measured in slices was.
    #[serde(default)]
    pub cycles: u64,
    /// How long a slice is.
    #[serde(default)]
    pub slice_seconds: f64,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
            arguments: args.to_string(),
            note: args.note.clone(),
            rounds: args.rounds,
            seconds: args.seconds.as_secs_f64(),
            cycles: args.cycles,
            slice_seconds: args.slice.as_secs_f64(),
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
        fs::write(&path, self.json()?).with_context(|| format!("cannot write {}", path.display()))
    }

    /// JSON with a line for every measurement, so that two versions can be compared.
    fn json(&self) -> serde_json::Result<String> {
        let mut all = serde_json::to_value(self)?;
        let lines: Vec<String> = (self.measurements.iter())
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()?;
        all["measurements"] = serde_json::Value::Array(Vec::new());
        let text = serde_json::to_string_pretty(&all)?;
        let list = format!("\"measurements\": [\n    {}\n  ]", lines.join(",\n    "));
        Ok(text.replacen("\"measurements\": []", &list, 1) + "\n")
    }

    /// The proxies of a scenario, lubdub first.
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
        peers.sort_by_key(|peer| (family(peer) != "lubdub", *peer != "lubdub", *peer));
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

    /// How many slices there are of lubdub, with one worker.
    pub(super) fn slices(&self, scenario: &str) -> u64 {
        let series = Series {
            scenario,
            workers: BAR_WORKERS,
            peer: "lubdub",
        };
        self.series(series).count() as u64
    }

    /// The spread of a series.
    pub(super) fn spread(&self, series: Series<'_>) -> Option<Spread> {
        let values: Vec<f64> = self.series(series).filter_map(|m| m.value).collect();
        Spread::of(&values)
    }

    /// The variant of a peer with the smallest median.
    pub(super) fn best<'a>(
        &'a self,
        scenario: &'a str,
        workers: usize,
        peer: &str,
    ) -> Option<Series<'a>> {
        self.best_of(scenario, workers, |name| family(name) == peer)
    }

    /// The proxy with the smallest median, lubdub and the bare relays left out.
    pub(super) fn best_peer<'a>(&'a self, scenario: &'a str, workers: usize) -> Option<Series<'a>> {
        self.best_of(scenario, workers, |name| {
            !["lubdub", "floor"].contains(&family(name))
        })
    }

    fn best_of<'a>(
        &'a self,
        scenario: &'a str,
        workers: usize,
        is_meant: impl Fn(&str) -> bool,
    ) -> Option<Series<'a>> {
        (self.peers(scenario, workers).into_iter())
            .filter(|name| is_meant(name))
            .filter_map(|name| {
                let series = Series {
                    scenario,
                    workers,
                    peer: name,
                };
                Some((series, self.spread(series)?.median))
            })
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(series, _)| series)
    }

    /// The median of one result of a series.
    pub(super) fn median(
        &self,
        series: Series<'_>,
        value: impl Fn(&Report) -> Option<f64>,
    ) -> Option<f64> {
        let values: Vec<f64> = self
            .series(series)
            .filter_map(|m| value(&m.report))
            .collect();
        Spread::of(&values).map(|spread| spread.median)
    }

    /// How sure the values of a series are, as a ratio to 1.
    pub(super) fn absolute(&self, series: Series<'_>) -> Option<Ratio> {
        let values = self.series(series).filter_map(|m| Some((m.value?, 1.0)));
        Ratio::of(&values.collect::<Vec<_>>())
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
}

#[cfg(test)]
impl Data {
    /// Nothing, on a machine that does not exist.
    pub(super) fn empty() -> Self {
        Self {
            machine: Machine {
                processor: "Abacus".to_owned(),
                cores: 2,
                files: 20_000,
                kernel: "1.0".to_owned(),
            },
            arguments: "--rounds 3".to_owned(),
            note: None,
            rounds: 3,
            seconds: 4.0,
            cycles: 40,
            slice_seconds: 0.1,
            versions: BTreeMap::new(),
            measurements: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Adds a value for each round.
    pub(super) fn with(mut self, scenario: &str, peer: &str, reports: Vec<(f64, Report)>) -> Self {
        let measurements = (0..)
            .zip(reports)
            .map(|(round, (value, report))| Measurement {
                scenario: scenario.to_owned(),
                workers: 1,
                peer: peer.to_owned(),
                round,
                value: Some(value),
                report,
            });
        self.measurements.extend(measurements);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sliced;

    fn churn(value: f64) -> (f64, Report) {
        (value, sliced())
    }

    #[test]
    fn what_is_saved_is_what_is_loaded_with_a_line_for_every_measurement() {
        let data = Data::empty()
            .with("churn", "lubdub", vec![churn(1.0), churn(2.5)])
            .with("churn", "nginx", vec![churn(3.0)]);
        let json = data.json().unwrap();
        let again: Data = serde_json::from_str(&json).unwrap();
        assert_eq!(again.json().unwrap(), json);
        let lines = json.lines().filter(|line| line.contains("\"peer\""));
        assert_eq!(lines.count(), 3);
    }

    #[test]
    fn rounds_are_paired_and_one_without_a_partner_does_not_count() {
        let mut data = Data::empty()
            .with("churn", "lubdub", vec![churn(1.0), churn(4.0), churn(9.0)])
            .with("churn", "nginx", vec![churn(1.0), churn(2.0), churn(3.0)]);
        data.measurements.remove(4);
        let series = |peer| Series {
            scenario: "churn",
            workers: 1,
            peer,
        };
        let ratio = data.ratio(series("lubdub"), series("nginx")).unwrap();
        // The first and the third: 1 and 3.
        assert!((ratio.middle - 3.0_f64.sqrt()).abs() < 1e-12, "{ratio:?}");
    }

    #[test]
    fn the_best_variant_is_that_of_the_smallest_median() {
        let data = Data::empty()
            .with("churn", "nginx", vec![churn(5.0), churn(1.0), churn(5.0)])
            .with(
                "churn",
                "nginx-16k",
                vec![churn(4.0), churn(4.0), churn(9.0)],
            )
            .with("churn", "haproxy", vec![churn(1.0)]);
        let best = data.best("churn", 1, "nginx").unwrap();
        assert_eq!(best.peer, "nginx-16k");
        assert_eq!(data.best("churn", 1, "envoy"), None);
    }
}
