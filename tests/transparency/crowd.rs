//! Pairs that all speak at once: what a worker sends to many sockets in one go.

use futures_util::future::join_all;
use lubdub_testkit::binary::Binary;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};

const PAIRS: usize = 12;
/// Short enough to be sent with others, and together far more than tiny sockets hold.
const MESSAGES: usize = 600;
const BYTES: usize = 400;

/// Each message is its own in number and in what it holds.
fn messages(pair: usize, speaker: &mut Peer) -> Vec<Vec<u8>> {
    let message = |n: usize| {
        let payload = (0..BYTES).map(|at| u8::try_from((pair * 31 + n * 7 + at) % 251));
        Frame::binary(payload.collect::<Result<Vec<_>, _>>().expect("a byte"))
    };
    (0..MESSAGES).map(|n| speaker.encode(&message(n))).collect()
}

/// Says everything, message by message, to whom reads nothing for a while: the kernel has soon no room for what waits
/// for the others.
async fn speak(pair: usize, mut speaker: Peer, listener: &mut Peer) {
    let said = messages(pair, &mut speaker);
    let all = said.concat();
    let (_ears, mut mouth) = speaker.split();
    let speaks = async {
        for message in &said {
            mouth.send(message).await;
            tokio::task::yield_now().await;
        }
        mouth.finish().await;
    };
    let listens = async {
        tokio::time::sleep(ms(300)).await;
        listener.expect_bytes(&all).await;
        listener.expect_eof().await;
    };
    tokio::join!(speaks, listens);
}

async fn everything_arrives(setting: &str) {
    let upstreams = Upstream::tiny();
    let settings = [
        setting,
        "runtime.workers=1",
        "keepalive.upstream.interval=off",
    ];
    let lubdub = Binary::start(&upstreams, &settings).await;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        pairs.push(lubdub.dial().tiny().pair(&upstreams).await);
    }
    // From clients as well as from upstreams.
    join_all(
        pairs
            .into_iter()
            .enumerate()
            .map(async |(pair, (client, upstream))| {
                let (speaker, mut listener) = match pair % 2 {
                    0 => (client, upstream),
                    _ => (upstream, client),
                };
                speak(pair, speaker, &mut listener).await;
            }),
    )
    .await;
}

#[tokio::test]
async fn a_crowd_is_heard_whole_and_in_order() {
    everything_arrives("runtime.io_uring=true").await;
}

#[tokio::test]
async fn a_crowd_is_heard_whole_and_in_order_without_a_ring() {
    everything_arrives("runtime.io_uring=false").await;
}
