//! What must be, computed from a side's journal alone, each time from the beginning.

use std::time::Duration;

use lubdub_keepalive::{Enforce, Evidence, Mode, Policy};

use crate::journal::{Entry, Event, Journal};
use crate::script::{Time, secs};

/// The rules for one side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Oracle<'a> {
    pub policy: &'a Policy,
    pub journal: &'a Journal,
}

/// 16 MiB.
const MOST_AHEAD: usize = 1 << 24;

impl Oracle<'_> {
    /// "The write time of the oldest own ping newer than the last sign of life, plus timeout. No
    /// such ping, no deadline", and none while lubdub is not listening. A ping whose pong may have
    /// come before it was known to be written is no such ping. "Once 16 MiB were read from the side
    /// since its oldest unanswered ping [..], pauses move its deadline no more."
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
        let timeout = self.policy.timeout();
        let mut written = None;
        let mut deadline = Time::MAX;
        let mut spared = false;
        let mut read = 0;
        for (n, &(at, event)) in since.iter().enumerate() {
            match event {
                Event::Written if written.is_none() && !self.is_excused(before.len() + n) => {
                    written = Some(at);
                    deadline = at + timeout;
                }
                Event::Paused => paused = Some(at),
                Event::Resumed => {
                    let began = paused.take();
                    if let Some(written) = written
                        && read < MOST_AHEAD
                    {
                        let began = began.expect("a resumption follows a pause");
                        deadline = (deadline + (at - began.max(written))).max(at + secs(1));
                    }
                }
                Event::Late => {
                    if let Some(written) = written
                        && !std::mem::replace(&mut spared, true)
                    {
                        // While it is not read, the side's clock stands at the pause's beginning.
                        let stands = paused.filter(|_| read < MOST_AHEAD);
                        let clock = stands.map_or(at, |began| began.max(written));
                        deadline = deadline.max(clock + timeout);
                    }
                }
                Event::Moving => {
                    if written.is_some() {
                        deadline = deadline.max(at + timeout);
                    }
                }
                Event::Heard { bytes } => {
                    if written.is_some() {
                        read += bytes;
                    }
                }
                Event::Pong
                | Event::Asked
                | Event::Placed
                | Event::Written
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
        match self.policy.enforce {
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
        let mut telling = events.filter(|&e| self.is_life(e) || e == Event::WouldHaveLapsed);
        telling.next() == Some(Event::WouldHaveLapsed)
    }

    /// The last sign of life, or when the pair opened.
    pub(crate) fn last_life(&self) -> Time {
        self.journal
            .last(|event| self.is_life(event))
            .unwrap_or_default()
    }

    /// The earliest and the latest time for the ping after those of the journal, if nothing
    /// holds it back.
    pub(crate) fn next_ping(&self) -> Option<(Time, Time)> {
        let interval = self.policy.interval()?;
        let written = self.journal.last(|event| event == Event::Written);
        let heard = self
            .journal
            .last(|event| matches!(event, Event::Heard { .. }));
        let least = match written {
            None => interval / 2,
            Some(_) => interval.mul_f64(1.0 - self.policy.jitter().share()),
        };
        let base = match self.policy.mode {
            Mode::Interval => written,
            Mode::Idle => written.max(heard),
        };
        let base = base.unwrap_or_default();
        Some((
            base + least.saturating_sub(Duration::from_nanos(1)),
            base + interval,
        ))
    }

    /// Whether a pong was read between the placing and this writing of a ping.
    fn is_excused(&self, written: usize) -> bool {
        let mut before = self.journal.events()[..written].iter().rev();
        let telling = before.find(|(_, event)| matches!(event, Event::Placed | Event::Pong));
        telling.is_some_and(|(_, event)| *event == Event::Pong)
    }

    fn is_life(&self, event: Event) -> bool {
        match self.policy.evidence {
            Evidence::Any => matches!(event, Event::Heard { .. } | Event::Pong),
            Evidence::Pong => event == Event::Pong,
        }
    }

    /// The journal up to the last sign of life or given-up silence, and from there on.
    fn split_at_life(&self) -> (&[Entry], &[Entry]) {
        let events = self.journal.events();
        let ends = |event| self.is_life(event) || event == Event::GivenUp;
        let at = events.iter().rposition(|(_, event)| ends(*event));
        events.split_at(at.map_or(0, |at| at + 1))
    }
}
