//! Both endpoints talk at once while lubdub pings both of them all the time.

use std::cell::Cell;

use lubdub_keepalive::Side;
use lubdub_testkit::frame::{Frame, Seen};
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Ears, Heard, Mouth, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use lubdub_testkit::tap;
use lubdub_wire::Opcode;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tokio::sync::{Barrier, mpsc};

use crate::traffic::{LOOKALIKE, OWN_LEN, Speech, speech};

/// What one endpoint said and heard.
struct Recording {
    /// All that the other one has to hear.
    said: Vec<u8>,
    /// Pongs to own pings, which go no further.
    own_pongs: usize,
    heard: Vec<u8>,
}

#[test]
fn each_direction_carries_what_was_said_and_between_its_frames_own_pings() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let upstreams = Upstream::listen();
    let mut proxy = ProxyBox::new().ping(Side::Client, ms(10), ms(60_000)).ping(
        Side::Upstream,
        ms(10),
        ms(60_000),
    );
    // One side waits for the ends of messages, the other one takes any gap.
    proxy.terms.boundary_wait.client = None;
    let proxy = proxy.start(&upstreams);
    let mut runner = TestRunner::new(Config {
        cases: 48,
        max_shrink_iters: 200,
        rng_seed: RngSeed::Fixed(6455),
        failure_persistence: None,
        ..Config::default()
    });
    let pings = Cell::new(0);
    let ran = runner.run(&(speech(), speech()), |(of_client, of_upstream)| {
        let case = converse(&proxy, &upstreams, of_client, of_upstream);
        let (client, upstream) = runtime.block_on(case);
        let up = check("to the upstream", &client, &upstream, true)?;
        let down = check("to the client", &upstream, &client, false)?;
        pings.set(pings.get() + up + down);
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
    assert!(
        pings.get() > 100,
        "only {} pings were among all that",
        pings.get()
    );
    runtime.block_on(proxy.expect_metric("lapses_total", &[], 0.0));
}

/// One direction; returns how many own pings there were.
fn check(
    direction: &str,
    from: &Recording,
    to: &Recording,
    to_upstream: bool,
) -> Result<usize, TestCaseError> {
    let injected = tap::injected(&to.heard, &from.said).map_err(|untrue| {
        let heard = to.heard[untrue.heard_at..]
            .iter()
            .take(40)
            .copied()
            .collect::<Vec<_>>();
        TestCaseError::fail(format!("{direction}: {untrue:?}; there: {heard:02x?}"))
    })?;
    for frame in &injected {
        frame.assert_well_made(to_upstream);
        prop_assert!(is_own(frame), "{direction}: not an own ping: {frame:?}");
    }
    prop_assert!(
        to.own_pongs <= injected.len(),
        "{direction}: more pongs than pings"
    );
    Ok(injected.len())
}

async fn converse(
    proxy: &RunningProxy,
    upstreams: &Upstream,
    of_client: Speech,
    of_upstream: Speech,
) -> (Recording, Recording) {
    let (client, upstream) = proxy.pair(upstreams).await;
    let (client, upstream) = (client.split(), upstream.split());
    let finished = Barrier::new(2);
    let both = tokio::join!(
        endpoint(client, of_client, &finished),
        endpoint(upstream, of_upstream, &finished)
    );
    proxy.expect_no_pairs().await;
    both
}

/// Says its speech and answers every ping, at once and in order, until both ends have finished.
async fn endpoint(
    (ears, mut mouth): (Ears, Mouth),
    speech: Speech,
    finished: &Barrier,
) -> Recording {
    let (to_answer, pings) = mpsc::unbounded_channel();
    let talk = async {
        let said = talk(&mut mouth, pings, speech).await;
        // Behind an end there are no own pings, and the other one may just have begun.
        finished.wait().await;
        mouth.finish().await;
        said
    };
    let (heard, (said, own_pongs)) = tokio::join!(listen(ears, to_answer), talk);
    Recording {
        said,
        own_pongs,
        heard,
    }
}

async fn listen(mut ears: Ears, to_answer: mpsc::UnboundedSender<Seen>) -> Vec<u8> {
    loop {
        match ears.next().await {
            Heard::Frame(frame) if frame.is_ping() => {
                // Who has finished talking does not answer any more.
                let _ = to_answer.send(frame);
            }
            Heard::Frame(_) => {}
            Heard::Fin(_) => return ears.heard().to_vec(),
            Heard::Reset(_) => panic!("the connection was reset"),
        }
    }
}

async fn talk(
    mouth: &mut Mouth,
    mut pings: mpsc::UnboundedReceiver<Seen>,
    speech: Speech,
) -> (Vec<u8>, usize) {
    let mut segments = Segments::new(&speech);
    let mut said = Vec::new();
    let mut own_pongs = 0;
    let last = speech.frames.len() - 1;
    for (n, frame) in speech.frames.iter().enumerate() {
        while let Ok(ping) = pings.try_recv() {
            let pong = mouth.encode(&Frame::pong(ping.payload.clone()));
            if is_own(&ping) {
                own_pongs += 1;
            } else {
                said.extend_from_slice(&pong);
            }
            segments.say(mouth, &pong).await;
        }
        let mut bytes = mouth.encode(frame);
        if n == last {
            bytes.truncate(bytes.len() - speech.cut.min(bytes.len() - 1));
        }
        said.extend_from_slice(&bytes);
        segments.say(mouth, &bytes).await;
    }
    segments.finish(mouth).await;
    (said, own_pongs)
}

fn is_own(frame: &Seen) -> bool {
    let payload = &frame.payload;
    frame.header.opcode == Opcode::PING
        && payload.len() == OWN_LEN
        && !payload.starts_with(&LOOKALIKE)
}

/// Cuts what is said into segments that have nothing to do with its frames.
struct Segments {
    sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
    waiting: Vec<u8>,
    next: usize,
    breath: usize,
    sent: usize,
}

impl Segments {
    fn new(speech: &Speech) -> Self {
        let mut sizes = speech.segments.clone().into_iter().cycle();
        Self {
            next: sizes.next().unwrap_or(1),
            sizes,
            waiting: Vec::new(),
            breath: speech.breath,
            sent: 0,
        }
    }

    async fn say(&mut self, mouth: &mut Mouth, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        // A long frame in tiny segments would take for ever; then the segments grow.
        let least = self.waiting.len() / 50;
        while self.waiting.len() >= self.next.max(least).max(1) {
            let size = self.next.max(least).max(1);
            let rest = self.waiting.split_off(size);
            let segment = std::mem::replace(&mut self.waiting, rest);
            mouth.send(&segment).await;
            self.next = self.sizes.next().unwrap_or(1);
            self.sent += 1;
            if self.sent.is_multiple_of(self.breath) {
                tokio::time::sleep(ms(2)).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn finish(&mut self, mouth: &mut Mouth) {
        mouth.send(&self.waiting).await;
    }
}
