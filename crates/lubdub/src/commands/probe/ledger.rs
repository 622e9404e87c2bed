//! Which pings were sent, and what became of each (RFC 6455 5.5.2 and 5.5.3). No I/O, no clock.
//!
//! A pong with a payload that was never sent may be a wrong answer, or none: "A Pong frame MAY be
//! sent unsolicited" (5.5.3). Which of both shows only when the time for the right one is over.

use std::time::Duration;

use tokio::time::Instant;

/// What a ping carries: as lubdub's own do, a nonce and a number.
pub(super) type Payload = [u8; 16];

/// The pings of a probe.
pub(super) struct Ledger {
    nonce: [u8; 8],
    timeout: Duration,
    pings: Vec<Ping>,
    /// Pings before this one are over, and are no more waited for.
    open: usize,
    /// Pongs that answer none of them.
    unasked: u32,
}

#[derive(Debug, Clone, Copy)]
struct Ping {
    sent: Instant,
    fate: Fate,
}

/// What became of a ping so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing came yet.
    Waiting,
    /// A pong with a payload of somebody's own came. It is the answer unless the right one comes.
    Distorted,
    /// Its pong came.
    Answered(Duration),
    /// The pong to a later ping stands for its own.
    Coalesced,
    /// Its pong came when it had been given up.
    Late(Duration),
    /// Nothing came in time.
    Lost,
}

/// What a pong was. Pings are numbered from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pong {
    /// The answer to a ping, and, in their place, to the ones before.
    Right {
        ping: usize,
        rtt: Duration,
        instead_of: Vec<usize>,
    },
    /// Another payload than that of any ping, after this one was sent, the oldest without a pong.
    Foreign { ping: usize, after: Duration },
    /// The answer to a ping that had been given up.
    Late { ping: usize, rtt: Duration },
    /// The answer to nothing.
    Unasked,
}

/// A ping that is waited for no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// No pong came.
    Silent(usize),
    /// None came but one with another payload.
    Distorted(usize),
}

/// The pings in numbers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) sent: u32,
    pub(super) right: u32,
    pub(super) wrong: u32,
    pub(super) coalesced: u32,
    /// Pongs that came when their pings had been given up.
    pub(super) late: u32,
    pub(super) lost: u32,
    pub(super) unasked: u32,
    /// The longest round trip of those that came late.
    pub(super) latest: Option<Duration>,
    /// Of all right pongs, however late.
    pub(super) rtt: Option<Rtt>,
}

/// Round trips in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rtt {
    pub(super) min: Duration,
    pub(super) avg: Duration,
    pub(super) max: Duration,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn new(nonce: [u8; 8], timeout: Duration) -> Self {
        Self {
            nonce,
            timeout,
            pings: Vec::new(),
            open: 0,
            unasked: 0,
        }
    }

    /// How many pings were sent.
    pub(super) fn sent(&self) -> u32 {
        u32::try_from(self.pings.len()).unwrap_or(u32::MAX)
    }

    /// The payload of the next ping.
    pub(super) fn next_payload(&self) -> Payload {
        let number = self.pings.len() as u64 + 1;
        let mut payload = [0; 16];
        payload[..8].copy_from_slice(&self.nonce);
        payload[8..].copy_from_slice(&number.to_be_bytes());
        payload
    }

    /// The next ping was sent.
    pub(super) fn handle_sent(&mut self, now: Instant) {
        self.pings.push(Ping {
            sent: now,
            fate: Fate::Waiting,
        });
    }

    /// A pong came.
    pub(super) fn handle_pong(&mut self, payload: &[u8], now: Instant) -> Pong {
        let Some(index) = self.index_of(payload) else {
            return self.on_stranger(now);
        };
        let (ping, rtt) = (index + 1, now - self.pings[index].sent);
        match self.pings[index].fate {
            Fate::Waiting | Fate::Distorted if index >= self.open => {
                self.set_right(index, Fate::Answered(rtt));
                Pong::Right {
                    ping,
                    rtt,
                    instead_of: self.coalesce_before(index),
                }
            }
            Fate::Lost | Fate::Distorted => {
                self.set_right(index, Fate::Late(rtt));
                Pong::Late { ping, rtt }
            }
            Fate::Waiting | Fate::Answered(_) | Fate::Coalesced | Fate::Late(_) => {
                self.unasked += 1;
                Pong::Unasked
            }
        }
    }

    /// Gives up the pings that have waited for too long, and says which.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<GivenUp> {
        let mut given_up = Vec::new();
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            given_up.push(self.give_up());
        }
        given_up
    }

    /// Gives up all pings that wait: nothing more can come.
    pub(super) fn handle_end(&mut self) {
        while self.open < self.pings.len() {
            self.give_up();
        }
    }

    /// Until when a pong is waited for; `None` if none is.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let oldest = self.pings.get(self.open)?;
        Some(oldest.sent + self.timeout)
    }

    /// Whether a pong that is still on its way would say more: the latest ping has none of its own,
    /// and what answers that one answers all.
    pub(super) fn may_be_late(&self) -> bool {
        let latest = self.pings.last();
        latest.is_some_and(|ping| matches!(ping.fate, Fate::Lost | Fate::Distorted))
    }

    pub(super) fn summary(&self) -> Summary {
        let mut summary = Summary {
            sent: self.sent(),
            unasked: self.unasked,
            ..Summary::default()
        };
        let mut rtts = Vec::new();
        for ping in &self.pings {
            let count = match ping.fate {
                Fate::Waiting => continue,
                Fate::Distorted => &mut summary.wrong,
                Fate::Answered(rtt) => {
                    rtts.push(rtt);
                    &mut summary.right
                }
                Fate::Coalesced => &mut summary.coalesced,
                Fate::Late(rtt) => {
                    rtts.push(rtt);
                    summary.latest = summary.latest.max(Some(rtt));
                    &mut summary.late
                }
                Fate::Lost => &mut summary.lost,
            };
            *count += 1;
        }
        summary.rtt = Rtt::of(&rtts);
        summary
    }

    /// A pong with a payload that was never sent.
    fn on_stranger(&mut self, now: Instant) -> Pong {
        let open = self.pings.iter_mut().enumerate().skip(self.open);
        let mut without_pong = open.filter(|(_, ping)| ping.fate == Fate::Waiting);
        let Some((index, oldest)) = without_pong.next() else {
            self.unasked += 1;
            return Pong::Unasked;
        };
        oldest.fate = Fate::Distorted;
        Pong::Foreign {
            ping: index + 1,
            after: now - oldest.sent,
        }
    }

    /// "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in response to
    /// previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the most
    /// recently processed Ping frame."
    fn coalesce_before(&mut self, index: usize) -> Vec<usize> {
        let earlier = self.open..index;
        for earlier in earlier.clone() {
            self.set_right(earlier, Fate::Coalesced);
        }
        self.open = index + 1;
        earlier.map(|earlier| earlier + 1).collect()
    }

    /// A right pong decides what becomes of a ping; a stranger that came for it was unsolicited.
    fn set_right(&mut self, index: usize, fate: Fate) {
        let ping = &mut self.pings[index];
        if ping.fate == Fate::Distorted {
            self.unasked += 1;
        }
        ping.fate = fate;
    }

    /// The oldest ping that is waited for has waited for long enough.
    fn give_up(&mut self) -> GivenUp {
        let oldest = &mut self.pings[self.open];
        self.open += 1;
        if oldest.fate == Fate::Distorted {
            GivenUp::Distorted(self.open)
        } else {
            oldest.fate = Fate::Lost;
            GivenUp::Silent(self.open)
        }
    }

    fn index_of(&self, payload: &[u8]) -> Option<usize> {
        let (nonce, number) = payload.split_at_checked(8)?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        (nonce == self.nonce && index < self.pings.len()).then_some(index)
    }
}

// === impl Rtt ===

impl Rtt {
    fn of(rtts: &[Duration]) -> Option<Self> {
        let total: Duration = rtts.iter().sum();
        Some(Self {
            min: *rtts.iter().min()?,
            avg: total / u32::try_from(rtts.len()).ok()?,
            max: *rtts.iter().max()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; 8] = *b"12345678";
    const SECOND: Duration = Duration::from_secs(1);

    /// A ledger with pings sent a second apart from `began` on, and their payloads.
    fn sent(count: u32, began: Instant) -> (Ledger, Vec<Payload>) {
        let mut ledger = Ledger::new(NONCE, 5 * SECOND);
        let payloads = (0..count)
            .map(|n| {
                let payload = ledger.next_payload();
                ledger.handle_sent(began + n * SECOND);
                payload
            })
            .collect();
        (ledger, payloads)
    }

    #[test]
    fn a_pong_answers_its_ping_and_stands_for_the_ones_before() {
        let began = Instant::now();
        let (mut ledger, payloads) = sent(3, began);
        let right = |ping, rtt, instead_of: &[usize]| Pong::Right {
            ping,
            rtt,
            instead_of: instead_of.to_vec(),
        };
        let at = began + 3 * SECOND;
        assert_eq!(
            ledger.handle_pong(&payloads[0], at),
            right(1, 3 * SECOND, &[])
        );
        assert_eq!(ledger.handle_pong(&payloads[2], at), right(3, SECOND, &[2]));
        assert_eq!(ledger.deadline(), None);
        // A second pong for the same ping, and one that was made superfluous.
        assert_eq!(ledger.handle_pong(&payloads[0], at), Pong::Unasked);
        assert_eq!(ledger.handle_pong(&payloads[1], at), Pong::Unasked);
        let summary = ledger.summary();
        assert_eq!(
            (summary.right, summary.coalesced, summary.unasked),
            (2, 1, 2)
        );
        let rtt = summary.rtt.unwrap();
        assert_eq!(
            (rtt.min, rtt.avg, rtt.max),
            (SECOND, 2 * SECOND, 3 * SECOND)
        );
    }

    #[test]
    fn an_unsolicited_pong_takes_nothing_from_the_right_one_that_follows() {
        let began = Instant::now();
        let (mut ledger, payloads) = sent(2, began);
        let at = began + 2 * SECOND;
        let foreign = |ping, after| Pong::Foreign { ping, after };
        assert_eq!(ledger.handle_pong(b"", at), foreign(1, 2 * SECOND));
        assert!(ledger.deadline().is_some(), "its own may still come");
        assert_eq!(
            ledger.handle_pong(&payloads[0], at),
            Pong::Right {
                ping: 1,
                rtt: 2 * SECOND,
                instead_of: Vec::new()
            }
        );
        // The same for a ping that is answered by the pong to a later one.
        let third = ledger.next_payload();
        ledger.handle_sent(at);
        assert_eq!(ledger.handle_pong(b"", at), foreign(2, SECOND));
        assert_eq!(
            ledger.handle_pong(&third, at),
            Pong::Right {
                ping: 3,
                rtt: Duration::ZERO,
                instead_of: vec![2]
            }
        );
        let summary = ledger.summary();
        assert_eq!(
            (summary.right, summary.coalesced, summary.wrong),
            (2, 1, 0),
            "{summary:?}"
        );
        assert_eq!(summary.unasked, 2);
        assert_eq!(summary.rtt.unwrap().max, 2 * SECOND);
    }

    #[test]
    fn a_strange_payload_is_an_answer_when_the_time_for_the_right_one_is_over() {
        let began = Instant::now();
        let (mut ledger, payloads) = sent(3, began);
        let at = began + 2 * SECOND;
        let foreign = |ping, after| Pong::Foreign { ping, after };
        assert_eq!(ledger.handle_pong(b"", at), foreign(1, 2 * SECOND));
        // Of the right shape, but of a ping that is still to come.
        let future = ledger.next_payload();
        assert_eq!(ledger.handle_pong(&future, at), foreign(2, SECOND));
        assert_eq!(
            ledger.handle_timeout(began + 7 * SECOND),
            [
                GivenUp::Distorted(1),
                GivenUp::Distorted(2),
                GivenUp::Silent(3)
            ]
        );
        assert_eq!(
            ledger.handle_pong(b"", began + 7 * SECOND),
            Pong::Unasked,
            "nothing waits any more"
        );
        assert_eq!((ledger.summary().wrong, ledger.summary().unasked), (2, 1));
        // And it was none if that one is only late.
        assert_eq!(
            ledger.handle_pong(&payloads[0], began + 8 * SECOND),
            Pong::Late {
                ping: 1,
                rtt: 8 * SECOND
            }
        );
        let summary = ledger.summary();
        assert_eq!((summary.wrong, summary.late, summary.unasked), (1, 1, 2));
    }

    #[test]
    fn what_comes_when_it_was_given_up_is_late_and_told_from_what_never_comes() {
        let began = Instant::now();
        let (mut ledger, payloads) = sent(3, began);
        let before = began + 5 * SECOND - Duration::from_nanos(1);
        assert!(ledger.handle_timeout(before).is_empty());
        let silent = [GivenUp::Silent(1), GivenUp::Silent(2)];
        assert_eq!(ledger.handle_timeout(began + 6 * SECOND), silent);
        let late = |ping, rtt| Pong::Late { ping, rtt };
        let at = began + 7 * SECOND;
        assert_eq!(ledger.handle_pong(&payloads[1], at), late(2, 6 * SECOND));
        assert_eq!(ledger.handle_pong(&payloads[1], at), Pong::Unasked);
        ledger.handle_end();
        assert!(ledger.may_be_late(), "the third may still come");
        assert_eq!(ledger.handle_pong(&payloads[2], at), late(3, 5 * SECOND));
        assert!(!ledger.may_be_late());
        let summary = ledger.summary();
        assert_eq!((summary.lost, summary.late), (1, 2));
        assert_eq!(summary.latest, Some(6 * SECOND));
        assert_eq!(summary.rtt.map(|rtt| rtt.min), Some(5 * SECOND));
        assert_eq!(ledger.deadline(), None);
    }
}
