//! Which pings were sent, and what became of each (RFC 6455 5.5.2 and 5.5.3). No I/O, no clock.

use std::time::Duration;

use tokio::time::Instant;

/// What a ping carries: as lubdub's own do, a nonce and a number.
pub(super) type Payload = [u8; 16];

/// The pings of a probe.
pub(super) struct Ledger {
    nonce: [u8; 8],
    timeout: Duration,
    pings: Vec<Ping>,
    /// Pings before this one have their fate.
    settled: usize,
    /// Pongs that answer none of them.
    unasked: u32,
    /// The round trip of the latest pong that came too late.
    late: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Ping {
    sent: Instant,
    fate: Fate,
}

/// What became of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waiting,
    /// Its pong came.
    Answered(Duration),
    /// A pong with a payload of somebody's own came for it.
    Distorted(Duration),
    /// The pong to a later ping stands for its own.
    Coalesced,
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
    /// Another payload than that of any ping; it came while this one was the oldest to be answered.
    Wrong { ping: usize, rtt: Duration },
    /// The answer to a ping that had been given up.
    Late { ping: usize, rtt: Duration },
    /// The answer to nothing.
    Unasked,
}

/// The pings in numbers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) sent: u32,
    pub(super) right: u32,
    pub(super) wrong: u32,
    pub(super) coalesced: u32,
    pub(super) lost: u32,
    pub(super) unasked: u32,
    /// The latest of the pongs that came too late.
    pub(super) late: Option<Duration>,
    /// Of pongs with whatever payload.
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
            settled: 0,
            unasked: 0,
            late: None,
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
        let ping = &mut self.pings[index];
        let rtt = now - ping.sent;
        match ping.fate {
            Fate::Waiting => {
                ping.fate = Fate::Answered(rtt);
                Pong::Right {
                    ping: index + 1,
                    rtt,
                    instead_of: self.settle_before(index),
                }
            }
            Fate::Lost => {
                self.late = self.late.max(Some(rtt));
                Pong::Late {
                    ping: index + 1,
                    rtt,
                }
            }
            Fate::Answered(_) | Fate::Distorted(_) | Fate::Coalesced => {
                self.unasked += 1;
                Pong::Unasked
            }
        }
    }

    /// Gives up the pings that have waited for too long, and says which.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<usize> {
        let mut lost = Vec::new();
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            self.pings[self.settled].fate = Fate::Lost;
            lost.push(self.settled + 1);
            self.skip_settled();
        }
        lost
    }

    /// Gives up all pings that wait: nothing more can come.
    pub(super) fn handle_end(&mut self) {
        for ping in &mut self.pings[self.settled..] {
            if ping.fate == Fate::Waiting {
                ping.fate = Fate::Lost;
            }
        }
        self.skip_settled();
    }

    /// Until when a pong is waited for; `None` if none is.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let oldest = self.pings.get(self.settled)?;
        Some(oldest.sent + self.timeout)
    }

    pub(super) fn summary(&self) -> Summary {
        let mut summary = Summary {
            sent: self.sent(),
            unasked: self.unasked,
            late: self.late,
            ..Summary::default()
        };
        let mut rtts = Vec::new();
        for ping in &self.pings {
            let count = match ping.fate {
                Fate::Waiting => continue,
                Fate::Answered(rtt) => {
                    rtts.push(rtt);
                    &mut summary.right
                }
                Fate::Distorted(rtt) => {
                    rtts.push(rtt);
                    &mut summary.wrong
                }
                Fate::Coalesced => &mut summary.coalesced,
                Fate::Lost => &mut summary.lost,
            };
            *count += 1;
        }
        summary.rtt = Rtt::of(&rtts);
        summary
    }

    /// A pong with a payload that was never sent.
    fn on_stranger(&mut self, now: Instant) -> Pong {
        let Some(oldest) = self.pings.get_mut(self.settled) else {
            self.unasked += 1;
            return Pong::Unasked;
        };
        let (ping, rtt) = (self.settled + 1, now - oldest.sent);
        oldest.fate = Fate::Distorted(rtt);
        self.skip_settled();
        Pong::Wrong { ping, rtt }
    }

    /// "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in response to
    /// previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the most
    /// recently processed Ping frame."
    fn settle_before(&mut self, index: usize) -> Vec<usize> {
        let mut coalesced = Vec::new();
        for (i, ping) in self
            .pings
            .iter_mut()
            .enumerate()
            .take(index)
            .skip(self.settled)
        {
            if ping.fate == Fate::Waiting {
                ping.fate = Fate::Coalesced;
                coalesced.push(i + 1);
            }
        }
        self.skip_settled();
        coalesced
    }

    fn skip_settled(&mut self) {
        while let Some(ping) = self.pings.get(self.settled)
            && ping.fate != Fate::Waiting
        {
            self.settled += 1;
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
    fn a_strange_payload_goes_to_the_oldest_ping_that_waits() {
        let began = Instant::now();
        let (mut ledger, payloads) = sent(2, began);
        let at = began + SECOND;
        assert_eq!(
            ledger.handle_pong(b"", at),
            Pong::Wrong {
                ping: 1,
                rtt: SECOND
            }
        );
        // Of the right shape, but of a ping that is still to come.
        let future = ledger.next_payload();
        assert_eq!(
            ledger.handle_pong(&future, at),
            Pong::Wrong {
                ping: 2,
                rtt: Duration::ZERO
            }
        );
        assert_eq!(ledger.handle_pong(b"", at), Pong::Unasked);
        assert_eq!(ledger.handle_pong(&payloads[0], at), Pong::Unasked);
        assert_eq!(ledger.summary().wrong, 2);
    }

    #[test]
    fn what_is_given_up_is_lost_even_if_it_comes_late() {
        let began = Instant::now();
        let (mut ledger, payloads) = sent(3, began);
        let before = began + 5 * SECOND - Duration::from_nanos(1);
        assert!(ledger.handle_timeout(before).is_empty());
        assert_eq!(ledger.handle_timeout(began + 6 * SECOND), [1, 2]);
        assert_eq!(
            ledger.handle_pong(&payloads[1], began + 7 * SECOND),
            Pong::Late {
                ping: 2,
                rtt: 6 * SECOND
            }
        );
        ledger.handle_end();
        let summary = ledger.summary();
        assert_eq!((summary.lost, summary.late), (3, Some(6 * SECOND)));
        assert_eq!(summary.rtt, None);
        assert_eq!(ledger.deadline(), None);
    }
}
