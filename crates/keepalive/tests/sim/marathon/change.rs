//! New values of the configuration in the middle of a world.

use std::time::Duration;

use lubdub_keepalive::{Evidence, PerSide, Policy, Side};

use super::pace::Pace;
use crate::dice::Dice;
use crate::script::{Change, Script, Time};

/// Some changes, or none. `steady` is always pinged, and has the same time for its pongs: by when its
/// death has to be noticed is to be said by that.
pub(crate) fn draw(
    pace: Pace,
    first: &PerSide<Policy>,
    steady: Option<Side>,
    until: Time,
    dice: &mut Dice,
) -> Vec<Change> {
    if !dice.percent(60) {
        return Vec::new();
    }
    let mut times = Vec::new();
    for _ in 0..=dice.below(12) {
        let at = dice.between(Time::ZERO, until);
        times.push(at);
        if dice.percent(50) {
            // Something is under way from the one before.
            let timeout = first[dice.pick(&Side::BOTH)].timeout();
            times.push(at + dice.share(timeout, 0, 150));
        }
    }
    times.sort();
    let mut policies = *first;
    let mut change = |at| {
        for side in Side::BOTH {
            if dice.percent(30) {
                continue;
            }
            let drawn = pace.of_a_change(dice).policy(dice);
            let is_steady = steady == Some(side);
            let interval = drawn.interval().filter(|_| is_steady || dice.percent(80));
            let timeout = if is_steady {
                first[side].timeout()
            } else {
                drawn.timeout()
            };
            policies[side] = like(&drawn, interval, timeout);
        }
        Change { at, policies }
    };
    times.into_iter().map(&mut change).collect()
}

/// Who lives by it lives by every policy that ever holds for the side.
pub(crate) fn strictest(script: &Script, side: Side) -> Policy {
    let first = &script.policies[side];
    let timeouts = script.policies_of(side).map(Policy::timeout);
    let mut strictest = like(
        first,
        first.interval(),
        timeouts.fold(first.timeout(), Ord::min),
    );
    if script
        .policies_of(side)
        .any(|policy| policy.evidence == Evidence::Pong)
    {
        strictest.evidence = Evidence::Pong;
    }
    strictest
}

/// Nothing takes longer under any policy that ever holds for the side.
pub(crate) fn slowest(script: &Script, side: Side) -> Policy {
    let first = &script.policies[side];
    let timeouts = script.policies_of(side).map(Policy::timeout);
    let intervals = script.policies_of(side).filter_map(Policy::interval);
    like(
        first,
        intervals.max(),
        timeouts.fold(first.timeout(), Ord::max),
    )
}

fn like(policy: &Policy, interval: Option<Duration>, timeout: Duration) -> Policy {
    let mut timed = Policy::try_new(interval, timeout, policy.jitter()).expect("a policy");
    timed.mode = policy.mode;
    timed.evidence = policy.evidence;
    timed.enforce = policy.enforce;
    timed
}
