//! What `lubdub top` knows: the latest answers, and how they have changed.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::api::{Ends, History, Pairs, Status};
use crate::commands::ask::Admin;

/// What lubdub said at one moment.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) at: Instant,
    pub(super) status: Status,
    pub(super) pairs: Pairs,
    pub(super) ends: Ends,
    pub(super) history: History,
}

/// What is shown.
#[derive(Debug)]
pub(super) struct View {
    pub(super) sight: Sight,
    /// Why there is nothing newer, if so.
    pub(super) trouble: Option<String>,
    pub(super) sort: Sort,
    pub(super) rates: Rates,
    totals: VecDeque<Totals>,
}

/// What happens in a second, over the last few.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Rates {
    pub(super) opened: f64,
    pub(super) ended: f64,
    pub(super) lapsed: f64,
    pub(super) answered: f64,
}

/// The order of the pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    #[default]
    Rtt,
    Silence,
    Bytes,
    Newest,
    Oldest,
}

#[derive(Debug, Clone, Copy)]
struct Totals {
    now: f64,
    opened: u64,
    ended: u64,
    lapsed: u64,
    answered: u64,
}

/// Rates are taken over so many looks.
const LOOKS: usize = 6;
/// So many pairs and ends fill a tall terminal.
const ROWS: usize = 60;

// === impl Sight ===

impl Sight {
    pub(super) async fn take(admin: &Admin, sort: Sort) -> anyhow::Result<Self> {
        let pairs = format!("/api/v1/pairs?limit={ROWS}&sort={}", sort.name());
        let ends = format!("/api/v1/ends?limit={ROWS}");
        Ok(Self {
            status: admin.get("/api/v1/status").await?,
            pairs: admin.get(&pairs).await?,
            ends: admin.get(&ends).await?,
            history: admin.get("/api/v1/history").await?,
            at: Instant::now(),
        })
    }
}

// === impl View ===

impl View {
    pub(super) fn new(sight: Sight) -> Self {
        let totals = VecDeque::from([Totals::of(&sight.status)]);
        Self {
            sight,
            trouble: None,
            sort: Sort::default(),
            rates: Rates::default(),
            totals,
        }
    }

    pub(super) fn hear(&mut self, heard: anyhow::Result<Sight>) {
        let sight = match heard {
            Ok(sight) => sight,
            Err(error) => {
                self.trouble = Some(format!("{error:#}"));
                return;
            }
        };
        self.trouble = None;
        if sight.status.pid != self.sight.status.pid {
            // Another process counts anew.
            self.totals.clear();
        }
        if self.totals.len() == LOOKS {
            self.totals.pop_front();
        }
        self.totals.push_back(Totals::of(&sight.status));
        self.rates = self.rates();
        self.sight = sight;
    }

    #[expect(clippy::cast_precision_loss, reason = "rates are shown in few digits")]
    fn rates(&self) -> Rates {
        let (Some(first), Some(last)) = (self.totals.front(), self.totals.back()) else {
            return Rates::default();
        };
        let seconds = (last.now - first.now).max(0.1);
        let rate = |of: fn(&Totals) -> u64| of(last).saturating_sub(of(first)) as f64 / seconds;
        Rates {
            opened: rate(|totals| totals.opened),
            ended: rate(|totals| totals.ended),
            lapsed: rate(|totals| totals.lapsed),
            answered: rate(|totals| totals.answered),
        }
    }
}

// === impl Sort ===

impl Sort {
    const ALL: [Self; 5] = [
        Self::Rtt,
        Self::Silence,
        Self::Bytes,
        Self::Newest,
        Self::Oldest,
    ];

    /// As the admin interface names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rtt => "rtt",
            Self::Silence => "silence",
            Self::Bytes => "bytes",
            Self::Newest => "newest",
            Self::Oldest => "oldest",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Rtt => "longest round trip first",
            Self::Silence => "longest silence first",
            Self::Bytes => "most bytes first",
            Self::Newest => "newest first",
            Self::Oldest => "oldest first",
        }
    }

    pub(super) fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }
}

// === impl Totals ===

impl Totals {
    fn of(status: &Status) -> Self {
        let totals = &status.totals;
        let sides = [totals.lapses.client, totals.lapses.upstream];
        let lapses = sides.map(|side| side.unknown + side.network + side.application);
        Self {
            now: status.now,
            opened: totals.opened,
            ended: totals.ended.values().sum(),
            lapsed: lapses.iter().sum(),
            answered: [&status.rtt.client, &status.rtt.upstream]
                .iter()
                .map(|counts| counts.iter().sum::<u64>())
                .sum(),
        }
    }
}
