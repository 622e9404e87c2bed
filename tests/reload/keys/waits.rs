//! `timeouts` and `limits`.

use lubdub_testkit::certs::Certs;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Upstream, expect_alive};

use super::stage::{Place, Stage};
use super::{Trials, trials};

pub(super) const TRIALS: Trials = trials! {
    "timeouts.first_byte" => first_byte,
    "timeouts.request_head" => request_head,
    "timeouts.tls" => tls,
    "timeouts.proxy_header" => proxy_header,
    "timeouts.connect" => connect,
    "timeouts.answer" => answer,
    "timeouts.http_idle" => http_idle,
    "timeouts.write_stall" => write_stall,
    "timeouts.close" => close,
    "timeouts.data_idle" => data_idle,
    "timeouts.lifetime" => lifetime,
    "limits.pairs" => pairs,
    "limits.pairs_per_source" => pairs_per_source,
    "limits.handshake_rate" => handshake_rate,
    "limits.handshakes" => handshakes,
    "limits.connections" => connections,
    "limits.head_bytes" => head_bytes,
    "limits.frame_bytes" => frame_bytes,
    "route.NAME.limits.pairs" => pairs,
    "upstream.NAME.limits.waiting" => waiting,
    "upstream.NAME.limits.requests" => requests,
};

async fn first_byte(place: Place) {
    let mut stage = place.stage_at("5m", &[]).await;
    let mut early = stage.dial().connect().await;
    stage.set(place, "100ms").await;
    stage.dial().connect().await.expect_end().await;
    // Who was there before has the time that it came with.
    early.ask(&Request::get("/")).await;
    stage.answers().await;
    early.expect_answer(200).await;
}

async fn request_head(place: Place) {
    let mut stage = place.stage_at("5m", &[]).await;
    let mut early = stage.dial().connect().await;
    early.send("GET / HTTP/1.1\r\n").await;
    early.expect_silence(ms(50)).await;
    stage.set(place, "100ms").await;
    let mut late = stage.dial().connect().await;
    late.send("GET / HTTP/1.1\r\n").await;
    late.expect_end().await;
    early.send("Host: lubdub.example\r\n\r\n").await;
    stage.answers().await;
    early.expect_answer(200).await;
}

async fn tls(place: Place) {
    let certs = Certs::generate();
    let (cert, key) = (place.file("cert.pem"), place.file("key.pem"));
    std::fs::write(&cert, certs.chain_pem()).expect("a file");
    std::fs::write(&key, certs.key_pem()).expect("a file");
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let table = "listen.main.tls.certificate.main";
    let settings = [
        (format!("{table}.cert"), cert),
        (format!("{table}.key"), key),
    ];
    let settings = settings
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .collect::<Vec<_>>();
    let mut stage = place.stage_at("5m", &settings).await;
    stage.set(place, "100ms").await;
    let mut client = stage.dial().connect().await;
    // The beginning of a hello, and no more.
    client.send([0x16, 0x03, 0x01]).await;
    client.expect_end().await;
}

/// The upstream takes the connection, and says nothing to the hello of TLS.
async fn connect(place: Place) {
    let silent = Upstream::listen();
    let url = format!("wss://{}", silent.address());
    let ca = place.file("ca.pem");
    std::fs::write(&ca, Certs::generate().ca_pem()).expect("a file");
    let ca = ca.display().to_string();
    let settings = [("upstream.main.url", &*url), ("upstream.main.ca", &*ca)];
    let mut stage = place.stage_at("5m", &settings).await;
    stage.set(place, "100ms").await;
    stage.refused(504).await;
}

async fn answer(place: Place) {
    let mut stage = place.stage_at("5m", &[]).await;
    let mut early = stage.ask(&Request::upgrade("/")).await;
    let mut upstream = stage.upstreams.accept().await;
    stage.set(place, "100ms").await;
    let mut late = stage.ask(&Request::upgrade("/")).await;
    let _silent = stage.upstreams.accept().await;
    late.expect_answer(504).await;
    upstream.accept_upgrade().await;
    early.expect_switch().await;
}

async fn http_idle(place: Place) {
    let mut stage = place.stage_at("5m", &[]).await;
    stage.set(place, "100ms").await;
    let mut client = stage.ask(&Request::get("/")).await;
    let _silent = stage.upstreams.accept().await;
    client.expect_answer(504).await;
}

/// A client that takes nothing, while the upstream says more and more.
async fn write_stall(place: Place) {
    let mut stage = place.stage_at("5m", &[("timeouts.close", "100ms")]).await;
    stage.set(place, "200ms").await;
    let (_client, mut upstream) = stage.dial().tiny().pair(&stage.upstreams).await;
    upstream.send_until_blocked(ms(100)).await;
    ends_as(&stage, "client_stalled").await;
}

async fn ends_as(stage: &Stage, cause: &str) {
    let of_cause = [("cause", cause)];
    stage
        .lubdub
        .expect_metric("pairs_closed_total", &of_cause, 1.0)
        .await;
}

/// The upstream never answers the client's Close.
async fn close(place: Place) {
    let mut stage = place.stage_at("5m", &[]).await;
    let (mut early, _upstream) = stage.pair().await;
    stage.set(place, "100ms").await;
    let (mut late, mut upstream) = stage.pair().await;
    early.close(1000, "").await;
    late.close(1000, "").await;
    upstream.expect_close(1000).await;
    ends_as(&stage, "close_timeout").await;
    stage.lubdub.expect_metric("pairs", &[], 1.0).await;
}

async fn data_idle(place: Place) {
    let mut stage = place.stage_at("off", &[]).await;
    let mut early = stage.pair().await;
    stage.set(place, "100ms").await;
    let (mut client, _upstream) = stage.pair().await;
    client.expect_close(1001).await;
    expect_alive(&mut early).await;
}

async fn lifetime(place: Place) {
    let mut stage = place.stage_at("off", &[]).await;
    let mut early = stage.pair().await;
    stage.set(place, "100ms").await;
    let (mut client, _upstream) = stage.pair().await;
    client.expect_close(1012).await;
    expect_alive(&mut early).await;
}

async fn pairs(place: Place) {
    let mut stage = place.stage(&[]).await;
    let mut early = stage.pair().await;
    expect_alive(&mut early).await;
    stage.set(place, "1").await;
    stage.refused(503).await;
    expect_alive(&mut early).await;
}

/// Pairs that are open already do not count.
async fn pairs_per_source(place: Place) {
    let mut stage = place.stage_at("off", &[]).await;
    let mut early = stage.pair().await;
    stage.set(place, "1").await;
    let _late = stage.pair().await;
    stage.refused(503).await;
    expect_alive(&mut early).await;
}

/// Who has not said what he wants takes the only place.
async fn handshakes(place: Place) {
    let mut stage = place.stage(&[]).await;
    stage.set(place, "1").await;
    let quiet = stage.dial().connect().await;
    stage
        .lubdub
        .expect_metric("handshakes_in_flight", &[], 1.0)
        .await;
    let mut late = stage.ask(&Request::get("/")).await;
    stage.upstreams.expect_nobody(ms(100)).await;
    drop(quiet);
    stage.answers().await;
    late.expect_answer(200).await;
}

async fn connections(place: Place) {
    let mut stage = place.stage(&[]).await;
    let mut early = stage.pair().await;
    stage.set(place, "1").await;
    let mut late = stage.ask(&Request::get("/")).await;
    stage.upstreams.expect_nobody(ms(100)).await;
    expect_alive(&mut early).await;
    drop(early);
    stage.answers().await;
    late.expect_answer(200).await;
}

async fn head_bytes(place: Place) {
    let mut stage = place.stage_at("64KiB", &[]).await;
    let large = Request::get("/").field("X-Large", &"x".repeat(20 * 1024));
    let mut early = stage.dial().connect().await;
    early.send("GET ").await;
    stage.lubdub.expect_metric("connections", &[], 1.0).await;
    early.expect_silence(ms(50)).await;
    stage.set(place, "8KiB").await;
    stage.ask(&large).await.expect_answer(431).await;
    early.send(&large.encode()[4..]).await;
    stage.answers().await;
    early.expect_answer(200).await;
}

async fn frame_bytes(place: Place) {
    let mut stage = place.stage_at("off", &[]).await;
    let (mut early, mut upstream) = stage.pair().await;
    stage.set(place, "125").await;
    let large = Frame::binary([b'x'; 200]);
    early.send_frame(&large).await;
    assert_eq!(upstream.expect_frame().await.payload.len(), 200);
    let (mut late, _upstream) = stage.pair().await;
    late.send_frame(&large).await;
    late.expect_close(1009).await;
}

async fn waiting(place: Place) {
    let mut stage = place.stage(&[]).await;
    let mut early = stage.ask(&Request::upgrade("/")).await;
    let mut upstream = stage.upstreams.accept().await;
    stage.set(place, "1").await;
    stage.refused(503).await;
    upstream.accept_upgrade().await;
    early.expect_switch().await;
}

async fn requests(place: Place) {
    let mut stage = place.stage(&[]).await;
    let mut early = stage.ask(&Request::get("/")).await;
    let mut upstream = stage.upstreams.accept().await;
    stage.set(place, "1").await;
    let mut late = stage.ask(&Request::get("/")).await;
    late.expect_answer(503).await;
    super::stage::answer(&mut upstream).await;
    early.expect_answer(200).await;
}

async fn proxy_header(place: Place) {
    let settings = [
        ("listen.main.proxy_protocol", "required"),
        ("listen.main.trust", "[\"127.0.0.0/8\"]"),
    ];
    let mut stage = place.stage_at("5m", &settings).await;
    stage.set(place, "100ms").await;
    let mut client = stage.dial().connect().await;
    client.send("PROXY TCP4 192.0").await;
    client.expect_end().await;
}

/// On a slow machine a second may pass between two.
async fn handshake_rate(place: Place) {
    let mut stage = place.stage_at("off", &[]).await;
    let _early = stage.pair().await;
    stage.set(place, "1/s").await;
    for _ in 0..50 {
        let mut client = stage.ask(&Request::upgrade("/")).await;
        tokio::select! {
            head = client.expect_head() => return assert_eq!(head.status(), 429),
            _ = stage.upstreams.accept_websocket() => {}
        }
    }
    panic!("no rate is kept");
}
