//! What new values of the configuration do to a pair that is open: they hold from its next ping on,
//! and a deadline that runs keeps its end.

use std::time::Duration;

use lubdub_keepalive::{Enforce, Evidence, Mode, PerSide, Policy, Side};

use super::{every, off, pinging_upstream, upstream_of, would_have_lapsed};
use crate::journal::Event;
use crate::script::{Change, PeerScript, ProxyScript, Script, Time, ms, secs};
use crate::world::World;

/// The upstream is held to one policy, and from then on to others.
fn changing(upstream: PeerScript, first: Policy, changes: &[(Time, Policy)]) -> Script {
    let mut script = pinging_upstream(upstream);
    script.policies.upstream = first;
    script.until = secs(300);
    script.proxy = ProxyScript {
        changes: (changes.iter().copied())
            .map(|(at, upstream)| Change {
                at,
                policies: PerSide {
                    client: off(),
                    upstream,
                },
            })
            .collect(),
        ..ProxyScript::default()
    };
    script
}

/// When a world without changes pings for the first time, under this policy.
fn first_ping(policy: Policy) -> Time {
    let (pings, _) = upstream_of(&changing(PeerScript::default(), policy, &[]));
    pings[0]
}

#[test]
fn a_shorter_interval_holds_from_the_last_ping_on() {
    let (slow, fast) = (every(secs(60), secs(5)), every(secs(10), secs(5)));
    let first = first_ping(slow);
    let script = changing(PeerScript::default(), slow, &[(first + secs(3), fast)]);
    let (pings, _) = upstream_of(&script);
    assert_eq!(pings[..3], [0, 10, 20].map(|after| first + secs(after)));
}

#[test]
fn what_should_have_been_sent_already_comes_within_an_interval_and_not_all_at_once() {
    let (slow, fast) = (every(secs(60), secs(5)), every(secs(10), secs(5)));
    let mut quarters = [0; 4];
    for seed in 0..=255 {
        let seeded = |changes: &[_]| Script {
            seed,
            ..changing(PeerScript::default(), slow, changes)
        };
        let first = upstream_of(&seeded(&[])).0[0];
        let changed = first + secs(30);
        let (pings, _) = upstream_of(&seeded(&[(changed, fast)]));
        let after = pings[1] - changed;
        assert!(after <= secs(10), "{after:?}");
        quarters[((after.as_millis() / 2501) as usize).min(3)] += 1;
        assert_eq!(pings[2], pings[1] + secs(10));
    }
    assert!(quarters.iter().all(|&n| n > 32), "{quarters:?}");
}

#[test]
fn no_change_makes_a_ping_later_than_it_was_to_be() {
    let (slow, fast) = (every(secs(60), secs(5)), every(secs(20), secs(5)));
    let first = first_ping(slow);
    let script = changing(PeerScript::default(), slow, &[(first + secs(55), fast)]);
    let (pings, _) = upstream_of(&script);
    assert!(pings[1] <= first + secs(60), "{:?}", pings[1] - first);
}

#[test]
fn a_longer_interval_holds_from_the_next_ping_on() {
    let (slow, fast) = (every(secs(60), secs(5)), every(secs(10), secs(5)));
    let first = first_ping(fast);
    let script = changing(PeerScript::default(), fast, &[(first + secs(3), slow)]);
    let (pings, _) = upstream_of(&script);
    assert_eq!(pings[..3], [0, 10, 70].map(|after| first + secs(after)));
}

#[test]
fn the_same_values_change_nothing() {
    let policy = Policy::default();
    let unchanged = upstream_of(&changing(PeerScript::default(), policy, &[]));
    let changes: Vec<_> = (0..3000).map(|n| (ms(100 * n), policy)).collect();
    let script = changing(PeerScript::default(), policy, &changes);
    assert_eq!(upstream_of(&script), unchanged);
}

#[test]
fn a_deadline_that_runs_keeps_its_end() {
    let policy = every(secs(10), secs(5));
    let first = first_ping(policy);
    for timeout in [secs(1), secs(60)] {
        let changes = [(first + ms(500), every(secs(10), timeout))];
        let script = changing(PeerScript::mute(), policy, &changes);
        assert_eq!(upstream_of(&script).1, Some(first + secs(5)), "{timeout:?}");
    }
}

#[test]
fn another_timeout_holds_for_the_next_ping() {
    let policy = every(secs(10), secs(5));
    let first = first_ping(policy);
    let changes = [(first + ms(500), every(secs(10), secs(8)))];
    let silent = PeerScript::silent_from(first + secs(1));
    let script = changing(silent, policy, &changes);
    assert_eq!(upstream_of(&script).1, Some(first + secs(18)));
}

#[test]
fn who_is_not_pinged_any_more_has_nothing_to_prove() {
    let policy = every(secs(10), secs(5));
    let first = first_ping(policy);
    let script = changing(PeerScript::mute(), policy, &[(first + secs(2), off())]);
    assert_eq!(upstream_of(&script), (vec![first], None));
}

#[test]
fn a_ping_that_is_on_its_way_when_pings_are_switched_off_is_waited_for_by_nobody() {
    let policy = every(secs(10), secs(5));
    let first = first_ping(policy);
    let mut script = changing(PeerScript::mute(), policy, &[(first + secs(2), off())]);
    script.proxy.write_delays = vec![secs(20)];
    assert_eq!(upstream_of(&script), (vec![first + secs(20)], None));
}

#[test]
fn switched_on_again_it_begins_anew() {
    let policy = every(secs(10), secs(5));
    let first = first_ping(policy);
    // At once: the next ping is where it was, and the deadline of the one before is gone.
    let changes = [(first + secs(2), off()), (first + secs(3), policy)];
    let (pings, lapsed) = upstream_of(&changing(PeerScript::mute(), policy, &changes));
    assert_eq!(pings, [first, first + secs(10)]);
    assert_eq!(lapsed, Some(first + secs(15)));
    // Long after.
    let on = first + secs(100);
    let changes = [(first + secs(2), off()), (on, policy)];
    let (pings, lapsed) = upstream_of(&changing(PeerScript::mute(), policy, &changes));
    assert!((on..=on + secs(10)).contains(&pings[1]), "{pings:?}");
    assert_eq!(lapsed, Some(pings[1] + secs(5)));
}

#[test]
fn a_side_that_was_never_pinged_is_once_it_is_switched_on() {
    for on in [secs(1), secs(200)] {
        let changes = [(on, every(secs(10), secs(5)))];
        let (pings, _) = upstream_of(&changing(PeerScript::default(), off(), &changes));
        assert!((on..=on + secs(10)).contains(&pings[0]), "{pings:?}");
    }
}

#[test]
fn a_side_that_was_pinged_when_idle_is_pinged_soon_when_it_is_always_to_be() {
    let talks = PeerScript {
        talks: Some(secs(1)),
        ..PeerScript::default()
    };
    let always = every(secs(10), secs(5));
    let mut idle = always;
    idle.mode = Mode::Idle;
    let world = World::run(&changing(talks, idle, &[(secs(100), always)]));
    let journal = world.journal(Side::Upstream);
    let pings = journal.written();
    assert!((secs(100)..=secs(110)).contains(&pings[0]), "{pings:?}");
    assert_eq!(pings[1], pings[0] + secs(10));
    assert_eq!(journal.count(|event| event == Event::Late), 0, "no stall");
}

#[test]
fn what_is_a_sign_of_life_changes_at_once() {
    let any = every(secs(10), secs(5));
    let mut pong = any;
    pong.evidence = Evidence::Pong;
    let talks = PeerScript {
        talks: Some(secs(1)),
        ..PeerScript::mute()
    };
    let first = first_ping(any);
    let script = changing(talks.clone(), pong, &[(first + secs(2), any)]);
    assert_eq!(upstream_of(&script).1, None);
    let (pings, lapsed) = upstream_of(&changing(talks, any, &[(first + secs(2), pong)]));
    assert_eq!(lapsed, Some(pings[1] + secs(5)));
}

#[test]
fn whether_a_lapse_is_enforced_changes_at_once() {
    let always = every(secs(10), secs(5));
    let mut never = always;
    never.enforce = Enforce::Never;
    let first = first_ping(always);
    let changed = first + secs(2);
    let spared = World::run(&changing(PeerScript::mute(), always, &[(changed, never)]));
    assert_eq!(spared.journal(Side::Upstream).lapsed(), None);
    assert_eq!(would_have_lapsed(&spared, Side::Upstream), 1);
    let script = changing(PeerScript::mute(), never, &[(changed, always)]);
    assert_eq!(upstream_of(&script).1, Some(first + secs(5)));
}

/// Of what was learned before, nothing is forgotten.
#[test]
fn a_peer_that_has_answered_is_known_to_answer_whatever_the_values_were() {
    let observed = |enforce| {
        let mut policy = every(secs(10), secs(5));
        policy.enforce = enforce;
        policy
    };
    let (never, learned) = (observed(Enforce::Never), observed(Enforce::Learned));
    let silent = PeerScript::silent_from(secs(35));
    let script = changing(silent, never, &[(secs(34), learned)]);
    let (pings, lapsed) = upstream_of(&script);
    let unanswered = pings.iter().find(|at| **at >= secs(35)).copied();
    assert_eq!(lapsed, unanswered.map(|at: Duration| at + secs(5)));
}
