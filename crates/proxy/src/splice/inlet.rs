//! What stands between a side's socket and what is relayed from it: bytes that were read and have to
//! wait, and the rates at which more is let in.
//!
//! Most pairs have none of it. A rate never loses a byte and never changes the order of two: when its
//! bucket is empty, the side is not read for a while, and its kernel tells it to wait.
//!
//! Bytes are let in by the number: no more are read than there are tokens. How many messages stand in
//! what is read is known only afterwards, so that the scan stops behind the last one that is allowed,
//! and the rest waits here. It is little: where a frame may begin, little is read at a time.

mod bucket;

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use lubdub_wire::{FrameScanner, Stop};

use self::bucket::Bucket;
use crate::frozen::{Anchor, InvalidPair, RateState};
use crate::settings::Rate;

/// What stands between a side's socket and what is relayed from it.
#[derive(Debug, Default)]
pub(super) struct Inlet {
    /// Was read, and is to be relayed before anything else is read.
    waiting: Bytes,
    bytes: Option<Bucket>,
    /// Tokens of messages: one is taken by the first frame of each.
    messages: Option<Bucket>,
    held: Option<Instant>,
    held_for: Duration,
}

// === impl Inlet ===

impl Inlet {
    /// What is held is held for so long at least, so that a side which always has something to say does
    /// not wake its pair for every byte. The tokens of that time are not lost: the bucket has room.
    const BREATH: Duration = Duration::from_millis(10);

    /// So much is read at a time where messages are counted and may begin.
    const SIP: u64 = 4096;

    pub(super) fn new(waiting: Bytes, rate: Rate, now: Instant) -> Self {
        let bucket = |rate| Bucket::full(rate, now);
        Self {
            waiting,
            bytes: rate.bytes.map(bucket),
            messages: rate.messages.map(|rate| bucket(rate.into())),
            held: None,
            held_for: Duration::ZERO,
        }
    }

    /// It holds nothing back, and never will.
    pub(super) fn is_open(&self) -> bool {
        self.waiting.is_empty() && !self.is_rated()
    }

    /// There is a rate.
    pub(super) fn is_rated(&self) -> bool {
        self.bytes.is_some() || self.messages.is_some()
    }

    /// Until when the side is not read.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held
    }

    /// How long it was held in all, up to now.
    pub(super) fn held_for(&self, now: Instant) -> Duration {
        let to_come = self
            .held
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        self.held_for - to_come
    }

    pub(super) fn waiting(&self) -> &Bytes {
        &self.waiting
    }

    /// Holds the side if a rate is used up, or lets go of it when that is over. `scanner` follows what
    /// comes from it. Says whether that changed anything.
    pub(super) fn hold(&mut self, scanner: &FrameScanner, now: Instant) -> bool {
        if self.held.is_some_and(|until| until > now) {
            return false;
        }
        let was_held = self.held.take().is_some();
        for bucket in [&mut self.bytes, &mut self.messages].into_iter().flatten() {
            bucket.refill(now);
        }
        let no_bytes = (self.bytes.as_ref()).filter(|bucket| bucket.available() == 0);
        // A message that has begun goes on.
        let no_message = (self.messages.as_ref()).filter(|bucket| match bucket.level() {
            1.. => false,
            0 => scanner.at_message_boundary(),
            _ => scanner.at_frame_boundary(),
        });
        let until = [no_bytes, no_message]
            .into_iter()
            .flatten()
            .map(|bucket| bucket.one_at().max(now + Self::BREATH))
            .max();
        if let Some(until) = until {
            self.held = Some(until);
            self.held_for += until - now;
        }
        was_held != self.held.is_some()
    }

    /// The rates count no more. Says whether that changed anything.
    pub(super) fn let_go(&mut self, now: Instant) -> bool {
        self.held_for = self.held_for(now);
        self.held.take().is_some()
    }

    /// How much of `most` may be read, or relayed of what waits.
    pub(super) fn room(&self, scanner: &FrameScanner, most: usize) -> usize {
        let bytes = self.bytes.as_ref().map(Bucket::available);
        let messages =
            (self.messages.as_ref()).map(|_| Self::SIP.saturating_add(scanner.left_in_frame()));
        let room = bytes.into_iter().chain(messages).min();
        room.map_or(most, |room| {
            usize::try_from(room).map_or(most, |room| room.min(most))
        })
    }

    /// Where the scan of what is let in has to stop.
    pub(super) fn stop(&self, scanner: &FrameScanner) -> Stop {
        match &self.messages {
            None => Stop::Never,
            Some(bucket) => {
                let begun = i128::from(scanner.frames().messages());
                let last = begun.saturating_add(bucket.level()).max(0);
                Stop::BehindMessages(u64::try_from(last).unwrap_or(u64::MAX))
            }
        }
    }

    /// So much was relayed.
    pub(super) fn charge(&mut self, bytes: u64, messages: u64) {
        if let Some(bucket) = &mut self.bytes {
            bucket.take(bytes);
        }
        if let Some(bucket) = &mut self.messages {
            bucket.take(messages);
        }
    }

    /// What waits, to be relayed.
    pub(super) fn take_waiting(&mut self) -> Bytes {
        std::mem::take(&mut self.waiting)
    }

    /// Of what [waited](Self::take_waiting), all but so much has to wait on.
    pub(super) fn put_back(&mut self, mut waiting: Bytes, relayed: usize) {
        waiting.advance(relayed);
        if !waiting.is_empty() {
            self.waiting = waiting;
        }
    }

    /// This was read, and has to wait.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.waiting = Bytes::copy_from_slice(rest);
    }

    pub(super) fn freeze(&self, anchor: &Anchor) -> Option<RateState> {
        let full = |bucket: &Option<Bucket>| {
            let bucket = bucket.as_ref()?;
            Some(anchor.nanos(bucket.full_at()))
        };
        let (bytes, messages) = (full(&self.bytes), full(&self.messages));
        (bytes.is_some() || messages.is_some()).then_some(RateState { bytes, messages })
    }

    /// Goes on, at what the rates are by now.
    pub(super) fn thaw(
        waiting: Bytes,
        state: Option<RateState>,
        rate: Rate,
        now: Instant,
        anchor: &Anchor,
    ) -> Result<Self, InvalidPair> {
        let state = state.unwrap_or_default();
        let mut inlet = Self::new(waiting, rate, now);
        for (bucket, rate, full) in [
            (&mut inlet.bytes, rate.bytes, state.bytes),
            (
                &mut inlet.messages,
                rate.messages.map(Into::into),
                state.messages,
            ),
        ] {
            if let (Some(rate), Some(full)) = (rate, full) {
                *bucket = Some(Bucket::full_from(rate, anchor.instant(full)?, now));
            }
        }
        Ok(inlet)
    }
}
