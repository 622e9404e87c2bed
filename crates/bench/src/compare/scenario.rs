//! What is measured, and the bars. Less is better everywhere.

use std::net::SocketAddr;
use std::time::Duration;

use crate::accounting::Pid;
use crate::load::{Churn, Hold, Kind, Relay, Target};
use crate::progress::Progress;
use crate::report::Report;

/// What is not counted at the beginning.
const WARM_UP: Duration = Duration::from_secs(1);
/// The pairs of the large scenarios: twice as many file descriptors are within every limit.
const MANY: usize = 9_000;
/// 9,000 pairs at this interval are pinged as often as 100,000 at 30 s.
const FAST_PINGS: Duration = Duration::from_millis(2_700);

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
    /// In relation to lubdub itself in another scenario.
    Own(&'static str, f64),
    /// By itself.
    Absolute(f64),
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
    /// The rate of a scenario that needs one.
    pub rate: Option<f64>,
}

/// All of them, in the order of the page. The rate of `latency` comes from `relay-125`.
pub(super) static SCENARIOS: [Scenario; 12] = [
    Scenario {
        id: "relay-125",
        title: "Relay, 125 B messages, 64 connections",
        about: "Every connection has one message under way and sends the next when its echo is back.",
        unit: "us of CPU per message",
        decimals: 2,
        tls: false,
        bars: &[Bar::Peer("nginx", 1.0), Bar::Peer("haproxy", 0.85)],
        load: relay(64, 125),
    },
    Scenario {
        id: "relay-16k",
        title: "Relay, 16 KiB messages, 64 connections",
        about: "As before, with larger messages.",
        unit: "us of CPU per message",
        decimals: 2,
        tls: false,
        bars: &[Bar::Peer("nginx", 1.0), Bar::Peer("haproxy", 1.0)],
        load: relay(64, 16 * 1024),
    },
    Scenario {
        id: "relay-1000",
        title: "Relay, 125 B messages, 1,000 connections",
        about: "As before, with more connections.",
        unit: "us of CPU per message",
        decimals: 2,
        tls: false,
        bars: &[Bar::Peer("nginx", 1.0)],
        load: relay(1_000, 125),
    },
    Scenario {
        id: "relay-64-of-9000",
        title: "Relay, 125 B messages, 64 of 9,000 connections",
        about: "64 connections as before, and 8,936 that are open and silent.",
        unit: "us of CPU per message",
        decimals: 2,
        tls: false,
        bars: &[Bar::Own("relay-125", 1.1)],
        load: Load::Relay {
            connections: 64,
            idle: MANY - 64,
            bytes: 125,
        },
    },
    Scenario {
        id: "latency",
        title: "Latency at half the saturation rate",
        about: "125 B messages on 64 connections at half the rate that the slower of lubdub and \
                nginx reached in relay-125, corrected for coordinated omission.",
        unit: "us, 99th percentile",
        decimals: 0,
        tls: false,
        bars: &[Bar::Peer("nginx", 1.1)],
        load: Load::Latency,
    },
    Scenario {
        id: "bulk",
        title: "Bulk, 1 MiB messages, 4 connections",
        about: "Every connection has one message under way.",
        unit: "s of CPU per GiB relayed",
        decimals: 3,
        tls: false,
        bars: &[Bar::Peer("haproxy", 0.9)],
        load: Load::Bulk,
    },
    Scenario {
        id: "churn",
        title: "Churn: connect, handshake, one echo, close",
        about: "32 sessions at a time, each followed by the next.",
        unit: "us of CPU per session",
        decimals: 1,
        tls: false,
        bars: &[Bar::Peer("haproxy", 1.2)],
        load: Load::Churn,
    },
    Scenario {
        id: "idle",
        title: "Memory of 9,000 idle pairs after a storm",
        about: "9,000 connects, 2,000 at a time, from 256 source addresses; one echo each; then \
                nothing.",
        unit: "KiB of private memory per pair",
        decimals: 2,
        tls: false,
        bars: &[Bar::Absolute(3.0)],
        load: Load::Idle { connections: MANY },
    },
    Scenario {
        id: "heartbeat",
        title: "Heartbeat, 9,000 pairs at 2.7 s",
        about: "Both sides of every pair are pinged every 2.7 s, as often as 100,000 pairs at 30 s \
                would be. The peers have nothing like it.",
        unit: "us of CPU per ping with its pong",
        decimals: 2,
        tls: false,
        bars: &[Bar::Own("relay-125", 1.3)],
        load: Load::Heartbeat,
    },
    Scenario {
        id: "relay-wss",
        title: "Relay over TLS, 125 B messages, 64 connections",
        about: "As relay-125; clients speak TLS 1.3 to the proxy, and the proxy speaks plain \
                WebSocket to the backend.",
        unit: "us of CPU per message",
        decimals: 2,
        tls: true,
        bars: &[],
        load: relay(64, 125),
    },
    Scenario {
        id: "churn-wss",
        title: "Churn over TLS",
        about: "As churn, every session with a full TLS handshake (ECDSA on P-256).",
        unit: "us of CPU per session",
        decimals: 1,
        tls: true,
        bars: &[],
        load: Load::Churn,
    },
    Scenario {
        id: "idle-wss",
        title: "Memory of 2,000 idle pairs over TLS",
        about: "As idle, with fewer connections.",
        unit: "KiB of private memory per pair",
        decimals: 2,
        tls: true,
        bars: &[],
        load: Load::Idle { connections: 2_000 },
    },
];

// === impl Scenario ===

impl Scenario {
    /// Measures.
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
            rate,
        } = circumstances;
        let relay = Relay {
            connections: 64,
            idle: 0,
            bytes: 125,
            in_flight: 1,
            rate,
            warm_up: WARM_UP,
            duration,
            at_once: 256,
            proxy: Some(proxy),
        };
        let hold = Hold {
            kind: Kind::Idle,
            connections: MANY,
            bytes: 125,
            at_once: 2_000,
            settle: Duration::from_secs(3),
            duration,
            proxy: Some(proxy),
            backend: Some(backend),
        };
        Ok(match self.load {
            Load::Relay {
                connections,
                idle,
                bytes,
            } => Report::Relay(
                Relay {
                    connections,
                    idle,
                    bytes,
                    ..relay
                }
                .run(target, progress)?,
            ),
            Load::Latency => Report::Relay(relay.run(target, progress)?),
            Load::Bulk => Report::Bulk(
                Relay {
                    connections: 4,
                    bytes: 1 << 20,
                    ..relay
                }
                .run(target, progress)?,
            ),
            Load::Churn => Report::Churn(
                Churn {
                    connections: 32,
                    bytes: 125,
                    warm_up: WARM_UP,
                    duration,
                    proxy: Some(proxy),
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
                    // Every pair is pinged at least twice.
                    duration: duration.max(FAST_PINGS * 3),
                    ..hold
                }
                .run(target, progress)?,
            ),
        })
    }

    /// The result that counts.
    pub(super) fn value(&self, report: &Report) -> Option<f64> {
        match (self.load, report) {
            (Load::Relay { .. }, Report::Relay(report)) => report.cpu_us_per_message,
            (Load::Latency, Report::Relay(report)) => Some(report.latency.p99_us),
            (Load::Bulk, Report::Bulk(report)) => report.cpu_seconds_per_gib,
            (Load::Churn, Report::Churn(report)) => report.cpu_us_per_session,
            (Load::Idle { .. }, Report::Idle(report)) => {
                report.memory_per_pair.map(|bytes| bytes / 1024.0)
            }
            (Load::Heartbeat, Report::Heartbeat(report)) => report.cpu_us_per_ping,
            _ => None,
        }
    }

    /// Whether it runs at half the saturation rate.
    pub(super) fn needs_rate(&self) -> bool {
        self.load == Load::Latency
    }

    /// Whether it is about large messages.
    pub(super) fn is_bulk(&self) -> bool {
        self.load == Load::Bulk
    }

    /// Whether peers have nothing like it.
    pub(super) fn only_lubdub(&self) -> bool {
        self.load == Load::Heartbeat
    }

    /// How often lubdub pings each side, if not by its default.
    pub(super) fn ping_every(&self) -> Option<Duration> {
        (self.load == Load::Heartbeat).then_some(FAST_PINGS)
    }
}

const fn relay(connections: usize, bytes: usize) -> Load {
    Load::Relay {
        connections,
        idle: 0,
        bytes,
    }
}
