//! What an end does to the heartbeat: behind a FIN or a Close there are no own pings and no clocks
//! (docs/adr/0005).

use lubdub_keepalive::{PerSide, Side};

use super::{both, every};
use crate::journal::Event;
use crate::script::{Answers, Ending, LinkPair, PeerScript, Script, ms, secs};
use crate::window::Window;
use crate::world::World;

fn pinging_both(peers: PerSide<PeerScript>) -> Script {
    Script {
        policies: both(every(secs(10), secs(5))),
        peers,
        until: secs(1000),
        ..Script::default()
    }
}

#[test]
fn no_pings_and_no_lapses_after_a_fin_or_a_close() {
    for ending in [Ending::Fin, Ending::Close] {
        for side in Side::BOTH {
            let mut script = pinging_both(both(PeerScript::default()));
            // The clock of a ping is running when it happens.
            let running = World::run(&script).journal(side.other()).written()[2];
            script.peers[side.other()].frozen = [Window::from(running)].into();
            script.peers[side].ends = Some((running + secs(1), ending));
            let world = World::run(&script);
            for side in Side::BOTH {
                let journal = world.journal(side);
                assert!(journal.written().iter().all(|at| *at <= running + secs(1)));
                assert_eq!(journal.lapsed(), None, "{ending:?}");
            }
        }
    }
}

#[test]
fn pongs_are_told_apart_until_the_end() {
    let mut script = pinging_both(both(PeerScript::default()));
    // The upstream's pong is under way when the client says goodbye.
    script.links.upstream = LinkPair::slow(ms(1500));
    let pings = World::run(&script).journal(Side::Upstream).written();
    script.peers.client.ends = Some((pings[1] + secs(1), Ending::Fin));
    let world = World::run(&script);
    let swallowed = |e| matches!(e, Event::Swallowed(_));
    assert_eq!(world.journal(Side::Upstream).count(swallowed), 2);
    assert!(world.peers.client.ponged.is_empty());
}

#[test]
fn a_ping_that_waits_for_its_place_is_forgotten_at_an_end() {
    let mut script = pinging_both(both(PeerScript::default()));
    script.proxy.place_delays = vec![secs(5)];
    script.peers.client.ends = Some((secs(10), Ending::Close));
    let world = World::run(&script);
    for side in Side::BOTH {
        assert_eq!(world.journal(side).count(|e| e == Event::Asked), 1);
        assert_eq!(world.journal(side).written(), []);
    }
}

#[test]
fn the_survivor_is_not_pinged_after_a_lapse() {
    let script = pinging_both(PerSide {
        client: PeerScript::silent_from(secs(35)),
        upstream: PeerScript::answering(Answers::Every),
    });
    let mut world = World::run(&script);
    let lapsed = world
        .journal(Side::Client)
        .lapsed()
        .expect("it fell silent");
    assert_eq!(world.journal(Side::Upstream).lapsed(), None);
    assert_eq!(world.proxy.after_the_end(lapsed + secs(3600)), None);
}

#[test]
fn of_two_silent_sides_the_first_is_the_one_that_lapsed() {
    let script = pinging_both(both(PeerScript::silent_from(secs(35))));
    let world = World::run(&script);
    let deadline = |side| world.proxy.oracle(side).deadline();
    let first = Side::BOTH
        .into_iter()
        .min_by_key(|side| deadline(*side))
        .unwrap();
    assert!(world.journal(first).lapsed().is_some());
    assert_eq!(world.journal(first.other()).lapsed(), None);
}

#[test]
fn of_two_sides_found_overdue_together_the_first_is_the_one_that_lapsed() {
    let mut firsts = PerSide::<u32>::default();
    for seed in 0..=255 {
        let mut script = pinging_both(both(PeerScript::mute()));
        script.seed = seed;
        script.policies.client = every(secs(10), ms(5_000 + seed % 400));
        script.policies.upstream = every(secs(10), ms(5_200));
        let pinged = World::run(&script);
        let deadline = |side| {
            let written = pinged.journal(side).written()[0];
            written + script.policies[side].timeout()
        };
        let (client, upstream) = (deadline(Side::Client), deadline(Side::Upstream));
        let (early, late) = (client.min(upstream), client.max(upstream));
        // Two lapses less than 400 ms apart, and a stall over both.
        if late - early > ms(400) || late == early {
            continue;
        }
        let awake = late + ms(1);
        script.proxy.stalls = [Window {
            from: awake - secs(4),
            to: awake,
        }]
        .into();
        let first = if client < upstream {
            Side::Client
        } else {
            Side::Upstream
        };
        let world = World::run(&script);
        assert_eq!(world.journal(first).lapsed(), Some(awake));
        firsts[first] += 1;
    }
    assert!(firsts.client > 5 && firsts.upstream > 5, "{firsts:?}");
}
