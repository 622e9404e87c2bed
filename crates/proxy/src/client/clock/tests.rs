//! Clocks in virtual time: what ends when, and what is excused.

use tokio::time::{advance, sleep};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(10);
/// So many seconds are longer than anything in here lasts.
const LONG: u32 = 1000;
const TIMEOUTS: FrontTimeouts = FrontTimeouts {
    first_byte: Duration::from_secs(10),
    request_head: Duration::from_secs(10),
    proxy_header: Duration::from_secs(5),
    tls: Duration::from_secs(10),
    http_idle: Some(Duration::from_secs(120)),
};

#[test]
fn empty_lines_end_where_anything_else_begins() {
    for (bytes, lines) in [
        ("", 0),
        ("\r\n\n\r\nGET", 5),
        ("\r\n\r", 2),
        ("\rGET", 0),
        ("\r\r\n", 0),
        (" \r\n", 0),
    ] {
        assert_eq!(empty_lines(bytes.as_bytes()), lines, "{bytes:?}");
    }
}

/// Empty lines stopped the clock: a connection on which they came was neither one without a first
/// byte, nor one with a head, nor idle.
#[tokio::test(start_paused = true)]
async fn empty_lines_do_not_stop_the_clock() {
    for before in 0..3 {
        let clock = Arc::new(Clock::new());
        for _ in 0..before {
            drop(clock.begin());
        }
        let began = Instant::now();
        let lines = async {
            for _ in 0..LONG {
                clock.on_read(b"\r\n");
                sleep(SECOND).await;
            }
        };
        let expired = tokio::select! {
            expired = clock.watch(&TIMEOUTS) => expired,
            () = lines => panic!("they stop the clock"),
        };
        assert_eq!(expired, Expired::Head);
        assert_eq!(began.elapsed(), TIMEOUTS.request_head);
    }
}

/// Nobody is wronged if a connection ends on which there were empty lines since the last answer.
#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_heads_and_not_for_empty_lines() {
    let clock = Arc::new(Clock::new());
    let is_at_rest = || async {
        let at_rest = tokio::time::timeout(SECOND, clock.at_rest()).await;
        at_rest.is_ok()
    };
    clock.on_read(b"\r\n");
    assert!(
        !is_at_rest().await,
        "the first request still gets its answer"
    );
    drop(clock.begin());
    clock.on_read(b"\r\n");
    assert!(is_at_rest().await);
    clock.on_read(b"G");
    assert!(!is_at_rest().await);
}

/// A bound that was reached while the process stood still was excused each time that it was looked at.
#[tokio::test(start_paused = true)]
async fn a_machine_that_stutters_still_ends_what_is_overdue() {
    let clock = Arc::new(Clock::new());
    clock.on_read(b"GET");
    let began = Instant::now();
    let expired = tokio::select! {
        expired = clock.watch(&TIMEOUTS) => expired,
        () = stutter() => panic!("it is excused for ever"),
    };
    assert_eq!(expired, Expired::Head);
    let overdue = began.elapsed() - TIMEOUTS.request_head;
    assert!(overdue < 5 * SECOND, "ended {overdue:?} late");

    clock.start();
    let began = Instant::now();
    tokio::select! {
        () = clock.silence(Some(IDLE)) => {}
        () = stutter() => panic!("it is excused for ever"),
    }
    let overdue = began.elapsed() - IDLE;
    assert!(overdue < 5 * SECOND, "ended {overdue:?} late");
}

async fn stutter() {
    for _ in 0..LONG {
        advance(SECOND).await;
        sleep(2 * SECOND / 5).await;
    }
}

/// An upstream whose answer had come while the process stood still had not answered in time.
#[tokio::test(start_paused = true)]
async fn an_answer_that_came_during_a_stall_is_no_silence() {
    let clock = Clock::new();
    let story = async {
        advance(IDLE + SECOND).await;
        sleep(SECOND / 10).await;
        clock.on_progress();
        sleep(SECOND).await;
    };
    tokio::select! {
        () = clock.silence(Some(IDLE)) => panic!("it is not silent"),
        () = story => {}
    }
}

/// What came while the second chance was slept through was not looked for.
#[tokio::test(start_paused = true)]
async fn a_second_stall_takes_nothing_of_the_second_chance() {
    let clock = Arc::new(Clock::new());
    clock.on_read(b"GET");
    let story = async {
        advance(TIMEOUTS.request_head + SECOND).await;
        sleep(SECOND / 10).await;
        advance(SECOND).await;
        // The client stood still as well.
        sleep(SECOND / 5).await;
        drop(clock.begin());
        sleep(SECOND).await;
    };
    tokio::select! {
        expired = clock.watch(&TIMEOUTS) => panic!("{expired:?}"),
        () = story => {}
    }
}
