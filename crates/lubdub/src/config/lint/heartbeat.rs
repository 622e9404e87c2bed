//! Heartbeats that come too late, too often, or never.

use std::time::Duration;

use lubdub_keepalive::Side;

use super::super::duration;
use super::{Findings, Subject, Terms, blamed, leaf, raw};

/// From here on a ping that is a little late loses the race against an idle limit of 60 s, the
/// default of nginx (`proxy_read_timeout`) and of AWS application load balancers.
const LONG: Duration = Duration::from_secs(55);
/// Below this, pings cost more than they tell.
const SHORT: Duration = Duration::from_secs(5);
/// Whoever waits to hear that a peer is gone hardly waits for longer.
const PATIENCE: Duration = Duration::from_secs(3 * 60);

pub(super) fn interval_long(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for (terms, side) in sides(subject) {
        if terms.meant.keepalive[side].interval() >= Some(LONG) {
            findings.warn(
                leaf(&of(terms, side).interval),
                "nginx and AWS ALB forget a connection that is idle for 60s, and a ping that is a \
                 little late comes too late",
            );
        }
    }
}

pub(super) fn interval_short(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for (terms, side) in sides(subject) {
        let interval = terms.meant.keepalive[side].interval();
        if interval.is_some_and(|interval| interval < SHORT) {
            findings.warn(
                leaf(&of(terms, side).interval),
                "wakes radios and processors for little, and some peers take frequent pings for a \
                 flood",
            );
        }
    }
}

pub(super) fn interval_off(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for (terms, side) in sides(subject) {
        // Without pings a limit on silence at least ends the pairs of ghosts.
        if terms.meant.keepalive[side].interval().is_none() && terms.meant.data_idle.is_none() {
            findings.warn(
                leaf(&of(terms, side).interval),
                format!(
                    "nothing is detected there: a pair whose {side} vanished without a word stays \
                     until TCP notices, if it ever does"
                ),
            );
        }
    }
}

pub(super) fn lapse_slow(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for (terms, side) in sides(subject) {
        let policy = &terms.meant.keepalive[side];
        let Some(interval) = policy.interval() else {
            continue;
        };
        let unnoticed = interval + policy.timeout();
        if unnoticed > PATIENCE {
            let set = of(terms, side);
            findings.warn(
                blamed([&set.timeout, &set.interval]),
                format!(
                    "interval and timeout are {} together, and a dead {side} can go unnoticed for \
                     as long",
                    duration::written(unnoticed)
                ),
            );
        }
    }
}

pub(super) fn boundary_wait_long(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for (terms, side) in sides(subject) {
        let policy = &terms.meant.keepalive[side];
        let (Some(wait), Some(_)) = (terms.meant.boundary_wait[side], policy.interval()) else {
            continue;
        };
        if wait > policy.timeout() {
            let set = of(terms, side);
            findings.warn(
                blamed([&set.boundary_wait, &set.timeout]),
                format!(
                    "during a long message a ping waits {} for its place, longer than the timeout \
                     of {} that only then begins",
                    duration::written(wait),
                    duration::written(policy.timeout())
                ),
            );
        }
    }
}

pub(super) fn write_stall_off(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for terms in &subject.terms {
        if terms.meant.write_stall.is_none() {
            findings.warn(
                leaf(&terms.set.timeouts.write_stall),
                "a peer that stops reading but answers at times keeps its pair, and what is \
                 buffered for it, for ever",
            );
        }
    }
}

/// Both sides of every route.
fn sides<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = (&'a Terms<'a>, Side)> {
    subject
        .terms
        .iter()
        .flat_map(|terms| Side::BOTH.map(|side| (terms, side)))
}

/// What was set for `side`.
fn of<'a>(terms: &'a Terms<'_>, side: Side) -> &'a raw::Side {
    match side {
        Side::Client => &terms.set.keepalive.client,
        Side::Upstream => &terms.set.keepalive.upstream,
    }
}
