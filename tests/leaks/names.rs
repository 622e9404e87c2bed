//! Every name that lubdub has for an end is in the table of ways (`ways.rs`), or left out for a reason:
//! who adds a cause or an outcome adds a way to it.

use std::collections::BTreeSet;

use lubdub_metrics::{Cause, Outcome};

use crate::ways::{WAYS, What};

/// Causes that no way of the table has, and why.
const NO_WAY_FOR_CAUSE: &[(Cause, &str)] = &[
    (
        Cause::Drain,
        "ends the whole of lubdub: every run ends with one",
    ),
    (Cause::Limit, "reserved, and nothing gives it"),
    (Cause::Admin, "reserved, and nothing gives it"),
    (Cause::Internal, "a fault, and none is known"),
];

/// Outcomes that no way of the table has, and why.
const NO_WAY_FOR_OUTCOME: &[(Outcome, &str)] = &[
    (Outcome::Upgraded, "that of every pair"),
    (Outcome::Forbidden, "reserved, and nothing gives it"),
    (
        Outcome::Draining,
        "of who comes while lubdub ends, and nothing is left of that: stories/drains.rs",
    ),
    (Outcome::RateLimited, "reserved, and nothing gives it"),
    (Outcome::Origin, "reserved, and nothing gives it"),
    (
        Outcome::UpstreamBusy,
        "refused before anything is taken for it: stories/budgets.rs",
    ),
    (
        Outcome::Loop,
        "refused before anything is taken for it: stories/loops.rs",
    ),
];

/// Checks that every name that lubdub has for an end is in the table or left out of it, and not
/// both.
pub(crate) fn assert_complete() {
    let in_table = |pick: fn(&What) -> Option<&'static str>| {
        let picked = WAYS.iter().filter_map(move |way| pick(&way.what));
        picked.collect::<BTreeSet<_>>()
    };
    complete(
        "cause",
        Cause::ALL.map(Cause::as_str),
        &in_table(|what| match what {
            What::Pair(_, cause) => Some(cause.as_str()),
            What::Upgrade(..) => None,
        }),
        NO_WAY_FOR_CAUSE
            .iter()
            .map(|(cause, why)| (cause.as_str(), *why)),
    );
    complete(
        "outcome",
        Outcome::ALL.map(Outcome::as_str),
        &in_table(|what| match what {
            What::Upgrade(_, outcome) => outcome.map(Outcome::as_str),
            What::Pair(..) => None,
        }),
        NO_WAY_FOR_OUTCOME
            .iter()
            .map(|(outcome, why)| (outcome.as_str(), *why)),
    );
}

fn complete<const N: usize>(
    kind: &str,
    all: [&'static str; N],
    in_table: &BTreeSet<&'static str>,
    left_out: impl Iterator<Item = (&'static str, &'static str)>,
) {
    let left_out: Vec<_> = left_out.collect();
    for name in all {
        let reason = left_out.iter().find(|(left_out, _)| *left_out == name);
        match (in_table.contains(name), reason) {
            (true, None) | (false, Some(_)) => {}
            (false, None) => panic!("the run has no way to the {kind} {name}"),
            (true, Some((_, why))) => panic!("the {kind} {name} is not left out ({why})"),
        }
    }
}
