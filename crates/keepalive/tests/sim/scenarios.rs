//! One world for each thing that the heartbeat promises.

mod changes;
mod deadlines;
mod ends;
mod pings;
mod pongs;

use std::time::Duration;

use lubdub_keepalive::{Jitter, PerSide, Policy, Side};

use crate::journal::Event;
use crate::script::{PeerScript, Script, secs};
use crate::world::World;

/// A ping every so often, without jitter.
fn every(interval: Duration, timeout: Duration) -> Policy {
    Policy::try_new(Some(interval), timeout, Jitter::NONE).expect("a policy")
}

fn off() -> Policy {
    Policy::try_new(None, secs(5), Jitter::NONE).expect("a policy")
}

fn both<T: Clone>(value: T) -> PerSide<T> {
    PerSide::from_fn(|_| value.clone())
}

/// Only the upstream is pinged: every 10 s, with a timeout of 5 s.
fn pinging_upstream(upstream: PeerScript) -> Script {
    Script {
        policies: PerSide {
            client: off(),
            upstream: every(secs(10), secs(5)),
        },
        peers: PerSide {
            client: PeerScript::default(),
            upstream,
        },
        until: secs(100),
        ..Script::default()
    }
}

/// Runs it; says when the upstream was pinged, and when it lapsed.
fn upstream_of(script: &Script) -> (Vec<Duration>, Option<Duration>) {
    let world = World::run(script);
    let journal = world.journal(Side::Upstream);
    (journal.written(), journal.lapsed())
}

fn would_have_lapsed(world: &World, side: Side) -> usize {
    world.journal(side).count(|e| e == Event::WouldHaveLapsed)
}
