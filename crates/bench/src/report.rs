//! What a run found, as one readable line or as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::accounting::Usage;
use crate::load::{ChurnReport, HoldReport, Observed, RelayReport, Slice};

/// What a run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub(crate) enum Report {
    /// Messages there and back.
    Relay(RelayReport),
    /// Large messages there and back.
    Bulk(RelayReport),
    /// Short sessions.
    Churn(ChurnReport),
    /// Idle connections.
    Idle(HoldReport),
    /// Connections with a heartbeat.
    Heartbeat(HoldReport),
    /// A moment of messages or of short sessions.
    Slice(Slice),
}

// === impl Report ===

impl Report {
    /// The messages' report, of any size.
    pub(crate) fn relayed(&self) -> Option<&RelayReport> {
        match self {
            Self::Relay(report) | Self::Bulk(report) => Some(report),
            Self::Churn(_) | Self::Idle(_) | Self::Heartbeat(_) | Self::Slice(_) => None,
        }
    }

    /// A moment's report.
    pub(crate) fn slice(&self) -> Option<&Slice> {
        match self {
            Self::Slice(slice) => Some(slice),
            Self::Relay(_)
            | Self::Bulk(_)
            | Self::Churn(_)
            | Self::Idle(_)
            | Self::Heartbeat(_) => None,
        }
    }

    /// The report of connections that stayed.
    pub(crate) fn held(&self) -> Option<&HoldReport> {
        match self {
            Self::Idle(report) | Self::Heartbeat(report) => Some(report),
            Self::Relay(_) | Self::Bulk(_) | Self::Churn(_) | Self::Slice(_) => None,
        }
    }

    /// How many connections were ended while they should have stayed.
    pub(crate) fn lost(&self) -> u64 {
        self.held().map_or(0, |report| report.lost)
    }

    /// What was seen besides, in a whole run.
    fn observed(&self) -> Option<&Observed> {
        match self {
            Self::Relay(report) | Self::Bulk(report) => Some(&report.observed),
            Self::Churn(report) => Some(&report.observed),
            Self::Idle(report) | Self::Heartbeat(report) => Some(&report.observed),
            Self::Slice(_) => None,
        }
    }

    /// How much of one core the proxy used: 1 is all of it.
    pub(crate) fn proxy_load(&self) -> Option<f64> {
        match self.slice() {
            Some(slice) => Some(slice.proxy_load()),
            None => self.observed()?.proxy_load(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relay(report) => relay(f, report)?,
            Self::Bulk(report) => bulk(f, report)?,
            Self::Churn(report) => churn(f, report)?,
            Self::Idle(report) => {
                f.write_str("idle: ")?;
                hold(f, report)?;
            }
            Self::Heartbeat(report) => {
                f.write_str("heartbeat: ")?;
                hold(f, report)?;
            }
            Self::Slice(slice) => write!(
                f,
                "{} in {:.3} s, CPU {:.2} us each, p99 {:.0} us",
                slice.count,
                slice.seconds,
                slice.cpu_us(),
                slice.p99_us
            )?,
        }
        self.observed().map_or(Ok(()), |seen| observed(f, seen))
    }
}

fn relay(f: &mut fmt::Formatter<'_>, report: &RelayReport) -> fmt::Result {
    let RelayReport {
        connections,
        bytes,
        messages_per_second,
        latency,
        ..
    } = report;
    write!(
        f,
        "relay: {connections} connections, {bytes} B: {messages_per_second:.0} messages/s, \
         p50 {:.0} p90 {:.0} p99 {:.0} p99.9 {:.0} us",
        latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us
    )?;
    if let Some(rate) = report.rate {
        write!(f, " at {rate:.0} echoes/s")?;
    }
    match (report.cpu_us_per_message, report.user_us_per_message) {
        (Some(cpu), Some(user)) => write!(f, ", CPU {cpu:.2} us/message ({user:.2} user)"),
        _ => Ok(()),
    }
}

fn bulk(f: &mut fmt::Formatter<'_>, report: &RelayReport) -> fmt::Result {
    let mebibytes = report.messages_per_second * report.bytes as f64 / f64::from(1 << 20);
    write!(
        f,
        "bulk: {} connections, {} B: {mebibytes:.0} MiB/s",
        report.connections, report.bytes
    )?;
    match report.cpu_seconds_per_gib {
        Some(cpu) => write!(f, ", CPU {cpu:.3} s/GiB"),
        None => Ok(()),
    }
}

fn churn(f: &mut fmt::Formatter<'_>, report: &ChurnReport) -> fmt::Result {
    write!(
        f,
        "churn: {} at a time: {:.0} sessions/s, p50 {:.0} p99 {:.0} us",
        report.connections,
        report.sessions_per_second,
        report.duration.p50_us,
        report.duration.p99_us
    )?;
    match report.cpu_us_per_session {
        Some(cpu) => write!(f, ", CPU {cpu:.1} us/session"),
        None => Ok(()),
    }
}

fn hold(f: &mut fmt::Formatter<'_>, report: &HoldReport) -> fmt::Result {
    write!(
        f,
        "{} pairs, storm {:.2} s, {} lost",
        report.connections, report.storm_seconds, report.lost
    )?;
    if let Some(bytes) = report.memory_per_pair {
        write!(f, ", {:.2} KiB/pair", bytes / 1024.0)?;
    }
    write!(f, ", pings: {} to clients", report.pings_to_clients)?;
    if let Some(pings) = report.pings_to_backend {
        write!(f, ", {pings} to the backend")?;
    }
    if let Some(rate) = report.pings_per_second {
        write!(f, ", {rate:.0}/s")?;
    }
    match report.cpu_us_per_ping {
        Some(cpu) => write!(f, ", CPU {cpu:.2} us/ping with pong"),
        None => Ok(()),
    }
}

fn observed(f: &mut fmt::Formatter<'_>, observed: &Observed) -> fmt::Result {
    if let Some(Usage {
        cpu_seconds,
        voluntary_switches,
        involuntary_switches,
        ..
    }) = observed.proxy
    {
        write!(
            f,
            "; proxy {:.0} % of a core, switches {voluntary_switches} own, \
             {involuntary_switches} forced",
            cpu_seconds / observed.seconds * 100.0
        )?;
    }
    write!(f, "; generator {:.0} %", observed.generator_load * 100.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::latency::Quantiles;

    use super::*;

    const OBSERVED: Observed = Observed {
        seconds: 2.0,
        proxy: Some(Usage {
            cpu_seconds: 1.0,
            user_seconds: 0.25,
            system_seconds: 0.75,
            voluntary_switches: 3,
            involuntary_switches: 4,
        }),
        generator_load: 0.5,
    };

    /// A report of a slice.
    pub(crate) fn sliced() -> Report {
        Report::Slice(Slice {
            count: 1000,
            seconds: 0.1,
            cpu_seconds: 0.05,
            p99_us: 9.0,
        })
    }

    /// A report of sessions.
    fn churned() -> Report {
        Report::Churn(ChurnReport {
            connections: 32,
            sessions: 1000,
            sessions_per_second: 500.0,
            duration: Quantiles {
                p50_us: 1.0,
                p99_us: 9.0,
                ..Quantiles::default()
            },
            cpu_us_per_session: OBSERVED.cpu_us_per(1000),
            observed: OBSERVED,
        })
    }

    /// A report of 9,000 pairs that were pinged so often, of which so many were lost.
    pub(crate) fn held(pings_per_second: f64, lost: u64) -> HoldReport {
        HoldReport {
            connections: 9_000,
            at_once: 2_000,
            storm_seconds: 1.5,
            memory_before: Some(10 << 20),
            memory_after: Some((10 << 20) + 9_000 * 2_048),
            memory_per_pair: Some(2_048.0),
            pings_to_clients: 1,
            pings_to_backend: Some(1),
            cpu_us_per_ping: Some(7.0),
            pings_per_second: Some(pings_per_second),
            lost,
            observed: OBSERVED,
        }
    }

    #[test]
    fn the_line_says_what_the_json_says() {
        let report = churned();
        assert_eq!(
            report.to_string(),
            "churn: 32 at a time: 500 sessions/s, p50 1 p99 9 us, CPU 1000.0 us/session; \
             proxy 50 % of a core, switches 3 own, 4 forced; generator 50 %"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["mode"], "churn");
        assert_eq!(json["cpu_us_per_session"], 1000.0);
        assert_eq!(json["observed"]["proxy"]["system_seconds"], 0.75);
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    }
}
