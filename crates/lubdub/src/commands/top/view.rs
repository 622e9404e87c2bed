//! What `lubdub top` knows: the latest answers, and how they have changed.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::api::{Ends, History, Pairs, SideLapses, Sort, Status};
use crate::commands::ask::{Admin, NoAnswer};
use crate::commands::human;

/// What lubdub said at one moment.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) at: Instant,
    pub(super) status: Status,
    pub(super) pairs: Pairs,
    pub(super) ends: Ends,
    pub(super) hour: Hour,
}

/// The last hour, as it was heard of at one moment.
#[derive(Debug, Clone)]
pub(super) struct Hour {
    at: Instant,
    pub(super) history: History,
}

/// What is shown.
#[derive(Debug)]
pub(super) struct View {
    pub(super) sight: Sight,
    /// Where lubdub is.
    address: String,
    /// Why there is nothing newer, if so.
    trouble: Option<Trouble>,
    pub(super) sort: Sort,
    pub(super) rates: Rates,
    totals: VecDeque<Totals>,
}

/// Why there is no news.
#[derive(Debug)]
enum Trouble {
    /// Nobody answers.
    Silence(String),
    /// It answers something else.
    Refusal(String),
}

/// What happens in a second, over the last few.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Rates {
    pub(super) opened: f64,
    pub(super) ended: f64,
    pub(super) lapsed: f64,
    pub(super) answered: f64,
}

#[derive(Debug, Clone, Copy)]
struct Totals {
    now: f64,
    opened: u64,
    ended: u64,
    lapsed: u64,
    answered: u64,
}

/// The order of the pairs in the beginning: who is to be looked at first.
pub(super) const FIRST: Sort = Sort::Rtt;
/// A picture that is older than this, in seconds, is told to be.
const OLD: f64 = 3.0;
/// Rates are taken over so many looks.
const LOOKS: usize = 6;
/// So many pairs and ends fill a tall terminal.
const ROWS: usize = 60;

// === impl Sight ===

impl Sight {
    /// `known` is the history that is not old enough for there to be more of it.
    pub(super) async fn take(
        admin: &Admin,
        sort: Sort,
        known: Option<&Hour>,
    ) -> anyhow::Result<Self> {
        let pairs = format!("/api/v1/pairs?limit={ROWS}&sort={}", sort.as_str());
        let ends = format!("/api/v1/ends?limit={ROWS}");
        Ok(Self {
            status: admin.get("/api/v1/status").await?,
            pairs: admin.get(&pairs).await?,
            ends: admin.get(&ends).await?,
            hour: match known.filter(|hour| hour.is_new()) {
                Some(hour) => hour.clone(),
                None => Hour {
                    at: Instant::now(),
                    history: admin.get("/api/v1/history").await?,
                },
            },
            at: Instant::now(),
        })
    }
}

#[cfg(test)]
impl Sight {
    /// What was said just now.
    pub(super) fn told(status: Status, pairs: Pairs, ends: Ends, history: History) -> Self {
        let at = Instant::now();
        Self {
            at,
            status,
            pairs,
            ends,
            hour: Hour { at, history },
        }
    }
}

// === impl Hour ===

impl Hour {
    /// Whether there can be no newer sample.
    fn is_new(&self) -> bool {
        self.at.elapsed().as_secs_f64() < self.history.step_seconds
    }
}

// === impl View ===

impl View {
    pub(super) fn new(sight: Sight, address: String) -> Self {
        let totals = VecDeque::from([Totals::of(&sight.status)]);
        Self {
            sight,
            address,
            trouble: None,
            sort: FIRST,
            rates: Rates::default(),
            totals,
        }
    }

    pub(super) fn hear(&mut self, heard: anyhow::Result<Sight>) {
        let sight = match heard {
            Ok(sight) => sight,
            Err(error) => {
                self.trouble = Some(match error.downcast_ref::<NoAnswer>() {
                    Some(_) => Trouble::Silence(error.root_cause().to_string()),
                    None => Trouble::Refusal(format!("{error:#}")),
                });
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

    /// That the picture is of another moment, and why: who is asked may also be silent and not say so.
    pub(super) fn warning(&self) -> Option<String> {
        let age = self.sight.at.elapsed().as_secs_f64();
        let heard = format!("heard {} ago", human::duration(age));
        let silent = || format!("lubdub at {} does not answer, {heard}", self.address);
        match &self.trouble {
            Some(Trouble::Silence(why)) => Some(format!("{}: {why}", silent())),
            Some(Trouble::Refusal(why)) => Some(format!("no news, {heard}: {why}")),
            None => (age > OLD).then(silent),
        }
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

/// The order that a key brings next.
pub(super) fn next(sort: Sort) -> Sort {
    match sort {
        Sort::Rtt => Sort::Silence,
        Sort::Silence => Sort::Bytes,
        Sort::Bytes => Sort::Newest,
        Sort::Newest => Sort::Oldest,
        Sort::Oldest => Sort::Rtt,
    }
}

// === impl Totals ===

impl Totals {
    fn of(status: &Status) -> Self {
        let totals = &status.totals;
        let sides = [totals.lapses.client, totals.lapses.upstream];
        Self {
            now: status.now,
            opened: totals.opened,
            ended: totals.ended.values().sum(),
            lapsed: sides.map(SideLapses::all).iter().sum(),
            answered: [&status.rtt.client, &status.rtt.upstream]
                .iter()
                .map(|counts| counts.iter().sum::<u64>())
                .sum(),
        }
    }
}
