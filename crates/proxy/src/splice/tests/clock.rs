//! The driver's side of the promise that time is kept exactly: deadlines are met to the
//! millisecond, and a clock that stood still (a stopped process, a suspended machine) or a side that
//! was not read is held against nobody.

use std::task::Waker;

use lubdub_metrics::Cause;

use super::*;

/// Longer than any deadline of these pairs.
const STALL: Duration = Duration::from_secs(3600);

const A_MOMENT: Duration = Duration::from_millis(2);

const LAPSED: PerSide<Cause> = PerSide {
    client: Cause::ClientLapsed,
    upstream: Cause::UpstreamLapsed,
};

fn beating(side: Side) -> Terms {
    pinged(side, 5 * SECOND, 2 * SECOND, Evidence::Any)
}

/// Lets time pass without a wake-up, and then wakes the pair.
async fn wake_after(pair: &mut Pair, time: Duration) {
    tokio::time::sleep(time).await;
    pair.wake(1024);
}

fn deadline(pair: &Pair, side: Side) -> Duration {
    let written = pair.splice.heart.clock_since(side).expect("a clock runs");
    written + 2 * SECOND - clock()
}

#[tokio::test(start_paused = true)]
async fn a_side_lapses_at_its_deadline_and_not_before() {
    for side in Side::BOTH {
        let mut pair = Pair::open(beating(side)).await;
        pair.until_pinged(side, 1).await;
        let left = deadline(&pair, side);
        wake_after(&mut pair, left - A_MOMENT).await;
        assert!(pair.splice.is_open(), "{side}: before the deadline");
        wake_after(&mut pair, A_MOMENT).await;
        assert_eq!(pair.splice.fate.cause(), Some(LAPSED[side]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stood_still_is_held_against_nobody() {
    for side in Side::BOTH {
        let mut pair = Pair::open(beating(side)).await;
        pair.until_pinged(side, 1).await;
        wake_after(&mut pair, STALL).await;
        assert!(pair.splice.is_open(), "{side}: it had no chance to answer");
        // From here on it has all its time again, once.
        wake_after(&mut pair, 2 * SECOND).await;
        assert_eq!(pair.splice.fate.cause(), Some(LAPSED[side]));
    }
}

/// A process that was stopped between its look at the clock and the write of a ping took the ping for
/// as much older, and its side for dead before the pong could come.
#[tokio::test(start_paused = true)]
async fn a_clock_that_stood_still_in_the_middle_of_a_turn_is_held_against_nobody() {
    const STOPPED: Duration = Duration::from_millis(1900);
    for side in Side::BOTH {
        let mut pair = Pair::open(beating(side)).await;
        let due = pair.splice.next_deadline(clock()).expect("a ping to come");
        tokio::time::sleep_until((due + STOPPED).into()).await;
        pair.wake_at(due, 1024);
        assert_eq!(pair.splice.heart.vitals(side).pings_sent, 1);
        wake_after(&mut pair, 2 * SECOND - STOPPED).await;
        assert!(pair.splice.is_open(), "{side}: it had a tenth of its time");
        wake_after(&mut pair, STOPPED).await;
        assert_eq!(pair.splice.fate.cause(), Some(LAPSED[side]));
    }
}

/// Every pause of the process, however short, gave the side a whole timeout more: on a busy machine a
/// dead side was found after two. And the real stall that came later was excused to nobody.
#[tokio::test(start_paused = true)]
async fn a_stall_in_the_middle_of_a_turn_counts_for_as_long_as_it_lasts() {
    const STOPPED: Duration = Duration::from_millis(150);
    for side in Side::BOTH {
        let mut pair = Pair::open(pinged(side, SECOND, 2 * SECOND, Evidence::Any)).await;
        pair.until_pinged(side, 1).await;
        let due = pair.splice.next_deadline(clock()).expect("a second ping");
        tokio::time::sleep_until(due.into()).await;
        let left = deadline(&pair, side);
        tokio::time::sleep(STOPPED).await;
        pair.wake_at(due, 1024);
        wake_after(&mut pair, left - A_MOMENT).await;
        assert!(pair.splice.is_open(), "{side}: it had all its time");
        wake_after(&mut pair, STALL).await;
        assert!(pair.splice.is_open(), "{side}: it had no chance to answer");
        wake_after(&mut pair, 2 * SECOND).await;
        assert_eq!(pair.splice.fate.cause(), Some(LAPSED[side]));
    }
}

/// Only the heart's own wake-ups counted as late: where another moment was due just before its
/// deadline, and the process slept over both, there was no excuse.
#[tokio::test(start_paused = true)]
async fn a_clock_that_stood_still_over_another_deadline_is_held_against_nobody() {
    const QUIET: Duration = Duration::from_secs(60);
    for side in Side::BOTH {
        let mut pair = Pair::open(Terms {
            data_idle: Some(QUIET),
            ..pinged(side, SECOND, 2 * SECOND, Evidence::Any)
        })
        .await;
        pair.until_pinged(side, 1).await;
        let before = deadline(&pair, side) - 2 * Heartbeat::LATE / 3;
        pair.splice.seldom.deadlines.data = (clock() + before - QUIET).into();
        pair.until_pinged(side, 2).await;
        let before = deadline(&pair, side) - 2 * Heartbeat::LATE / 3;
        wake_after(&mut pair, before + 4 * Heartbeat::LATE / 3).await;
        assert!(pair.splice.is_open(), "{side}: {:?}", pair.splice.fate);
    }
}

/// The moment from which a ping may stand between fragments passed while the process stood still in
/// the turn that made the ping due; nobody waited for that moment, and the ping was never placed.
#[tokio::test(start_paused = true)]
async fn a_stall_longer_than_the_boundary_wait_does_not_lose_the_ping() {
    let mut terms = beating(Side::Client);
    terms.boundary_wait.client = Some(SECOND);
    let mut pair = Pair::open(terms).await;
    pair.wake(1024);
    // RFC 6455 5.4: the first fragment of a text.
    pair.far.upstream.write_all(&[0x01, 1, b'a']).unwrap();
    wake_after(&mut pair, A_MOMENT).await;
    let due = pair.splice.next_deadline(clock()).expect("a ping to come");
    tokio::time::sleep_until((due + 2 * SECOND).into()).await;
    assert!(pair.wake_at(due, 1024), "it has to come back by itself");
    pair.wake(1024);
    assert_eq!(pair.splice.heart.vitals(Side::Client).pings_sent, 1);
}

/// What a turn read that did nothing but relay had the time of before the stall.
#[tokio::test(start_paused = true)]
async fn data_counts_from_when_the_process_went_on() {
    let mut pair = Pair::open(Terms {
        data_idle: Some(9 * SECOND),
        ..pinged(Side::Client, 2 * STALL, SECOND, Evidence::Any)
    })
    .await;
    // Counters are told within 10 s of the first message; no turn before that does more than relay.
    for passed in [0, 6] {
        let began = clock();
        pair.far.client.write_all(&masked(0x81, b"a")).unwrap();
        tokio::time::sleep(passed * SECOND + A_MOMENT).await;
        pair.wake_at(began, 1024);
    }
    assert_eq!(pair.splice.tally.from.client.bytes, 30);
    let went_on = clock();
    pair.until(went_on + 8 * SECOND).await;
    assert!(pair.splice.is_open(), "quiet for 8 s");
    pair.until(went_on + 9 * SECOND).await;
    assert_eq!(pair.splice.fate.cause(), Some(Cause::DataIdle));
}

#[tokio::test(start_paused = true)]
async fn what_came_while_the_clock_stood_still_is_heard() {
    let mut pair = Pair::open(beating(Side::Client)).await;
    pair.until_pinged(Side::Client, 1).await;
    let ping = pair.read_ping();
    pair.far.client.write_all(&masked_pong(&ping)).unwrap();
    wake_after(&mut pair, STALL).await;
    assert_eq!(pair.splice.heart.vitals(Side::Client).pongs_received, 1);
    assert_eq!(
        pair.splice.heart.clock_since(Side::Client).is_some(),
        pair.splice.heart.vitals(Side::Client).pings_sent > 1,
        "only a further ping runs a clock"
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stood_still_ends_no_quiet_pair_and_no_closing_one() {
    let mut quiet = Pair::open(Terms {
        data_idle: Some(SECOND),
        ..pinged(Side::Client, 2 * STALL, SECOND, Evidence::Any)
    })
    .await;
    quiet.wake(1024);
    wake_after(&mut quiet, STALL).await;
    assert!(quiet.splice.is_open());
    wake_after(&mut quiet, SECOND).await;
    assert_eq!(quiet.splice.fate.cause(), Some(Cause::DataIdle));

    let mut closing = Pair::open(Terms {
        close: SECOND,
        ..pinged(Side::Client, 2 * STALL, SECOND, Evidence::Any)
    })
    .await;
    closing.wake(1024);
    let close = masked_control(0x88, &1000_u16.to_be_bytes());
    closing.far.client.write_all(&close).unwrap();
    wake_after(&mut closing, SECOND / 2).await;
    assert_eq!(closing.splice.fate.cause(), Some(Cause::ClientClosed));
    wake_after(&mut closing, STALL).await;
    let until = closing.splice.closing_deadline().expect("still closing");
    assert_eq!(until - clock(), SECOND);
}

/// A client that sends faster than its upstream reads is not read most of the time. That moved its
/// deadline each time, and one that never pongs was never found.
#[tokio::test(start_paused = true)]
async fn a_client_that_floods_a_slow_upstream_has_to_pong_all_the_same() {
    let mut pair = Pair::open(Terms {
        write_stall: None,
        ..pinged(Side::Client, 5 * SECOND, 2 * SECOND, Evidence::Pong)
    })
    .await;
    pair.until_pinged(Side::Client, 1).await;
    pair.far.client.set_nonblocking(true).unwrap();
    pair.far.upstream.set_nonblocking(true).unwrap();
    let mut flood = vec![0; 256 * 1024];
    // One endless frame (RFC 6455 5.2).
    flood[..10].copy_from_slice(&[0x82, 0xFF, 0x7F, 0, 0, 0, 0, 0, 0, 0]);
    let mut taken = vec![0; 256 * 1024];
    let began = clock();
    while pair.splice.is_open() {
        assert!(clock() - began < 1000 * SECOND, "{:?}", pair.splice.tally);
        for _ in 0..20 {
            if pair.far.client.write(&flood).is_ok() {
                flood[..10].fill(0);
            }
            tokio::time::sleep(A_MOMENT).await;
            let mut cx = Context::from_waker(Waker::noop());
            // With its client the pair is gone: a frame that nobody ends is waited for by nobody.
            let _ = pair.splice.wake(&mut cx, clock(), &mut [0; 32 * 1024]);
        }
        let _ = pair.far.upstream.read(&mut taken);
        tokio::time::sleep(SECOND / 4).await;
    }
    assert_eq!(pair.splice.fate.cause(), Some(Cause::ClientLapsed));
    let read = pair.splice.tally.from.client.bytes;
    assert!(read >= Heartbeat::AHEAD_MAX as u64, "{read}");
}

/// A side is not read while the other is full: what it says cannot be heard.
#[tokio::test(start_paused = true)]
async fn the_time_that_a_side_is_not_read_does_not_count() {
    let mut pair = Pair::open(Terms {
        write_stall: None,
        ..beating(Side::Client)
    })
    .await;
    pair.until_pinged(Side::Client, 1).await;
    pair.back_up().await;
    pair.until_pinged(Side::Client, 2).await;
    for _ in 0..100 {
        wake_after(&mut pair, Duration::from_millis(100)).await;
    }
    assert!(pair.splice.is_open(), "five times its time, unheard");
}
