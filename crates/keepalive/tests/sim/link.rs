//! One direction of a leg: an ordered stream, as TCP makes it.

use std::collections::VecDeque;

use crate::script::{LinkScript, Time, Window};

/// What goes over a link. The tags are the simulation's own knowledge: no machine sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Ping {
        payload: Vec<u8>,
        /// Which foreign ping it is; `None` for lubdub's own.
        id: Option<usize>,
    },
    Pong {
        payload: Vec<u8>,
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
    queue: VecDeque<(Time, Frame)>,
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
        self.sent += 1;
        let mut at = now + self.script.latency;
        if let Some(loss) = self
            .script
            .loss
            .filter(|loss| self.sent.is_multiple_of(loss.every))
        {
            at += loss.delay;
        }
        at = Window::after(&self.script.stalls, at.max(self.clear));
        self.clear = at;
        if self.script.dies.is_none_or(|dies| at < dies) {
            self.queue.push_back((at, frame));
        }
    }

    pub(crate) fn next_arrival(&self) -> Option<Time> {
        Some(self.queue.front()?.0)
    }

    pub(crate) fn receive(&mut self, now: Time) -> Option<Frame> {
        pop_due(&mut self.queue, now)
    }
}

/// The front of a queue, if its time has come.
pub(crate) fn pop_due<T>(queue: &mut VecDeque<(Time, T)>, now: Time) -> Option<T> {
    queue.front().filter(|(at, _)| *at <= now)?;
    queue.pop_front().map(|(_, item)| item)
}
