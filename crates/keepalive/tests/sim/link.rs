//! One direction of a leg: an ordered stream, as TCP makes it.

use std::collections::VecDeque;

use crate::payload::Payload;
use crate::script::{LinkScript, NEVER, Time};

/// What goes over a link. The tags are the simulation's own knowledge: no machine sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    Ping {
        payload: Payload,
        /// Which foreign ping it is; `None` for lubdub's own.
        id: Option<usize>,
    },
    Pong {
        payload: Payload,
        /// The latest foreign ping that gets no other answer than this.
        speaks_for: Option<usize>,
    },
    Data,
    Close,
    Fin,
}

#[derive(Debug)]
pub(crate) struct Link {
    script: LinkScript,
    sent: u32,
    /// When the latest arrives.
    clear: Time,
    /// By arrival.
    queue: VecDeque<(Time, Sent)>,
}

#[derive(Debug)]
struct Sent {
    at: Time,
    frame: Frame,
}

impl Link {
    pub(crate) fn new(script: LinkScript) -> Self {
        Self {
            script,
            sent: 0,
            clear: Time::ZERO,
            queue: VecDeque::new(),
        }
    }

    pub(crate) fn send(&mut self, frame: Frame, now: Time) {
        let script = &self.script;
        self.sent += 1;
        let mut at = match script.slows {
            Some((from, latency)) if from <= now => now + latency,
            Some(_) | None => now + script.latency,
        };
        if let Some(loss) = script.loss
            && self.sent.is_multiple_of(loss.every)
        {
            at += loss.delay;
        }
        at = script.crawls.after(script.stalls.after(at.max(self.clear)));
        self.clear = at;
        if script.dies.is_some_and(|dies| dies <= at) {
            // It stays in the kernel.
            at = NEVER;
        }
        self.queue.push_back((at, Sent { at: now, frame }));
    }

    pub(crate) fn next_arrival(&self) -> Time {
        next_due(&self.queue)
    }

    pub(crate) fn receive(&mut self, now: Time) -> Option<Frame> {
        Some(pop_due(&mut self.queue, now)?.frame)
    }

    /// Whether the kernel holds bytes of a ping that was written at `since`, and knows of others
    /// that keep arriving.
    pub(crate) fn is_moving(&self, since: Time, now: Time) -> bool {
        let script = &self.script;
        let first_held = self.queue.iter().find(|(arrives, _)| *arrives > now);
        script.crawls.contains(now)
            && script.dies.is_none_or(|dies| now < dies)
            && first_held.is_some_and(|(_, sent)| sent.at <= since)
    }
}

/// When the front of a queue is due.
pub(crate) fn next_due<T>(queue: &VecDeque<(Time, T)>) -> Time {
    queue.front().map_or(NEVER, |(at, _)| *at)
}

/// The front of a queue, if its time has come.
pub(crate) fn pop_due<T>(queue: &mut VecDeque<(Time, T)>, now: Time) -> Option<T> {
    queue.front().filter(|(at, _)| *at <= now)?;
    queue.pop_front().map(|(_, item)| item)
}
