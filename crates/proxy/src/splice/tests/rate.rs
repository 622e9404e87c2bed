//! Rates, in virtual time: nothing is lost, nothing comes too soon, and nobody is accused of a silence
//! that is lubdub's.

use std::num::{NonZeroU32, NonZeroU64};

use lubdub_metrics::Cause;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime;

use super::*;
use crate::settings::{Rate, Rates};

const MILLISECOND: Duration = Duration::from_millis(1);

fn bytes(rate: u64) -> Rate {
    Rate {
        bytes: NonZeroU64::new(rate),
        messages: None,
    }
}

fn messages(rate: u32) -> Rate {
    Rate {
        bytes: None,
        messages: NonZeroU32::new(rate),
    }
}

fn rated(side: Side, rate: Rate) -> Terms {
    let mut rates = Rates::default();
    match side {
        Side::Client => rates.to_upstream = rate,
        Side::Upstream => rates.to_client = rate,
    }
    Terms {
        rates,
        ..unpinged()
    }
}

fn unpinged() -> Terms {
    let never = Policy::try_new(None, SECOND, Jitter::NONE).unwrap();
    Terms {
        keepalive: PerSide::from_fn(|_| never.into()),
        ..Terms::default()
    }
}

/// What a side was sent, and when.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    pieces: Vec<(Instant, usize)>,
}

impl Heard {
    /// No more in any time than the rate and a burst of a second, and some more that may be owed.
    fn assert_within(&self, rate: u64, owed: usize) {
        for first in 0..self.pieces.len() {
            let mut sum = 0;
            for (at, some) in &self.pieces[first..] {
                sum += some;
                // The first piece may have come up to 10 ms before it was noted, and 11 where nobody listened in
                // a hand-over.
                let window = at.duration_since(self.pieces[first].0) + 11 * MILLISECOND;
                let bound = rate as f64 * (window.as_secs_f64() + 1.0) + owed as f64;
                assert!(
                    sum as f64 <= bound,
                    "{sum} in {window:?}, at {rate} a second"
                );
            }
        }
    }
}

impl Pair {
    /// Lets time pass, and notes what a side is sent meanwhile.
    async fn listen(&mut self, to: Side, time: Duration, heard: &mut Heard) {
        let end = clock() + time;
        while clock() < end {
            self.until((clock() + 10 * MILLISECOND).min(end)).await;
            let some = self.heard_so_far(to);
            heard.pieces.push((clock(), some.len()));
            heard.bytes.extend(some);
        }
    }

    /// What a side was sent by now.
    fn heard_so_far(&mut self, side: Side) -> Vec<u8> {
        let mut heard = Vec::new();
        let far = &mut self.far[side];
        far.set_nonblocking(true).unwrap();
        let _ = far.read_to_end(&mut heard);
        far.set_nonblocking(false).unwrap();
        heard
    }

    fn is_held(&self, side: Side) -> bool {
        self.splice
            .registration
            .entry()
            .status(side, clock())
            .is_held
    }
}

/// Messages of so many bytes each, header and all, as a side sends them.
fn messages_of(side: Side, len: u8, count: usize) -> Vec<u8> {
    let one = match side {
        Side::Client => masked_control(0x82, &vec![b'm'; usize::from(len) - 6]),
        Side::Upstream => {
            let mut frame = vec![0x82, len - 2];
            frame.resize(len.into(), b'm');
            frame
        }
    };
    one.repeat(count)
}

#[tokio::test(start_paused = true)]
async fn bytes_come_as_a_second_brings_them_and_none_is_lost() {
    for side in Side::BOTH {
        let mut pair = Pair::open(rated(side, bytes(1000))).await;
        let sent = messages_of(side, 100, 45);
        pair.say(side, &sent);
        let mut heard = Heard::default();
        pair.until(clock() + 2 * MILLISECOND).await;
        heard.bytes = pair.heard_so_far(side.other());
        assert_eq!(heard.bytes.len(), 1000, "the burst");
        assert!(pair.is_held(side) && !pair.is_held(side.other()));
        for seconds in 1..=3 {
            pair.listen(side.other(), SECOND, &mut heard).await;
            let expected = 1000 + 1000 * seconds;
            let least = expected - 10;
            assert!((least..=expected).contains(&heard.bytes.len()));
        }
        pair.listen(side.other(), SECOND, &mut heard).await;
        assert!(heard.bytes == sent);
        assert!(!pair.is_held(side));
        let held_for = pair.splice.inlet(side).unwrap().held_for(clock());
        let about = 3500 * MILLISECOND;
        assert!((about - 50 * MILLISECOND..=about + 50 * MILLISECOND).contains(&held_for));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_one_direction_leaves_the_other_alone() {
    let mut pair = Pair::open(rated(Side::Client, bytes(10))).await;
    pair.say(Side::Client, &messages_of(Side::Client, 100, 5));
    let sent = messages_of(Side::Upstream, 100, 50);
    pair.say(Side::Upstream, &sent);
    pair.until(clock() + 2 * MILLISECOND).await;
    assert!(pair.heard_so_far(Side::Client) == sent);
    assert_eq!(pair.heard_so_far(Side::Upstream).len(), 10);
}

/// A frame that is longer than what the bucket holds goes on for as long as it takes.
#[tokio::test(start_paused = true)]
async fn one_byte_a_second_is_a_rate() {
    let mut pair = Pair::open(rated(Side::Client, bytes(1))).await;
    let sent = messages_of(Side::Client, 10, 1);
    pair.say(Side::Client, &sent);
    let mut heard = Heard::default();
    pair.listen(Side::Upstream, 8 * SECOND, &mut heard).await;
    // The first eight are held back, until the header is whole.
    assert!(
        (1..=9).contains(&heard.bytes.len()),
        "{}",
        heard.bytes.len()
    );
    pair.listen(Side::Upstream, 3 * SECOND, &mut heard).await;
    assert!(heard.bytes == sent);
}

#[tokio::test(start_paused = true)]
async fn the_fastest_rate_holds_nobody() {
    let mut pair = Pair::open(rated(Side::Client, bytes(u64::MAX))).await;
    let sent = messages_of(Side::Client, 100, 100);
    pair.say(Side::Client, &sent);
    pair.until(clock() + 2 * MILLISECOND).await;
    assert!(pair.heard_so_far(Side::Upstream) == sent);
}

#[tokio::test(start_paused = true)]
async fn messages_come_one_by_one_when_the_burst_is_over() {
    let one = messages_of(Side::Client, 50, 1).len();
    let mut pair = Pair::open(rated(Side::Client, messages(4))).await;
    let sent = messages_of(Side::Client, 50, 9);
    pair.say(Side::Client, &sent);
    let mut heard = Heard::default();
    pair.until(clock() + 2 * MILLISECOND).await;
    heard.bytes = pair.heard_so_far(Side::Upstream);
    assert_eq!(heard.bytes.len(), 4 * one);
    for n in 5..=9 {
        pair.listen(Side::Upstream, 240 * MILLISECOND, &mut heard)
            .await;
        assert_eq!(heard.bytes.len(), (n - 1) * one, "before the {n}th is due");
        pair.listen(Side::Upstream, 10 * MILLISECOND, &mut heard)
            .await;
        assert_eq!(heard.bytes.len(), n * one, "the {n}th");
    }
    assert!(heard.bytes == sent);
}

/// Only the first frame of a message takes a token, and control frames take none.
#[tokio::test(start_paused = true)]
async fn fragments_and_control_frames_are_no_messages() {
    let mut pair = Pair::open(rated(Side::Client, messages(1))).await;
    let message = [
        masked_control(0x01, b"first"),
        masked_control(0x00, b"and"),
        masked_control(0x89, b"ping"),
        masked(0x00, &[b'x'; 3000]),
        masked_control(0x80, b"last"),
        masked_control(0x89, b"ping"),
    ]
    .concat();
    let second = masked_control(0x81, b"second");
    pair.say(Side::Client, &[message.clone(), second.clone()].concat());
    pair.until(clock() + 2 * MILLISECOND).await;
    let heard = pair.heard_so_far(Side::Upstream);
    // The ping behind the last fragment stands between messages, as the one does that has to wait.
    assert!(heard == message[..message.len() - 10]);
    pair.until(clock() + SECOND).await;
    assert!(
        pair.heard_so_far(Side::Upstream) == [&message[message.len() - 10..], &second].concat()
    );
}

/// Who begins a message within another (RFC 6455 5.4 forbids it) was not held.
#[tokio::test(start_paused = true)]
async fn who_never_ends_a_message_is_held_all_the_same() {
    let mut pair = Pair::open(rated(Side::Client, messages(2))).await;
    let sent = masked_control(0x01, b"begun").repeat(10);
    pair.say(Side::Client, &sent);
    let mut heard = Heard::default();
    pair.listen(Side::Upstream, 2 * SECOND, &mut heard).await;
    assert!(heard.bytes.len() <= 7 * 11, "{} bytes", heard.bytes.len());
    pair.listen(Side::Upstream, 4 * SECOND, &mut heard).await;
    assert!(heard.bytes == sent);
}

/// What the log and the shared counters say of a pair that is held does not run ahead of it.
#[tokio::test(start_paused = true)]
async fn what_waits_is_not_counted_yet() {
    let mut pair = Pair::open(rated(Side::Client, messages(1))).await;
    pair.say(Side::Client, &messages_of(Side::Client, 50, 3));
    pair.until(clock() + 2 * MILLISECOND).await;
    assert_eq!(pair.splice.tally.from.client.bytes, 50);
    assert_eq!(pair.splice.relayed_frames(Side::Client), 1);
}

/// Pings go out on time to both sides while both are held, and nobody lapses: with `evidence = "pong"`
/// the pong is behind all that has to wait.
#[tokio::test(start_paused = true)]
async fn pings_go_out_on_time_and_nobody_lapses() {
    for evidence in [Evidence::Any, Evidence::Pong] {
        let mut terms = pinged(Side::Client, 100 * MILLISECOND, 200 * MILLISECOND, evidence);
        terms.keepalive.upstream = Arc::clone(&terms.keepalive.client);
        terms.write_stall = Some(100 * MILLISECOND);
        terms.rates = Rates {
            to_client: bytes(1000),
            to_upstream: messages(2),
        };
        let mut pair = Pair::open(terms).await;
        pair.wake(1024);
        pair.say(Side::Upstream, &messages_of(Side::Upstream, 100, 100));
        pair.say(Side::Client, &messages_of(Side::Client, 100, 20));
        for side in Side::BOTH {
            for n in 0..3 {
                let pong = match side {
                    Side::Client => masked_pong(&own_payload(n)),
                    Side::Upstream => [&[0x8A, 16][..], &own_payload(n)].concat(),
                };
                pair.say(side, &pong);
            }
        }
        pair.until(clock() + 1500 * MILLISECOND).await;
        for side in Side::BOTH {
            assert!(pair.is_held(side), "{side}");
            let sent = pair.splice.heart.vitals(side).pings_sent;
            assert!((14..=30).contains(&sent), "{sent} pings to the {side}");
        }
        pair.until(clock() + 7500 * MILLISECOND).await;
        assert!(pair.splice.is_open(), "{:?}", pair.splice.fate);
    }
}

fn own_payload(n: u64) -> Vec<u8> {
    [[7; 8], n.to_be_bytes()].concat()
}

/// Time in which a side is not read does not count, but the rest does.
#[tokio::test(start_paused = true)]
async fn a_dead_side_is_found_once_its_last_words_were_read() {
    let mut terms = pinged(Side::Client, SECOND, 2 * SECOND, Evidence::Any);
    terms.rates.to_upstream = bytes(100);
    let mut pair = Pair::open(terms).await;
    pair.wake(1024);
    pair.say(Side::Client, &messages_of(Side::Client, 100, 11));
    pair.until(clock() + 10 * SECOND).await;
    assert!(pair.splice.is_open(), "its last words are being read");
    pair.until(clock() + 2 * SECOND).await;
    assert!(pair.splice.is_open(), "its time runs from then on");
    pair.until(clock() + 2 * SECOND).await;
    assert_eq!(pair.splice.fate.cause(), Some(Cause::ClientLapsed));
}

/// A side that always has something to say wakes its pair a hundred times a second and no more.
#[tokio::test(start_paused = true)]
async fn a_pair_that_is_held_does_not_spin() {
    let ordinary = messages_of(Side::Client, 50, 2_000);
    let never_ended = masked_control(0x01, b"begun").repeat(1000);
    for (rate, sent) in [
        (bytes(100), &ordinary),
        (bytes(50_000), &ordinary),
        (messages(1000), &ordinary),
        (messages(2), &never_ended),
    ] {
        let mut pair = Pair::open(rated(Side::Client, rate)).await;
        pair.say(Side::Client, sent);
        pair.wake(1024);
        let mut wakes = 0;
        let end = clock() + SECOND;
        let turn = |cx: &mut Context<'_>| {
            wakes += 1;
            pair.splice.timer.arm(cx, end + Duration::from_nanos(1));
            pair.splice.wake(cx, clock(), &mut [0; 1024])
        };
        let _ = tokio::time::timeout_at(end.into(), poll_fn(turn)).await;
        // Each wake-up may be two turns: one for the sleep that was over a moment before its time.
        assert!(wakes <= 250, "{wakes} at {rate:?}");
    }
}

/// A Close behind what has to wait passes when its turn comes, whatever `timeouts.close` is.
#[tokio::test(start_paused = true)]
async fn a_close_behind_what_waits_is_no_close_timeout() {
    let mut terms = rated(Side::Client, messages(1));
    terms.close = 500 * MILLISECOND;
    let mut pair = Pair::open(terms).await;
    pair.say(Side::Client, &messages_of(Side::Client, 100, 4));
    pair.say(Side::Client, &masked_control(0x88, &1000_u16.to_be_bytes()));
    pair.say(Side::Upstream, &[0x88, 2, 3, 0xE8]);
    pair.until(clock() + 3900 * MILLISECOND).await;
    assert_eq!(pair.splice.fate.cause(), Some(Cause::UpstreamClosed));
    assert!(!pair.splice.ends.client.said_close, "it waits");
    pair.until(clock() + 200 * MILLISECOND).await;
    assert!(pair.splice.ends.client.said_close);
    assert_eq!(pair.heard_so_far(Side::Upstream).len(), 408);
    assert_eq!(pair.splice.fate.cause(), Some(Cause::UpstreamClosed));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stream_comes_behind_what_waits() {
    // The end is seen when there could be one more message.
    for (rate, waits) in [(bytes(100), 2 * SECOND), (messages(1), 3 * SECOND)] {
        let mut pair = Pair::open(rated(Side::Client, rate)).await;
        let sent = messages_of(Side::Client, 100, 3);
        pair.say(Side::Client, &sent);
        pair.far.client.shutdown(Shutdown::Write).unwrap();
        pair.until(clock() + waits - 100 * MILLISECOND).await;
        assert!(pair.splice.is_open());
        pair.until(clock() + 200 * MILLISECOND).await;
        assert_eq!(pair.splice.fate.cause(), Some(Cause::ClientEof));
        assert!(pair.heard_so_far(Side::Upstream) == sent);
    }
}

/// The rest of a frame does not wait when lubdub has to say farewell behind it.
#[tokio::test(start_paused = true)]
async fn lubdubs_own_farewell_does_not_wait_for_a_rate() {
    for rate in [bytes(100), messages(1)] {
        let mut pair = Pair::open(rated(Side::Client, rate)).await;
        let sent = [masked(0x82, &[7; 500]), masked(0x82, &[8; 500])].concat();
        pair.say(Side::Client, &sent);
        pair.until(clock() + 2 * MILLISECOND).await;
        assert!(pair.is_held(Side::Client));
        pair.splice.registration.entry().order(Order::Drain);
        pair.until(clock() + 10 * MILLISECOND).await;
        let heard = pair.heard_so_far(Side::Upstream);
        assert!(heard.starts_with(&sent[..514]));
        // At the boundary, wherever that is: behind one of the frames.
        let len = 6 + 2 + "restarting".len();
        let close = &heard[heard.len() - len..];
        assert_eq!(close[0], 0x88, "{heard:02x?}");
        assert!([514 + len, 1028 + len].contains(&heard.len()));
    }
}

/// Data that is not read is no quiet.
#[tokio::test(start_paused = true)]
async fn a_side_that_is_held_is_not_idle() {
    let mut terms = rated(Side::Client, messages(1));
    terms.data_idle = Some(300 * MILLISECOND);
    let mut pair = Pair::open(terms).await;
    pair.say(Side::Client, &messages_of(Side::Client, 50, 3));
    pair.until(clock() + 2200 * MILLISECOND).await;
    assert!(pair.splice.is_open(), "{:?}", pair.splice.fate);
    // The last one was at 2 s. The side was held for a second from then on, and may have had more.
    pair.until(clock() + 1200 * MILLISECOND).await;
    assert_eq!(pair.splice.fate.cause(), Some(Cause::DataIdle));
}

/// What came behind the handshake has a rate as well.
#[tokio::test(start_paused = true)]
async fn what_came_early_has_its_rate_and_leaves_nothing_behind_without_one() {
    let early = messages_of(Side::Client, 100, 5);
    for rate in [Rate::default(), bytes(100), messages(1)] {
        let mut pair = Pair::open(rated(Side::Client, rate)).await;
        pair.come_early(&early);
        pair.until(clock() + 2 * MILLISECOND).await;
        if rate == Rate::default() {
            assert!(pair.heard_so_far(Side::Upstream) == early);
            assert!(pair.splice.inlets.is_none() && pair.splice.is_plain());
        } else {
            assert!(pair.heard_so_far(Side::Upstream) == early[..100]);
            pair.until(clock() + 4 * SECOND).await;
            assert!(pair.heard_so_far(Side::Upstream) == early[100..]);
        }
    }
}

/// A frame, and how long its sender waits before it.
fn traffic() -> impl Strategy<Value = Vec<(Vec<u8>, u64)>> {
    let first = prop_oneof![4 => Just(0x82), 1 => Just(0x01), 1 => Just(0x80), 1 => Just(0x89)];
    let frame = (
        first,
        vec(any::<u8>(), 0..60),
        prop_oneof![3 => Just(0), 1 => 0..900_u64],
    );
    vec(
        frame.prop_map(|(first, payload, wait)| (masked_control(first, &payload), wait)),
        1..40,
    )
}

fn any_rate() -> impl Strategy<Value = Rate> {
    let bytes = prop_oneof![Just(None), (20..2000_u64).prop_map(Some)];
    let messages = prop_oneof![Just(None), (1..20_u32).prop_map(Some)];
    (bytes, messages).prop_map(|(bytes, messages)| Rate {
        bytes: bytes.and_then(NonZeroU64::new),
        messages: messages.and_then(NonZeroU32::new),
    })
}

/// Messages that begin in these bytes of a client.
fn begun(mut bytes: &[u8]) -> usize {
    let mut begun = 0;
    while let Some((header, len)) = lubdub_wire::Header::decode(bytes) {
        begun += usize::from([1, 2].contains(&header.opcode.bits()));
        bytes = &bytes[bytes.len().min(len + header.payload_len as usize)..];
    }
    begun
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(24)
    })]

    /// Whatever is sent, and whenever: all of it comes out, in its order, and no faster than the rate.
    #[test]
    fn all_comes_out_and_nothing_too_soon(
        rate in any_rate(),
        traffic in traffic(),
        hand_over in any::<prop::sample::Index>(),
    ) {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut pair = Pair::open(rated(Side::Client, rate)).await;
            let mut heard = Heard::default();
            let mut counts = Heard::default();
            let mut sent = Vec::new();
            let changes_at = hand_over.index(traffic.len());
            for (n, (frame, wait)) in traffic.into_iter().enumerate() {
                pair.listen(Side::Upstream, Duration::from_millis(wait), &mut heard).await;
                pair.say(Side::Client, &frame);
                sent.extend(frame);
                if n == changes_at {
                    pair.until(clock() + MILLISECOND).await;
                    pair.hand_over_as_it_is();
                }
            }
            let mut quiet = 0;
            while heard.bytes.len() < sent.len() && quiet < 300 {
                let before = heard.bytes.len();
                pair.listen(Side::Upstream, 10 * MILLISECOND, &mut heard).await;
                quiet = if heard.bytes.len() == before { quiet + 1 } else { 0 };
            }
            assert!(heard.bytes == sent, "{} of {} bytes", heard.bytes.len(), sent.len());
            if let Some(rate) = rate.bytes {
                // A header is held back until it is whole, and may be owed then.
                heard.assert_within(rate.get(), lubdub_wire::Header::MAX_LEN);
            }
            if let Some(rate) = rate.messages {
                let mut at = 0;
                for (when, len) in &heard.pieces {
                    let before = begun(&heard.bytes[..at]);
                    at += len;
                    counts.pieces.push((*when, begun(&heard.bytes[..at]) - before));
                }
                // One more may begin within another: it is owed.
                counts.assert_within(rate.get().into(), 1);
            }
        });
    }
}
