//! Heartbeats that come too late, too often, or never.

use std::time::Duration;

use lubdub_keepalive::{Enforce, Side};
use lubdub_proxy::settings;

use super::super::duration;
use super::{Findings, Subject, Terms, blamed, leaf, raw};

/// From here on a ping that is a little late loses the race against an idle limit of 60 s, the
/// default of nginx (`proxy_read_timeout`) and of AWS application load balancers.
const LONG: Duration = Duration::from_secs(55);
/// Below this, pings cost more than they tell.
const SHORT: Duration = Duration::from_secs(5);
/// Whoever waits to hear that a peer is gone hardly waits for so long.
const PATIENCE: Duration = Duration::from_secs(2 * 60);
/// Limits on silence and age end the pairs of ghosts, too. Beyond this they pile up before that.
const GHOST: Duration = Duration::from_secs(10 * 60);

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
        if terms.meant.keepalive[side].interval().is_none()
            && let Some(or_later) = late_limit(terms.meant)
        {
            findings.warn(
                leaf(&of(terms, side).interval),
                format!(
                    "nothing is detected there: a pair whose {side} vanished without a word stays \
                     until TCP notices, if it ever does{or_later}"
                ),
            );
        }
    }
}

pub(super) fn enforce_never(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for (terms, side) in sides(subject) {
        // One side may have to be let off: a backend that answers no pings, say.
        if Side::BOTH.into_iter().any(|side| can_lapse(terms, side)) {
            continue;
        }
        // A side that is not even pinged has a warning of its own.
        if terms.meant.keepalive[side].interval().is_some()
            && let Some(or_later) = late_limit(terms.meant)
        {
            findings.warn(
                leaf(&of(terms, side).enforce),
                format!(
                    "neither side is dropped for silence: a pair whose {side} vanished stays until \
                     TCP gives up on the pings, and one whose {side} hangs until its host is gone\
                     {or_later}"
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
        // Nobody is dropped there, soon or late.
        if !can_lapse(terms, side) {
            continue;
        }
        let unnoticed = interval + policy.timeout();
        if unnoticed >= PATIENCE {
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

/// Whether silence of `side` can end a pair.
fn can_lapse(terms: &Terms<'_>, side: Side) -> bool {
    let policy = &terms.meant.keepalive[side];
    policy.interval().is_some() && policy.enforce != Enforce::Never
}

/// What else ends the pair of a ghost, as the end of a sentence about what does so first; `None` if
/// that is soon enough.
fn late_limit(terms: &settings::Terms) -> Option<String> {
    let limits = [
        ("timeouts.data_idle", terms.data_idle),
        ("timeouts.lifetime", terms.lifetime),
    ];
    let first = limits
        .into_iter()
        .filter_map(|(key, limit)| Some((limit?, key)))
        .min();
    match first {
        None => Some(String::new()),
        Some((limit, _)) if limit <= GHOST => None,
        Some((limit, key)) => Some(format!(
            ", or until {key} of {} is over",
            duration::written(limit)
        )),
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
