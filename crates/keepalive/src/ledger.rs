//! Pings that went to one side and what their pongs mean: own pings by sequence number, foreign
//! pings by payload, in the order in which they stand in the stream.
//!
//! RFC 6455 5.5.3: "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in
//! response to previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the
//! most recently processed Ping frame." So a pong speaks for every ping that stands before the one
//! whose payload it carries, whoever sent it (docs/adr/0004).

use std::time::Duration;

use crate::payload::PingPayload;

/// The pings of one side that are still of interest.
#[derive(Debug)]
pub(crate) struct Ledger {
    nonce: [u8; 8],
    /// The sequence number of the next own ping to be written; all below were used.
    next: u64,
    /// Own pings `oldest..next` are unanswered; at most [`Ledger::UNANSWERED`] of them.
    oldest: u64,
    /// When own ping `n` was written, at `n % UNANSWERED`, in nanoseconds of the pair's life.
    written: [u64; Self::UNANSWERED],
    /// The ping that stands in the stream but whose last byte the socket has not taken yet.
    placed: Placed,
    /// The latest foreign ping of each gap between own pings, in stream order.
    foreign: Vec<ForeignPing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placed {
    No,
    Unanswered,
    /// Its pong came before lubdub knew that it was written (TLS reports a flush late).
    Answered,
}

#[derive(Debug)]
struct ForeignPing {
    /// How many own pings stand before it in the stream.
    after: u64,
    payload: Vec<u8>,
}

/// What [`Ledger::written`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The side owes a pong now.
    Unanswered,
    /// The pong is here already.
    Answered,
}

/// Whose pong it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// To an own ping; `rtt` only the first time.
    Own {
        rtt: Option<Duration>,
        repair: Option<Vec<u8>>,
    },
    /// To a foreign ping, or to nobody's.
    Foreign,
}

impl Ledger {
    /// At most so many own pings of a side are unanswered.
    pub(crate) const UNANSWERED: usize = 16;

    pub(crate) fn new(nonce: [u8; 8]) -> Self {
        Self {
            nonce,
            next: 0,
            oldest: 0,
            written: [0; Self::UNANSWERED],
            placed: Placed::No,
            foreign: Vec::new(),
        }
    }

    /// The sequence number that the next own ping to be written will have: how many were written.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Whether as many own pings are unanswered as may be, none of them older than `mark`.
    pub(crate) fn is_full(&self, mark: u64) -> bool {
        self.next - self.oldest.max(mark) >= Self::UNANSWERED as u64
    }

    /// The payload of the next own ping.
    pub(crate) fn payload(&self) -> PingPayload {
        PingPayload::new(self.nonce, self.next)
    }

    /// The next own ping took its place in the stream.
    pub(crate) fn place(&mut self) {
        self.placed = Placed::Unanswered;
    }

    /// The last byte of the placed ping was taken by the socket, `at` into the pair's life.
    pub(crate) fn written(&mut self, at: Duration) -> Written {
        let placed = std::mem::replace(&mut self.placed, Placed::No);
        self.written[Self::slot(self.next)] = nanos(at);
        self.next += 1;
        if placed == Placed::Answered {
            self.oldest = self.next;
            return Written::Answered;
        }
        // An older one that a later sign of life has made uninteresting gives up its slot:
        // its pong would still be known as ours, only without a round trip.
        let first = self.next.saturating_sub(Self::UNANSWERED as u64);
        self.oldest = self.oldest.max(first);
        Written::Unanswered
    }

    /// A foreign ping took its place in the stream.
    pub(crate) fn foreign_ping(&mut self, payload: &[u8]) {
        let after = self.next + u64::from(self.placed != Placed::No);
        if let Some(last) = self.foreign.last_mut().filter(|last| last.after == after) {
            last.payload.clear();
            last.payload.extend_from_slice(payload);
            return;
        }
        // One gap more than there are unanswered own pings, so the oldest is of no use any more.
        if self.foreign.len() > Self::UNANSWERED {
            self.foreign.remove(0);
        }
        self.foreign.push(ForeignPing {
            after,
            payload: payload.to_vec(),
        });
    }

    /// A PONG with this payload came `at` into the pair's life.
    pub(crate) fn pong(&mut self, payload: &[u8], at: Duration) -> Answer {
        if let Some(sequence) = PingPayload::sequence(self.nonce, payload) {
            if sequence < self.next {
                return self.own_pong(sequence, at);
            }
            if sequence == self.next && self.placed != Placed::No {
                self.placed = Placed::Answered;
                let repair = self.settle_foreign_up_to(sequence);
                return Answer::Own { rtt: None, repair };
            }
        }
        self.foreign_pong(payload);
        Answer::Foreign
    }

    fn own_pong(&mut self, sequence: u64, at: Duration) -> Answer {
        let rtt = (sequence >= self.oldest).then(|| {
            let written = self.written[Self::slot(sequence)];
            Duration::from_nanos(nanos(at).saturating_sub(written))
        });
        self.oldest = self.oldest.max(sequence + 1);
        let repair = self.settle_foreign_up_to(sequence);
        Answer::Own { rtt, repair }
    }

    /// Forgets the foreign pings that stand before own ping `sequence`; the most recent of them is
    /// the one whose pong the endpoint may have left out.
    fn settle_foreign_up_to(&mut self, sequence: u64) -> Option<Vec<u8>> {
        let before = self.foreign.partition_point(|ping| ping.after <= sequence);
        let repair = self.foreign.drain(..before).next_back()?.payload;
        self.release();
        Some(repair)
    }

    /// A pong that passes: of several foreign pings with its payload it answers the oldest, so
    /// that too little is taken as answered rather than too much.
    fn foreign_pong(&mut self, payload: &[u8]) {
        let Some(index) = self.foreign.iter().position(|ping| ping.payload == payload) else {
            return;
        };
        // A ping that is placed but not written stands before it too; it is not in `oldest..next`.
        let after = self.foreign[index].after;
        if after > self.next && self.placed == Placed::Unanswered {
            self.placed = Placed::Answered;
        }
        self.oldest = self.oldest.max(after.min(self.next));
        self.foreign.drain(..=index);
        self.release();
    }

    /// No foreign ping outstanding, no heap.
    fn release(&mut self) {
        if self.foreign.is_empty() {
            self.foreign = Vec::new();
        }
    }

    fn slot(sequence: u64) -> usize {
        (sequence % Self::UNANSWERED as u64) as usize
    }
}

fn nanos(duration: Duration) -> u64 {
    // 584 years of a pair's life.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn ours(answer: Answer) -> (Option<Duration>, Option<Vec<u8>>) {
        match answer {
            Answer::Own { rtt, repair } => (rtt, repair),
            Answer::Foreign => panic!("taken for a foreign pong"),
        }
    }

    /// A side that has been sent the named pings in this order; own ping `n` was written at `n` ms.
    fn sent(pings: &[&str]) -> (Ledger, Vec<PingPayload>) {
        let mut ledger = Ledger::new([9; 8]);
        let mut own = Vec::new();
        for &ping in pings {
            if ping == "own" {
                own.push(ledger.payload());
                ledger.place();
                let at = MS * u32::try_from(ledger.next()).unwrap();
                assert_eq!(ledger.written(at), Written::Unanswered);
            } else {
                ledger.foreign_ping(ping.as_bytes());
            }
        }
        (ledger, own)
    }

    #[test]
    fn a_pong_is_matched_once_and_swallowed_ever_after() {
        let (mut ledger, own) = sent(&["own", "own"]);
        assert_eq!(
            ours(ledger.pong(own[0].as_bytes(), 5 * MS)),
            (Some(5 * MS), None)
        );
        assert_eq!(ours(ledger.pong(own[0].as_bytes(), 6 * MS)), (None, None));
        assert_eq!(
            ours(ledger.pong(own[1].as_bytes(), 7 * MS)),
            (Some(6 * MS), None)
        );
    }

    #[test]
    fn an_unused_sequence_number_is_nobodys() {
        let (mut ledger, _) = sent(&["own"]);
        let unused = ledger.payload();
        assert_eq!(ledger.pong(unused.as_bytes(), MS), Answer::Foreign);
        assert_eq!(ledger.pong(b"", MS), Answer::Foreign);
    }

    #[test]
    fn a_later_own_pong_answers_older_own_pings() {
        let (mut ledger, own) = sent(&["own", "own", "own"]);
        assert_eq!(
            ours(ledger.pong(own[2].as_bytes(), 9 * MS)),
            (Some(7 * MS), None)
        );
        assert_eq!(ours(ledger.pong(own[0].as_bytes(), 9 * MS)), (None, None));
    }

    #[test]
    fn an_own_pong_that_may_stand_for_a_foreign_one_is_repaired() {
        let (mut ledger, own) = sent(&["e1", "own", "e2", "e3", "own", "e4"]);
        let (_, repair) = ours(ledger.pong(own[1].as_bytes(), 9 * MS));
        // e3 is the most recent before own[1]; e4 stands behind it and is still to be answered.
        assert_eq!(repair.as_deref(), Some(&b"e3"[..]));
        assert_eq!(ledger.pong(b"e4", 9 * MS), Answer::Foreign);
        assert_eq!(ledger.foreign.capacity(), 0, "no foreign ping, no heap");
    }

    #[test]
    fn an_endpoint_that_answers_everything_is_never_repaired() {
        let (mut ledger, own) = sent(&["e1", "own", "e2", "own"]);
        assert_eq!(ledger.pong(b"e1", 4 * MS), Answer::Foreign);
        assert_eq!(
            ours(ledger.pong(own[0].as_bytes(), 5 * MS)),
            (Some(5 * MS), None)
        );
        assert_eq!(ledger.pong(b"e2", 6 * MS), Answer::Foreign);
        assert_eq!(
            ours(ledger.pong(own[1].as_bytes(), 7 * MS)),
            (Some(6 * MS), None)
        );
    }

    #[test]
    fn equal_foreign_payloads_are_answered_oldest_first() {
        let (mut ledger, own) = sent(&["", "own", ""]);
        assert_eq!(ledger.pong(b"", 4 * MS), Answer::Foreign);
        // Had the pong been taken for the second one, the round trip would be lost.
        assert_eq!(
            ours(ledger.pong(own[0].as_bytes(), 5 * MS)),
            (Some(5 * MS), None)
        );
    }

    #[test]
    fn a_pong_to_a_later_foreign_ping_answers_older_own_pings() {
        let (mut ledger, own) = sent(&["own", "e1"]);
        assert_eq!(ledger.pong(b"e1", 4 * MS), Answer::Foreign);
        assert_eq!(ours(ledger.pong(own[0].as_bytes(), 5 * MS)), (None, None));
    }

    #[test]
    fn a_pong_may_come_before_its_ping_is_known_to_be_written() {
        let (mut ledger, _) = sent(&["e1"]);
        let own = ledger.payload();
        ledger.place();
        ledger.foreign_ping(b"e2");
        let (rtt, repair) = ours(ledger.pong(own.as_bytes(), MS));
        assert_eq!((rtt, repair.as_deref()), (None, Some(&b"e1"[..])));
        assert_eq!(ledger.written(2 * MS), Written::Answered);
        assert_eq!(ours(ledger.pong(own.as_bytes(), 3 * MS)), (None, None));
    }

    #[test]
    fn a_foreign_pong_speaks_for_a_ping_that_is_placed_but_not_known_to_be_written() {
        let (mut ledger, _) = sent(&[]);
        ledger.place();
        ledger.foreign_ping(b"e1");
        assert_eq!(ledger.pong(b"e1", MS), Answer::Foreign);
        assert_eq!(ledger.written(2 * MS), Written::Answered);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut ledger = Ledger::new([9; 8]);
        for n in 0..1000_u32 {
            for e in 0..10_u32 {
                ledger.foreign_ping(&(10 * n + e).to_be_bytes());
            }
            ledger.place();
            ledger.written(n * MS);
        }
        assert_eq!(ledger.foreign.len(), Ledger::UNANSWERED + 1);
        assert_eq!(ledger.next - ledger.oldest, Ledger::UNANSWERED as u64);
        let latest_of_its_gap = 9999_u32.to_be_bytes();
        assert_eq!(
            ledger.foreign.last().map(|ping| &ping.payload[..]),
            Some(&latest_of_its_gap[..])
        );
    }
}
