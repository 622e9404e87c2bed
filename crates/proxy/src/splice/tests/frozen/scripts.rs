//! The same script with and without a change of process, at each of its steps.

use super::*;
use crate::registry::Beat;

#[derive(Debug, Clone)]
enum Step {
    Say(Side, Vec<u8>),
    Wait(Duration),
}

/// What can be seen of a pair that has come so far.
#[derive(Debug, PartialEq)]
struct Seen {
    heard: PerSide<Vec<u8>>,
    bytes: PerSide<u64>,
    frames: PerSide<u64>,
    pings: PerSide<u64>,
    pongs: PerSide<u64>,
    /// The last round trips.
    rtt: PerSide<Option<Duration>>,
    /// What became of own pings.
    beats: PerSide<Vec<Beat>>,
    /// For how long a clock runs by now.
    clock: PerSide<Option<Duration>>,
    wants: Option<Duration>,
}

/// Both sides are pinged every 5 s and have 4 s; a ping waits for 2 s for the end of a message.
fn terms() -> Terms {
    let mut terms = pinged(Side::Client, 5 * SECOND, 4 * SECOND, Evidence::Pong);
    terms.keepalive.upstream = Arc::clone(&terms.keepalive.client);
    terms.boundary_wait = PerSide::from_fn(|_| Some(2 * SECOND));
    terms.data_idle = Some(100 * SECOND);
    terms.lifetime = Some(1000 * SECOND);
    terms
}

/// Something of everything, in pieces as small as they come.
fn script() -> Vec<Step> {
    let say = |side, bytes: &[u8]| Step::Say(side, bytes.to_vec());
    let (client, upstream) = (Side::Client, Side::Upstream);
    let text = masked(0x81, b"a text");
    let unmasked = |first: u8, payload: &[u8]| [&[first, payload.len() as u8], payload].concat();
    let pong = |n| masked_pong(&own_payload(n));
    let mut steps = vec![
        // In the middle of a header, and of a payload.
        say(client, &text[..1]),
        say(client, &text[1..9]),
        say(client, &text[9..16]),
        say(client, &text[16..]),
        say(upstream, &[0x82]),
        say(upstream, &[0x7E, 0]),
        say(upstream, &[3, b'a', b'b']),
        say(upstream, b"c"),
        // Between fragments, when the pings come due; they wait.
        say(client, &masked(0x01, b"one ")),
        say(upstream, &unmasked(0x02, b"a")),
        Step::Wait(5 * SECOND),
        say(client, &masked_control(0x89, b"theirs")),
        // The message to the upstream ends; the one to the client does not in time.
        say(client, &masked(0x80, b"two")),
        Step::Wait(SECOND),
        say(upstream, &unmasked(0x89, b"back")[..3]),
        say(upstream, &unmasked(0x89, b"back")[3..]),
        Step::Wait(SECOND),
        say(upstream, &unmasked(0x80, b"b")),
    ];
    // Own pongs in pieces, others before and behind them.
    let answer = pong(0);
    steps.extend([
        say(client, &answer[..1]),
        say(client, &answer[1..8]),
        say(client, &answer[8..]),
        say(client, &masked_pong(b"back")),
        say(upstream, &unmasked(0x8A, &own_payload(0))[..9]),
        say(upstream, &unmasked(0x8A, &own_payload(0))[9..]),
        Step::Wait(5 * SECOND),
        // A repair: their ping stands ahead of ours, and only ours is answered.
        say(client, &masked_control(0x89, b"lost")),
        Step::Wait(SECOND),
        say(upstream, &unmasked(0x8A, &own_payload(1))),
        say(client, &pong(1)),
        Step::Wait(4 * SECOND),
        say(upstream, &unmasked(0x8A, &own_payload(2))),
        // Twice.
        say(client, &pong(2)),
        say(client, &pong(2)),
        say(client, &pong(2)[..4]),
        Step::Wait(2 * SECOND),
    ]);
    steps
}

async fn play(steps: &[Step], frozen_at: impl Fn(usize) -> bool) -> Vec<Seen> {
    let mut pair = Pair::open(terms()).await;
    pair.wake(1024);
    let mut seen = Vec::new();
    let mut heard: PerSide<Vec<u8>> = PerSide::from_fn(|_| Vec::new());
    for (n, step) in steps.iter().enumerate() {
        match step {
            Step::Say(side, bytes) => pair.say(*side, bytes),
            Step::Wait(time) => pair.until(clock() + *time).await,
        }
        if frozen_at(n) {
            pair.hand_over(|_, _| ());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        pair.wake(1024);
        for side in Side::BOTH {
            heard[side].extend(pair.heard(side));
        }
        let splice = &pair.splice;
        let vitals = PerSide::from_fn(|side| splice.heart.vitals(side));
        let entry = splice.registration.entry();
        seen.push(Seen {
            heard: PerSide::from_fn(|side| without_keys(&heard[side])),
            bytes: PerSide::from_fn(|side| entry.status(side, clock()).bytes),
            frames: PerSide::from_fn(|side| entry.status(side, clock()).frames),
            pings: PerSide::from_fn(|side| vitals[side].pings_sent),
            pongs: PerSide::from_fn(|side| vitals[side].pongs_received),
            rtt: PerSide::from_fn(|side| vitals[side].rtt.map(|rtt| rtt.last())),
            beats: PerSide::from_fn(|side| pair.splice.registration.entry().trace(side)),
            clock: PerSide::from_fn(|side| Some(clock() - splice.heart.clock_since(side)?)),
            wants: splice.heart.poll_timeout().map(|at| at - clock()),
        });
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_change_of_process_at_any_step_is_not_seen() {
    let steps = script();
    let without = play(&steps, |_| false).await;
    let last = without.last().expect("steps");
    // That the script is about something.
    assert!(
        last.pings.client >= 3 && last.pings.upstream >= 3,
        "{last:?}"
    );
    assert!(
        last.pongs.client == 3 && last.pongs.upstream == 3,
        "{last:?}"
    );
    assert!(
        last.heard.client.windows(4).any(|bytes| bytes == b"lost"),
        "repaired"
    );
    for at in 0..steps.len() {
        let with = play(&steps, |n| n == at).await;
        for (n, (with, without)) in with.iter().zip(&without).enumerate() {
            assert_eq!(with, without, "frozen at {at}, seen at {n}: {:?}", steps[n]);
        }
    }
    assert_eq!(
        play(&steps, |_| true).await,
        without,
        "frozen at every step"
    );
}

/// A side that does not answer is found dead at the same moment.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_runs_goes_along() {
    for side in Side::BOTH {
        let mut pair = Pair::open(pinged(side, 5 * SECOND, 2 * SECOND, Evidence::Any)).await;
        pair.until_pinged(side, 1).await;
        let written = pair.splice.heart.clock_since(side).expect("a clock runs");
        pair.hand_over(|_, _| ());
        let deadline = written + 2 * SECOND;
        tokio::time::sleep_until((deadline - Duration::from_millis(1)).into()).await;
        pair.wake(1024);
        assert!(pair.splice.is_open(), "{side}: before the deadline");
        tokio::time::sleep_until(deadline.into()).await;
        pair.wake(1024);
        assert!(!pair.splice.is_open(), "{side}: it has lapsed");
    }
}

/// What a hand-over takes is held against nobody.
#[tokio::test(start_paused = true)]
async fn a_hand_over_that_takes_long_is_a_stall_like_any_other() {
    let mut terms = pinged(Side::Client, 5 * SECOND, 2 * SECOND, Evidence::Any);
    terms.data_idle = Some(9 * SECOND);
    let mut pair = Pair::open(terms).await;
    pair.until_pinged(Side::Client, 1).await;
    pair.hand_over(|_, _| ());
    tokio::time::sleep(60 * SECOND).await;
    pair.wake(1024);
    assert!(pair.splice.is_open(), "{:?}", pair.splice.fate);
    tokio::time::sleep(2 * SECOND).await;
    pair.wake(1024);
    assert!(!pair.splice.is_open(), "it has had all its time");
}

/// The backlog went with the first turn behind the hand-over, which was to say that the other side is read
/// again: else its clock stands for ever.
#[tokio::test(start_paused = true)]
async fn a_side_that_was_not_read_has_to_answer_once_it_is() {
    let mut pair = Pair::open(Terms {
        write_stall: None,
        ..pinged(Side::Client, 5 * SECOND, 2 * SECOND, Evidence::Any)
    })
    .await;
    pair.back_up().await;
    pair.hand_over(|state, _| assert!(state.ends.client.paused));
    let mut quiet = 0;
    while quiet < 10 {
        quiet = match pair.heard(Side::Upstream).len() {
            0 => quiet + 1,
            _ => 0,
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
        pair.wake(1024);
    }
    assert!(!pair.splice.ends.client.paused);
    let silent = clock();
    while pair.splice.is_open() {
        assert!(clock() - silent < 10 * SECOND, "its clock stands");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut cx = Context::from_waker(std::task::Waker::noop());
        // The frame that it does not end is waited for by nobody.
        let _ = pair.splice.wake(&mut cx, clock(), &mut [0; 1024]);
    }
}

/// Frames of 1 KiB each, the `n`th filled with `n`: of a client, masked with zeros.
fn frames(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|n| masked(0x82, &[n as u8; 1024 - 14]))
        .collect()
}

impl Pair {
    /// Sends frames to the upstream, which takes none, until a backlog stands, with an own ping behind it.
    async fn back_up_with_a_ping(&mut self) -> Vec<u8> {
        let data = frames(16 * 1024);
        self.far.client.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while !matches!(
            self.splice.ends.upstream.outlet.ping,
            PingSlot::Placed { .. }
        ) {
            sent += self.far.client.write(&data[sent..]).unwrap_or_default();
            assert!(sent < data.len(), "it takes everything");
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.wake(1024);
        }
        self.far.client.set_nonblocking(false).unwrap();
        data[..sent].to_vec()
    }

    /// All that comes to the upstream, until it was sent so much.
    async fn read_upstream(&mut self, len: usize, frozen: bool) -> Vec<u8> {
        let mut heard = Vec::new();
        while heard.len() < len {
            let far = &mut self.far.upstream;
            far.set_nonblocking(true).unwrap();
            let mut some = vec![0; 48 * 1024];
            let read = far.read(&mut some).unwrap_or_default();
            heard.extend(&some[..read]);
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.wake(1024);
            if frozen {
                self.hand_over(|_, _| ());
            }
        }
        heard
    }
}

fn slow_reader() -> Terms {
    Terms {
        write_stall: None,
        ..pinged(Side::Upstream, 5 * SECOND, 3600 * SECOND, Evidence::Pong)
    }
}

/// What was sent and the own pings in between, of which the first has a place.
fn check_relayed(heard: &[u8], sent: &[u8]) {
    let ping = [&[0x89, 0x90][..], &own_payload(0)].concat();
    let heard = without_keys(heard);
    let at = heard.windows(ping.len()).position(|bytes| bytes == ping);
    let at = at.expect("the ping came");
    let mut expected = without_keys(sent);
    assert_eq!(heard[..at], expected[..at], "all that stands before it");
    expected.drain(..at);
    let behind = &heard[at + ping.len()..];
    assert!(behind.len() <= expected.len() && behind == &expected[..behind.len()]);
}

#[tokio::test(start_paused = true)]
async fn a_backlog_goes_along_with_the_ping_that_stands_in_it() {
    for frozen in [false, true] {
        let mut pair = Pair::open(slow_reader()).await;
        let sent = pair.back_up_with_a_ping().await;
        assert!(pair.splice.ends.client.paused);
        if frozen {
            pair.hand_over(|state, _| assert!(!state.ends.upstream.outlet.backlog.is_empty()));
        }
        let heard = pair.read_upstream(sent.len() + 22, frozen).await;
        check_relayed(&heard, &sent);
        assert_eq!(pair.splice.heart.vitals(Side::Upstream).pings_sent, 1);
    }
}

/// The kernel took the first 15 bytes of a ping before the pair stood still.
#[tokio::test(start_paused = true)]
async fn a_ping_that_is_half_written_is_written_to_its_end() {
    const LEFT: usize = 7;
    let mut pair = Pair::open(slow_reader()).await;
    let sent = pair.back_up_with_a_ping().await;
    let mut heard = Vec::new();
    let mut far = pair.far.upstream.try_clone().unwrap();
    pair.hand_over(|state, sockets| {
        // What lies in the kernel makes room for what stands up to there.
        far.set_nonblocking(true).unwrap();
        let mut near = StdStream::from(sockets.upstream.try_clone().unwrap());
        let end = &mut state.ends.upstream;
        let backlog = std::mem::take(&mut end.outlet.backlog).into_vec();
        let (mut first, left) = backlog.split_at(backlog.len() - LEFT);
        while !first.is_empty() {
            let _ = far.read_to_end(&mut heard);
            let written = near.write(first).unwrap_or_default();
            end.taken += written as u64;
            first = &first[written..];
        }
        end.outlet.backlog = left.to_vec().into();
        end.outlet.ping = crate::frozen::PingState::Placed { ahead: LEFT };
        // The watch has seen less being taken.
        end.outlet.watch = None;
    });
    assert_eq!(pair.splice.heart.vitals(Side::Upstream).pings_sent, 0);
    heard.extend(
        pair.read_upstream(sent.len() + 22 - heard.len(), false)
            .await,
    );
    check_relayed(&heard, &sent);
    assert_eq!(pair.splice.heart.vitals(Side::Upstream).pings_sent, 1);
}

/// What came behind the handshake and was not relayed yet is relayed by who goes on.
#[tokio::test(start_paused = true)]
async fn early_bytes_go_along() {
    let mut pair = Pair::open(Terms::default()).await;
    let early = masked(0x81, b"early");
    pair.come_early(&early);
    pair.hand_over(|_, _| ());
    tokio::time::sleep(Duration::from_millis(1)).await;
    pair.wake(1024);
    let mut heard = vec![0; early.len()];
    pair.far.upstream.read_exact(&mut heard).unwrap();
    assert_eq!(heard, early);
}

/// Other terms than those on which the pair began end none that is well.
#[tokio::test(start_paused = true)]
async fn terms_that_have_changed_do_not_reach_back() {
    let quiet = pinged(Side::Client, 3600 * SECOND, SECOND, Evidence::Any);
    let mut pair = Pair::open(quiet.clone()).await;
    pair.wake(1024);
    tokio::time::sleep(600 * SECOND).await;
    pair.wake(1024);
    let stricter = Terms {
        data_idle: Some(60 * SECOND),
        lifetime: Some(300 * SECOND),
        ..quiet
    };
    pair.hand_over_to(Arc::new(stricter), |_, _| ()).unwrap();
    let changed = clock();
    pair.until(changed + 60 * SECOND - Duration::from_millis(1))
        .await;
    assert!(pair.splice.is_open(), "{:?}", pair.splice.fate);
    pair.until(changed + 60 * SECOND).await;
    assert!(!pair.splice.is_open(), "quiet for a minute since");
}
