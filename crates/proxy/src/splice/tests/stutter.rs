//! A machine that stutters: the process stands still for 1 s of every 1.25 s. Each bound is excused
//! for that once, and then holds.

use std::task::Waker;

use lubdub_metrics::Cause;

use super::*;

const CYCLE: Duration = Duration::from_millis(1250);
/// So long the process runs in each.
const RUNS: Duration = Duration::from_millis(250);
/// Each bound that is tried.
const BOUND: Duration = Duration::from_secs(3);
/// A fifth of the time counts, and there is one new start.
const FOUND_WITHIN: Duration = Duration::from_secs(30);

/// Nothing is due by itself for long.
fn quiet() -> Terms {
    Terms {
        write_stall: None,
        ..pinged(Side::Client, 3600 * SECOND, SECOND, Evidence::Any)
    }
}

/// Wakes the pair whenever it asked for it, or as soon as the process runs again, until `done`.
/// Returns how long that took.
async fn stutter(pair: &mut Pair, done: impl Fn(&Splice) -> bool) -> Duration {
    let began = clock();
    while !done(&pair.splice) {
        let wanted = pair.splice.timer.armed().expect("something to wait for");
        let since = wanted.max(clock()) - began;
        let into = Duration::from_nanos((since.as_nanos() % CYCLE.as_nanos()) as u64);
        let at = match into < RUNS {
            true => since,
            false => since - into + CYCLE,
        };
        assert!(at < 100 * BOUND, "excused for ever: {:?}", pair.splice.fate);
        tokio::time::sleep_until((began + at).into()).await;
        let mut cx = Context::from_waker(Waker::noop());
        let ended = pair.splice.wake(&mut cx, clock(), &mut [0; 1024]);
        assert!(ended.is_pending() || done(&pair.splice));
    }
    clock() - began
}

async fn ends_with(mut pair: Pair, cause: Cause) -> Pair {
    let took = stutter(&mut pair, |splice| splice.fate.cause() == Some(cause)).await;
    assert!(
        (BOUND..FOUND_WITHIN).contains(&took),
        "{cause:?} after {took:?}"
    );
    pair
}

/// Every late wake-up began the watch over a backlog anew: with a stall in each of its tenths a side
/// that took nothing was never found.
#[tokio::test(start_paused = true)]
async fn a_stuttering_machine_finds_a_side_that_takes_nothing() {
    let mut pair = Pair::open(Terms {
        write_stall: Some(BOUND),
        ..quiet()
    })
    .await;
    pair.back_up().await;
    ends_with(pair, Cause::UpstreamStalled).await;
}

/// The same for a pair on which no data passes, and for the answer to the Close that it then gets.
#[tokio::test(start_paused = true)]
async fn a_stuttering_machine_finds_a_quiet_pair_and_who_does_not_answer_its_close() {
    let mut pair = Pair::open(Terms {
        data_idle: Some(BOUND),
        close: BOUND,
        ..quiet()
    })
    .await;
    pair.wake(1024);
    let mut pair = ends_with(pair, Cause::DataIdle).await;
    let took = stutter(&mut pair, Splice::is_over).await;
    assert!(
        (BOUND..FOUND_WITHIN).contains(&took),
        "closed after {took:?}"
    );
}

/// The same for a closing handshake of the endpoints' that does not come to its end.
#[tokio::test(start_paused = true)]
async fn a_stuttering_machine_ends_a_closing_handshake() {
    let mut pair = Pair::open(Terms {
        close: BOUND,
        ..quiet()
    })
    .await;
    let close = masked_control(0x88, &1000_u16.to_be_bytes());
    pair.say(Side::Client, &close);
    tokio::time::sleep(Duration::from_millis(1)).await;
    pair.wake(1024);
    ends_with(pair, Cause::CloseTimeout).await;
}

/// A side that is pinged has its new start once per ping.
#[tokio::test(start_paused = true)]
async fn a_stuttering_machine_finds_a_silent_side() {
    let mut pair = Pair::open(pinged(Side::Client, SECOND, BOUND, Evidence::Any)).await;
    pair.wake(1024);
    ends_with(pair, Cause::ClientLapsed).await;
}

/// A lifetime accuses nobody: it moves by as long as the process stood still, and a long one does not
/// begin anew.
#[tokio::test(start_paused = true)]
async fn a_lifetime_moves_by_as_long_as_the_process_stood_still() {
    const LATE: Duration = Duration::from_secs(2);
    let mut pair = Pair::open(Terms {
        lifetime: Some(1000 * SECOND),
        data_idle: Some(100 * SECOND),
        ..quiet()
    })
    .await;
    pair.wake(1024);
    let lifetime = |pair: &Pair| pair.splice.lifetime_deadline().expect("a lifetime");
    let first = lifetime(&pair);
    for stalls in 1..=3 {
        let armed = pair.splice.timer.armed().expect("something to wait for");
        tokio::time::sleep_until((armed + LATE).into()).await;
        // Else the pair would be quiet for too long.
        pair.say(Side::Client, &masked(0x82, b"data"));
        tokio::task::yield_now().await;
        pair.wake(1024);
        assert_eq!(lifetime(&pair), first + stalls * LATE);
    }
    assert!(pair.splice.is_open());
}
