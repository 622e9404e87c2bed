//! Two peers, four links, lubdub in the middle; time jumps from event to event.

use lubdub_keepalive::{PerSide, Side};

use crate::journal::Journal;
use crate::link::{Frame, Link};
use crate::peer::Peer;
use crate::proxy::{Links, Proxy};
use crate::script::{Script, Time, secs};

pub(crate) struct World {
    now: Time,
    until: Time,
    pub(crate) proxy: Proxy,
    pub(crate) peers: PerSide<Peer>,
    to_peer: PerSide<Link>,
    from_peer: PerSide<Link>,
    /// When something happens next, where; never: the end of time.
    next: Agenda,
    /// Between a peer and its link.
    frames: Vec<Frame>,
}

#[derive(Debug)]
struct Agenda {
    proxy: Time,
    peers: PerSide<Time>,
}

impl World {
    /// So many steps without time passing are a livelock.
    const STEPS_AT_ONCE: u32 = 200;

    /// So long it goes on after a goodbye.
    const AFTERMATH: Time = secs(600);

    /// Runs the script to its end, or to a lapse.
    pub(crate) fn run(script: &Script) -> Self {
        let mut world = Self {
            now: Time::ZERO,
            until: script.until,
            peers: PerSide::from_fn(|side| Peer::new(script.peers[side].clone())),
            to_peer: PerSide::from_fn(|side| Link::new(script.links[side].to_peer.clone())),
            from_peer: PerSide::from_fn(|side| Link::new(script.links[side].from_peer.clone())),
            proxy: Proxy::new(script.clone()),
            next: Agenda {
                proxy: Time::ZERO,
                peers: PerSide::default(),
            },
            frames: Vec::new(),
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

    /// How long the pair's heart beat.
    pub(crate) fn lasted(&self) -> Time {
        self.proxy.ended.unwrap_or(self.until)
    }

    fn next_event(&self) -> Option<Time> {
        if self.proxy.is_over() {
            return None;
        }
        let Agenda { proxy, peers } = &self.next;
        let next = proxy.min(&peers.client).min(&peers.upstream).max(&self.now);
        let until = match self.proxy.ended {
            Some(ended) => self.until.min(ended + Self::AFTERMATH),
            None => self.until,
        };
        Some(*next).filter(|next| *next <= until)
    }

    fn step(&mut self) {
        for side in Side::BOTH {
            if self.next.peers[side] <= self.now {
                self.wake_peer(side);
            }
        }
        if self.next.proxy <= self.now {
            let now = self.now;
            let (proxy, mut links) = self.proxy_and_links();
            proxy.wake(now, &mut links);
            self.plan_proxy();
            for side in Side::BOTH {
                self.plan_peer(side);
            }
        }
    }

    fn wake_peer(&mut self, side: Side) {
        let (now, peer) = (self.now, &mut self.peers[side]);
        while let Some(frame) = self.to_peer[side].receive(now) {
            peer.receive(frame, now);
        }
        let proxy = &mut self.proxy;
        let new_id = |payload| proxy.new_foreign_ping(payload);
        peer.act(now, new_id, &mut self.frames);
        let sent = !self.frames.is_empty();
        for frame in self.frames.drain(..) {
            self.from_peer[side].send(frame, now);
        }
        self.plan_peer(side);
        if sent {
            self.plan_proxy();
        }
    }

    fn plan_peer(&mut self, side: Side) {
        let arrival = self.to_peer[side].next_arrival();
        self.next.peers[side] = self.peers[side].next_wake(arrival);
    }

    fn plan_proxy(&mut self) {
        let now = self.now;
        let (proxy, links) = self.proxy_and_links();
        self.next.proxy = proxy.next_wake(&links, now);
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
