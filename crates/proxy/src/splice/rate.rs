//! What comes from a side at no more than its rate: when it is not read, and what of it is relayed.

use std::task::Context;
use std::time::Instant;

use lubdub_keepalive::Side;
use lubdub_wire::Stop;

use super::Splice;
use super::end::Input;
use super::inlet::Inlet;
use super::outlet::Sending;

impl Splice {
    pub(super) fn inlet(&self, from: Side) -> Option<&Inlet> {
        Some(&self.inlets.as_ref()?[from])
    }

    /// Until when a side is not read because its rate is used up.
    pub(super) fn held_until(&self, from: Side) -> Option<Instant> {
        let until = self.inlet(from)?.held_until()?;
        self.is_rated(from).then_some(until)
    }

    /// Whether a rate counts for what comes from a side. Where nothing of it is relayed any more it does
    /// not, nor where lubdub ends the pair: then who is in the middle of a frame is to come to its end,
    /// so that a Close has its place behind it.
    fn is_rated(&self, from: Side) -> bool {
        self.ends[from].input == Input::Open
            && self.ends[from.other()].outlet.accepts()
            && !self.fate.is_by_lubdub()
    }

    /// Holds a side that has used up its rate.
    pub(super) fn hold(&mut self, from: Side, now: Instant) {
        if self.inlets.is_none() {
            return;
        }
        let is_rated = self.is_rated(from);
        let Some(inlets) = &mut self.inlets else {
            return;
        };
        let changed = if is_rated {
            inlets[from].hold(&self.ends[from].scanner, now)
        } else {
            inlets[from].let_go(now)
        };
        if changed {
            let is_held = inlets[from].held_until().is_some();
            self.registration.entry().publish_held(from, is_held);
            if !is_held {
                // It could say nothing meanwhile: what waits for its data waits anew.
                self.seldom.deadlines.data = self.seldom.deadlines.data.max(now.into());
            }
        }
    }

    /// How much of `most` may be read from a side.
    pub(super) fn room(&self, from: Side, most: usize) -> usize {
        match self.inlet(from) {
            Some(inlet) if self.is_rated(from) => inlet.room(&self.ends[from].scanner, most),
            Some(_) | None => most,
        }
    }

    /// Relays what was read from a side, as far as its rate allows; the rest waits.
    pub(super) fn let_in(&mut self, cx: &mut Context<'_>, from: Side, input: &[u8], now: Instant) {
        let left = self.relay_rated(cx, from, input, now);
        if let Some(inlets) = &mut self.inlets
            && left > 0
        {
            inlets[from].keep(&input[input.len() - left..]);
        }
    }

    /// Relays what was read from a side before, and had to wait. Says whether there was anything.
    pub(super) fn let_in_waiting(
        &mut self,
        cx: &mut Context<'_>,
        from: Side,
        now: Instant,
    ) -> bool {
        let Some(inlets) = &mut self.inlets else {
            return false;
        };
        let waiting = inlets[from].take_waiting();
        if waiting.is_empty() {
            return false;
        }
        let some = self.room(from, waiting.len());
        let left = self.relay_rated(cx, from, &waiting[..some], now);
        if let Some(inlets) = &mut self.inlets {
            inlets[from].put_back(waiting, some - left);
        }
        true
    }

    /// Who holds nothing back any more, and never will, is not asked again.
    pub(super) fn drop_inlets(&mut self) {
        let inlets = self.inlets.as_deref();
        if inlets.is_some_and(|inlets| inlets.client.is_open() && inlets.upstream.is_open()) {
            self.inlets = None;
        }
    }

    /// Relays, and says how much is left. What is lubdub's own does not count: its pongs go no further,
    /// and its frames came from nobody.
    fn relay_rated(
        &mut self,
        cx: &mut Context<'_>,
        from: Side,
        input: &[u8],
        now: Instant,
    ) -> usize {
        let stop = match self.inlet(from) {
            Some(inlet) if self.is_rated(from) => inlet.stop(&self.ends[from].scanner),
            Some(_) | None => Stop::Never,
        };
        let bytes = self.tally.from[from].bytes;
        let messages = self.ends[from].scanner.frames().messages();
        let left = self.forward(cx, from, input, stop, Sending::AtOnce, now);
        if let Some(inlets) = &mut self.inlets {
            let begun = self.ends[from].scanner.frames().messages();
            // They may have been taken meanwhile, if nothing is relayed any more.
            let begun = begun.saturating_sub(messages);
            inlets[from].charge(self.tally.from[from].bytes - bytes, begun);
        }
        left
    }
}
