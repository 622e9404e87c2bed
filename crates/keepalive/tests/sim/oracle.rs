//! What must be, computed from a side's journal alone, each time from the beginning.

use std::time::Duration;

use lubdub_keepalive::{Enforce, Evidence, Mode, Policy};

use crate::journal::{Entry, Event, Journal};
use crate::script::{Time, secs};

/// The rules for one side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Oracle<'a> {
    /// With which it began; the journal knows of all others.
    pub policy: &'a Policy,
    pub journal: &'a Journal,
}

/// 16 MiB.
const MOST_AHEAD: usize = 1 << 24;

impl Oracle<'_> {
    /// "The write time of the oldest own ping newer than the last sign of life, plus timeout. No
    /// such ping, no deadline", and none while lubdub is not listening. A ping whose pong may have
    /// come before it was known to be written is no such ping. "Once 16 MiB were read from the side
    /// since its oldest unanswered ping [..], pauses move its deadline no more." A ping has the timeout
    /// that it was written with, and none if pings were off by then.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let (before, since) = self.split_at_life();
        if since.iter().all(|(_, event)| *event != Event::Written) {
            return None;
        }
        let switch = |event: &&Entry| matches!(event.1, Event::Paused | Event::Resumed);
        let mut paused = match before.iter().rfind(switch) {
            Some(&(at, Event::Paused)) => Some(at),
            _ => None,
        };
        let timeout = |n: usize| self.in_force(before.len() + n).timeout();
        let mut written = None;
        let mut deadline = Time::MAX;
        let mut spared = false;
        let mut read = 0;
        for (n, &(at, event)) in since.iter().enumerate() {
            match event {
                Event::Written if written.is_none() && !self.is_excused(before.len() + n) => {
                    written = Some(at);
                    deadline = at + timeout(n);
                }
                Event::Paused => paused = Some(at),
                Event::Resumed => {
                    let began = paused.take();
                    if let Some(written) = written
                        && read < MOST_AHEAD
                    {
                        let began = began.expect("a resumption follows a pause");
                        deadline += at - began.max(written);
                        if at - began >= secs(1) {
                            deadline = deadline.max(at + secs(1));
                        }
                    }
                }
                Event::Late => {
                    if let Some(written) = written
                        && !std::mem::replace(&mut spared, true)
                    {
                        // While it is not read, the side's clock stands at the pause's beginning.
                        let stands = paused.filter(|_| read < MOST_AHEAD);
                        let clock = stands.map_or(at, |began| began.max(written));
                        deadline = deadline.max(clock + timeout(n));
                    }
                }
                Event::Moving => {
                    if written.is_some() {
                        deadline = deadline.max(at + timeout(n));
                    }
                }
                Event::Heard { bytes, .. } => {
                    if written.is_some() {
                        read += bytes;
                    }
                }
                Event::Pong
                | Event::Asked
                | Event::Placed
                | Event::Written
                | Event::Changed(_)
                | Event::GivenUp
                | Event::WouldHaveLapsed
                | Event::Swallowed(_)
                | Event::Repaired
                | Event::Lapsed { .. } => {}
            }
        }
        written?;
        (paused.is_none() || read >= MOST_AHEAD).then_some(deadline)
    }

    /// Own pings that count as unanswered.
    pub(crate) fn unanswered(&self) -> usize {
        let (before, since) = self.split_at_life();
        let counts =
            |n: &usize| since[*n].1 == Event::Written && !self.is_excused(before.len() + n);
        (0..since.len()).filter(counts).count()
    }

    pub(crate) fn is_enforced(&self) -> bool {
        match self.current().enforce {
            Enforce::Always => true,
            Enforce::Learned => {
                let matched = |event| matches!(event, Event::Swallowed(_));
                self.journal.last(matched).is_some()
            }
            Enforce::Never => false,
        }
    }

    /// Of so many events only the last of each kind is of interest any more.
    pub(crate) fn settled(&self) -> usize {
        let (before, since) = self.split_at_life();
        let counts = |(_, event): &Entry| matches!(event, Event::Placed | Event::Written);
        let clockless = since.iter().position(counts).unwrap_or(since.len());
        before.len() + clockless
    }

    /// Whether the present silence was reported already.
    pub(crate) fn is_observed(&self) -> bool {
        let events = self.journal.events().iter().rev().map(|(_, event)| *event);
        let mut telling = events.filter(|&e| is_life(e) || e == Event::WouldHaveLapsed);
        telling.next() == Some(Event::WouldHaveLapsed)
    }

    /// The last sign of life, or when the pair opened.
    pub(crate) fn last_life(&self) -> Time {
        self.journal.last(is_life).unwrap_or_default()
    }

    /// The earliest and the latest time for the ping after those of the journal, if nothing
    /// holds it back.
    pub(crate) fn next_ping(&self) -> Option<(Time, Time)> {
        let policy = self.current();
        let interval = policy.interval()?;
        let events = self.journal.events();
        let last = events
            .iter()
            .rposition(|(_, event)| *event == Event::Written);
        let written = last.map(|n| events[n].0);
        let since = last.map_or(0, |n| n + 1);
        let heard = self
            .journal
            .last(|event| matches!(event, Event::Heard { .. }));
        let least = |policy: &Policy| {
            let interval = policy.interval()?;
            Some(match written {
                None => interval / 2,
                Some(_) => interval.mul_f64(1.0 - policy.jitter().share()),
            })
        };
        let base = match policy.mode {
            Mode::Interval => written,
            Mode::Idle => written.max(heard),
        };
        let base = base.unwrap_or_default();
        let changes = events[since..].iter();
        let changes = changes.filter_map(|(at, event)| Some((*at, event.changed_to()?)));
        let Some((changed, _)) = changes.clone().next_back() else {
            let least = least(policy)?.saturating_sub(Duration::from_nanos(1));
            return Some((base + least, base + interval));
        };
        // It may stay where it was, or be due anew. That nothing comes later than it would have
        // come is a scenario's to see.
        let policies = changes.map(|(_, policy)| policy);
        let leasts = policies.chain([self.in_force(since)]).filter_map(least);
        let least = match policy.mode {
            Mode::Interval => leasts.min()?.saturating_sub(Duration::from_nanos(1)),
            Mode::Idle => Duration::ZERO,
        };
        Some((base + least, base.max(changed) + interval))
    }

    /// Whether a pong was read between the placing and this writing of a ping, or nobody asks for one.
    fn is_excused(&self, written: usize) -> bool {
        if self.in_force(written).interval().is_none() {
            return true;
        }
        let mut before = self.journal.events()[..written].iter().rev();
        let telling = before.find(|(_, event)| matches!(event, Event::Placed | Event::Pong));
        telling.is_some_and(|(_, event)| *event == Event::Pong)
    }

    /// Whether bytes are a sign of life now.
    pub(crate) fn counts_bytes(&self) -> bool {
        self.current().evidence == Evidence::Any
    }

    fn current(&self) -> &Policy {
        self.in_force(self.journal.events().len())
    }

    /// The policy that held at entry `n`.
    fn in_force(&self, n: usize) -> &Policy {
        let mut before = self.journal.events()[..n].iter().rev();
        let change = before.find_map(|(_, event)| event.changed_to());
        change.unwrap_or(self.policy)
    }

    /// The journal up to the last sign of life or given-up silence, and from there on.
    fn split_at_life(&self) -> (&[Entry], &[Entry]) {
        let events = self.journal.events();
        let is_off = |event: Event| event.changed_to().is_some_and(|to| to.interval().is_none());
        let ends = |event| is_life(event) || event == Event::GivenUp || is_off(event);
        let at = events.iter().rposition(|(_, event)| ends(*event));
        events.split_at(at.map_or(0, |at| at + 1))
    }
}

fn is_life(event: Event) -> bool {
    matches!(event, Event::Heard { is_life: true, .. } | Event::Pong)
}
