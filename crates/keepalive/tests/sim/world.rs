//! Two peers, four links, lubdub in the middle; time jumps from event to event.

use lubdub_keepalive::{PerSide, Side};

use crate::journal::Journal;
use crate::link::Link;
use crate::peer::Peer;
use crate::proxy::{Links, Proxy};
use crate::script::{Script, Time};

pub(crate) struct World {
    now: Time,
    until: Time,
    pub(crate) proxy: Proxy,
    pub(crate) peers: PerSide<Peer>,
    to_peer: PerSide<Link>,
    from_peer: PerSide<Link>,
}

impl World {
    /// So many steps without time passing are a livelock.
    const STEPS_AT_ONCE: u32 = 200;

    /// Runs the script to its end, or to a lapse.
    pub(crate) fn run(script: &Script) -> Self {
        let mut world = Self {
            now: Time::ZERO,
            until: script.until,
            peers: PerSide::from_fn(|side| Peer::new(script.peers[side].clone())),
            to_peer: PerSide::from_fn(|side| Link::new(script.links[side].to_peer.clone())),
            from_peer: PerSide::from_fn(|side| Link::new(script.links[side].from_peer.clone())),
            proxy: Proxy::new(script.clone()),
        };
        let mut steps = 0;
        while let Some(next) = world.next_event() {
            steps = if next == world.now { steps + 1 } else { 0 };
            assert!(steps < Self::STEPS_AT_ONCE, "no end of events at {next:?}");
            world.now = next;
            world.step();
        }
        world
    }

    pub(crate) fn journal(&self, side: Side) -> &Journal {
        &self.proxy.journals[side]
    }

    fn next_event(&mut self) -> Option<Time> {
        if self.proxy.is_over() {
            return None;
        }
        let proxy = self.proxy_wake();
        let peers = Side::BOTH.into_iter().flat_map(|side| {
            let peer = &self.peers[side];
            let arrival = self.to_peer[side].next_arrival().map(|at| peer.awake(at));
            [arrival, peer.next_wake()]
        });
        let next = peers.flatten().chain(proxy).min()?;
        Some(next.max(self.now)).filter(|next| *next <= self.until)
    }

    fn step(&mut self) {
        let now = self.now;
        for side in Side::BOTH {
            let peer = &mut self.peers[side];
            while peer.awake(now) == now
                && let Some(frame) = self.to_peer[side].receive(now)
            {
                peer.receive(frame, now);
            }
            let proxy = &mut self.proxy;
            for frame in peer.act(now, |payload| proxy.new_foreign_ping(payload)) {
                self.from_peer[side].send(frame, now);
            }
        }
        if self.proxy_wake().is_some_and(|at| at <= now) {
            let (proxy, mut links) = self.proxy_and_links();
            proxy.wake(now, &mut links);
        }
    }

    fn proxy_wake(&mut self) -> Option<Time> {
        let now = self.now;
        let (proxy, links) = self.proxy_and_links();
        proxy.next_wake(&links, now)
    }

    fn proxy_and_links(&mut self) -> (&mut Proxy, Links<'_>) {
        let links = Links {
            to_peer: each(&mut self.to_peer),
            from_peer: each(&mut self.from_peer),
        };
        (&mut self.proxy, links)
    }
}

fn each(links: &mut PerSide<Link>) -> PerSide<&mut Link> {
    PerSide {
        client: &mut links.client,
        upstream: &mut links.upstream,
    }
}
