//! Who lapses, and when: what is a sign of life, from when a ping's clock runs, and what a pause in
//! reading, a slow link and a stall of lubdub do to it.

use lubdub_keepalive::{Enforce, Evidence, Side};

use super::{pinging_upstream, upstream_of, would_have_lapsed};
use crate::journal::Event;
use crate::script::{
    Answers, LinkPair, LinkScript, Loss, PeerScript, ProxyScript, Script, Time, ms, secs,
};
use crate::window::Window;
use crate::world::World;

#[test]
fn a_silent_side_is_dropped_exactly_at_its_deadline() {
    let (pings, lapsed) = upstream_of(&pinging_upstream(PeerScript::silent_from(secs(35))));
    assert!(pings.last().unwrap() >= &secs(35), "{pings:?}");
    assert_eq!(lapsed, Some(pings.last().unwrap().saturating_add(secs(5))));
}

#[test]
fn a_dead_link_is_a_silent_side() {
    for dead in [true, false] {
        let mut script = pinging_upstream(PeerScript::default());
        let links = &mut script.links.upstream;
        let link = if dead {
            &mut links.to_peer
        } else {
            &mut links.from_peer
        };
        link.dies = Some(secs(35));
        let (pings, lapsed) = upstream_of(&script);
        assert_eq!(lapsed, Some(*pings.last().unwrap() + secs(5)));
    }
}

#[test]
fn the_clock_is_run_by_the_oldest_unanswered_ping() {
    let mut script = pinging_upstream(PeerScript::mute());
    script.policies.upstream = super::every(secs(2), secs(9));
    let (pings, lapsed) = upstream_of(&script);
    assert_eq!(pings.len(), 5);
    assert_eq!(lapsed, Some(pings[0] + secs(9)));
}

#[test]
fn the_clock_starts_when_the_ping_is_written() {
    let mut script = pinging_upstream(PeerScript::mute());
    script.proxy.place_delays = vec![secs(20)];
    script.proxy.write_delays = vec![secs(20)];
    let world = World::run(&script);
    let journal = world.journal(Side::Upstream);
    let asked = journal.times(|e| e == Event::Asked)[0];
    assert_eq!(journal.written(), [asked + secs(40)]);
    assert_eq!(journal.lapsed(), Some(asked + secs(45)));
}

#[test]
fn any_byte_is_a_sign_of_life_unless_only_pongs_are() {
    let talks = PeerScript {
        talks: Some(secs(1)),
        ..PeerScript::mute()
    };
    let mut script = pinging_upstream(talks);
    assert_eq!(upstream_of(&script).1, None);
    script.policies.upstream.evidence = Evidence::Pong;
    let (pings, lapsed) = upstream_of(&script);
    assert_eq!(lapsed, Some(pings[0] + secs(5)));
}

#[test]
fn a_pong_of_any_payload_is_a_sign_of_life() {
    for answers in [Answers::Empty, Answers::Wrong] {
        let mut script = pinging_upstream(PeerScript::answering(answers));
        script.policies.upstream.evidence = Evidence::Pong;
        assert_eq!(upstream_of(&script).1, None, "{answers:?}");
    }
    let mut chatters = PeerScript::mute();
    chatters.chatters = Some(secs(3));
    let mut script = pinging_upstream(chatters);
    script.policies.upstream.evidence = Evidence::Pong;
    assert_eq!(upstream_of(&script).1, None);
}

#[test]
fn a_slow_answer_is_in_time_until_the_deadline() {
    let slow = |delay| PeerScript {
        delay,
        ..PeerScript::default()
    };
    assert_eq!(upstream_of(&pinging_upstream(slow(secs(5)))).1, None);
    let too_slow = pinging_upstream(slow(secs(5) + ms(1)));
    assert!(upstream_of(&too_slow).1.is_some());
}

#[test]
fn loss_and_stalls_of_the_link_kill_nobody_who_answers_in_time() {
    let link = LinkScript {
        latency: ms(400),
        loss: Some(Loss {
            every: 2,
            delay: secs(1),
        }),
        stalls: [
            Window::new(secs(20), secs(2)),
            Window::new(secs(40), secs(1)),
        ]
        .into(),
        ..LinkScript::default()
    };
    let mut script = pinging_upstream(PeerScript::default());
    script.links.upstream = LinkPair {
        to_peer: link.clone(),
        from_peer: link,
    };
    assert_eq!(upstream_of(&script).1, None);
}

#[test]
fn lapses_count_from_the_first_matched_pong_on_when_they_are_learned() {
    let learned = |upstream| {
        let mut script = pinging_upstream(upstream);
        script.policies.upstream.enforce = Enforce::Learned;
        World::run(&script)
    };
    let never = learned(PeerScript::mute());
    assert_eq!(never.journal(Side::Upstream).lapsed(), None);
    assert_eq!(would_have_lapsed(&never, Side::Upstream), 1);

    let once = learned(PeerScript::silent_from(secs(35)));
    assert!(once.journal(Side::Upstream).lapsed().is_some());

    // Pongs that answer no ping teach nothing.
    let mut wrong = PeerScript::answering(Answers::Wrong);
    wrong.frozen = [Window::from(secs(35))].into();
    let wrong = learned(wrong);
    assert_eq!(wrong.journal(Side::Upstream).lapsed(), None);
    assert_eq!(would_have_lapsed(&wrong, Side::Upstream), 1);
}

#[test]
fn observed_lapses_are_reported_once_per_silence() {
    let mut freezes = PeerScript::silent_from(secs(15));
    freezes.frozen = [
        Window::new(secs(15), secs(30)),
        Window::new(secs(61), secs(30)),
    ]
    .into();
    let mut script = pinging_upstream(freezes);
    script.policies.upstream.enforce = Enforce::Never;
    let world = World::run(&script);
    assert_eq!(would_have_lapsed(&world, Side::Upstream), 2);
    assert_eq!(world.journal(Side::Upstream).lapsed(), None);
}

/// The upstream's pong lies unread from before its deadline to long after.
fn unread(from: Time, len: Time) -> ProxyScript {
    let mut proxy = ProxyScript::default();
    proxy.pauses.upstream = [Window::new(from, len)].into();
    proxy
}

#[test]
fn a_side_that_is_not_read_cannot_lapse() {
    let mut script = pinging_upstream(PeerScript {
        delay: secs(4),
        ..PeerScript::default()
    });
    script.proxy = unread(secs(10), secs(80));
    assert_eq!(upstream_of(&script).1, None);
}

#[test]
fn the_clock_stands_while_a_side_is_not_read() {
    let mut script = pinging_upstream(PeerScript::mute());
    let (pings, _) = upstream_of(&script);
    let paused = pings[0] + secs(2);
    script.proxy = unread(paused, secs(30));
    assert_eq!(upstream_of(&script).1, Some(pings[0] + secs(35)));
}

#[test]
fn after_a_pause_a_side_has_at_least_a_second() {
    let mut script = pinging_upstream(PeerScript::mute());
    let (pings, _) = upstream_of(&script);
    let paused = pings[0] + ms(4_990);
    script.proxy = unread(paused, secs(30));
    assert_eq!(upstream_of(&script).1, Some(paused + secs(31)));
}

/// A second after every pause, however short, would keep a dead side alive that is paused once a second.
#[test]
fn a_short_pause_moves_the_deadline_by_its_length_and_no_more() {
    let mut script = pinging_upstream(PeerScript::mute());
    let (pings, _) = upstream_of(&script);
    let paused = pings[0] + ms(4_990);
    script.proxy = unread(paused, ms(990));
    assert_eq!(upstream_of(&script).1, Some(pings[0] + ms(5_990)));
}

#[test]
fn a_ping_written_during_a_pause_has_a_full_timeout_after_it() {
    let mut script = pinging_upstream(PeerScript::mute());
    script.proxy = unread(secs(1), secs(30));
    assert_eq!(upstream_of(&script).1, Some(secs(31 + 5)));
}

/// Sends so much every second, and never a pong; read for a tenth of each second only, because the
/// client is slow.
fn floods(bulk: usize) -> Script {
    let mut script = pinging_upstream(PeerScript {
        talks: Some(secs(1)),
        bulk,
        ..PeerScript::mute()
    });
    script.policies.upstream.evidence = Evidence::Pong;
    let pauses = (0..100).map(|second| Window::new(secs(second) + ms(50), ms(900)));
    script.proxy.pauses.upstream.add(pauses);
    script
}

/// Who sends faster than the other side reads is not read most of the time. Each pause moved the
/// deadline, which was never reached.
#[test]
fn who_sends_more_than_can_stand_ahead_of_a_pong_cannot_hide_behind_pauses() {
    let (pings, lapsed) = upstream_of(&floods(4 << 20));
    // 16 MiB are read with the fourth message, half a second after the third pause behind the ping.
    let lapsed = lapsed.expect("it never pongs");
    assert!(lapsed >= pings[0] + secs(5), "{lapsed:?}");
    assert!(lapsed <= pings[0] + secs(10), "{lapsed:?}");
}

#[test]
fn who_sends_less_has_the_time_that_it_is_not_read() {
    let (pings, lapsed) = upstream_of(&floods(1 << 16));
    // Five seconds of it: a tenth of each second is read.
    let lapsed = lapsed.expect("it never pongs");
    assert!(lapsed >= pings[0] + secs(49), "{lapsed:?}");
    assert!(lapsed <= pings[0] + secs(51), "{lapsed:?}");
}

#[test]
fn a_short_stall_kills_nobody_because_the_kernel_is_asked() {
    let mut script = pinging_upstream(PeerScript {
        delay: secs(4),
        ..PeerScript::default()
    });
    let (pings, _) = upstream_of(&script);
    // Awake again 400 ms after the deadline: not late enough to start anew.
    script.proxy.stalls = [Window::new(pings[0] + secs(1), ms(4_400))].into();
    assert_eq!(upstream_of(&script).1, None);
}

#[test]
fn after_a_long_stall_the_clock_starts_anew() {
    let mut script = pinging_upstream(PeerScript::mute());
    let (pings, _) = upstream_of(&script);
    let awake = pings[0] + secs(60);
    script.proxy.stalls = [Window {
        from: pings[0] + secs(1),
        to: awake,
    }]
    .into();
    assert_eq!(upstream_of(&script).1, Some(awake + secs(5)));
}

#[test]
fn it_starts_anew_only_once() {
    let mut script = pinging_upstream(PeerScript::mute());
    let (pings, _) = upstream_of(&script);
    let first = pings[0] + secs(20);
    let second = first + secs(20);
    script.proxy.stalls = [
        Window {
            from: pings[0] + secs(1),
            to: first,
        },
        Window {
            from: first + secs(1),
            to: second,
        },
    ]
    .into();
    assert_eq!(upstream_of(&script).1, Some(second));
}

#[test]
fn a_stall_spares_a_pair_whose_peers_were_stalled_too() {
    let mut script = pinging_upstream(PeerScript::default());
    let (pings, _) = upstream_of(&script);
    let stall = Window::new(pings[0], secs(3600));
    script.until = secs(4000);
    script.proxy.stalls = [stall].into();
    script.peers.upstream.frozen = [Window::new(stall.from, secs(3603))].into();
    assert_eq!(upstream_of(&script).1, None);
}
