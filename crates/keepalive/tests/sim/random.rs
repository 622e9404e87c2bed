//! Random worlds. Each side is drawn as one of a kind, so that the properties know what must
//! become of it.

use std::time::Duration;

use lubdub_keepalive::{Enforce, Evidence, Jitter, Mode, PerSide, Policy};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::script::{
    Answers, Ending, Flush, LinkPair, LinkScript, Loss, Payloads, PeerScript, Pings, ProxyScript,
    Script, Time, Window, ms,
};

/// All worlds are this long; their policies are in proportion.
pub(crate) const UNTIL: Time = ms(12_000);
/// Troubles end by then, so that a silence has the time to be noticed.
const CALM: u64 = 6_000;

/// A side: what is asked of it, and what it does.
#[derive(Debug, Clone)]
pub(crate) struct Party {
    pub policy: Policy,
    pub peer: PeerScript,
    pub links: LinkPair,
}

pub(crate) fn world(
    client: impl Strategy<Value = Party>,
    upstream: impl Strategy<Value = Party>,
    proxy: impl Strategy<Value = ProxyScript>,
) -> impl Strategy<Value = Script> {
    let parts = (client, upstream, proxy, any::<u8>());
    parts.prop_map(|(client, upstream, proxy, seed)| Script {
        policies: PerSide {
            client: client.policy,
            upstream: upstream.policy,
        },
        peers: PerSide {
            client: client.peer,
            upstream: upstream.peer,
        },
        links: PerSide {
            client: client.links,
            upstream: upstream.links,
        },
        proxy,
        seed,
        until: UNTIL,
    })
}

/// A side that gives a sign of life within every timeout.
pub(crate) fn live() -> impl Strategy<Value = Party> {
    let ways = prop_oneof![
        any_of(&[
            Answers::Every,
            Answers::Latest,
            Answers::Twice,
            Answers::Reversed
        ])
        .prop_map(PeerScript::answering),
        any_of(&[Answers::Wrong, Answers::Empty]).prop_map(PeerScript::answering),
        (20..200_u64).prop_map(|period| PeerScript {
            talks: Some(ms(period)),
            ..PeerScript::mute()
        }),
    ];
    let parts = (ways, policy(), links(), 0..100_u64, extras());
    parts.prop_map(|(ways, mut policy, links, delay, extras)| {
        // Delay, both latencies, losses and stalls stay below the least timeout.
        if ways.talks.is_some() {
            policy.evidence = Evidence::Any;
        }
        let peer = PeerScript {
            answers: ways.answers,
            talks: ways.talks.or(extras.talks),
            delay: ms(delay),
            ..extras
        };
        Party {
            policy,
            peer,
            links,
        }
    })
}

/// A side that was like that until a moment, and then fell silent, or its link did.
pub(crate) fn silent() -> impl Strategy<Value = Party> {
    let parts = (live(), 1..CALM, 0..3_u8);
    parts.prop_map(|(mut party, from, what)| {
        match what {
            0 => party.peer.frozen = vec![Window::from(ms(from))],
            1 => party.links.to_peer.dies = Some(ms(from)),
            _ => party.links.from_peer.dies = Some(ms(from)),
        }
        if what == 1 {
            // It would go on to talk: it is alive.
            party.peer.talks = None;
            party.peer.pings = None;
            party.peer.chatters = None;
        }
        party.policy.enforce = Enforce::Always;
        party.policy.mode = Mode::Interval;
        party
    })
}

/// A side that may do anything.
pub(crate) fn wild() -> impl Strategy<Value = Party> {
    let answers = any_of(&[
        Answers::Every,
        Answers::Latest,
        Answers::Never,
        Answers::Wrong,
        Answers::Empty,
        Answers::Reversed,
        Answers::Twice,
    ]);
    let ends = option::weighted(0.3, (0..12_000_u64, any_of(&[Ending::Close, Ending::Fin])));
    let dies = option::weighted(0.2, 0..12_000_u64);
    let parts = (
        live(),
        answers,
        windows(3_000),
        ends,
        dies,
        0..2_000_u64,
        policy(),
    );
    parts.prop_map(|(party, answers, frozen, ends, dies, delay, policy)| {
        let mut links = party.links;
        links.from_peer.dies = dies.map(ms);
        Party {
            policy,
            peer: PeerScript {
                answers,
                frozen,
                delay: ms(delay),
                ends: ends.map(|(at, ending)| (ms(at), ending)),
                ..party.peer
            },
            links,
        }
    })
}

/// lubdub has its own troubles, none of which lasts.
pub(crate) fn proxy() -> impl Strategy<Value = ProxyScript> {
    let delays = || vec((0..300_u64).prop_map(ms), 0..4);
    let flush = any_of(&[Flush::Prompt, Flush::Prompt, Flush::Late]);
    let pauses = (windows(1_500), windows(1_500));
    let parts = (pauses, delays(), delays(), flush, windows(1_500));
    parts.prop_map(
        |((client, upstream), place_delays, write_delays, flush, stalls)| ProxyScript {
            pauses: PerSide { client, upstream },
            place_delays,
            write_delays,
            flush,
            stalls,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let interval = option::weighted(0.95, 20..800_u64);
    let evidence = any_of(&[Evidence::Any, Evidence::Pong]);
    let enforce = any_of(&[Enforce::Always, Enforce::Learned, Enforce::Never]);
    let mode = any_of(&[Mode::Interval, Mode::Interval, Mode::Idle]);
    let parts = (
        interval,
        1_000..2_000_u64,
        0..=100_u32,
        evidence,
        enforce,
        mode,
    );
    parts.prop_map(|(interval, timeout, jitter, evidence, enforce, mode)| {
        let jitter = Jitter::try_new(f64::from(jitter) / 100.0).expect("a share");
        let mut policy = Policy::try_new(interval.map(ms), ms(timeout), jitter).expect("a policy");
        policy.evidence = evidence;
        policy.enforce = enforce;
        policy.mode = mode;
        policy
    })
}

/// What a peer does besides answering.
fn extras() -> impl Strategy<Value = PeerScript> {
    let period = |least: u64| option::weighted(0.4, (least..2_000).prop_map(ms));
    let payload = any_of(&[Payloads::Empty, Payloads::Unique, Payloads::Lookalike]);
    let pings = (period(20), payload)
        .prop_map(|(every, payload)| every.map(|every: Duration| Pings { every, payload }));
    (period(50), pings, period(50)).prop_map(|(talks, pings, chatters)| PeerScript {
        talks,
        pings,
        chatters,
        ..PeerScript::default()
    })
}

fn links() -> impl Strategy<Value = LinkPair> {
    (link(), link()).prop_map(|(to_peer, from_peer)| LinkPair { to_peer, from_peer })
}

/// At worst 380 ms from one end to the other.
fn link() -> impl Strategy<Value = LinkScript> {
    let loss = (2..10_u32, 1..100_u64).prop_map(|(every, delay)| Loss {
        every,
        delay: ms(delay),
    });
    let stall = (0..CALM, 1..180_u64).prop_map(|(from, len)| Window::new(ms(from), ms(len)));
    let parts = (0..100_u64, option::of(loss), option::of(stall));
    parts.prop_map(|(latency, loss, stall)| LinkScript {
        latency: ms(latency),
        stalls: stall.into_iter().collect(),
        loss,
        dies: None,
    })
}

fn windows(longest: u64) -> impl Strategy<Value = Vec<Window>> {
    vec((0..CALM, 1..longest), 0..3).prop_map(|windows| {
        let windows = windows.into_iter();
        windows
            .map(|(from, len)| Window::new(ms(from), ms(len)))
            .collect()
    })
}

fn any_of<T: Copy + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    proptest::sample::select(values.to_vec())
}
