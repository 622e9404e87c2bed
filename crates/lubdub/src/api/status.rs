//! How lubdub is, as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How lubdub is, as a whole.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Status {
    pub version: String,
    /// What it was built from.
    pub revision: String,
    pub pid: u32,
    /// The number of the configuration that is in effect: 1 at the start, one more with each reload.
    pub generation: u64,
    /// What the clock shows there.
    pub now: f64,
    /// When the process began.
    pub started: f64,
    pub uptime_seconds: f64,
    /// Whether `/readyz` says 200.
    pub ready: bool,
    /// All of it is drained, or about to be.
    pub draining: bool,
    /// Pairs that go on in earlier processes.
    pub lingering_pairs: u64,
    /// The latest drain.
    pub drain: Option<Drain>,
    /// What the latest reload did.
    pub last_reload: Option<LastReload>,
    /// Everything that can run out.
    pub budgets: Vec<Budget>,
    pub listeners: Vec<Listener>,
    pub routes: Vec<Route>,
    pub upstreams: Vec<UpstreamStatus>,
    pub certificates: Vec<Certificate>,
    pub totals: Totals,
    pub rtt: RoundTrips,
}

/// The latest drain, and whether lubdub as a whole is drained.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Drains {
    pub draining: bool,
    pub drain: Option<Drain>,
}

/// The latest drain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Drain {
    /// Its number, from 1 on in each run.
    pub id: u64,
    pub state: DrainState,
    /// Whether it is about all pairs.
    pub whole: bool,
    /// Whom it is about.
    pub route: Option<String>,
    pub upstream: Option<String>,
    pub listener: Option<String>,
    pub older_than_seconds: Option<f64>,
    /// Over which time it says farewell.
    pub spread_seconds: f64,
    /// How many pairs it is about.
    pub matched: usize,
    /// How many of them it has told.
    pub told: usize,
    /// How many of them are still open, told or not.
    pub remaining: usize,
}

/// How far a drain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DrainState {
    /// In `drain.delay`.
    Waiting,
    Running,
    Done,
    Cancelled,
}

/// What the latest reload did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct LastReload {
    pub outcome: ReloadOutcome,
    pub at: f64,
    /// The number of the configuration that was in effect afterwards.
    pub generation: u64,
    /// How many keys it changed.
    pub changes: usize,
    /// Why it was refused, a line each.
    pub mistakes: Vec<String>,
}

/// What came of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReloadOutcome {
    Applied,
    Refused,
}

/// Something that can run out.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Budget {
    /// `pairs`, `connections`, `handshakes`, `files`, `waiting`, `requests` or `watchers`.
    pub name: String,
    /// The upstream that it belongs to.
    pub of: Option<String>,
    /// The key that sets it, where one does.
    pub key: Option<String>,
    pub used: u64,
    pub max: u64,
    /// What happens at its end.
    pub at_the_end: String,
}

/// A listener.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Listener {
    pub name: String,
    pub address: String,
    pub tls: bool,
    /// Connections of clients that came in there.
    pub connections: u64,
}

/// A route.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Route {
    pub name: String,
    pub upstream: String,
    pub pairs: u64,
}

/// An upstream.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct UpstreamStatus {
    pub name: String,
    /// Where it is; null if it is not configured any more, and has live pairs.
    pub url: Option<String>,
    pub pairs: u64,
    /// Upgrades that it has not answered, and connects under way.
    pub waiting: u64,
    pub waiting_max: u64,
    /// Plain requests that it has not answered.
    pub requests: u64,
    pub requests_max: u64,
    /// Connects to it, by outcome.
    pub connects: BTreeMap<String, u64>,
    /// When it was last well.
    pub last_success: Option<f64>,
}

/// A certificate that clients are shown.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Certificate {
    pub listener: String,
    pub name: String,
    /// When it expires.
    pub expires: f64,
}

/// What has been counted since the process began.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Totals {
    /// Pairs that are open.
    pub pairs: u64,
    pub opened: u64,
    /// Pairs that ended, by cause.
    pub ended: BTreeMap<String, u64>,
    pub lapses: Lapses,
}

/// Lapses of each side.
pub(crate) type Lapses = PerSide<SideLapses>;

/// One of each side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct PerSide<T> {
    pub client: T,
    pub upstream: T,
}

/// Lapses of a side, by where the silence came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SideLapses {
    /// The kernel could not tell.
    pub unknown: u64,
    /// Nothing of what was sent to the side arrived.
    pub network: u64,
    /// The side's kernel answered, its program did not.
    pub application: u64,
}

/// Round trips of own pings since the process began.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct RoundTrips {
    /// The upper bounds of those that are counted together.
    pub bounds_seconds: Vec<f64>,
    /// One number for each bound, and one for what is above all.
    pub client: Vec<u64>,
    pub upstream: Vec<u64>,
}

impl DrainState {
    /// As it is written everywhere.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether there is more to come of it.
    pub(crate) fn is_under_way(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }
}

impl UpstreamStatus {
    /// Connects to it that have failed, whatever the reason.
    pub(crate) fn failed_connects(&self) -> u64 {
        let failed = |outcome: &str| !matches!(outcome, "connected" | "abandoned");
        let connects = self.connects.iter();
        connects
            .filter(|(outcome, _)| failed(outcome))
            .map(|(_, count)| count)
            .sum()
    }
}

impl SideLapses {
    pub(crate) fn all(self) -> u64 {
        self.unknown + self.network + self.application
    }
}

impl Budget {
    /// As people are told of it: its name, and whose it is.
    pub(crate) fn title(&self) -> String {
        match &self.of {
            Some(of) => format!("{} of {of}", self.name),
            None => self.name.clone(),
        }
    }

    /// Those that may end first, first.
    pub(crate) fn fullest_first<'b>(budgets: impl IntoIterator<Item = &'b Self>) -> Vec<&'b Self> {
        let mut budgets: Vec<_> = budgets.into_iter().collect();
        budgets.sort_by(|a, b| b.share().total_cmp(&a.share()));
        budgets
    }

    /// How much of it is used.
    #[expect(clippy::cast_precision_loss, reason = "a share is shown in per cent")]
    pub(crate) fn share(&self) -> f64 {
        match self.max {
            0 => 1.0,
            max => self.used as f64 / max as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_written_as_it_is_answered() {
        for state in [
            DrainState::Waiting,
            DrainState::Running,
            DrainState::Done,
            DrainState::Cancelled,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }

    #[test]
    fn a_connect_that_was_given_up_by_who_wanted_it_has_not_failed() {
        let connects = [
            ("connected", 4),
            ("abandoned", 2),
            ("failed", 1),
            ("timeout", 3),
        ];
        let upstream = UpstreamStatus {
            name: "a".to_owned(),
            url: None,
            pairs: 0,
            waiting: 0,
            waiting_max: 1,
            requests: 0,
            requests_max: 1,
            connects: connects.map(|(word, n)| (word.to_owned(), n)).into(),
            last_success: None,
        };
        assert_eq!(upstream.failed_connects(), 4);
    }
}
