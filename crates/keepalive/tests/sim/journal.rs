//! What happened to one side, in order: the facts that the oracle judges by.

use std::time::Duration;

use crate::script::Time;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Bytes were read.
    Heard,
    /// A pong was read.
    Pong,
    /// An own ping was handed out.
    Asked,
    /// It took its place in the stream.
    Placed,
    /// It was written.
    Written,
    Paused,
    Resumed,
    /// lubdub woke up too late.
    Late,
    /// A deadline passed that is not enforced.
    GivenUp,
    /// That was reported.
    WouldHaveLapsed,
    /// An own pong was swallowed.
    Swallowed(Option<Duration>),
    /// A pong was put in its place.
    Repaired,
    Lapsed {
        silent_for: Duration,
    },
}

/// When, and what.
pub(crate) type Entry = (Time, Event);

/// The events of a side.
#[derive(Debug, Default)]
pub(crate) struct Journal(Vec<Entry>);

impl Journal {
    pub(crate) fn push(&mut self, at: Time, event: Event) {
        self.0.push((at, event));
    }

    pub(crate) fn events(&self) -> &[Entry] {
        &self.0
    }

    /// When such events were.
    pub(crate) fn times(&self, which: impl Fn(Event) -> bool) -> Vec<Time> {
        let matching = self.0.iter().filter(|(_, event)| which(*event));
        matching.map(|(at, _)| *at).collect()
    }

    pub(crate) fn count(&self, which: impl Fn(Event) -> bool) -> usize {
        self.times(which).len()
    }

    pub(crate) fn last(&self, which: impl Fn(Event) -> bool) -> Option<Time> {
        let found = self.0.iter().rev().find(|(_, event)| which(*event));
        found.map(|(at, _)| *at)
    }

    pub(crate) fn written(&self) -> Vec<Time> {
        self.times(|event| event == Event::Written)
    }

    pub(crate) fn lapsed(&self) -> Option<Time> {
        self.last(|event| matches!(event, Event::Lapsed { .. }))
    }
}
