//! What is told of own pings where no real socket brings it about at will.

use lubdub_keepalive::Output;

use super::*;
use crate::registry::Beat;

fn beats(pair: &Pair) -> Vec<Beat> {
    let entry = pair.splice.registration.entry();
    entry.publish_heartbeat(Side::Client, &pair.splice.heart.vitals(Side::Client));
    entry.trace(Side::Client)
}

/// The next own ping to the client gets its place in the stream; says what it carries.
async fn placed(pair: &mut Pair) -> Vec<u8> {
    let heart = &mut pair.splice.heart;
    let due = heart.poll_timeout().expect("a ping to come");
    tokio::time::sleep_until(due.into()).await;
    heart.handle_timeout(clock());
    let Some(Output::SendPing { .. }) = heart.poll_output(clock()) else {
        panic!("no ping is due");
    };
    let payload = heart.payload(Side::Client);
    heart.handle_ping_placed(Side::Client);
    payload.as_bytes().to_vec()
}

fn written(pair: &mut Pair) {
    let before = pair.splice.heart.oldest_unanswered(Side::Client);
    pair.splice.heart.handle_ping_written(Side::Client, clock());
    pair.splice.trace_ping(Side::Client, before);
}

fn pong(pair: &mut Pair, payload: &[u8]) {
    let before = pair.splice.heart.oldest_unanswered(Side::Client);
    let verdict = (pair.splice.heart).handle_pong(Side::Client, payload, clock());
    (pair.splice).trace_pong(Side::Client, before, &verdict);
}

/// That a ping was written may be known late: a flush of TLS waits for all that stands behind it.
#[tokio::test(start_paused = true)]
async fn a_ping_whose_pong_is_there_before_it_is_known_to_be_written_is_answered() {
    let terms = pinged(Side::Client, SECOND, 100 * SECOND, Evidence::Pong);
    let mut pair = Pair::open(terms).await;
    for _ in 0..2 {
        placed(&mut pair).await;
        written(&mut pair);
    }
    assert_eq!(beats(&pair), [Beat::Missed, Beat::Waiting]);
    let early = placed(&mut pair).await;
    pong(&mut pair, &early);
    written(&mut pair);
    let expected = [Beat::Covered, Beat::Covered, Beat::Answered(None)];
    assert_eq!(beats(&pair), expected);
    // Its pong a second time changes nothing.
    pong(&mut pair, &early);
    assert_eq!(beats(&pair), expected);
    let next = placed(&mut pair).await;
    written(&mut pair);
    assert_eq!(beats(&pair)[3], Beat::Waiting);
    tokio::time::sleep(Duration::from_millis(50)).await;
    pong(&mut pair, &next);
    let rtt = Some(Duration::from_millis(50));
    assert_eq!(beats(&pair)[3], Beat::Answered(rtt));
}

/// No more than sixteen are unanswered; the oldest is given up for one more, and was not answered for that.
#[tokio::test(start_paused = true)]
async fn a_ping_that_is_given_up_stays_missed() {
    let terms = pinged(Side::Client, SECOND, 1000 * SECOND, Evidence::Any);
    let mut pair = Pair::open(terms).await;
    for _ in 0..70 {
        placed(&mut pair).await;
        written(&mut pair);
        // A sign of life, and no pong.
        (pair.splice.heart).handle_heard(Side::Client, 10, clock());
    }
    let beats = beats(&pair);
    assert_eq!(beats.len(), 64);
    assert_eq!(beats[63], Beat::Waiting);
    assert!(beats[..63].iter().all(|beat| *beat == Beat::Missed));
}
