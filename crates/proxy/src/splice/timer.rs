//! The one sleep of a pair: restartable, and never trusted more than the clock.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use lubdub_keepalive::Heartbeat;
use tokio::task::unconstrained;
use tokio::time::{Sleep, sleep_until};

/// A sleep that is moved rather than made anew.
#[derive(Debug)]
pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed: Option<Instant>,
}

impl Timer {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sleep: Box::pin(sleep_until(now.into())),
            armed: None,
        }
    }

    /// Goes on with a wake-up that was armed elsewhere. The next [`arm`](Self::arm) arranges it.
    pub(super) fn resume(armed: Option<Instant>, now: Instant) -> Self {
        Self {
            sleep: Box::pin(sleep_until(armed.unwrap_or(now).into())),
            armed,
        }
    }

    /// Whether a wake-up is armed, and still to come at `now`.
    pub(super) fn is_waiting(&self, now: Instant) -> bool {
        self.armed.is_some_and(|armed| armed > now)
    }

    /// When the armed wake-up comes.
    pub(super) fn armed(&self) -> Option<Instant> {
        self.armed
    }

    /// Whether the armed wake-up comes no later than `deadline`.
    pub(super) fn covers(&self, deadline: Instant) -> bool {
        self.armed.is_some_and(|armed| armed <= deadline)
    }

    /// Arranges a wake-up at `deadline`, which lies in the future of the clock that the caller
    /// just read.
    ///
    /// A wake-up that is armed earlier already is left alone: moving the sleep with every message
    /// costs more than waking once too often.
    pub(super) fn arm(&mut self, cx: &mut Context<'_>, deadline: Instant) {
        if self.armed.is_none_or(|armed| deadline < armed) {
            self.armed = Some(deadline);
            self.sleep.as_mut().reset(deadline.into());
        }
        // Out of the runtime's budget: a sleep that is polled when a turn has used it up says
        // "pending" and arranges nothing.
        let sleep = pin!(unconstrained(self.sleep.as_mut()));
        if let Poll::Ready(()) = sleep.poll(cx) {
            // It fired for an earlier deadline, or between the look at the clock and now.
            self.armed = None;
            cx.waker().wake_by_ref();
        }
    }

    /// The armed wake-up has come if `now` is past it. Returns by how much it was late, if that is
    /// so much that the process must have stood still.
    pub(super) fn on_wake(&mut self, now: Instant) -> Option<Duration> {
        let armed = self.armed.take_if(|armed| *armed <= now)?;
        Some(now - armed).filter(|late| *late > Heartbeat::LATE)
    }
}
