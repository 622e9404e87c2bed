//! Pings that went to one side and what their pongs mean: own pings by sequence number, foreign
//! pings by payload, in the order in which they stand in the stream.
//!
//! RFC 6455 5.5.3: "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in
//! response to previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the
//! most recently processed Ping frame." So a pong speaks for every ping that stands before the one
//! whose payload it carries, whoever sent it (docs/adr/0004).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::foreign::{ForeignPings, PingRow};
use crate::heartbeat::InvalidState;
use crate::moment::Moment;
use crate::payload::{Nonce, PingPayload};
use crate::stamps::Stamps;

/// The pings of one side that are still of interest.
#[derive(Debug)]
pub(crate) struct Ledger {
    nonce: Nonce,
    /// The sequence number of the next own ping to be written; all below were used.
    next: u64,
    written: Stamps,
    foreign: ForeignPings,
    /// So many own pings before the next one are unanswered; at most [`Ledger::UNANSWERED`].
    unanswered: u8,
    /// The ping that stands in the stream but whose last byte the socket has not taken yet.
    placed: Placed,
}

/// A [`Ledger`] as plain data, which goes along to another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LedgerState {
    nonce: Nonce,
    pub(crate) next: u64,
    oldest: u64,
    written: Stamps,
    placed: Placed,
    foreign: ForeignPings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Placed {
    No,
    Unanswered,
    /// A pong came since, perhaps for it: that it was written may be known late (a flush of TLS
    /// waits for all that stands behind), and there are peers that answer with another payload.
    Doubtful,
    /// Its pong came.
    Answered,
}

/// What [`Ledger::written`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The side owes a pong now.
    Unanswered,
    /// The pong is, or may be, here already.
    Excused,
}

/// Whose pong it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// To an own ping.
    Own {
        reply: Reply,
        repair: Option<Vec<u8>>,
    },
    /// To a foreign ping, or to nobody's.
    Foreign,
}

/// What the pong to an own ping tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The round trip.
    Timed(Duration),
    /// Nothing of the time: it came before its ping was known to be written, or very long after.
    Untimed,
    /// Nothing: its ping had been answered, or given up, before.
    Late,
}

impl Ledger {
    /// At most so many own pings of a side are unanswered.
    pub(crate) const UNANSWERED: usize = Stamps::COUNT;

    /// Bound of [`Ledger::heap_size`].
    pub(crate) const HEAP_MAX: usize = ForeignPings::HEAP_MAX + Stamps::HEAP_MAX;

    pub(crate) fn new(nonce: Nonce) -> Self {
        Self {
            nonce,
            next: 0,
            written: Stamps::default(),
            foreign: ForeignPings::default(),
            unanswered: 0,
            placed: Placed::No,
        }
    }

    pub(crate) fn freeze(&self) -> LedgerState {
        LedgerState {
            nonce: self.nonce,
            next: self.next,
            oldest: self.oldest(),
            written: self.written.clone(),
            placed: self.placed,
            foreign: self.foreign.clone(),
        }
    }

    /// Goes on from a state that was [checked](LedgerState::check).
    pub(crate) fn thaw(state: LedgerState) -> Self {
        let mut ledger = Self {
            nonce: state.nonce,
            next: state.next,
            written: state.written,
            foreign: state.foreign,
            unanswered: 0,
            placed: state.placed,
        };
        ledger.set_oldest(state.oldest);
        ledger
    }

    /// The sequence number that the next own ping to be written will have: how many were written.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The oldest own ping that is unanswered; [`Ledger::next`] if none is.
    pub(crate) fn oldest(&self) -> u64 {
        self.next - u64::from(self.unanswered)
    }

    /// No more than [`Ledger::UNANSWERED`] are remembered, whatever is said.
    fn set_oldest(&mut self, oldest: u64) {
        let unanswered = self
            .next
            .saturating_sub(oldest)
            .min(Self::UNANSWERED as u64);
        self.unanswered = u8::try_from(unanswered).unwrap_or(u8::MAX);
    }

    /// Bytes on the heap: what is kept of outstanding foreign pings, and of own ones but for the latest.
    pub(crate) fn heap_size(&self) -> usize {
        self.foreign.heap_size() + self.written.heap_size()
    }

    /// Whether as many own pings are unanswered as may be, none of them older than `mark`.
    pub(crate) fn is_full(&self, mark: u64) -> bool {
        self.next - self.oldest().max(mark) >= Self::UNANSWERED as u64
    }

    /// The payload of the next own ping.
    pub(crate) fn payload(&self) -> PingPayload {
        PingPayload::new(self.nonce, self.next)
    }

    /// The next own ping took its place in the stream.
    pub(crate) fn place(&mut self) {
        self.placed = Placed::Unanswered;
    }

    /// The last byte of the placed ping was taken by the socket.
    pub(crate) fn written(&mut self, now: Moment) -> Written {
        let placed = std::mem::replace(&mut self.placed, Placed::No);
        let oldest = self.oldest();
        self.written.push(self.next, oldest, now);
        self.next += 1;
        // An older one that a later sign of life has made uninteresting gives up its slot:
        // its pong would still be known as ours, only without a round trip.
        self.set_oldest(oldest);
        if placed == Placed::Answered {
            self.settle_before(self.next);
        }
        match placed {
            Placed::No | Placed::Unanswered => Written::Unanswered,
            Placed::Doubtful | Placed::Answered => Written::Excused,
        }
    }

    /// Foreign pings took their places in the stream; the last has this payload.
    pub(crate) fn foreign_pings(&mut self, payload: &[u8], row: PingRow) {
        let after = self.next + u64::from(self.placed != Placed::No);
        self.foreign.placed(after, payload, row);
    }

    /// Whether a pong whose payload is not an own ping's may answer anything: a foreign ping, or one of lubdub's that
    /// is not known to be written.
    pub(crate) fn awaits_pong(&self) -> bool {
        self.placed != Placed::No || !self.foreign.is_empty()
    }

    /// A PONG with this payload came.
    pub(crate) fn pong(&mut self, payload: &[u8], now: Moment) -> Answer {
        if self.placed == Placed::Unanswered {
            self.placed = Placed::Doubtful;
        }
        if let Some(sequence) = PingPayload::sequence(self.nonce, payload) {
            if sequence < self.next {
                return self.own_pong(sequence, now);
            }
            if sequence == self.next && self.placed != Placed::No {
                let reply = match std::mem::replace(&mut self.placed, Placed::Answered) {
                    Placed::Unanswered | Placed::Doubtful => Reply::Untimed,
                    Placed::No | Placed::Answered => Reply::Late,
                };
                let repair = self.foreign.settle_before(sequence);
                return Answer::Own { reply, repair };
            }
        }
        self.foreign_pong(payload);
        Answer::Foreign
    }

    fn own_pong(&mut self, sequence: u64, now: Moment) -> Answer {
        let reply = if sequence >= self.oldest() {
            (self.written.age(sequence, self.next, now)).map_or(Reply::Untimed, Reply::Timed)
        } else {
            Reply::Late
        };
        self.settle_before(sequence + 1);
        let repair = self.foreign.settle_before(sequence);
        Answer::Own { reply, repair }
    }

    fn foreign_pong(&mut self, payload: &[u8]) {
        let Some(after) = self.foreign.answered(payload) else {
            return;
        };
        // A ping that is placed but not written stands before it too; it is not in `oldest..next`.
        if after > self.next {
            self.placed = Placed::Answered;
        }
        self.settle_before(after.min(self.next));
    }

    /// Own pings below `sequence` are answered.
    fn settle_before(&mut self, sequence: u64) {
        self.set_oldest(self.oldest().max(sequence));
        self.written.settle(self.oldest(), self.next);
    }
}

impl LedgerState {
    /// More pings than a pair can have been sent.
    const SENT_MAX: u64 = 1 << 62;

    /// Whether it can be of a ledger that was kept of a side.
    pub(crate) fn check(&self) -> Result<(), InvalidState> {
        let unanswered = self.next.checked_sub(self.oldest);
        if self.next > Self::SENT_MAX || unanswered.is_none_or(|n| n > Ledger::UNANSWERED as u64) {
            return Err(InvalidState("own pings that cannot have been sent"));
        }
        self.foreign.check(self.next + 1)
    }
}

impl Reply {
    pub(crate) fn rtt(self) -> Option<Duration> {
        match self {
            Self::Timed(rtt) => Some(rtt),
            Self::Untimed | Self::Late => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(millis: u64) -> Moment {
        Moment::OPENED + ms(millis)
    }

    fn ours(answer: Answer) -> (Option<Duration>, Option<Vec<u8>>) {
        match answer {
            Answer::Own { reply, repair } => (reply.rtt(), repair),
            Answer::Foreign => panic!("taken for a foreign pong"),
        }
    }

    /// A side that has been sent the named pings in this order; own ping `n` was written at `n` ms.
    fn sent(pings: &[&str]) -> (Ledger, Vec<PingPayload>) {
        let mut ledger = Ledger::new(Nonce::new([9; 8]));
        let mut own = Vec::new();
        for &ping in pings {
            if ping == "own" {
                own.push(ledger.payload());
                ledger.place();
                assert_eq!(ledger.written(at(ledger.next())), Written::Unanswered);
            } else {
                ledger.foreign_pings(ping.as_bytes(), PingRow::ONE);
            }
        }
        (ledger, own)
    }

    #[test]
    fn a_pong_is_matched_once_and_swallowed_ever_after() {
        let (mut ledger, own) = sent(&["own", "own"]);
        assert_eq!(
            ours(ledger.pong(own[0].as_bytes(), at(5))),
            (Some(ms(5)), None)
        );
        assert_eq!(ours(ledger.pong(own[0].as_bytes(), at(6))), (None, None));
        assert_eq!(
            ours(ledger.pong(own[1].as_bytes(), at(7))),
            (Some(ms(6)), None)
        );
    }

    #[test]
    fn an_unused_sequence_number_is_nobodys() {
        let (mut ledger, _) = sent(&["own"]);
        let unused = ledger.payload();
        assert_eq!(ledger.pong(unused.as_bytes(), at(1)), Answer::Foreign);
        assert_eq!(ledger.pong(b"", at(1)), Answer::Foreign);
    }

    #[test]
    fn a_later_own_pong_answers_older_own_pings() {
        let (mut ledger, own) = sent(&["own", "own", "own"]);
        assert_eq!(
            ours(ledger.pong(own[2].as_bytes(), at(9))),
            (Some(ms(7)), None)
        );
        assert_eq!(ours(ledger.pong(own[0].as_bytes(), at(9))), (None, None));
    }

    #[test]
    fn an_own_pong_that_may_stand_for_a_foreign_one_is_repaired() {
        let (mut ledger, own) = sent(&["e1", "own", "e2", "e3", "own", "e4"]);
        let (_, repair) = ours(ledger.pong(own[1].as_bytes(), at(9)));
        // e3 is the most recent before own[1]; e4 stands behind it and is still to be answered.
        assert_eq!(repair.as_deref(), Some(&b"e3"[..]));
        assert_eq!(ledger.pong(b"e4", at(9)), Answer::Foreign);
        assert_eq!(ledger.heap_size(), 0, "no foreign ping, no heap");
    }

    #[test]
    fn an_endpoint_that_answers_everything_is_never_repaired() {
        let (mut ledger, own) = sent(&["e1", "own", "e2", "own"]);
        assert_eq!(ledger.pong(b"e1", at(4)), Answer::Foreign);
        assert_eq!(
            ours(ledger.pong(own[0].as_bytes(), at(5))),
            (Some(ms(5)), None)
        );
        assert_eq!(ledger.pong(b"e2", at(6)), Answer::Foreign);
        assert_eq!(
            ours(ledger.pong(own[1].as_bytes(), at(7))),
            (Some(ms(6)), None)
        );
    }

    #[test]
    fn equal_foreign_payloads_are_answered_oldest_first() {
        let (mut ledger, own) = sent(&["", "own", ""]);
        assert_eq!(ledger.pong(b"", at(4)), Answer::Foreign);
        // Had the pong been taken for the second one, the round trip would be lost.
        assert_eq!(
            ours(ledger.pong(own[0].as_bytes(), at(5))),
            (Some(ms(5)), None)
        );
    }

    #[test]
    fn a_pong_to_a_later_foreign_ping_answers_older_own_pings() {
        let (mut ledger, own) = sent(&["own", "e1"]);
        assert_eq!(ledger.pong(b"e1", at(4)), Answer::Foreign);
        assert_eq!(ours(ledger.pong(own[0].as_bytes(), at(5))), (None, None));
    }

    #[test]
    fn a_pong_may_come_before_its_ping_is_known_to_be_written() {
        let (mut ledger, _) = sent(&["e1"]);
        let own = ledger.payload();
        ledger.place();
        ledger.foreign_pings(b"e2", PingRow::ONE);
        let (rtt, repair) = ours(ledger.pong(own.as_bytes(), at(1)));
        assert_eq!((rtt, repair.as_deref()), (None, Some(&b"e1"[..])));
        assert_eq!(ledger.written(at(2)), Written::Excused);
        assert_eq!(ours(ledger.pong(own.as_bytes(), at(3))), (None, None));
    }

    #[test]
    fn a_foreign_pong_speaks_for_a_ping_that_is_placed_but_not_known_to_be_written() {
        let (mut ledger, _) = sent(&[]);
        ledger.place();
        ledger.foreign_pings(b"e1", PingRow::ONE);
        assert_eq!(ledger.pong(b"e1", at(1)), Answer::Foreign);
        assert_eq!(ledger.written(at(2)), Written::Excused);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut ledger = Ledger::new(Nonce::new([9; 8]));
        for n in 0..1000_u64 {
            for e in 0..10 {
                ledger.foreign_pings(&(10 * n + e).to_be_bytes(), PingRow::ONE);
            }
            ledger.place();
            ledger.written(at(n));
        }
        assert_eq!(usize::from(ledger.unanswered), Ledger::UNANSWERED);
        assert!(ledger.heap_size() <= Ledger::HEAP_MAX);
    }

    // Far ends ping with an empty payload more often than not. This one's second ping was sent
    // before its first was answered, and its pong was coalesced into that of an own ping.
    #[test]
    fn one_pong_does_not_answer_two_equal_foreign_pings() {
        let (mut ledger, own) = sent(&["", "", "own"]);
        assert_eq!(ledger.pong(b"", at(4)), Answer::Foreign);
        let (_, repair) = ours(ledger.pong(own[0].as_bytes(), at(5)));
        assert_eq!(repair.as_deref(), Some(&b""[..]));

        let (mut ledger, own) = sent(&["", "", "own"]);
        assert_eq!(ledger.pong(b"", at(4)), Answer::Foreign);
        assert_eq!(ledger.pong(b"", at(4)), Answer::Foreign);
        let (_, repair) = ours(ledger.pong(own[0].as_bytes(), at(5)));
        assert_eq!(repair, None, "both were answered");
    }

    // Over TLS a flush may be reported after the pong was read. Such a pong is not a duplicate.
    #[test]
    fn a_pong_before_its_flush_is_a_first_one() {
        let (mut ledger, _) = sent(&[]);
        let own = ledger.payload();
        ledger.place();
        let mut pong = || match ledger.pong(own.as_bytes(), at(1)) {
            Answer::Own { reply, .. } => reply,
            Answer::Foreign => panic!("taken for a foreign pong"),
        };
        assert_eq!(pong(), Reply::Untimed);
        assert_eq!(pong(), Reply::Late);
    }

    #[test]
    fn neither_payloads_nor_the_nonce_can_be_logged() {
        let (ledger, _) = sent(&["secret"]);
        let shown = format!("{ledger:?}");
        let bytes = |bytes: &[u8]| format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
        for hidden in ["secret".to_owned(), bytes(b"secret"), bytes(&[9; 8])] {
            assert!(!shown.contains(&hidden), "{shown}");
        }
    }

    // A peer that answers every ping with an empty pong, over TLS with a backlog: the pong was read
    // long before the flush of its ping was reported, and no other was to come.
    #[test]
    fn a_pong_of_another_payload_excuses_a_ping_whose_flush_is_not_reported_yet() {
        let (mut ledger, _) = sent(&[]);
        let own = ledger.payload();
        ledger.place();
        assert_eq!(ledger.pong(b"", at(1)), Answer::Foreign);
        assert_eq!(ledger.written(at(2)), Written::Excused);
        // Should the real one come after all, it is as good as ever.
        assert_eq!(
            ours(ledger.pong(own.as_bytes(), at(5))),
            (Some(ms(3)), None)
        );
    }
}
