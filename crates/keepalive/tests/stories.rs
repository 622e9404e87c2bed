//! What went wrong once, call by call: one test for each story.

use std::time::{Duration, Instant};

use lubdub_keepalive::{
    Enforce, Entropy, Evidence, Heartbeat, Jitter, Output, PerSide, Policy, PongVerdict, Reading,
    Side,
};

const CLIENT: Side = Side::Client;
const UPSTREAM: Side = Side::Upstream;

/// A driver in its simplest form: pings are written when they are due.
struct Driver {
    heart: Heartbeat,
    opened: Instant,
    outputs: Vec<Output>,
}

impl Driver {
    #[expect(clippy::disallowed_methods, reason = "the origin of virtual time")]
    fn new(client: Policy, upstream: Policy) -> Self {
        let opened = Instant::now();
        let entropy = Entropy::from_bytes([7; Entropy::LEN]);
        Self {
            heart: Heartbeat::new(PerSide { client, upstream }, entropy, opened),
            opened,
            outputs: Vec::new(),
        }
    }

    fn at(&self, at: Duration) -> Instant {
        self.opened + at
    }

    /// The end of a wake-up.
    fn wake(&mut self, at: Duration) {
        let now = self.at(at);
        self.heart.handle_timeout(now);
        while let Some(output) = self.heart.poll_output(now) {
            if let Output::SendPing { side } = output {
                self.heart.handle_ping_placed(side);
                self.heart.handle_ping_written(side, now);
            }
            self.outputs.push(output);
        }
    }

    /// Wakes up whenever it is asked to, up to and including `until`.
    fn run(&mut self, until: Duration) {
        while let Some(at) = self.next_wake().filter(|at| *at <= until) {
            self.wake(at);
        }
    }

    fn next_wake(&self) -> Option<Duration> {
        Some(self.heart.poll_timeout()?.duration_since(self.opened))
    }

    fn heard(&mut self, side: Side, at: Duration) {
        self.heart.handle_heard(side, 1, self.at(at));
    }

    fn lapsed(&self) -> Option<Side> {
        match self.outputs.last() {
            Some(Output::Lapsed { side, .. }) => Some(*side),
            _ => None,
        }
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn every(interval: u64, timeout: u64) -> Policy {
    Policy::try_new(Some(secs(interval)), secs(timeout), Jitter::NONE).expect("a policy")
}

fn off() -> Policy {
    Policy::try_new(None, secs(5), Jitter::NONE).expect("a policy")
}

// The client left 16 pings unanswered and so was owed a 17th for minutes. When it spoke at last,
// the ping was found due "minutes ago", that was taken for a stall of lubdub, and the deadline of
// the other side, which was truly silent, started anew.
#[test]
fn a_ping_that_was_held_back_is_not_a_stall() {
    let mut driver = Driver::new(every(1, 1000), every(200, 150));
    driver.run(secs(220));
    // The upstream's ping was written between 100 and 200 s.
    let deadline = driver.next_wake().expect("a deadline");
    assert!(deadline > secs(230));
    driver.heard(CLIENT, secs(230));
    driver.wake(secs(230));
    driver.run(deadline);
    assert_eq!(driver.lapsed(), Some(UPSTREAM));
}

// The same ping was reported as minutes late, as if the socket had not taken it.
#[test]
fn a_ping_that_was_held_back_is_due_from_its_release() {
    let mut driver = Driver::new(every(1, 300), off());
    driver.run(secs(100));
    let now = driver.at(secs(100));
    driver.heard(CLIENT, secs(100));
    driver.heart.handle_timeout(now);
    assert!(driver.heart.poll_output(now).is_some());
    driver.heart.handle_ping_placed(CLIENT);
    assert_eq!(
        driver.heart.handle_ping_written(CLIENT, now),
        Duration::ZERO
    );
}

// Both sides were past their deadlines at one wake-up. The machine named one; the driver asked the
// kernel about that one, which had spoken; the other lapsed unasked.
#[test]
fn each_overdue_side_can_be_asked_about() {
    let mut driver = Driver::new(every(10, 20), every(10, 20));
    for side in Side::BOTH {
        let now = driver.at(secs(10));
        driver.heart.handle_timeout(now);
        driver.heart.handle_ping_placed(side);
        driver.heart.handle_ping_written(side, now);
    }
    let now = driver.at(secs(30));
    driver.run(secs(29));
    assert!(
        Side::BOTH
            .into_iter()
            .all(|side| driver.heart.lapse_due(side, now))
    );
    driver.heard(CLIENT, secs(30));
    driver.heard(UPSTREAM, secs(30));
    driver.wake(secs(30));
    assert_eq!(driver.lapsed(), None);
}

// A lapse that would only be observed was reported without the kernel having been asked, so the
// observer was told of more lapses than there would have been.
#[test]
fn a_side_that_is_only_observed_is_asked_about_too() {
    let mut observed = every(10, 5);
    observed.enforce = Enforce::Never;
    let mut driver = Driver::new(observed, off());
    driver.run(secs(10));
    let deadline = driver.next_wake().expect("a deadline");
    let now = driver.at(deadline);
    assert!(driver.heart.lapse_due(CLIENT, now));
    driver.heard(CLIENT, deadline);
    assert!(!driver.heart.lapse_due(CLIENT, now));
}

// A stall was noticed at every call of one wake-up. A ping written in that wake-up was rearmed on
// the spot, and had no second chance at the next stall.
#[test]
fn one_stall_does_not_use_up_the_second_chance_of_a_ping_written_after_it() {
    let mut driver = Driver::new(every(10, 5), every(100, 5));
    driver.heart.handle_timeout(driver.at(secs(10)));
    assert!(driver.heart.poll_output(driver.at(secs(10))).is_some());
    // The client's ping waits for its place; then lubdub stalls, and misses the upstream's.
    let now = driver.at(secs(200));
    driver.heart.handle_ping_placed(CLIENT);
    driver.heart.handle_ping_written(CLIENT, now);
    driver.heard(UPSTREAM, secs(200));
    driver.wake(secs(200));
    // A second stall, beyond the deadline.
    driver.wake(secs(300));
    assert_eq!(driver.lapsed(), None, "it starts anew for the new ping");
}

// While a side was not read, a stall gave it a full timeout from then on, and the end of the pause
// added the whole pause to that: a silent side was dropped later than it had to be.
#[test]
fn a_stall_within_a_pause_is_not_counted_twice() {
    let mut driver = Driver::new(every(10, 5), off());
    driver.run(secs(10));
    let written = driver.next_wake().expect("a deadline") - secs(5);
    let paused = driver.at(written + secs(1));
    driver.heart.handle_reading(CLIENT, Reading::Paused, paused);
    // The next ping is due 10 s after the last; it is a minute late.
    driver.wake(written + secs(70));
    let resumed = driver.at(written + secs(80));
    driver.run(written + secs(80));
    driver
        .heart
        .handle_reading(CLIENT, Reading::Resumed, resumed);
    driver.run(written + secs(85) - Duration::from_nanos(1));
    assert_eq!(driver.lapsed(), None);
    driver.run(written + secs(85));
    assert_eq!(driver.lapsed(), Some(CLIENT));
}

// Over TLS, under load, pongs came before the flush of their pings was reported. They were taken
// for duplicates: the peer counted as one that never answers, and its lapses were not enforced.
#[test]
fn a_pong_before_its_flush_teaches_that_the_peer_answers() {
    let mut learned = every(10, 5);
    learned.enforce = Enforce::Learned;
    let mut driver = Driver::new(off(), learned);
    let now = driver.at(secs(10));
    driver.heart.handle_timeout(now);
    let Some(Output::SendPing { side }) = driver.heart.poll_output(now) else {
        panic!("the first ping is due");
    };
    let payload = driver.heart.payload(side);
    driver.heart.handle_ping_placed(side);
    let verdict = driver.heart.handle_pong(side, payload.as_bytes(), now);
    let (rtt, repair) = (None, None);
    assert_eq!(verdict, PongVerdict::Ours { rtt, repair });
    driver.heart.handle_ping_written(side, now);
    assert_eq!(driver.heart.vitals(side).pongs_received, 1);
    driver.run(secs(30));
    assert_eq!(driver.lapsed(), Some(UPSTREAM));
}

// A peer that answers with an empty payload, over TLS under load: its pong came before the flush
// was reported, and the clock then waited for another one.
#[test]
fn an_empty_pong_before_the_flush_may_have_been_the_answer() {
    let mut pongs_only = every(30, 5);
    pongs_only.evidence = Evidence::Pong;
    let mut driver = Driver::new(pongs_only, off());
    let now = driver.at(secs(30));
    driver.heart.handle_timeout(now);
    assert!(driver.heart.poll_output(now).is_some());
    driver.heart.handle_ping_placed(CLIENT);
    assert_eq!(
        driver.heart.handle_pong(CLIENT, b"", now),
        PongVerdict::Foreign
    );
    driver
        .heart
        .handle_ping_written(CLIENT, driver.at(secs(31)));
    driver.run(secs(60));
    assert_eq!(driver.lapsed(), None);
}

// A 2G link needed more than the timeout to take the ping. The kernel saw it progress, and there
// was no way to say so.
#[test]
fn progress_on_a_slow_link_is_another_timeout() {
    let mut driver = Driver::new(every(30, 5), off());
    driver.wake(driver.next_wake().expect("a first ping"));
    let deadline = driver.next_wake().expect("a deadline");
    assert!(driver.heart.lapse_due(CLIENT, driver.at(deadline)));
    driver
        .heart
        .handle_link_progress(CLIENT, driver.at(deadline));
    assert!(!driver.heart.lapse_due(CLIENT, driver.at(deadline)));
    driver.wake(deadline);
    driver.run(deadline + secs(5) - Duration::from_nanos(1));
    assert_eq!(driver.lapsed(), None);
    driver.run(deadline + secs(5));
    assert_eq!(driver.lapsed(), Some(CLIENT));
}

// The state of a pair was printed into a log, with its nonce.
#[test]
fn the_machine_can_be_logged_without_its_nonce() {
    let mut driver = Driver::new(every(10, 5), off());
    driver.run(secs(10));
    let nonce = format!("{:?}", &driver.heart.payload(Side::Client).as_bytes()[..8]);
    let shown = format!("{:?}", driver.heart);
    assert!(!shown.contains(nonce.trim_matches(['[', ']'])), "{shown}");
}

// A pair is to be small: there may be ten thousand of them.
#[test]
fn a_pairs_heartbeat_stays_small() {
    assert!(size_of::<Heartbeat>() <= 376, "{}", size_of::<Heartbeat>());
    let driver = Driver::new(every(10, 5), every(10, 5));
    assert_eq!(driver.heart.heap_size(), 0);
}
