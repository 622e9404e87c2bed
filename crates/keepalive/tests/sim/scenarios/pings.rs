//! When a side is pinged: interval, jitter and mode, and how many pings may be open.

use lubdub_keepalive::{Enforce, Jitter, Mode, Policy, Side};

use super::{both, every, off, pinging_upstream, upstream_of};
use crate::journal::Event;
use crate::script::{Answers, PeerScript, ProxyScript, Script, ms, secs};
use crate::window::Window;
use crate::world::World;

#[test]
fn the_first_ping_comes_within_the_second_half_of_the_interval_and_is_spread() {
    let mut quarters = [0; 4];
    for seed in 0..=255 {
        let mut script = pinging_upstream(PeerScript::default());
        script.seed = seed;
        script.until = secs(10);
        let (pings, _) = upstream_of(&script);
        assert!((secs(5)..=secs(10)).contains(&pings[0]), "{pings:?}");
        quarters[((pings[0] - secs(5)).as_millis() / 1251) as usize] += 1;
    }
    assert!(quarters.iter().all(|&n| n > 32), "{quarters:?}");
}

#[test]
fn jitter_brings_pings_forward_and_never_back() {
    let mut script = pinging_upstream(PeerScript::default());
    let jitter = Jitter::try_new(0.25).unwrap();
    script.policies.upstream = Policy::try_new(Some(secs(10)), secs(5), jitter).unwrap();
    script.until = secs(5000);
    let (pings, _) = upstream_of(&script);
    let gaps: Vec<_> = pings.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps.iter().all(|gap| (ms(7500)..=secs(10)).contains(gap)));
    assert!(gaps.iter().any(|gap| *gap < ms(7600)) && gaps.iter().any(|gap| *gap > ms(9900)));
}

#[test]
fn an_interval_that_is_off_pings_nobody() {
    let script = Script {
        policies: both(off()),
        peers: both(PeerScript::mute()),
        until: secs(1000),
        ..Script::default()
    };
    let world = World::run(&script);
    for side in Side::BOTH {
        assert_eq!(world.journal(side).events(), []);
    }
}

#[test]
fn a_millisecond_is_an_interval() {
    let mut script = pinging_upstream(PeerScript::default());
    script.policies.upstream = every(ms(1), ms(1));
    script.until = secs(1);
    let (pings, lapsed) = upstream_of(&script);
    assert!(
        (999..=1001).contains(&pings.len()) && lapsed.is_none(),
        "{}",
        pings.len()
    );
}

#[test]
fn a_ping_is_counted_from_the_last_one_written_not_from_the_last_one_due() {
    let mut script = pinging_upstream(PeerScript::default());
    script.proxy = ProxyScript {
        place_delays: vec![secs(3)],
        write_delays: vec![secs(4)],
        ..ProxyScript::default()
    };
    let (pings, lapsed) = upstream_of(&script);
    assert!(
        pings.windows(2).all(|two| two[1] - two[0] == secs(17)),
        "{pings:?}"
    );
    assert_eq!(lapsed, None, "a ping that waits runs no clock");
}

#[test]
fn an_idle_side_is_pinged_and_a_talking_one_is_not() {
    let talks = PeerScript {
        talks: Some(secs(4)),
        ..PeerScript::default()
    };
    let mut script = pinging_upstream(talks);
    script.policies.upstream.mode = Mode::Idle;
    assert_eq!(upstream_of(&script).0, []);

    let mut script = pinging_upstream(PeerScript::default());
    script.policies.upstream.mode = Mode::Idle;
    script.links.upstream.from_peer.latency = ms(250);
    let (pings, _) = upstream_of(&script);
    let counted_from_the_pong = |two: &[std::time::Duration]| two[1] - two[0] == ms(10_250);
    assert!(
        pings.len() > 5 && pings.windows(2).all(counted_from_the_pong),
        "{pings:?}"
    );
}

#[test]
fn at_most_sixteen_pings_are_unanswered() {
    let mut script = pinging_upstream(PeerScript::mute());
    script.policies.upstream = every(secs(1), secs(60));
    let (pings, lapsed) = upstream_of(&script);
    assert_eq!(pings.len(), 16);
    assert_eq!(lapsed, Some(pings[0] + secs(60)));
}

#[test]
fn a_peer_that_talks_but_never_pongs_is_pinged_for_ever() {
    let talks = PeerScript {
        talks: Some(secs(2)),
        ..PeerScript::mute()
    };
    let mut script = pinging_upstream(talks);
    script.policies.upstream = every(ms(500), secs(60));
    let (pings, lapsed) = upstream_of(&script);
    assert!(pings.len() > 190 && lapsed.is_none());
}

#[test]
fn a_peer_that_is_only_observed_is_pinged_for_ever() {
    let mut script = pinging_upstream(PeerScript::mute());
    script.policies.upstream = every(ms(500), secs(10));
    script.policies.upstream.enforce = Enforce::Never;
    let (pings, lapsed) = upstream_of(&script);
    // Sixteen in 8 s, then a pause until the deadline, and so on.
    assert!(pings.len() > 140 && lapsed.is_none(), "{}", pings.len());
}

#[test]
fn pings_missed_in_a_stall_are_not_made_up_for() {
    let mut script = pinging_upstream(PeerScript::answering(Answers::Every));
    script.proxy.stalls = [Window::new(secs(12), secs(60))].into();
    let world = World::run(&script);
    let asked = world.journal(Side::Upstream).times(|e| e == Event::Asked);
    let after = asked
        .iter()
        .filter(|at| **at >= secs(72))
        .copied()
        .collect::<Vec<_>>();
    assert_eq!(after, [secs(72), secs(82), secs(92)]);
}
