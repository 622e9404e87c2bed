//! The heartbeat machine of one pair.

mod change;
mod state;
mod vitals;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use self::state::{HeartbeatState, InvalidState};
pub use self::vitals::Vitals;
use crate::chance::Chance;
use crate::entropy::Entropy;
use crate::foreign::PingRow;
use crate::ledger::{Answer, Ledger};
use crate::moment::{Grid, Moment};
use crate::policy::Policy;
use crate::pulse::{Expiry, Pulse};
use crate::side::{PerSide, Side};

/// The heartbeat of a pair: when to ping which side, whose pong it was, who has lapsed.
///
/// It does no I/O and reads no clock. Its methods fall into five groups.
///
/// - **Input**, `handle_*(.., now)`: what happened, in the order in which it happened *in the
///   stream* of the side concerned. The machine learns from this order which pings stand before
///   which.
/// - **Time**: [`poll_timeout`](Self::poll_timeout) says when [`handle_timeout`](Self::handle_timeout)
///   has to be called next; calling it earlier does nothing, later is noticed (see below).
/// - **Output**: [`poll_output`](Self::poll_output) says what to do, until it says `None`.
/// - **Getters**, such as [`vitals`](Self::vitals).
/// - **Change**: [`set_policy`](Self::set_policy), [`freeze`](Self::freeze), [`thaw`](Self::thaw).
///
/// # Call order
///
/// A driver, on every wake-up:
///
/// 1. reads the clock once; all calls of this wake-up get the same `now` (if the process stood still
///    in the middle of it, [`handle_stall`](Self::handle_stall) tells by how much that is wrong);
/// 2. reads the sockets and reports what it finds ([`handle_heard`](Self::handle_heard) before
///    what the bytes contained);
/// 3. for each side of which [`lapse_due`](Self::lapse_due) is true, asks the kernel itself for
///    readable bytes and reports those too; if there are none, and the kernel knows of progress on
///    the way to that side, reports that ([`handle_link_progress`](Self::handle_link_progress));
/// 4. calls [`handle_timeout`](Self::handle_timeout);
/// 5. carries out every [`Output`];
/// 6. sleeps until [`poll_timeout`](Self::poll_timeout).
///
/// A [`Output::SendPing`] is owed from then on, and carries what [`payload`](Self::payload) says: the driver calls
/// [`handle_ping_placed`](Self::handle_ping_placed) when the ping gets its place in the stream to
/// the side, and [`handle_ping_written`](Self::handle_ping_written) when the socket took its last
/// byte. Only then does the clock of its pong start, and the next interval. After
/// [`handle_closing`](Self::handle_closing) or a [`Output::Lapsed`], a ping that has no place yet
/// is dropped.
///
/// # Time
///
/// `now` never goes back from one call to the next. It is the driver's monotonic clock; whether
/// that counts a suspended machine does not matter, because a wake-up that comes more than
/// [`Heartbeat::LATE`] after the time asked for is taken as a stall of this process: deadlines
/// start anew, once per own ping, and missed pings are skipped.
#[derive(Debug)]
pub struct Heartbeat {
    opened: Instant,
    /// The `now` of the latest call that was told one.
    woken: Moment,
    /// When something is due next: looked at with every message, and therefore kept.
    next: Moment,
    chance: Chance,
    /// On which the pings fall.
    grid: Grid,
    stage: Stage,
    pulses: PerSide<Pulse>,
    /// Sides whose lapse would have been enforced, to be reported.
    observed: PerSide<bool>,
}

/// How far the pair has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Beating,
    /// A FIN or a Close passed: no more pings, and the clocks stand.
    Closing,
    /// To be reported.
    Lapsed(Side),
    /// It has been: the machine is done.
    Over,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Send an own ping to the side, at a boundary of its stream.
    SendPing {
        /// Whom to ping.
        side: Side,
    },
    /// The side has lapsed; the pair is to be ended. Nothing follows this.
    Lapsed {
        /// Who lapsed.
        side: Side,
        /// Time since its last sign of life, or since the pair opened.
        silent_for: Duration,
    },
    /// The side would have lapsed, were lapses enforced. Reported once per silence.
    WouldHaveLapsed {
        /// Who would have lapsed.
        side: Side,
        /// Time since its last sign of life, or since the pair opened.
        silent_for: Duration,
    },
}

/// Whose pong it was.
#[derive(Debug, PartialEq, Eq)]
pub enum PongVerdict {
    /// lubdub's own: swallow it.
    Ours {
        /// The round trip; `None` if this ping was answered before, or if its pong came before it
        /// was known to be written.
        rtt: Option<Duration>,
        /// The endpoint may have left out the pong to this foreign ping (RFC 6455 5.5.3): put a
        /// PONG with this payload in the place of the swallowed one, unless a Close passed there.
        repair: Option<Vec<u8>>,
    },
    /// Somebody else's: pass it on.
    Foreign,
}

/// Whether lubdub reads a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// No: the other side is slow, so this side's silence proves nothing.
    Paused,
    /// Yes, again.
    Resumed,
}

// === impl Heartbeat ===

impl Heartbeat {
    /// A wake-up that comes later than this after the time asked for is a stall of the process.
    pub const LATE: Duration = Duration::from_millis(500);

    /// No more bytes than these can have stood ahead of a pong when its ping arrived, as far as
    /// kernels keep them.
    pub const AHEAD_MAX: usize = Pulse::AHEAD_MAX as usize;

    /// What [`heap_size`](Self::heap_size) never exceeds, as long as payloads are those of control
    /// frames.
    pub const HEAP_MAX: usize = 2 * Ledger::HEAP_MAX;

    /// The heartbeat of a pair whose 101 was relayed at `now`. Pairs with the same policies share them.
    #[must_use]
    pub fn new<P: Into<Arc<Policy>>>(policies: PerSide<P>, entropy: Entropy, now: Instant) -> Self {
        let policies = policies.map(Into::into);
        let chance = Chance::new(entropy.seed);
        let mut heartbeat = Self {
            opened: now,
            woken: Moment::OPENED,
            next: Moment::NEVER,
            pulses: PerSide::from_fn(|side| {
                Pulse::new(Arc::clone(&policies[side]), entropy.nonces[side], chance)
            }),
            chance,
            grid: Grid::NONE,
            stage: Stage::Beating,
            observed: PerSide::default(),
        };
        heartbeat.reschedule();
        heartbeat
    }

    /// Lets the pings fall on a grid of moments that is common to all pairs with this origin, so
    /// that one wake-up of the driver serves many of them: at most 10 ms apart, and never so that
    /// a ping comes earlier than jitter allows.
    #[must_use]
    pub fn on_grid(mut self, origin: Instant) -> Self {
        self.grid = Grid::since(origin, self.opened);
        for side in Side::BOTH {
            self.pulses[side].align(self.grid);
        }
        self.reschedule();
        self
    }

    // --- input

    /// So many bytes were read from `side` (from TLS: decrypted ones).
    pub fn handle_heard(&mut self, side: Side, bytes: usize, now: Instant) {
        let now = self.on_wake(now);
        if self.pulses[side].heard(bytes, now) {
            self.reschedule();
        }
    }

    /// The own ping owed to `side` took its place in the stream to it: what is forwarded from now
    /// on stands behind it.
    pub fn handle_ping_placed(&mut self, side: Side) {
        self.pulses[side].placed();
    }

    /// The last byte of the placed ping was taken by the socket of `side` (TLS: was flushed).
    /// Returns how long the ping was due.
    ///
    /// The clock of its pong starts, unless a pong was read since it was placed: that one may have
    /// been the answer, whatever its payload.
    pub fn handle_ping_written(&mut self, side: Side, now: Instant) -> Duration {
        let now = self.on_wake(now);
        let delay = self.pulses[side].written(now, self.chance);
        self.pulses[side].align(self.grid);
        self.reschedule();
        delay
    }

    /// An endpoint's ping was forwarded to `side`: it took its place in the stream.
    pub fn handle_foreign_ping(&mut self, side: Side, payload: &[u8]) {
        self.handle_foreign_pings(side, payload, PingRow::ONE);
    }

    /// As many were, one behind the other; the last has this payload.
    pub fn handle_foreign_pings(&mut self, side: Side, payload: &[u8], row: PingRow) {
        if self.stage == Stage::Beating {
            self.pulses[side].foreign_pings(payload, row);
        }
    }

    /// A whole PONG came from `side`.
    pub fn handle_pong(&mut self, side: Side, payload: &[u8], now: Instant) -> PongVerdict {
        let now = self.on_wake(now);
        let (answer, settled) = self.pulses[side].pong(payload, now);
        if settled {
            self.reschedule();
        }
        match answer {
            Answer::Own { reply, repair } => PongVerdict::Ours {
                rtt: reply.rtt(),
                repair,
            },
            Answer::Foreign => PongVerdict::Foreign,
        }
    }

    /// Whether a PONG from `side` may answer anything though its payload is not an own ping's: that has
    /// [`PingPayload::LEN`](crate::PingPayload::LEN) bytes. If not, [`handle_idle_pongs`](Self::handle_idle_pongs) says
    /// all that there is to say of it, and once of many.
    #[must_use]
    pub fn awaits_pong(&self, side: Side) -> bool {
        self.pulses[side].awaits_pong()
    }

    /// One or more whole PONGs came from `side` that answer nothing in particular.
    pub fn handle_idle_pongs(&mut self, side: Side, now: Instant) {
        let now = self.on_wake(now);
        if self.pulses[side].idle_pongs(now) {
            self.reschedule();
        }
    }

    /// lubdub stops or resumes reading `side`, because the other side is slow or no longer is. The
    /// clock stands meanwhile, unless so much was read since its ping ([`Heartbeat::AHEAD_MAX`]) that
    /// the pong would have been there.
    pub fn handle_reading(&mut self, side: Side, reading: Reading, now: Instant) {
        let now = self.on_wake(now);
        match reading {
            Reading::Paused => self.pulses[side].pause(now),
            Reading::Resumed => self.pulses[side].resume(now),
        }
        self.reschedule();
    }

    /// The link to `side` is slow, not dead: the kernel still holds bytes of the ping that runs the
    /// clock, and some were acknowledged since it was written or since the last look. The side gets
    /// another timeout.
    pub fn handle_link_progress(&mut self, side: Side, now: Instant) {
        let now = self.on_wake(now);
        self.pulses[side].extend(now);
        self.reschedule();
    }

    /// A FIN or a Close passed, in whichever direction: no more pings to either side, and the
    /// clocks of their pongs stop. Pongs are still told apart.
    pub fn handle_closing(&mut self) {
        if self.stage == Stage::Beating {
            self.stage = Stage::Closing;
            self.reschedule();
        }
    }

    // --- time

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.next < Moment::NEVER).then(|| self.next.instant(self.opened))
    }

    /// Whether the deadline of `side` has passed: [`handle_timeout`](Self::handle_timeout) would
    /// find that it lapsed, or that it would have.
    #[must_use]
    pub fn lapse_due(&mut self, side: Side, now: Instant) -> bool {
        let now = self.on_wake(now);
        self.stage == Stage::Beating && self.pulses[side].is_overdue(now)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.on_wake(now);
        if self.stage != Stage::Beating {
            return;
        }
        if let Some(side) = self.lapsing(now) {
            self.stage = Stage::Lapsed(side);
        } else {
            for side in Side::BOTH {
                let pulse = &mut self.pulses[side];
                self.observed[side] |= pulse.expire(now) == Expiry::Observed;
                pulse.ring(now);
            }
        }
        self.reschedule();
    }

    /// A wake-up that the driver asked for on its own account came more than
    /// [`Heartbeat::LATE`] after its time: deadlines start anew, once per own ping.
    pub fn handle_late_wake_up(&mut self, now: Instant) {
        let now = self.on_wake(now);
        self.rearm(now);
    }

    /// The process stood still for so long in the middle of this wake-up, after its `now` was read:
    /// what was reported with it has happened later than was said. Deadlines are moved by as much.
    pub fn handle_stall(&mut self, stalled: Duration) {
        for side in Side::BOTH {
            self.pulses[side].postpone(stalled);
        }
        self.reschedule();
    }

    // --- output

    /// What to do next; to be asked until it says `None`. `now` as in the preceding call.
    pub fn poll_output(&mut self, now: Instant) -> Option<Output> {
        let now = Moment::of(now, self.opened);
        let silent_for = |pulse: &Pulse| now.since(pulse.last_life());
        match self.stage {
            Stage::Lapsed(side) => {
                self.stage = Stage::Over;
                let silent_for = silent_for(&self.pulses[side]);
                return Some(Output::Lapsed { side, silent_for });
            }
            Stage::Closing | Stage::Over => return None,
            Stage::Beating => {}
        }
        Side::BOTH.into_iter().find_map(|side| {
            let pulse = &mut self.pulses[side];
            if std::mem::take(&mut self.observed[side]) {
                let silent_for = silent_for(pulse);
                return Some(Output::WouldHaveLapsed { side, silent_for });
            }
            pulse.take_ping().then_some(Output::SendPing { side })
        })
    }

    // --- private steps

    /// Every call that is told the time goes through here first: after a stall, a byte that is
    /// reported for one side must not hide from the other side's deadline that there was one. The
    /// first call of a wake-up settles it: what the others find due has become so since.
    fn on_wake(&mut self, now: Instant) -> Moment {
        let now = Moment::of(now, self.opened);
        if now <= self.woken {
            return now;
        }
        self.woken = now;
        debug_assert_eq!(self.next, self.next_wake(), "reschedule() was forgotten");
        if now.since(self.next) > Self::LATE {
            self.rearm(now);
        }
        now
    }

    fn rearm(&mut self, now: Moment) {
        for side in Side::BOTH {
            self.pulses[side].rearm(now);
        }
        self.reschedule();
    }

    /// To be called by whatever may have changed what is due when.
    fn reschedule(&mut self) {
        self.next = self.next_wake();
    }

    fn next_wake(&self) -> Moment {
        if self.stage != Stage::Beating {
            return Moment::NEVER;
        }
        self.pulses.client.next().min(self.pulses.upstream.next())
    }

    /// Of two sides past their deadlines, the one whose deadline was first.
    fn lapsing(&self, now: Moment) -> Option<Side> {
        if self.stage != Stage::Beating {
            return None;
        }
        Side::BOTH
            .into_iter()
            .filter(|&side| self.pulses[side].would_lapse(now))
            .min_by_key(|&side| self.pulses[side].deadline())
    }
}
