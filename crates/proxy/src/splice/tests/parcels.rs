//! What one read brought goes out in one write, whatever frames it holds.

use super::*;
use crate::socket::writes;

/// Both sides are pinged every 5 s.
fn both_pinged() -> Terms {
    let mut terms = pinged(Side::Client, 5 * SECOND, SECOND, Evidence::Any);
    terms.keepalive.upstream = Arc::clone(&terms.keepalive.client);
    terms
}

/// Lets the client say this, wakes the pair, and returns what the upstream hears, and in how many
/// writes.
async fn relayed(pair: &mut Pair, said: &[u8], heard: usize) -> (Vec<u8>, u32) {
    pair.say(Side::Client, said);
    // The runtime learns of it.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let _ = writes::take();
    let waker = Arc::new(Again::default()).into();
    let mut cx = Context::from_waker(&waker);
    let ended = pair.splice.wake(&mut cx, clock(), &mut vec![0; 32 * 1024]);
    assert!(ended.is_pending());
    together::send_all();
    let writes = writes::take();
    pair.far.upstream.set_read_timeout(Some(SECOND)).unwrap();
    let mut bytes = vec![0; heard];
    pair.far.upstream.read_exact(&mut bytes).unwrap();
    (bytes, writes)
}

/// Each PING ended a run and was written alone, and each PONG was: a flood of them cost twenty times
/// what as many bytes of data cost.
#[tokio::test(start_paused = true)]
async fn a_flood_of_control_frames_is_one_write() {
    let mut pair = Pair::open(Terms::default()).await;
    pair.wake(1024);
    let frames = [
        masked_control(0x89, b""),
        masked_control(0x8A, b""),
        masked_control(0x89, b"a ping"),
        masked(0x01, b"a fragment"),
        masked_control(0x8A, b"a pong"),
        masked(0x80, b"the last"),
    ];
    let flood = frames.concat().repeat(50);
    for cut in [0, 1, 3, 7, 13, 20, 40] {
        // From the second on what was held back of the one before stands ahead of it.
        let (heard, count) = relayed(&mut pair, &flood, flood.len()).await;
        assert!(heard == flood, "{cut}: verbatim");
        assert_eq!(count, 1, "{cut}");
        let (first, second) = flood.split_at(cut);
        pair.say(Side::Client, first);
        tokio::time::sleep(Duration::from_millis(1)).await;
        pair.wake(32 * 1024);
        let _ = writes::take();
        let (heard, count) = relayed(&mut pair, second, flood.len()).await;
        assert!(heard == flood, "cut at {cut}: verbatim");
        assert_eq!(count, 1, "cut at {cut}");
    }
    assert_eq!(pair.splice.tally.from.client.foreign_pings, 14 * 100);
    assert_eq!(pair.splice.tally.from.client.foreign_pongs, 14 * 100);
}

/// What is left out of it, and what lubdub puts into it, does not tear it apart either. And the clock
/// of a ping starts when the whole was written.
#[tokio::test(start_paused = true)]
async fn own_pings_and_pongs_do_not_tear_it_apart() {
    let mut pair = Pair::open(both_pinged()).await;
    let text = masked(0x81, b"a text that takes its time");
    let (before, behind) = text.split_at(20);
    relayed(&mut pair, before, before.len()).await;
    pair.until_pinged(Side::Client, 1).await;
    let ping = pair.read_ping();
    // The upstream's waits for the end of the message.
    assert_eq!(pair.splice.heart.vitals(Side::Upstream).pings_sent, 0);

    let frames = [
        behind,
        &masked_control(0x89, b"theirs"),
        &masked_pong(&ping),
        &masked_control(0x8A, b"theirs"),
        &text,
    ];
    let own = 2 + 4 + ping.len();
    let len = frames.concat().len() - masked_pong(&ping).len() + own;
    let (heard, count) = relayed(&mut pair, &frames.concat(), len).await;
    assert_eq!(count, 1);
    assert_eq!(heard[..behind.len()], *behind);
    assert_eq!(heard[behind.len()..][..2], [0x89, 0x80 | ping.len() as u8]);
    let rest = [frames[1], frames[3], frames[4]].concat();
    assert_eq!(heard[behind.len() + own..], rest);
    assert_eq!(pair.splice.heart.vitals(Side::Client).pongs_received, 1);
    let since = pair.splice.heart.clock_since(Side::Upstream);
    assert_eq!(since, Some(clock()), "its ping was written");
}
