//! What became of a world, measured by its script alone: by when the side that died had to be
//! noticed, and that nobody else was called dead. That every single step was right is the business
//! of the rules that the proxy checks; this would notice if all of those were blind.

use std::fmt;

use lubdub_keepalive::Side;

use super::change;
use super::death::Death;
use super::plan::{Fate, Plan};
use super::trouble::LAG;
use crate::script::{Script, Time, secs};
use crate::window::Windows;
use crate::world::World;

/// A side that died was found dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caught {
    pub side: Side,
    pub death: Death,
    /// After its deadline, as far as lubdub was running.
    pub late: Time,
}

/// What must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    FalseLapse {
        side: Side,
        at: Time,
    },
    Missed {
        side: Side,
        death: Death,
        died: Time,
    },
    TooLate {
        side: Side,
        death: Death,
        died: Time,
        by: Time,
        at: Time,
    },
    /// One of the rules.
    Broken(String),
}

pub(crate) fn judge(plan: &Plan, world: &World) -> Result<Option<Caught>, Finding> {
    let mut caught = None;
    for side in Side::BOTH {
        let accused = world.journal(side).totals.first_accused;
        match (plan.fates[side], accused) {
            (Fate::Wild, _) | (Fate::Healthy, None) => {}
            (Fate::Healthy, Some(at)) => return Err(Finding::FalseLapse { side, at }),
            (Fate::Dies(death, died), None) => return Err(Finding::Missed { side, death, died }),
            (Fate::Dies(death, died), Some(at)) => {
                let late = judge_death(plan, world, side, (death, died), at)?;
                caught = Some(Caught { side, death, late });
            }
        }
    }
    Ok(caught)
}

/// How late the side was called dead, at `at`, if that was right.
fn judge_death(
    plan: &Plan,
    world: &World,
    side: Side,
    (death, died): (Death, Time),
    at: Time,
) -> Result<Time, Finding> {
    match (death, world.journal(side).lapsed()) {
        (Death::Observed, Some(at)) => return Err(Finding::FalseLapse { side, at }),
        (Death::Observed, None) | (_, Some(_)) => {}
        (_, None) => return Err(Finding::Missed { side, death, died }),
    }
    let run_out = world.proxy.run_out[side];
    let Some(deadline) = run_out.filter(|deadline| died <= at && *deadline <= at) else {
        return Err(Finding::FalseLapse { side, at });
    };
    let by = latest(&plan.script, side, died, at);
    let late = lateness(&plan.script, deadline, at);
    if at > by || late > LAG {
        return Err(Finding::TooLate {
            side,
            death,
            died,
            by,
            at,
        });
    }
    Ok(late)
}

/// By when a side that died has to be noticed. Its last sign of life may still be under way, for
/// less than a timeout; then come the longest wait for a ping, and the timeout.
fn latest(script: &Script, side: Side, died: Time, noticed: Time) -> Time {
    let (policy, proxy) = (change::slowest(script, side), &script.proxy);
    let timeout = policy.timeout();
    let longest = |delays: &[Time]| delays.iter().max().copied().unwrap_or_default();
    let write = longest(&proxy.write_delays);
    let ping =
        policy.interval().expect("it is pinged") + longest(&proxy.place_delays) + write + LAG;
    // A pong that comes while a ping is being written may be taken for its answer.
    let pings = if write.is_zero() { ping } else { 2 * ping };
    // What of lubdub's own troubles came in between, and what each of them costs.
    let cost = |windows: &Windows, each: Time| -> Time {
        let between = windows.between(died, noticed);
        between.map(|window| window.len() + each).sum()
    };
    let crawls = script.links[side].to_peer.crawls.between(died, noticed);
    died + timeout
        + pings
        + timeout
        + LAG
        + cost(&proxy.stalls, timeout)
        + cost(&proxy.pauses[side], secs(1))
        + crawls.map(|_| timeout).sum::<Time>()
}

/// How long after its deadline a side was called dead, without the time in which lubdub was
/// stalled.
fn lateness(script: &Script, deadline: Time, at: Time) -> Time {
    let stalls = script.proxy.stalls.between(deadline, at);
    let stalled = stalls.map(|stall| stall.to.min(at) - stall.from.max(deadline));
    at - deadline - stalled.sum::<Time>()
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FalseLapse { side, at } => write!(f, "false lapse: the {side} is well at {at:?}"),
            Self::Missed { side, death, died } => {
                write!(f, "missed: the {side} died at {died:?} ({death})")
            }
            Self::TooLate {
                side,
                death,
                died,
                by,
                at,
            } => write!(
                f,
                "missed: the {side} died at {died:?} ({death}) and was noticed at {at:?}, not by {by:?}"
            ),
            Self::Broken(rule) => write!(f, "a rule is broken: {rule}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use lubdub_keepalive::PerSide;

    use super::*;
    use crate::script::PeerScript;

    const CLIENT: Side = Side::Client;

    /// A client with the default policy is said to be in for one thing, and is another.
    fn judged(said: Fate, client: PeerScript) -> Result<Option<Caught>, Finding> {
        let mut plan = Plan {
            fates: PerSide {
                client: said,
                upstream: Fate::Healthy,
            },
            script: Script {
                until: secs(3600),
                ..Script::default()
            },
            suspended: Windows::default(),
        };
        plan.script.peers.client = client;
        judge(&plan, &World::run(&plan.script))
    }

    #[test]
    fn a_lapse_of_a_side_that_is_said_to_be_well_is_false() {
        let slow = PeerScript {
            delay: secs(31),
            ..PeerScript::default()
        };
        let found = judged(Fate::Healthy, slow).unwrap_err();
        assert!(matches!(found, Finding::FalseLapse { side: CLIENT, .. }));
        assert_eq!(judged(Fate::Healthy, PeerScript::default()), Ok(None));
    }

    #[test]
    fn a_lapse_before_death_is_false() {
        let died = Fate::Dies(Death::Vanished, secs(1800));
        let found = judged(died, PeerScript::silent_from(secs(900))).unwrap_err();
        assert!(matches!(found, Finding::FalseLapse { side: CLIENT, .. }));
    }

    #[test]
    fn a_death_without_a_lapse_is_missed() {
        let died = Fate::Dies(Death::Vanished, secs(1800));
        let found = judged(died, PeerScript::default()).unwrap_err();
        assert!(matches!(found, Finding::Missed { side: CLIENT, .. }));
    }

    #[test]
    fn a_lapse_that_comes_late_is_missed() {
        let (died, said) = (secs(1800), secs(1600));
        let silent = PeerScript::silent_from(died);
        let found = judged(Fate::Dies(Death::Vanished, said), silent.clone()).unwrap_err();
        assert!(matches!(found, Finding::TooLate { side: CLIENT, .. }));
        let caught = judged(Fate::Dies(Death::Vanished, died), silent).unwrap();
        assert_eq!(caught.map(|caught| caught.late), Some(Time::ZERO));
    }
}
