//! Whose pong it is, and what it stands for: own pongs are taken back, foreign ones pass, and what
//! an endpoint left out is put back (docs/adr/0004).

use lubdub_keepalive::Side;

use super::{pinging_upstream, would_have_lapsed};
use crate::journal::Event;
use crate::script::{Answers, Flush, Payloads, PeerScript, Pings, Script, ms, secs};
use crate::world::World;

fn client_pinging(every: u64, payload: Payloads, upstream: PeerScript) -> Script {
    let mut script = pinging_upstream(upstream);
    script.peers.client.pings = Some(Pings {
        every: ms(every),
        payload,
    });
    script
}

fn swallowed(world: &World) -> usize {
    world
        .journal(Side::Upstream)
        .count(|e| matches!(e, Event::Swallowed(_)))
}

fn repaired(world: &World) -> usize {
    world
        .journal(Side::Upstream)
        .count(|e| e == Event::Repaired)
}

#[test]
fn own_pongs_are_swallowed_and_timed() {
    let mut script = pinging_upstream(PeerScript::default());
    script.links.upstream.to_peer.latency = ms(20);
    script.links.upstream.from_peer.latency = ms(30);
    let world = World::run(&script);
    let timed = |e| matches!(e, Event::Swallowed(Some(rtt)) if rtt == ms(50));
    let pings = world.journal(Side::Upstream).written().len();
    assert!(pings > 8);
    assert_eq!(world.journal(Side::Upstream).count(timed), pings);
    assert!(world.peers.client.ponged.is_empty());
    let vitals = world.proxy.heart.vitals(Side::Upstream);
    assert_eq!(vitals.rtt.unwrap().smoothed(), ms(50));
    assert_eq!(
        (vitals.pings_sent, vitals.pongs_received),
        (pings as u64, pings as u64)
    );
}

#[test]
fn duplicates_of_own_pongs_are_swallowed_too() {
    let world = World::run(&pinging_upstream(PeerScript::answering(Answers::Twice)));
    let pings = world.journal(Side::Upstream).written().len();
    assert_eq!(swallowed(&world), 2 * pings);
    assert!(world.peers.client.ponged.is_empty());
    assert_eq!(
        world.proxy.heart.vitals(Side::Upstream).pongs_received,
        pings as u64
    );
}

#[test]
fn unsolicited_empty_and_wrong_pongs_pass() {
    for answers in [Answers::Empty, Answers::Wrong] {
        let mut peer = PeerScript::answering(answers);
        peer.chatters = Some(secs(7));
        let world = World::run(&pinging_upstream(peer));
        let pongs = world.journal(Side::Upstream).count(|e| e == Event::Pong);
        assert!(pongs > 20);
        assert_eq!(world.peers.client.ponged.len(), pongs, "{answers:?}");
        assert_eq!(world.proxy.heart.vitals(Side::Upstream).rtt, None);
    }
}

#[test]
fn foreign_pings_that_look_like_own_ones_get_their_pongs() {
    let mut script = client_pinging(700, Payloads::Lookalike, PeerScript::default());
    script.policies.client = script.policies.upstream;
    let world = World::run(&script);
    let pings = world.proxy.foreign.len();
    assert!(pings > 100 && swallowed(&world) > 8);
    assert_eq!(world.peers.client.ponged.len(), pings);
}

#[test]
fn a_peer_that_answers_only_the_latest_leaves_nobody_without_a_pong() {
    for payload in [Payloads::Unique, Payloads::Empty] {
        let peer = PeerScript {
            delay: ms(900),
            ..PeerScript::answering(Answers::Latest)
        };
        // That every repair is right is the proxy's own check.
        let world = World::run(&client_pinging(1100, payload, peer));
        assert!(repaired(&world) > 2, "{payload:?}");
        let pings = &world.proxy.foreign;
        let answered = &world.peers.client.ponged;
        let missed = pings
            .iter()
            .filter(|ping| !answered.contains(&ping.payload))
            .count();
        assert!(missed <= 1, "{missed} of {} but the last", pings.len());
    }
}

#[test]
fn a_peer_that_answers_every_ping_is_never_repaired() {
    for payload in [Payloads::Unique, Payloads::Empty, Payloads::Lookalike] {
        let peer = PeerScript {
            delay: ms(900),
            ..PeerScript::default()
        };
        let world = World::run(&client_pinging(90, payload, peer));
        assert_eq!(repaired(&world), 0);
        assert!(world.peers.client.ponged.len() > 1000);
    }
}

#[test]
fn a_peer_that_answers_backwards_loses_no_pong() {
    let peer = PeerScript {
        delay: secs(2),
        ..PeerScript::answering(Answers::Reversed)
    };
    let world = World::run(&client_pinging(300, Payloads::Unique, peer));
    let answered = &world.peers.client.ponged;
    let due = world.proxy.foreign.iter().take(300);
    assert!(due.clone().all(|ping| answered.contains(&ping.payload)));
    assert!(due.count() == 300 && swallowed(&world) > 8);
}

#[test]
fn a_pong_may_come_before_the_flush_of_its_ping_is_reported() {
    let mut script = pinging_upstream(PeerScript::default());
    script.proxy.flush = Flush::Late;
    script.proxy.write_delays = vec![ms(100)];
    let world = World::run(&script);
    let pings = world.journal(Side::Upstream).written().len();
    assert_eq!(swallowed(&world), pings);
    assert_eq!(world.journal(Side::Upstream).lapsed(), None);
    assert_eq!(would_have_lapsed(&world, Side::Upstream), 0);
    assert_eq!(
        world.proxy.heart.vitals(Side::Upstream).pongs_received,
        pings as u64
    );
}
