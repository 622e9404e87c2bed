//! `keepalive`: live pairs have the new value with their next ping.

use lubdub_testkit::frame::Frame;
use lubdub_testkit::ms;
use lubdub_testkit::peer::Peer;
use tokio::time::{Instant, sleep, timeout};

use super::stage::{Place, Stage};
use super::{Trials, trials};

pub(super) const TRIALS: Trials = trials! {
    "keepalive.client.interval" => interval,
    "keepalive.client.timeout" => of_timeout,
    "keepalive.client.mode" => mode,
    "keepalive.client.evidence" => evidence,
    "keepalive.client.enforce" => enforce,
    "keepalive.client.jitter" => jitter,
    "keepalive.client.boundary_wait" => boundary_wait,
    "keepalive.upstream.interval" => interval,
    "keepalive.upstream.timeout" => of_timeout,
    "keepalive.upstream.mode" => mode,
    "keepalive.upstream.evidence" => evidence,
    "keepalive.upstream.enforce" => enforce,
    "keepalive.upstream.jitter" => jitter,
    "keepalive.upstream.boundary_wait" => boundary_wait,
    "route.NAME.boundary_wait" => boundary_wait_of_route,
};

/// The side that a key is about.
fn side(place: Place) -> &'static str {
    match place.key.starts_with("keepalive.client") {
        true => "client",
        false => "upstream",
    }
}

/// The end of a live pair that is pinged, and the other one.
async fn ends(stage: &Stage, side: &str) -> (Peer, Peer) {
    let (client, upstream) = stage.pair().await;
    match side {
        "client" => (client, upstream),
        _ => (upstream, client),
    }
}

/// Pings this side at this interval.
async fn pinging(place: Place, interval: &str, value: &str, more: &[(&str, &str)]) -> Stage {
    let table = format!("keepalive.{}", side(place));
    let interval = [
        (format!("{table}.interval"), interval),
        (format!("{table}.timeout"), "5m"),
        (format!("{table}.jitter"), "0"),
        (place.key(), value),
    ];
    let mut settings: Vec<_> = interval.iter().map(|(key, it)| (&**key, *it)).collect();
    settings.extend(more);
    place.stage(&settings).await
}

async fn interval(place: Place) {
    let mut stage = place.stage_at("off", &[]).await;
    let (mut pinged, _other) = ends(&stage, side(place)).await;
    pinged.expect_silence(ms(100)).await;
    stage.set(place, "20ms").await;
    pinged.answer_next_pings(3).await;
}

/// Who answers no more lapses by the new timeout. A ping that is out has that with which it was sent.
async fn of_timeout(place: Place) {
    let mut stage = pinging(place, "20ms", "5m", &[]).await;
    let (mut pinged, mut other) = ends(&stage, side(place)).await;
    let answering = async {
        loop {
            pinged.answer_next_pings(1).await;
        }
    };
    tokio::select! {
        () = stage.set(place, "500ms") => {}
        never = answering => never,
    }
    pinged.answer_next_pings(3).await;
    lapses(place, &stage, &mut other).await;
}

async fn lapses(place: Place, stage: &Stage, other: &mut Peer) {
    let code = match side(place) {
        "client" => 1001,
        _ => 1011,
    };
    other.expect_close(code).await;
    let of_side = [("side", side(place))];
    stage
        .lubdub
        .expect_metric("lapses_total", &of_side, 1.0)
        .await;
}

/// While somebody talks, only the mode `interval` pings.
async fn mode(place: Place) {
    let mut stage = pinging(place, "500ms", "idle", &[]).await;
    let (mut talks, _other) = ends(&stage, side(place)).await;
    let began = Instant::now();
    while began.elapsed() < ms(800) {
        talks.send_text("busy").await;
        sleep(ms(10)).await;
    }
    let sent = async |stage: &Stage| {
        let scrape = stage.lubdub.scrape().await;
        scrape.sum("lubdub_pings_sent_total", &[("side", side(place))])
    };
    assert_eq!(sent(&stage).await, 0.0, "it is never idle");
    stage.set(place, "interval").await;
    let began = Instant::now();
    while sent(&stage).await == 0.0 {
        talks.send_text("busy").await;
        sleep(ms(10)).await;
        assert!(began.elapsed() < lubdub_testkit::PATIENCE, "no ping comes");
    }
}

/// Who talks and never answers is alive by `any`, and not by `pong`.
async fn evidence(place: Place) {
    let timeout = format!("keepalive.{}.timeout", side(place));
    let mut stage = pinging(place, "20ms", "any", &[(&timeout, "300ms")]).await;
    let (mut talks, mut other) = ends(&stage, side(place)).await;
    let began = Instant::now();
    while began.elapsed() < ms(600) {
        talks.send_text("busy").await;
        other.expect_text("busy").await;
        sleep(ms(10)).await;
    }
    let talking = async {
        while talks.try_send_text("busy").await {
            sleep(ms(10)).await;
        }
        std::future::pending::<()>().await;
    };
    let told = async {
        stage.set(place, "pong").await;
        loop {
            let frame = other.expect_frame().await;
            if frame.payload != b"busy" && !frame.is_ping() {
                return;
            }
        }
    };
    tokio::select! {
        () = talking => {}
        () = told => {}
    }
    let of_side = [("side", side(place))];
    stage
        .lubdub
        .expect_metric("lapses_total", &of_side, 1.0)
        .await;
}

async fn enforce(place: Place) {
    let timeout = format!("keepalive.{}.timeout", side(place));
    let mut stage = pinging(place, "20ms", "never", &[(&timeout, "50ms")]).await;
    let (mut pinged, mut other) = ends(&stage, side(place)).await;
    for _ in 0..5 {
        pinged.expect_ping().await;
    }
    stage.set(place, "always").await;
    lapses(place, &stage, &mut other).await;
}

/// Without jitter no ping comes early; with all of it most do.
async fn jitter(place: Place) {
    let mut stage = pinging(place, "200ms", "0", &[]).await;
    let (mut pinged, _other) = ends(&stage, side(place)).await;
    pinged.answer_next_pings(1).await;
    stage.set(place, "1").await;
    let mut early = 0;
    let mut last = Instant::now();
    for _ in 0..20 {
        pinged.answer_next_pings(1).await;
        early += usize::from(last.elapsed() < ms(150));
        last = Instant::now();
    }
    assert!(early >= 2, "of 20 pings {early} came early");
}

/// In the middle of a message a ping takes the end of a frame, or waits for that of the message.
async fn boundary_wait(place: Place) {
    let mut stage = pinging(place, "50ms", "off", &[]).await;
    in_a_message(place, &mut stage, side(place)).await;
}

async fn boundary_wait_of_route(place: Place) {
    let settings = [
        ("keepalive.client.interval", "50ms"),
        ("keepalive.client.timeout", "5m"),
    ];
    let mut stage = place.stage_at("off", &settings).await;
    in_a_message(place, &mut stage, "client").await;
}

async fn in_a_message(place: Place, stage: &mut Stage, side: &str) {
    let (mut pinged, mut other) = ends(stage, side).await;
    other.send_frame(&Frame::text("begins").open()).await;
    loop {
        let frame = pinged.expect_frame().await;
        match frame.is_ping() {
            true => pinged.pong(frame.payload).await,
            false => break,
        }
    }
    pinged.answer_next_pings(2).await;
    stage.set(place, "5m").await;
    // Some may have come meanwhile.
    let mut came = 0;
    while let Ok(payload) = timeout(ms(300), pinged.expect_ping()).await {
        pinged.pong(payload).await;
        came += 1;
        assert!(came < 50, "it waits for no end");
    }
    other.send_frame(&Frame::continuation("ends")).await;
    assert_eq!(pinged.expect_frame().await.payload, b"ends");
    pinged.expect_ping().await;
}
