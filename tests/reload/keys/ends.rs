//! `close` and `drain`. A pair that opened before has the codes and reasons that it came with.

use lubdub_testkit::frame::Frame;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream, expect_alive};
use rustix::process::Signal;

use super::stage::{Place, Stage};
use super::{Trials, trials};

pub(super) const TRIALS: Trials = trials! {
    "close.to_client.upstream_lapsed" => code,
    "close.to_client.upstream_stalled" => code,
    "close.to_client.drain" => code,
    "close.to_client.lifetime" => code,
    "close.to_client.data_idle" => code,
    "close.to_client.frame_too_big" => code,
    "close.to_upstream.client_lapsed" => code,
    "close.to_upstream.client_stalled" => code,
    "close.to_upstream.drain" => code,
    "close.to_upstream.lifetime" => code,
    "close.to_upstream.data_idle" => code,
    "close.to_upstream.frame_too_big" => code,
    "close.to_client.reason" => reason,
    "close.to_upstream.reason" => reason,
    "drain.delay" => delay,
    "drain.spread" => spread,
    "drain.timeout" => drain_timeout,
};

/// No code of anybody's.
const CODE: u16 = 4321;

/// Ends a pair for the cause that the code is for, and looks what is said.
async fn code(place: Place) {
    let (table, cause) = place.key.rsplit_once('.').expect("it is in a table");
    let settings: &[(&str, &str)] = match cause {
        "upstream_lapsed" => &[
            ("keepalive.upstream.interval", "100ms"),
            ("keepalive.upstream.timeout", "100ms"),
        ],
        "client_lapsed" => &[
            ("keepalive.client.interval", "100ms"),
            ("keepalive.client.timeout", "100ms"),
        ],
        "upstream_stalled" | "client_stalled" => &[("timeouts.write_stall", "300ms")],
        "lifetime" => &[("timeouts.lifetime", "300ms")],
        "data_idle" => &[("timeouts.data_idle", "300ms")],
        "frame_too_big" => &[("limits.frame_bytes", "125")],
        _ => &[],
    };
    let upstreams = match cause {
        "upstream_stalled" => Upstream::tiny(),
        _ => Upstream::listen(),
    };
    let mut stage = Stage::start(place, upstreams, settings).await;
    let early = pair(&stage, cause).await;
    stage.set(place, &CODE.to_string()).await;
    let late = pair(&stage, cause).await;
    let ordinary = match (table, cause) {
        (_, "frame_too_big") => 1009,
        ("close.to_client", "upstream_lapsed" | "upstream_stalled") => 1011,
        ("close.to_client", "drain" | "lifetime") => 1012,
        _ => 1001,
    };
    if cause == "drain" {
        stage.drain().await;
    }
    let ends = async |(client, upstream): (Peer, Peer), code| match table {
        "close.to_client" => ends(cause, client, upstream, code).await,
        _ => ends(cause, upstream, client, code).await,
    };
    tokio::join!(ends(early, ordinary), ends(late, CODE));
}

async fn pair(stage: &Stage, cause: &str) -> (Peer, Peer) {
    let dial = match cause {
        "client_stalled" => stage.dial().tiny(),
        _ => stage.dial(),
    };
    dial.pair(&stage.upstreams).await
}

/// Brings the end about, and looks what `told` is told; the other end has done what it is for, or has not.
async fn ends(cause: &str, mut told: Peer, mut other: Peer, code: u16) {
    match cause {
        // The other end takes nothing.
        "upstream_stalled" | "client_stalled" => {
            told.send_until_blocked(ms(50)).await;
        }
        "frame_too_big" => other.send_frame(&Frame::binary([b'x'; 200])).await,
        _ => {}
    }
    told.expect_close(code).await;
}

async fn reason(place: Place) {
    let mut stage = place.stage(&[]).await;
    let early = stage.pair().await;
    stage.set(place, "off").await;
    let late = stage.pair().await;
    stage.drain().await;
    for ((mut client, mut upstream), reason) in [(early, "restarting"), (late, "")] {
        let close = match place.key {
            "close.to_client.reason" => client.expect_close(1012).await,
            _ => upstream.expect_close(1001).await,
        };
        assert_eq!(close.close().1, reason, "{close:?}");
    }
}

async fn delay(place: Place) {
    let mut stage = place.stage(&[]).await;
    let mut pair = stage.pair().await;
    stage.set(place, "5m").await;
    let said = stage.drain().await;
    assert_eq!(said["state"], "waiting", "{said}");
    expect_alive(&mut pair).await;
}

async fn spread(place: Place) {
    let mut stage = place.stage(&[]).await;
    stage.set(place, "5m").await;
    let said = stage.drain().await;
    assert_eq!(said["spread_seconds"], 300.0, "{said}");
}

/// Nobody answers the farewell.
async fn drain_timeout(place: Place) {
    let settings = [("timeouts.close", "5m"), ("drain.timeout", "5m")];
    let mut stage = place.stage(&settings).await;
    let _pair = stage.pair().await;
    stage.set(place, "100ms").await;
    stage.lubdub.signal(Signal::TERM);
    stage.lubdub.expect_logged("pairs were cut").await;
}
