//! What happened to one side, in order: the facts that the oracle judges by.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use lubdub_keepalive::Policy;

use crate::script::Time;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Bytes were read.
    Heard {
        bytes: usize,
        /// They were a sign of life then.
        is_life: bool,
    },
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
    /// From here on another policy holds.
    Changed(Policy),
    /// lubdub woke up too late.
    Late,
    /// The kernel knew that the link moves.
    Moving,
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
pub(crate) struct Journal {
    entries: Vec<Entry>,
    /// So many there were when it was folded.
    folded: usize,
    pub(crate) totals: Totals,
}

/// How many events there were since the beginning, folded ones too.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub written: u64,
    /// Pongs of which a round trip was taken.
    pub timed: u64,
    pub repaired: u64,
    pub moving: u64,
    /// When it lapsed, or would have, for the first time.
    pub first_accused: Option<Time>,
}

impl Journal {
    /// How much longer a journal may be than it was when it was folded.
    const SLACK: usize = 24;

    pub(crate) fn push(&mut self, at: Time, event: Event) {
        self.totals.count(at, event);
        self.entries.push((at, event));
    }

    /// Of the first `settled` entries keeps the last of each kind, in their order, and all changes of
    /// the policy. That is all that the oracle asks of what was before a sign of life.
    pub(crate) fn fold(&mut self, settled: usize) {
        let mut seen = Vec::new();
        let mut keep = Vec::new();
        for &(at, event) in self.entries[..settled].iter().rev() {
            let kind = event.kind();
            if matches!(event, Event::Changed(_)) || !seen.contains(&kind) {
                seen.push(kind);
                keep.push((at, event));
            }
        }
        keep.reverse();
        self.entries.splice(..settled, keep);
        self.folded = self.entries.len();
    }

    /// Whether it is worth while to fold it.
    pub(crate) fn is_long(&self) -> bool {
        self.entries.len() > self.folded + Self::SLACK
    }

    pub(crate) fn events(&self) -> &[Entry] {
        &self.entries
    }

    /// When such events were.
    pub(crate) fn times(&self, which: impl Fn(Event) -> bool) -> Vec<Time> {
        let matching = self.entries.iter().filter(|(_, event)| which(*event));
        matching.map(|(at, _)| *at).collect()
    }

    pub(crate) fn count(&self, which: impl Fn(Event) -> bool) -> usize {
        self.times(which).len()
    }

    pub(crate) fn last(&self, which: impl Fn(Event) -> bool) -> Option<Time> {
        let found = self.entries.iter().rev().find(|(_, event)| which(*event));
        found.map(|(at, _)| *at)
    }

    pub(crate) fn written(&self) -> Vec<Time> {
        self.times(|event| event == Event::Written)
    }

    pub(crate) fn lapsed(&self) -> Option<Time> {
        self.last(|event| matches!(event, Event::Lapsed { .. }))
    }
}

impl Event {
    /// The policy that holds from here on.
    pub(crate) fn changed_to(&self) -> Option<&Policy> {
        if let Self::Changed(policy) = self {
            return Some(policy);
        }
        None
    }

    fn kind(&self) -> (Discriminant<Self>, bool) {
        let is_life = matches!(self, Self::Heard { is_life: true, .. });
        (discriminant(self), is_life)
    }
}

impl Totals {
    fn count(&mut self, at: Time, event: Event) {
        match event {
            Event::Written => self.written += 1,
            Event::Swallowed(Some(_)) => self.timed += 1,
            Event::Repaired => self.repaired += 1,
            Event::Moving => self.moving += 1,
            Event::WouldHaveLapsed | Event::Lapsed { .. } => {
                self.first_accused.get_or_insert(at);
            }
            Event::Heard { .. }
            | Event::Pong
            | Event::Asked
            | Event::Placed
            | Event::Paused
            | Event::Resumed
            | Event::Changed(_)
            | Event::Late
            | Event::GivenUp
            | Event::Swallowed(None) => {}
        }
    }
}
