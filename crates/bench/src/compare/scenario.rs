//! How a scenario is measured, and what its result is.

mod table;
pub(super) use self::table::SCENARIOS;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;

use crate::accounting::Pid;
use crate::load::{Churn, Hold, Kind, Relay, Slice, Sliced, Target};
use crate::progress::Progress;
use crate::report::Report;

/// The number of workers that the bars are about.
pub(super) const BAR_WORKERS: usize = 1;
/// Latency is measured in so many times as many cycles as all else.
const LATENCY_CYCLES: u64 = 6;
/// How long a storm of connects is left to settle.
const SETTLE: Duration = Duration::from_secs(3);
/// The messages of bulk.
const BULK: usize = 1 << 20;
/// How many bytes are a GiB.
const GIB: f64 = (1_u64 << 30) as f64;
/// The messages of the scenario with larger ones.
const LARGE: usize = 16 * 1024;
/// The connections of the small scenarios.
const FEW: usize = 64;
/// The pairs of the large scenarios: twice as many file descriptors are within every limit.
const MANY: usize = 9_000;
/// 9,000 pairs at this interval are pinged as often as 100,000 at 30 s.
const FAST_PINGS: Duration = Duration::from_millis(2_700);
/// How long pings are watched at least: every pair is pinged four times on either side, and its
/// counts, which lubdub collects for 10 s, reach the metrics once.
const PINGS_WATCHED: Duration = Duration::from_millis(4 * 2_700);
/// As many echoes per second as there are pings to each side then.
const SPARSE_RATE: f64 = MANY as f64 / 2.7;
/// How often at most what no bar is about is measured.
const ROUNDS_BESIDES: u64 = 3;

/// One thing that is measured.
#[derive(Debug)]
pub(super) struct Scenario {
    /// Its name.
    pub id: &'static str,
    /// What is measured, as a title.
    pub title: &'static str,
    /// What is done.
    pub about: &'static str,
    /// The unit of the values.
    pub unit: &'static str,
    /// How many decimals of a value are shown.
    pub decimals: usize,
    /// Whether clients speak TLS.
    pub tls: bool,
    /// What has to be reached.
    pub bars: &'static [Bar],
    load: Load,
}

/// What has to be reached, with one worker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bar {
    /// In relation to the best variant of a peer.
    Peer(&'static str, f64),
    /// In relation to one variant of a peer, lubdub's own among them.
    Variant(&'static str, f64),
    /// In relation to the best variant of all peers.
    Best(f64),
    /// In relation to a peer in another scenario.
    Elsewhere {
        scenario: &'static str,
        peer: &'static str,
        at_most: f64,
    },
    /// A variant of lubdub's in relation to lubdub.
    Own(&'static str, f64),
    /// By itself.
    Absolute(f64),
    /// No pair is lost, and both sides are pinged as often as they should be.
    AllAlive,
}

/// What is done, and which of its results counts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Load {
    /// Processor time per message.
    Relay {
        connections: usize,
        idle: usize,
        bytes: usize,
    },
    /// Processor time per message when few messages come, each on another connection.
    Sparse,
    /// The 99th percentile at a fixed rate.
    Latency,
    /// Processor time per GiB.
    Bulk,
    /// Processor time per session.
    Churn,
    /// Private memory per pair.
    Idle { connections: usize },
    /// Processor time per ping.
    Heartbeat,
}

/// What a measurement depends on besides the scenario.
#[derive(Debug)]
pub(super) struct Circumstances {
    /// How long to measure.
    pub duration: Duration,
    /// The proxy.
    pub proxy: Pid,
    /// The echo backend.
    pub backend: SocketAddr,
}

// === impl Scenario ===

impl Scenario {
    /// The one of that name.
    pub(super) fn named(id: &str) -> anyhow::Result<&'static Self> {
        (SCENARIOS.iter().find(|scenario| scenario.id == id))
            .with_context(|| format!("there is no scenario {id}"))
    }

    /// Measures in a whole run.
    pub(super) fn run(
        &self,
        target: Target,
        circumstances: &Circumstances,
        progress: Progress,
    ) -> anyhow::Result<Report> {
        let &Circumstances {
            duration,
            proxy,
            backend,
        } = circumstances;
        let hold = Hold {
            kind: Kind::Idle,
            connections: MANY,
            bytes: 125,
            at_once: 2_000,
            settle: SETTLE,
            duration,
            proxy: Some(proxy),
            backend: Some(backend),
        };
        Ok(match self.load {
            Load::Relay { .. } | Load::Latency | Load::Bulk | Load::Churn => {
                anyhow::bail!("{} is measured in slices", self.id)
            }
            Load::Sparse => Report::Relay(
                Relay {
                    connections: MANY,
                    rate: Some(SPARSE_RATE),
                    warm_up: SETTLE,
                    duration,
                    ..self.relay(Some(proxy))
                }
                .run(target, progress)?,
            ),
            Load::Idle { connections } => Report::Idle(
                Hold {
                    connections,
                    ..hold
                }
                .run(target, progress)?,
            ),
            Load::Heartbeat => Report::Heartbeat(
                Hold {
                    kind: Kind::Heartbeat,
                    duration: duration.max(PINGS_WATCHED),
                    ..hold
                }
                .run(target, progress)?,
            ),
        })
    }

    /// Opens what it needs, to be driven in slices.
    pub(super) fn sliced(
        &self,
        target: Target,
        proxy: Option<Pid>,
        progress: Progress,
    ) -> anyhow::Result<Box<dyn Sliced>> {
        Ok(match self.load {
            Load::Relay { .. } | Load::Latency | Load::Bulk => {
                Box::new(self.relay(proxy).sliced(target, progress)?)
            }
            Load::Churn => {
                let churn = Churn {
                    connections: 32,
                    bytes: 125,
                    warm_up: Duration::ZERO,
                    duration: Duration::ZERO,
                    proxy,
                };
                Box::new(churn.sliced(target)?)
            }
            Load::Sparse | Load::Idle { .. } | Load::Heartbeat => {
                anyhow::bail!("{} is not measured in slices", self.id)
            }
        })
    }

    /// Its messages there and back.
    fn relay(&self, proxy: Option<Pid>) -> Relay {
        let (connections, idle, bytes) = match self.load {
            Load::Relay {
                connections,
                idle,
                bytes,
            } => (connections, idle, bytes),
            Load::Bulk => (4, 0, BULK),
            Load::Sparse | Load::Latency | Load::Churn | Load::Idle { .. } | Load::Heartbeat => {
                (FEW, 0, 125)
            }
        };
        Relay {
            connections,
            idle,
            bytes,
            in_flight: 1,
            rate: None,
            warm_up: Duration::ZERO,
            duration: Duration::ZERO,
            at_once: 256,
            proxy,
        }
    }

    /// Whether it is measured in slices.
    pub(super) fn is_sliced(&self) -> bool {
        match self.load {
            Load::Relay { .. } | Load::Latency | Load::Bulk | Load::Churn => true,
            Load::Sparse | Load::Idle { .. } | Load::Heartbeat => false,
        }
    }

    /// How often it is measured in slices, where most scenarios are `cycles` times. The 99th percentile of a slice is
    /// what the slowest few of it say, and differs by half from one to the next.
    pub(super) fn cycles(&self, cycles: u64) -> u64 {
        match self.load {
            Load::Latency => cycles * LATENCY_CYCLES,
            Load::Relay { .. }
            | Load::Sparse
            | Load::Bulk
            | Load::Churn
            | Load::Idle { .. }
            | Load::Heartbeat => cycles,
        }
    }

    /// Whether it is about short sessions.
    pub(super) fn is_churn(&self) -> bool {
        self.load == Load::Churn
    }

    /// The result of a slice that counts.
    pub(super) fn value_of_slice(&self, slice: &Slice) -> Option<f64> {
        let value = match self.load {
            Load::Latency => slice.p99_us,
            Load::Bulk => slice.cpu_seconds / (slice.count as f64 * BULK as f64 / GIB),
            Load::Relay { .. }
            | Load::Sparse
            | Load::Churn
            | Load::Idle { .. }
            | Load::Heartbeat => slice.cpu_us(),
        };
        value.is_finite().then_some(value)
    }

    /// The result that counts.
    pub(super) fn value(&self, report: &Report) -> Option<f64> {
        match (self.load, report) {
            (Load::Sparse, Report::Relay(report)) => report.cpu_us_per_message,
            (Load::Idle { .. }, Report::Idle(report)) => {
                report.memory_per_pair.map(|bytes| bytes / 1024.0)
            }
            (Load::Heartbeat, Report::Heartbeat(report)) => report.cpu_us_per_ping,
            _ => None,
        }
    }

    /// How often it is measured with a peer of this family: with one worker lubdub, and those that
    /// a bar compares it with, take part in all rounds, the others in some.
    pub(super) fn rounds(&self, family: &str, workers: usize, all: u64) -> u64 {
        let of_another = |bar: &Bar| matches!(bar, Bar::Elsewhere { scenario, peer, .. } if *scenario == self.id && *peer == family);
        let is_compared = family == "lubdub" && !self.bars.is_empty()
            || (self.bars.iter()).any(|bar| matches!(bar, Bar::Peer(peer, _) if *peer == family))
            || SCENARIOS
                .iter()
                .flat_map(|other| other.bars)
                .any(of_another);
        if is_compared && workers == BAR_WORKERS {
            all
        } else {
            all.min(ROUNDS_BESIDES)
        }
    }

    /// Whether it runs at half the saturation rate.
    pub(super) fn needs_rate(&self) -> bool {
        self.load == Load::Latency
    }

    /// Whether its messages fill a buffer of the usual 16 KiB.
    pub(super) fn is_large(&self) -> bool {
        match self.load {
            Load::Relay { bytes, .. } => bytes >= LARGE,
            Load::Bulk => true,
            Load::Sparse | Load::Latency | Load::Churn | Load::Idle { .. } | Load::Heartbeat => {
                false
            }
        }
    }

    /// Whether it is about messages of a mebibyte.
    pub(super) fn is_bulk(&self) -> bool {
        self.load == Load::Bulk
    }

    /// Whether it is about messages on few connections.
    pub(super) fn is_small_relay(&self) -> bool {
        match self.load {
            Load::Relay {
                connections, idle, ..
            } => connections + idle <= FEW,
            Load::Latency => true,
            Load::Sparse | Load::Bulk | Load::Churn | Load::Idle { .. } | Load::Heartbeat => false,
        }
    }

    /// Whether peers have nothing like it.
    pub(super) fn only_lubdub(&self) -> bool {
        self.load == Load::Heartbeat
    }

    /// How many pings there must be each second, both sides' counted: the jitter only brings them
    /// forward.
    pub(super) fn nominal_pings() -> f64 {
        2.0 * MANY as f64 / FAST_PINGS.as_secs_f64()
    }

    /// How often lubdub pings each side, if not by its default.
    pub(super) fn ping_every(&self) -> Option<Duration> {
        (self.load == Load::Heartbeat).then_some(FAST_PINGS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(id: &str) -> &'static Scenario {
        SCENARIOS.iter().find(|scenario| scenario.id == id).unwrap()
    }

    #[test]
    fn what_a_bar_compares_is_measured_in_all_rounds() {
        let heartbeat = scenario("heartbeat");
        assert_eq!(heartbeat.rounds("lubdub", 1, 9), 9);
        assert_eq!(heartbeat.rounds("lubdub", 2, 9), 3);
        assert_eq!(heartbeat.rounds("lubdub", 2, 2), 2);
        let sparse = scenario("relay-sparse");
        assert_eq!(sparse.rounds("nginx", 1, 9), 9);
        assert_eq!(sparse.rounds("envoy", 1, 9), 3);
        assert_eq!(scenario("idle").rounds("lubdub", 1, 9), 9);
        assert_eq!(scenario("idle").rounds("haproxy", 1, 9), 3);
    }

    #[test]
    fn every_bar_can_be_judged() {
        for scenario in &SCENARIOS {
            for bar in scenario.bars {
                match *bar {
                    // What it is compared with has been measured in the same round.
                    Bar::Elsewhere {
                        scenario: other, ..
                    } => assert_eq!(
                        Scenario::named(other).unwrap().is_sliced(),
                        scenario.is_sliced()
                    ),
                    Bar::Peer(peer, _) => assert!(["nginx", "haproxy"].contains(&peer)),
                    Bar::Variant(name, _) | Bar::Own(name, _) => {
                        assert!(super::super::peer::Peer::names().contains(&name), "{name}");
                    }
                    Bar::Best(_) | Bar::Absolute(_) | Bar::AllAlive => {}
                }
            }
        }
    }

    #[test]
    fn nine_thousand_pairs_are_pinged_like_a_hundred_thousand() {
        assert!((Scenario::nominal_pings() - 2.0 * 100_000.0 / 30.0).abs() < 1.0);
        assert!((SPARSE_RATE * 2.0 - Scenario::nominal_pings()).abs() < 1.0);
    }
}
