//! The books of a pair that has ended, and the one line that says how it was.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};

use lubdub_keepalive::{PerSide, Rtt, Side};
use lubdub_metrics::Cause;
use tracing::{error, info};

use super::{Splice, clock, micros, millis};
use crate::registry::{End, Order, SideEnd};

impl Splice {
    /// The pair has ended: the books are closed, and one line says how it was.
    pub(super) fn conclude(&mut self, now: Instant) {
        let cause = self.fate.cause().unwrap_or(Cause::Internal);
        self.close_books(cause, now);
    }

    /// The count comes first: whatever else may fail, as many pairs are closed as were opened.
    fn close_books(&mut self, cause: Cause, now: Instant) {
        self.seldom.concluded = true;
        self.seldom.metrics.route.closed(cause).increment(1);
        self.flush();
        let duration = now.saturating_duration_since(self.registration.entry().opened);
        self.seldom.metrics.pair_duration.record(duration);
        let hint = End::hint(
            cause,
            PerSide::from_fn(|side| self.heart.pongs_received(side)),
        );
        let lapse = self.fate.lapse.as_deref();
        self.registration.conclude(|pair| End {
            number: 0,
            at: SystemTime::now(),
            cause,
            close: self.fate.close,
            diagnosis: lapse.map(|lapse| lapse.diagnosis),
            duration,
            lapsed_after: lapse.map(|lapse| lapse.silent_for),
            hint,
            sides: PerSide::from_fn(|side| SideEnd {
                status: pair.status(side, now),
                rtt: self.heart.vitals(side).rtt,
            }),
            pair,
        });
        self.log_end(cause, hint, duration, now);
    }

    /// Why the pair goes although it has not come to its end.
    fn cause_of_drop(&self) -> Cause {
        if std::thread::panicking() {
            return Cause::Internal;
        }
        match (self.fate.cause(), self.registration.entry().ordered()) {
            (Some(cause), _) => cause,
            // The runtime went before the pair could follow.
            (None, Order::Drain | Order::Cut) => Cause::Drain,
            (None, Order::Close) => Cause::Admin,
            (None, Order::None) => Cause::Internal,
        }
    }

    fn log_end(&self, cause: Cause, hint: Option<&'static str>, duration: Duration, now: Instant) {
        let entry = self.registration.entry();
        let caller = entry.caller();
        let lapse = self.fate.lapse.as_deref();
        let vitals = PerSide::from_fn(|side| self.heart.vitals(side));
        let rtt = |side: Side, pick: fn(&Rtt) -> Duration| {
            vitals[side].rtt.as_ref().map(|rtt| micros(pick(rtt)))
        };
        let silent = |side: Side| millis(now.saturating_duration_since(vitals[side].last_heard));
        let held = |side: Side| {
            let inlet = self.inlet(side).filter(|inlet| inlet.is_rated());
            inlet.map(|inlet| millis(inlet.held_for(now)))
        };
        info!(
            pair = entry.id.0,
            listener = &*entry.names.listener,
            route = &*entry.names.route,
            client = %caller.client,
            peer = %caller.peer,
            upstream_address = %entry.upstream(),
            request = entry.request.as_deref(),
            request_id = entry.request_id(),
            proxy_header = entry.proxy_header(),
            cause = cause.as_str(),
            close_code = self.fate.close.and_then(|close| close.code),
            close_by = self.fate.close.map(|close| close.by.as_str()),
            lapsed_after_ms = lapse.map(|lapse| millis(lapse.silent_for)),
            diagnosis = lapse.map(|lapse| lapse.diagnosis.as_str()),
            hint,
            duration_ms = millis(duration),
            handshake_us = self.seldom.handshake_us,
            client_bytes = self.tally.from.client.bytes,
            client_frames = self.relayed_frames(Side::Client),
            client_pings = vitals.client.pings_sent,
            client_pongs = vitals.client.pongs_received,
            client_rtt_us = rtt(Side::Client, |rtt| rtt.last()),
            client_rtt_min_us = rtt(Side::Client, |rtt| rtt.min()),
            client_rtt_max_us = rtt(Side::Client, |rtt| rtt.max()),
            client_silent_ms = silent(Side::Client),
            client_held_ms = held(Side::Client),
            upstream_bytes = self.tally.from.upstream.bytes,
            upstream_frames = self.relayed_frames(Side::Upstream),
            upstream_pings = vitals.upstream.pings_sent,
            upstream_pongs = vitals.upstream.pongs_received,
            upstream_rtt_us = rtt(Side::Upstream, |rtt| rtt.last()),
            upstream_rtt_min_us = rtt(Side::Upstream, |rtt| rtt.min()),
            upstream_rtt_max_us = rtt(Side::Upstream, |rtt| rtt.max()),
            upstream_silent_ms = silent(Side::Upstream),
            upstream_held_ms = held(Side::Upstream),
            "pair ended"
        );
    }
}

/// A task that panics, is aborted, or goes with its runtime drops its pair in the middle of it: that
/// is an end like any other, with its line and its count.
impl Drop for Splice {
    fn drop(&mut self) {
        if self.seldom.concluded {
            return;
        }
        let cause = self.cause_of_drop();
        if std::thread::panicking() {
            error!(
                pair = self.id(),
                "a pair's task panicked: a bug of lubdub's, please report it"
            );
        }
        // What a panic has left half done may panic again, and that would end the process.
        let books = AssertUnwindSafe(|| self.close_books(cause, clock()));
        if catch_unwind(books).is_err() {
            error!("a pair that panicked has lost its line");
        }
    }
}
