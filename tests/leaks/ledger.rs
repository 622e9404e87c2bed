//! What was played, by the names that lubdub must have counted it under.

use std::collections::BTreeMap;

use lubdub_metrics::Outcome;
use lubdub_testkit::scrape::Scrape;

use crate::stage::Played;

/// What was played so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) pairs: usize,
    /// Upgrades that did not become pairs.
    pub(crate) upgrades: usize,
    causes: BTreeMap<String, usize>,
    outcomes: BTreeMap<String, usize>,
}

impl Ledger {
    pub(crate) fn enter(&mut self, played: &Played) {
        if let Some((cause, count)) = played.ended {
            *self.causes.entry(cause.to_string()).or_default() += count;
            let upgraded = Outcome::Upgraded.to_string();
            *self.outcomes.entry(upgraded).or_default() += count;
            self.pairs += count;
        }
        if let Some((outcome, count)) = played.failed {
            *self.outcomes.entry(outcome.to_string()).or_default() += count;
        }
        self.upgrades += played.upgrades;
    }

    /// Pairs, and upgrades that did not become pairs.
    pub(crate) fn ends(&self) -> usize {
        self.pairs + self.upgrades
    }

    /// Checks that every end was counted under its name, and nothing else was.
    pub(crate) fn assert_counted(&self, scrape: &Scrape) {
        let counted = |name, label| -> BTreeMap<String, usize> {
            let sums = scrape.sums(name, label).into_iter();
            sums.map(|(label, sum)| (label, sum as usize)).collect()
        };
        assert_eq!(counted("lubdub_pairs_closed_total", "cause"), self.causes);
        assert_eq!(counted("lubdub_handshakes_total", "outcome"), self.outcomes);
    }
}
