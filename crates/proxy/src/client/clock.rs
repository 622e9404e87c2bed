//! What a client's connection is doing, and how long it may go on doing it.
//!
//! hyper's own read timeout runs from the end of the previous request, so it cannot tell a slow
//! head (an attack) from an idle connection (ordinary). This clock sees the bytes and the
//! exchanges, and can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::watched::empty_lines;
use crate::patience::{is_late, second_chance};
use crate::settings::FrontTimeouts;

/// The clock of one connection. All of it happens on one thread; the atomics are for the
/// compiler's peace.
#[derive(Debug)]
pub(crate) struct Clock {
    opened: Instant,
    /// Milliseconds after `opened` of the last byte either way, or of the upstream's.
    active: AtomicU64,
    /// Milliseconds after `opened` of the first byte since the last exchange; `NEVER` if there was
    /// none. Empty lines before a head are a part of it: else they would hold a connection for ever.
    head: AtomicU64,
    heard: AtomicBool,
    /// An answer is owed: to the head that is coming in, or to the first, which still has to come.
    owed: AtomicBool,
    /// The end of the connection was said, and its client still has to hear it.
    ending: AtomicBool,
    /// What came first is TLS, where none is spoken.
    speaks_tls: AtomicBool,
    exchanges: AtomicU32,
    /// How long the exchange under way may be silent, in milliseconds; `NEVER` for any time.
    exchange_idle: AtomicU64,
    /// What the connection is doing has changed, and so have its deadlines.
    changed: Notify,
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// The first byte.
    FirstByte,
    /// A request's head.
    Head,
    /// Silence on an idle connection, or in a plain exchange.
    Idle,
}

/// An exchange under way, from its head to the last byte of its answer.
#[derive(Debug)]
pub(crate) struct Exchange(Arc<Clock>);

const NEVER: u64 = u64::MAX;

// === impl Clock ===

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            opened: Instant::now(),
            active: AtomicU64::new(0),
            head: AtomicU64::new(NEVER),
            heard: AtomicBool::new(false),
            owed: AtomicBool::new(true),
            ending: AtomicBool::new(false),
            speaks_tls: AtomicBool::new(false),
            exchanges: AtomicU32::new(0),
            exchange_idle: AtomicU64::new(NEVER),
            changed: Notify::new(),
        }
    }

    /// From now on the client is expected to speak.
    pub(crate) fn start(&self) {
        self.active.store(self.now(), Relaxed);
    }

    /// The head is whole and its exchange begins.
    pub(crate) fn begin(self: &Arc<Self>) -> Exchange {
        self.head.store(NEVER, Relaxed);
        self.owed.store(false, Relaxed);
        self.exchange_idle.store(NEVER, Relaxed);
        self.exchanges.fetch_add(1, Relaxed);
        self.changed.notify_waiters();
        Exchange(Arc::clone(self))
    }

    /// Until a request has been answered and none is coming in: then nobody is wronged if the
    /// connection ends.
    pub(crate) async fn at_rest(&self) {
        self.until(|clock| clock.rests()).await;
    }

    /// Until a request is coming in or is being answered.
    pub(crate) async fn at_work(&self) {
        self.until(|clock| !clock.rests()).await;
    }

    /// Until a byte has come.
    pub(crate) async fn heard(&self) {
        self.until(|clock| clock.heard.load(Relaxed)).await;
    }

    /// What came first is TLS, and nobody here speaks it.
    pub(super) fn on_tls(&self) {
        self.speaks_tls.store(true, Relaxed);
    }

    /// Whether it was.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.speaks_tls.load(Relaxed)
    }

    /// Whether an answer is owed to what has come.
    pub(crate) fn owes(&self) -> bool {
        self.owed.load(Relaxed)
    }

    /// The end of the connection was said.
    pub(super) fn on_ending(&self) {
        self.ending.store(true, Relaxed);
        self.changed.notify_waiters();
    }

    async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if is_so(self) {
                return;
            }
            changed.await;
        }
    }

    fn rests(&self) -> bool {
        self.is_idle() && !self.owed.load(Relaxed) && !self.ending.load(Relaxed)
    }

    /// Until neither side has said anything for `idle`.
    pub(crate) async fn silence(&self, idle: Option<Duration>) {
        let Some(idle) = idle else {
            return std::future::pending().await;
        };
        let mut excuse = Excuse::default();
        loop {
            let until = self.after(self.active.load(Relaxed), idle);
            if excuse.is_due(until) {
                second_chance().await;
            } else if until <= Instant::now() {
                return;
            } else {
                sleep_until(until).await;
            }
        }
    }

    /// No request is being answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.exchanges.load(Relaxed) == 0
    }

    /// Until something takes too long.
    pub(crate) async fn watch(&self, timeouts: &FrontTimeouts) -> Expired {
        let mut excuse = Excuse::default();
        loop {
            let changed = self.changed.notified();
            match self.deadline(timeouts) {
                // The process stood still: what was waited for may be there by now.
                (Some(at), _) if excuse.is_due(at) => second_chance().await,
                (Some(at), expired) if at <= Instant::now() => return expired,
                (Some(at), _) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = changed => {}
                },
                // An exchange without a limit: nothing runs until it has ended.
                (None, _) => changed.await,
            }
        }
    }

    fn after(&self, millis: u64, wait: Duration) -> Instant {
        self.opened + Duration::from_millis(millis) + wait
    }

    fn deadline(&self, timeouts: &FrontTimeouts) -> (Option<Instant>, Expired) {
        if !self.heard.load(Relaxed) {
            let since = self.active.load(Relaxed);
            return (
                Some(self.after(since, timeouts.first_byte)),
                Expired::FirstByte,
            );
        }
        let head = self.head.load(Relaxed);
        if head != NEVER {
            return (Some(self.after(head, timeouts.request_head)), Expired::Head);
        }
        let idle = if self.is_idle() {
            timeouts.http_idle
        } else {
            match self.exchange_idle.load(Relaxed) {
                NEVER => None,
                millis => Some(Duration::from_millis(millis)),
            }
        };
        let active = self.active.load(Relaxed);
        (idle.map(|idle| self.after(active, idle)), Expired::Idle)
    }

    pub(super) fn on_read(&self, bytes: &[u8]) {
        let now = self.now();
        self.active.store(now, Relaxed);
        self.heard.store(true, Relaxed);
        if !self.is_idle() {
            return;
        }
        let begins = empty_lines(bytes) < bytes.len() && !self.owed.swap(true, Relaxed);
        let is_first = self.head.load(Relaxed) == NEVER;
        if is_first {
            self.head.store(now, Relaxed);
        }
        if begins || is_first {
            self.changed.notify_waiters();
        }
    }

    /// Something was written, or the upstream has said something.
    pub(crate) fn on_progress(&self) {
        self.active.store(self.now(), Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from((Instant::now() - self.opened).as_millis()).unwrap_or(NEVER - 1)
    }
}

/// The bound that was excused last: each is once, and then it holds.
#[derive(Debug, Default)]
struct Excuse(Option<Instant>);

impl Excuse {
    /// Whether the process stood still when `bound` was reached, and has not been excused for it.
    fn is_due(&mut self, bound: Instant) -> bool {
        let due = is_late(bound) && self.0 != Some(bound);
        if due {
            self.0 = Some(bound);
        }
        due
    }
}

// === impl Exchange ===

impl Exchange {
    /// How long neither side may say anything.
    pub(crate) fn limit_idle(&self, idle: Option<Duration>) {
        let millis = idle.map(|idle| u64::try_from(idle.as_millis()).unwrap_or(NEVER));
        self.0.exchange_idle.store(millis.unwrap_or(NEVER), Relaxed);
        self.0.changed.notify_waiters();
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.on_progress();
        self.0.exchanges.fetch_sub(1, Relaxed);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
