//! A pair that has come to rest is pinged, and its pongs are taken back, without taking anything
//! from the heap for itself.
//!
//! The histograms do take a block for every 64 observations (a round trip, a delay), which they
//! give back at the next scrape or upkeep.

#![forbid(unsafe_code)]

mod allocations;
mod stage;

use lubdub_keepalive::{PingPayload, Side};
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::{PATIENCE, ms};
use lubdub_wire::{ControlFrame, Header, MaskKey, Opcode, Payload};

use crate::allocations::during;
use crate::stage::Stage;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// How many pings each side answers while it is counted.
const PINGS: usize = 500;
/// How many before that.
const WARM_UP: usize = 20;

/// Where histograms keep what they have observed.
const HISTOGRAM: &str = "metrics_util::storage::bucket";

/// The key of every pong of the client's.
const MASK: MaskKey = MaskKey([0x37, 0xfa, 0x21, 0x3d]);

#[tokio::test]
async fn heartbeats_take_nothing_from_the_heap() {
    let proxy =
        ProxyBox::new()
            .ping(Side::Client, ms(10), PATIENCE)
            .ping(Side::Upstream, ms(10), PATIENCE);
    let mut stage = Stage::open(proxy).await;
    answer(&mut stage, WARM_UP);
    let taken = during(|| answer(&mut stage, PINGS));
    let (observations, pairs): (Vec<_>, Vec<_>) = (taken.into_iter())
        .partition(|site| site.calls.iter().any(|call| call.contains(HISTOGRAM)));
    assert!(pairs.is_empty(), "{pairs:#?}");
    // Of each of the two histograms of each of the two sides.
    let blocks: u64 = observations.iter().map(|site| site.blocks).sum();
    let most = 4 * (PINGS / 64 + 1) as u64;
    assert!(blocks <= most, "{observations:#?}");
    stage.close().await;
}

/// Both sides answer so many pings.
fn answer(stage: &mut Stage, pings: usize) {
    for _ in 0..pings {
        for side in Side::BOTH {
            let pong = pong(side, hear_ping(stage, side));
            stage.say(side, pong.raw());
        }
    }
}

/// The next own ping to `side`: nothing else is on its way there.
fn hear_ping(stage: &mut Stage, side: Side) -> Payload {
    let mut frame = [0; Header::MAX_LEN + PingPayload::LEN];
    // "A server MUST NOT mask any frames that it sends to the client" (RFC 6455 5.1), and lubdub is
    // the client of the upstream.
    let header_len = match side {
        Side::Client => 2,
        Side::Upstream => 6,
    };
    let (header, payload) = frame[..header_len + PingPayload::LEN].split_at_mut(header_len);
    stage.hear(side, header);
    stage.hear(side, payload);
    let (header, _) = Header::decode(header).expect("a whole header");
    assert_eq!(header.opcode, Opcode::PING, "toward the {side}");
    assert_eq!(header.payload_len, PingPayload::LEN as u64);
    if let Some(key) = header.mask {
        key.apply(0, payload);
    }
    Payload::try_from(&*payload).expect("own pings are short")
}

fn pong(side: Side, payload: Payload) -> ControlFrame {
    let mask = match side {
        Side::Client => Some(MASK),
        Side::Upstream => None,
    };
    ControlFrame::pong(&payload, mask)
}
