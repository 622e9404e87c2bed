//! The order of a side-by-side run. Everything is measured once before anything is measured again,
//! so that what drifts over the run hits all alike: peers in the same scenario, which stand next to
//! each other, and scenarios that are compared with each other, which are never further apart than
//! a round.

use super::peer::{Peer, family};
use super::scenario::{SCENARIOS, Scenario};

/// One measurement that is to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'a> {
    /// What is measured.
    pub scenario: &'static Scenario,
    /// Of whom.
    pub peer: &'a Peer,
    /// With how many workers.
    pub workers: usize,
    /// For the how manieth time.
    pub round: u64,
}

/// All measurements of a run, in their order; `is_wanted` chooses the scenarios.
pub(super) fn plan<'a>(
    peers: &'a [Peer],
    workers: &[usize],
    rounds: u64,
    is_wanted: impl Fn(&Scenario) -> bool,
) -> Vec<Turn<'a>> {
    let mut plan = Vec::new();
    for &workers in workers {
        for round in 0..rounds {
            for scenario in SCENARIOS.iter().filter(|scenario| is_wanted(scenario)) {
                let mut turns: Vec<Turn<'a>> = (peers.iter())
                    .filter(|peer| peer.takes_part(scenario, workers))
                    .filter(|peer| round < scenario.rounds(family(peer.name), workers, rounds))
                    .map(|peer| Turn {
                        scenario,
                        peer,
                        workers,
                        round,
                    })
                    .collect();
                shuffle(&mut turns, round);
                plan.extend(turns);
            }
        }
    }
    plan
}

/// Each round begins with another one, and every second runs backward: nobody always comes first,
/// nor always behind the same one.
fn shuffle<T>(turns: &mut [T], round: u64) {
    let count = turns.len().max(1);
    turns.rotate_left(round as usize % count);
    if round % 2 == 1 {
        turns.reverse();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn peers_stand_next_to_each_other_and_rounds_behind_each_other() {
        let peers = Peer::all();
        let plan = plan(&peers, &[1, 2], 4, |_| true);
        let mut seen = HashSet::new();
        let mut last = None;
        for turn in &plan {
            let block = (turn.workers, turn.round, turn.scenario.id);
            if last != Some(block) {
                assert!(seen.insert(block), "{block:?} is torn apart");
                last = Some(block);
            }
        }
        let rounds: Vec<_> = plan.iter().map(|turn| (turn.workers, turn.round)).collect();
        assert!(rounds.is_sorted());
    }

    /// Rounds were once counted within each scenario: what bars compare across scenarios was
    /// measured many minutes apart, and "paired" by nothing but a number.
    #[test]
    fn what_is_compared_across_scenarios_is_measured_in_the_same_round() {
        let peers = Peer::all();
        let plan = plan(&peers, &[1], 9, |_| true);
        let place = |id, round| {
            plan.iter()
                .position(|turn| {
                    turn.scenario.id == id && turn.round == round && turn.peer.name == "lubdub"
                })
                .unwrap()
        };
        for round in 0..9 {
            for other in ["relay-64-of-9000", "heartbeat", "latency"] {
                let apart = place(other, round) - place("relay-125", round);
                assert!(apart < 4 * peers.len(), "{other} in round {round}: {apart}");
            }
        }
    }

    #[test]
    fn nobody_always_comes_first_or_behind_the_same_one() {
        let (mut first, mut behind) = (HashSet::new(), HashSet::new());
        for round in 0..6 {
            let mut turns = [0, 1, 2];
            shuffle(&mut turns, round);
            first.insert(turns[0]);
            behind.extend(turns.windows(2).map(|pair| (pair[0], pair[1])));
        }
        assert_eq!(first.len(), 3);
        assert_eq!(behind.len(), 6);
        shuffle::<u8>(&mut [], 3);
    }

    #[test]
    fn only_what_is_wanted_is_planned() {
        let peers = Peer::all();
        let plan = plan(&peers, &[1], 2, |scenario| scenario.id == "heartbeat");
        assert_eq!(plan.len(), 2);
        assert!(plan.iter().all(|turn| turn.peer.name == "lubdub"));
    }
}
