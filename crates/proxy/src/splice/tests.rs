//! Pairs on real sockets in virtual time, polled by hand: nothing happens between the turns that a
//! test gives them, so it says itself what a turn finds.

mod clock;
mod closing;
mod data;
mod dropped;
mod frozen;
mod parcels;
mod rate;
mod sends;
mod stutter;
mod trace;

use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream as StdStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use lubdub_keepalive::{Evidence, Jitter, Policy};
use lubdub_metrics::{BuildInfo, Metrics, Names};
use tokio::net::TcpStream;

use super::*;
use crate::admission::Admission;
use crate::caller::Caller;
use crate::registry::{Identity, PairEntry, PairNames, Registry};
use crate::route;
use crate::settings::{self, Limits};
use crate::socket::{self, together};
use crate::splice::outlet::Fin;

const SECOND: Duration = Duration::from_secs(1);

/// A splice, and the far end of each leg.
struct Pair {
    splice: Splice,
    metrics: Metrics,
    far: PerSide<StdStream>,
}

/// Only one side is pinged: how often, how long its pong may take, and what else counts as one.
fn pinged(side: Side, interval: Duration, timeout: Duration, evidence: Evidence) -> Terms {
    let policy = |interval| Policy::try_new(interval, timeout, Jitter::NONE).unwrap();
    let mut keepalive = PerSide::from_fn(|_| policy(None));
    keepalive[side] = policy(Some(interval));
    keepalive[side].evidence = evidence;
    Terms {
        keepalive: keepalive.map(Into::into),
        ..Terms::default()
    }
}

/// Whether the pair was woken in its turn.
#[derive(Default)]
struct Again(AtomicBool);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn connection() -> (Leg, StdStream) {
    let (near, far) = socket::testing::connection().await;
    let far = far.into_std().unwrap();
    far.set_nonblocking(false).unwrap();
    (Leg::Plain(near), far)
}

const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

fn identity() -> Identity {
    Identity {
        names: Arc::new(PairNames {
            listener: "main".into(),
            route: "main".into(),
            upstream: "main".into(),
        }),
        caller: Caller::peer(NOBODY.into()),
        upstream: NOBODY.into(),
        request_id: None,
        proxy_header: None,
        request: None,
    }
}

/// Those of a pair that is alone.
fn places() -> Places {
    let limits = Limits {
        pairs: 1,
        pairs_per_source: None,
        handshake_rate: None,
        handshakes: NonZeroUsize::MIN,
        connections: NonZeroUsize::MIN,
        head_bytes: 65_536,
    };
    let admission = Admission::new(&limits);
    let route = route::testing::state(&settings::testing::route("main"));
    let upgrade = admission.upgrade(&route, Some(NOBODY.ip())).unwrap();
    Places {
        _pair: admission.pair(upgrade).unwrap(),
        _client: None,
        _upstream: admission.sockets.try_take().unwrap(),
        _load: Load::default(),
    }
}

impl Pair {
    async fn open(terms: Terms) -> Self {
        let _ = together::begin(true);
        Self::open_beside(terms).await
    }

    /// Another one on the same worker.
    async fn open_beside(terms: Terms) -> Self {
        let names = Names {
            listeners: &["main"],
            routes: &["main"],
            upstreams: &[],
        };
        let build = BuildInfo {
            version: "0",
            revision: "test",
        };
        let metrics = Metrics::new(build, names).unwrap();
        let of_pair = metrics.listener("main").unwrap().route("main").unwrap();
        let now = clock();
        let registration = Arc::new(Registry::new(now)).register(identity(), now);
        let (client, upstream) = tokio::join!(connection(), connection());
        let terms = Arc::new(terms);
        let splice = Splice::new(NewPair {
            legs: PerSide {
                client: client.0,
                upstream: upstream.0,
            },
            early: PerSide {
                client: Bytes::new(),
                upstream: Bytes::new(),
            },
            live_terms: Arc::new(LiveTerms::new(&terms)),
            terms,
            metrics: of_pair,
            registration,
            handshake: Duration::ZERO,
            entropy: Entropy::from_bytes([7; Entropy::LEN]),
            chance: 0.5,
            places: places(),
        });
        Self {
            splice,
            metrics,
            far: PerSide {
                client: client.1,
                upstream: upstream.1,
            },
        }
    }

    /// Wakes it up, now; it reads so many bytes at a time.
    fn wake(&mut self, read_size: usize) {
        self.wake_at(clock(), read_size);
    }

    /// The same with a clock that was read some time ago. Returns whether it wants to be woken again
    /// at once.
    fn wake_at(&mut self, now: Instant, read_size: usize) -> bool {
        let again = Arc::new(Again::default());
        let waker = Arc::clone(&again).into();
        let mut cx = Context::from_waker(&waker);
        let ended = self.splice.wake(&mut cx, now, &mut vec![0; read_size]);
        assert!(ended.is_pending());
        // The worker has nothing else to do.
        together::send_all();
        again.0.load(Ordering::Relaxed)
    }

    /// Wakes it whenever it asked for that, until a side has been sent so many pings.
    async fn until_pinged(&mut self, side: Side, times: u64) {
        while self.splice.heart.vitals(side).pings_sent < times {
            let next = self.splice.next_deadline(clock()).expect("a ping to come");
            tokio::time::sleep_until(next.into()).await;
            self.wake(1024);
        }
    }

    /// Lets it go on by itself until `end`, and wakes it up then.
    async fn until(&mut self, end: Instant) {
        let turn = |cx: &mut Context<'_>| {
            // What was armed in a turn of `wake_at` wakes nobody: here it does.
            self.splice.timer.arm(cx, end + Duration::from_nanos(1));
            let ended = self.splice.wake(cx, clock(), &mut [0; 1024]);
            together::send_all();
            ended
        };
        let ended = tokio::time::timeout_at(end.into(), poll_fn(turn)).await;
        assert!(ended.is_err());
        self.wake(1024);
    }

    /// A side sends this, and it arrives: virtual time passes faster than loopback carries it.
    fn say(&mut self, side: Side, bytes: &[u8]) {
        self.far[side].write_all(bytes).unwrap();
        let leg = self.splice.ends[side].leg.as_ref().expect("a leg");
        while leg.socket().unread(bytes.len()) < bytes.len() {
            std::thread::yield_now();
        }
    }

    /// The same, and it will say no more.
    fn say_last(&mut self, side: Side, bytes: &[u8]) {
        self.say(side, bytes);
        self.far[side].shutdown(Shutdown::Write).unwrap();
        self.wait_for_end(side);
    }

    /// The end that a side has said arrives, or its reset.
    fn wait_for_end(&self, side: Side) {
        let leg = self.splice.ends[side].leg.as_ref().expect("a leg");
        leg.socket().wait_for_end();
    }

    /// What a side is sent until its connection's end.
    fn heard_to_the_end(&mut self, side: Side) -> Vec<u8> {
        let far = &mut self.far[side];
        let mut heard = Vec::new();
        far.set_read_timeout(Some(10 * SECOND)).unwrap();
        far.read_to_end(&mut heard).unwrap();
        heard
    }

    /// This came behind the client's handshake.
    fn come_early(&mut self, early: &[u8]) {
        let inlet = |side: Side, waiting: &[u8]| {
            let rate = self.splice.terms.rates.from(side);
            Inlet::new(Bytes::copy_from_slice(waiting), rate, clock())
        };
        self.splice.inlets = Some(Box::new(PerSide {
            client: inlet(Side::Client, early),
            upstream: inlet(Side::Upstream, b""),
        }));
    }

    /// Sends so much to the upstream, which takes nothing, that lubdub reads the client no more.
    #[expect(clippy::disallowed_methods, reason = "the kernel's time, not tokio's")]
    async fn back_up(&mut self) {
        self.far.client.set_nonblocking(true).unwrap();
        let data = masked(0x82, &[0; 1024 * 1024]);
        let mut sent = 0;
        // An acknowledgement may be 40 ms late, and makes room once more.
        let mut refused = 0;
        while refused < 20 {
            refused = if self.splice.ends.client.paused {
                refused + 1
            } else {
                0
            };
            std::thread::sleep(Duration::from_millis(3 * u64::from(refused > 0)));
            sent += self.far.client.write(&data[sent..]).unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.wake(1024);
        }
    }

    /// The payload of a ping that was sent to the client.
    fn read_ping(&mut self) -> Vec<u8> {
        let mut head = [0; 2];
        self.far.client.read_exact(&mut head).unwrap();
        assert_eq!(head[0], 0x89, "a PING, RFC 6455 5.5.2");
        let mut payload = vec![0; usize::from(head[1])];
        self.far.client.read_exact(&mut payload).unwrap();
        payload
    }

    fn ping_mark(&self) -> u64 {
        let mark = self.splice.ends.client.ping_mark.as_ref();
        mark.expect("a ping was written").end()
    }
}

/// Frames of a client, RFC 6455 5.2, masked with zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0xFF];
    frame.extend((payload.len() as u64).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn masked_pong(payload: &[u8]) -> Vec<u8> {
    masked_control(0x8A, payload)
}

fn masked_control(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap()];
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A turn reads a bounded number of times. A pong that stood behind more than that when the deadline
/// came was not seen, and its side called dead.
#[tokio::test(start_paused = true)]
async fn a_pong_behind_a_turns_worth_of_data_is_heard_before_its_side_is_called_dead() {
    const READ_SIZE: usize = 1024;
    let terms = pinged(Side::Client, SECOND, SECOND, Evidence::Pong);
    let mut pair = Pair::open(terms).await;
    pair.until_pinged(Side::Client, 1).await;
    let ping = pair.read_ping();
    let data = masked(0x82, &[0; 4 * Splice::READS_A_TURN * READ_SIZE]);
    pair.far.client.write_all(&data).unwrap();
    pair.far.client.write_all(&masked_pong(&ping)).unwrap();

    let written = pair.splice.heart.clock_since(Side::Client).unwrap();
    tokio::time::sleep_until((written + SECOND).into()).await;
    pair.wake(READ_SIZE);
    assert_eq!(pair.splice.heart.vitals(Side::Client).pongs_received, 1);
    assert!(pair.splice.is_open(), "{:?}", pair.splice.fate);
    let mut passed = vec![0; data.len()];
    pair.far.upstream.read_exact(&mut passed).unwrap();
    assert!(passed == data, "the data passed, the pong did not");
}

/// The mark moved with every ping. What was then looked at was whether the latest ping had arrived,
/// while the deadline is that of the oldest one without an answer.
#[tokio::test(start_paused = true)]
async fn the_mark_is_that_of_the_ping_that_runs_the_clock() {
    let terms = pinged(Side::Client, SECOND, 10 * SECOND, Evidence::Any);
    let mut pair = Pair::open(terms).await;
    pair.until_pinged(Side::Client, 1).await;
    let first = pair.ping_mark();
    pair.until_pinged(Side::Client, 3).await;
    assert_eq!(pair.ping_mark(), first, "two more pings were written");

    let ping = pair.read_ping();
    pair.far.client.write_all(&masked_pong(&ping)).unwrap();
    pair.until_pinged(Side::Client, 4).await;
    assert_eq!(
        pair.ping_mark(),
        4 * first,
        "the fourth is the oldest without an answer"
    );
}

/// A burst after some quiet, longer than two turns: the first set the moment at which the counters
/// were to be told, the second only relayed, and neither arranged to be woken then.
#[tokio::test(start_paused = true)]
async fn counters_are_told_of_a_burst_that_takes_more_than_a_turn() {
    const READ_SIZE: usize = 1024;
    let mut pair = Pair::open(Terms {
        lifetime: Some(3600 * SECOND),
        ..pinged(Side::Client, 3600 * SECOND, SECOND, Evidence::Any)
    })
    .await;
    pair.wake(READ_SIZE);
    let data = masked(0x82, &[0; 3 * Splice::READS_A_TURN * READ_SIZE]);
    pair.far.client.write_all(&data).unwrap();
    tokio::time::sleep(SECOND).await;
    for _ in 0..4 {
        pair.wake(READ_SIZE);
    }
    assert_eq!(pair.splice.tally.from.client.bytes, data.len() as u64);
    let told = pair.splice.tally.deadline().expect("there is news");
    assert!(pair.splice.timer.covers(told));
}

/// A frame over the limit in front of the Close that answers lubdub's own hid it, if lubdub had
/// something else to end the pair for.
#[tokio::test(start_paused = true)]
async fn an_answer_behind_a_frame_that_is_too_big_is_seen_while_lubdub_ends_the_pair() {
    let mut pair = Pair::open(Terms {
        frame_bytes: Some(100),
        ..Terms::default()
    })
    .await;
    pair.wake(1024);
    pair.splice.end(Cause::Drain, None, clock());
    let farewell = [
        masked(0x82, &[0; 101]),
        masked_control(0x88, &1001_u16.to_be_bytes()),
    ];
    pair.far.client.write_all(&farewell.concat()).unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    pair.wake(1024);
    assert!(pair.splice.ends.client.said_close);
    assert_eq!(pair.splice.ends.client.outlet.fin, Fin::Sent);
    assert_eq!(pair.splice.fate.cause(), Some(Cause::Drain));
}

/// By how much tokio's socket is larger here than in the program: where some test has the threaded runtime, a handle of
/// a runtime may be of either kind.
fn more_in_tests() -> usize {
    size_of::<TcpStream>() - 24
}

/// All that an idle pair keeps of lubdub's: the splice, its entry, and what is boxed.
#[test]
fn an_idle_pair_stays_small_with_what_it_boxes() {
    let boxed = size_of::<tokio::time::Sleep>() + PairEntry::TRACE + size_of::<Seldom>();
    let whole = size_of::<Splice>() + size_of::<PairEntry>() + boxed;
    // Both sockets and the sleep have such a handle, and the sleep another 8 bytes.
    let whole = whole - 4 * more_in_tests();
    assert!(whole <= 1_392, "{whole}");
}

/// Every idle pair costs this, and there may be ten thousand of them on a small machine. The
/// bounds are what the allocator's classes carry (1,024 with a task around it, 224 with the
/// counters of an `Arc`): one byte more costs a fifth.
#[test]
fn a_pair_stays_small() {
    let splice = size_of::<Splice>() - 2 * more_in_tests();
    assert!(splice <= 912, "{splice}");
    assert!(size_of::<Seldom>() <= 96, "{}", size_of::<Seldom>());
    assert!(size_of::<PairEntry>() <= 208, "{}", size_of::<PairEntry>());
}
