//! How reloads of the configuration went.

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge};

use crate::labels::{Label, Reload};
use crate::recorder::Scope;
use crate::table;

/// How reloads of the configuration went.
#[derive(Debug)]
pub(crate) struct Reloads {
    outcomes: [Counter; Reload::ALL.len()],
    is_successful: Gauge,
    succeeded_at: Gauge,
}

// === impl Reloads ===

impl Reloads {
    pub(crate) fn register(scope: &Scope<'_>) -> Self {
        let reloads = Self {
            outcomes: Reload::ALL.map(|outcome| {
                scope
                    .with(Label::Reload, outcome.as_str())
                    .counter(&table::CONFIG_RELOADS)
            }),
            is_successful: scope.gauge(&table::CONFIG_LAST_RELOAD_SUCCESSFUL),
            succeeded_at: scope.gauge(&table::CONFIG_LAST_RELOAD_SUCCESS),
        };
        // None has failed.
        reloads.is_successful.set(1);
        reloads
    }

    /// One more, which ended like this at `now`.
    pub(crate) fn count(&self, outcome: Reload, now: SystemTime) {
        self.outcomes[outcome as usize].increment(1);
        match outcome {
            Reload::Applied => self.succeeded(now),
            Reload::Refused => self.is_successful.set(0),
        }
    }

    /// What is in effect was read at `now`.
    pub(crate) fn succeeded(&self, now: SystemTime) {
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.is_successful.set(1);
        self.succeeded_at.set(since_epoch.as_secs_f64());
    }
}
