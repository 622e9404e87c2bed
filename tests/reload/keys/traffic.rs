//! `listen`, `upstream`, `route` and `forwarded`.

use std::fs;

use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Dial, Upstream, expect_alive};
use lubdub_testkit::way::Port;

use super::stage::{Place, Stage, answer};
use super::{Trials, trials};

pub(super) const TRIALS: Trials = trials! {
    "listen.NAME.address" => address,
    "listen.NAME.proxy_protocol" => proxy_protocol,
    "listen.NAME.trust" => trust_of_listener,
    "upstream.NAME.url" => url,
    "upstream.NAME.ca" => ca,
    "upstream.NAME.host" => host_field,
    "upstream.NAME.proxy_protocol" => proxy_header_to_upstream,
    "upstream.NAME.pool" => pool,
    "upstream.NAME.pool_age" => pool_age,
    "upstream.NAME.on_removed" => on_removed,
    "route.NAME.host" => host,
    "route.NAME.path_prefix" => path_prefix,
    "route.NAME.strip_prefix" => strip_prefix,
    "route.NAME.origins" => origins,
    "route.NAME.origin_missing" => origin_missing,
    "route.NAME.allow" => allow,
    "route.NAME.deny" => deny,
    "route.NAME.upstream" => upstream,
    "route.NAME.on_removed" => on_removed,
    "forwarded.style" => style,
    "forwarded.trust" => trust,
    "forwarded.via" => via,
    "forwarded.request_id" => request_id,
};

async fn address(place: Place) {
    let mut stage = place.stage(&[]).await;
    let mut early = stage.pair().await;
    let port = Port::hold().expect("loopback has a free port");
    let next = port.address;
    stage.set(place, &next.to_string()).await;
    let (_client, _upstream) = Dial::to(next).pair(&stage.upstreams).await;
    let before = stage.lubdub.address();
    lubdub_testkit::eventually("the old one is closed", || {
        std::net::TcpStream::connect(before).is_err()
    })
    .await;
    expect_alive(&mut early).await;
}

async fn url(place: Place) {
    let mut stage = place.stage(&[]).await;
    let mut early = stage.pair().await;
    let next = Upstream::listen();
    stage.set(place, &format!("ws://{}", next.address())).await;
    let mut late = stage.lubdub.pair(&next).await;
    expect_alive(&mut early).await;
    expect_alive(&mut late).await;
}

/// Connections that are kept stay kept, as long as the authorities are the same.
async fn ca(place: Place) {
    let (certs, others) = (Certs::generate(), Certs::generate());
    let upstreams = Upstream::listen().tls(certs.accepting());
    let url = format!("wss://127.0.0.1:{}", upstreams.address().port());
    let file = |name: &str, certs: &Certs| {
        let path = place.file(name);
        fs::write(&path, certs.ca_pem()).expect("a file");
        path.display().to_string()
    };
    let (right, wrong) = (file("right.pem", &certs), file("wrong.pem", &others));
    let settings = [("upstream.main.url", &*url), ("upstream.main.ca", &*right)];
    let mut stage = Stage::start(place, upstreams, &settings).await;
    let mut early = stage.pair().await;
    // What has nothing to do with it leaves it alone.
    let mut kept = ask_anew(&stage).await;
    stage
        .set_all(&[("upstream.main.limits.waiting", "7")])
        .await;
    let mut client = stage.ask(&Request::get("/")).await;
    answer(&mut kept).await;
    client.expect_answer(200).await;
    // Another file.
    stage.set(place, &wrong).await;
    let mut client = stage.ask(&Request::upgrade("/")).await;
    tokio::join!(
        client.expect_answer(502),
        stage.upstreams.expect_no_handshake()
    );
    // Which holds something else.
    file("wrong.pem", &certs);
    stage.set(place, &wrong).await;
    let mut late = stage.pair().await;
    expect_alive(&mut late).await;
    expect_alive(&mut early).await;
}

/// A plain request over a connection that is not kept yet.
async fn ask_anew(stage: &Stage) -> lubdub_testkit::peer::Peer {
    let mut client = stage.ask(&Request::get("/")).await;
    let upstream = stage.answers().await;
    client.expect_answer(200).await;
    upstream
}

async fn pool(place: Place) {
    let mut stage = place.stage_at("true", &[]).await;
    let _kept = ask_anew(&stage).await;
    stage.set(place, "false").await;
    let _own = ask_anew(&stage).await;
    let _another = ask_anew(&stage).await;
}

async fn pool_age(place: Place) {
    let mut stage = place.stage_at("5m", &[]).await;
    let mut kept = ask_anew(&stage).await;
    stage.set(place, "1ms").await;
    let mut client = stage.ask(&Request::get("/")).await;
    answer(&mut kept).await;
    client.expect_answer(200).await;
    // It is too old to be kept any longer.
    kept.expect_end().await;
    let _another = ask_anew(&stage).await;
}

/// A pair that opened before it said so is told as well.
async fn on_removed(place: Place) {
    let upstreams = Upstream::listen();
    let url = format!("ws://{}", upstreams.address());
    let mut stage = Stage::start(place, upstreams, &[]).await;
    let mut early = stage.pair().await;
    expect_alive(&mut early).await;
    stage.set(place, "drain").await;
    expect_alive(&mut early).await;
    let (removed, next): (Vec<&str>, _) = match place.key.starts_with("route") {
        true => (
            vec!["route.main.upstream", "route.main.on_removed"],
            [("route.next.upstream", "main")].to_vec(),
        ),
        false => (
            vec!["upstream.main.url", "upstream.main.on_removed"],
            [
                ("upstream.next.url", &*url),
                ("route.main.upstream", "next"),
            ]
            .to_vec(),
        ),
    };
    let before = stage.lubdub.logged().len();
    for (key, value) in next {
        stage.put(key, value);
    }
    let (status, said) = stage.unset(&removed).await;
    assert_eq!(status, 200, "{said}");
    early.0.expect_close(1012).await;
    let line = stage
        .lubdub
        .expect_logged("pairs of what was removed are told farewell")
        .await;
    assert_eq!(line["pairs"], 1, "{line} of {before}");
    drop(early);
    stage
        .lubdub
        .expect_logged("pairs of what was removed have ended")
        .await;
}

async fn host(place: Place) {
    let mut stage = place.stage(&[]).await;
    let mut early = stage.pair().await;
    stage.set(place, "other.example").await;
    stage.refused(404).await;
    expect_alive(&mut early).await;
}

async fn path_prefix(place: Place) {
    let mut stage = place.stage(&[]).await;
    let mut early = stage.pair().await;
    stage.set(place, "/chat").await;
    stage.refused(404).await;
    expect_alive(&mut early).await;
}

async fn upstream(place: Place) {
    let next = Upstream::listen();
    let url = format!("ws://{}", next.address());
    let mut stage = place.stage(&[("upstream.next.url", &*url)]).await;
    let mut early = stage.pair().await;
    stage.set(place, "next").await;
    let mut late = stage.lubdub.pair(&next).await;
    expect_alive(&mut early).await;
    expect_alive(&mut late).await;
}

/// What the upstream is told, of a client that says that it speaks for another.
async fn told(stage: &Stage) -> lubdub_testkit::http::Head {
    let request = Request::get("/").field("X-Forwarded-For", "192.0.2.1");
    let mut client = stage.ask(&request.field("Connection", "close")).await;
    let mut upstream = stage.upstreams.accept().await;
    let head = upstream.expect_head().await;
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    upstream.send(ok).await;
    client.expect_answer(200).await;
    head
}

async fn style(place: Place) {
    let mut stage = place.stage_at("x-forwarded", &[]).await;
    assert_eq!(
        told(&stage).await.field("x-forwarded-for"),
        Some("127.0.0.1")
    );
    stage.set(place, "forwarded").await;
    let head = told(&stage).await;
    assert!(head.field("forwarded").is_some(), "{head:?}");
}

async fn trust(place: Place) {
    let mut stage = place.stage(&[]).await;
    assert_eq!(
        told(&stage).await.field("x-forwarded-for"),
        Some("127.0.0.1")
    );
    stage.set(place, "[\"127.0.0.0/8\"]").await;
    let head = told(&stage).await;
    let list = head.field("x-forwarded-for").expect("a list");
    assert_eq!(list, "192.0.2.1, 127.0.0.1");
}

async fn via(place: Place) {
    let mut stage = place.stage(&[]).await;
    assert_eq!(told(&stage).await.field("via"), None);
    stage.set(place, "true").await;
    assert!(told(&stage).await.field("via").is_some());
}

/// Who says nothing about the client is refused when it is required.
async fn proxy_protocol(place: Place) {
    let trust = ("listen.main.trust", "[\"127.0.0.0/8\"]");
    let mut stage = place.stage_at("off", &[trust]).await;
    let mut early = stage.pair().await;
    stage.set(place, "required").await;
    let mut client = stage.dial().connect().await;
    client.send("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n").await;
    client.ask(&Request::get("/")).await;
    let mut upstream = stage.upstreams.accept().await;
    let head = upstream.expect_head().await;
    let list = head.field("x-forwarded-for").expect("a list");
    assert!(list.contains("192.0.2.7"), "{list}");
    expect_alive(&mut early).await;
}

async fn trust_of_listener(place: Place) {
    let mut stage = place.stage_at("[]", &[]).await;
    assert_eq!(
        told(&stage).await.field("x-forwarded-for"),
        Some("127.0.0.1")
    );
    stage.set(place, "[\"127.0.0.0/8\"]").await;
    let head = told(&stage).await;
    assert_eq!(head.field("x-forwarded-for"), Some("192.0.2.1, 127.0.0.1"));
}

async fn host_field(place: Place) {
    let mut stage = place.stage(&[]).await;
    assert_eq!(told(&stage).await.field("host"), Some("lubdub.example"));
    stage.set(place, "chat.internal").await;
    assert_eq!(told(&stage).await.field("host"), Some("chat.internal"));
}

async fn proxy_header_to_upstream(place: Place) {
    let mut stage = place.stage_at("off", &[]).await;
    stage.set(place, "v1").await;
    let _client = stage.ask(&Request::get("/")).await;
    let mut upstream = stage.upstreams.accept().await;
    upstream
        .expect_bytes("PROXY TCP4 127.0.0.1 127.0.0.1 ")
        .await;
}

async fn strip_prefix(place: Place) {
    let mut stage = place.stage(&[("route.main.path_prefix", "/chat")]).await;
    stage.set(place, "true").await;
    let _client = stage.ask(&Request::get("/chat/room")).await;
    let mut upstream = stage.upstreams.accept().await;
    let head = upstream.expect_head().await;
    assert_eq!(head.first_line, "GET /room HTTP/1.1");
}

/// An upgrade that a page asks for.
async fn of_page(stage: &Stage, status: u16) {
    let request = Request::upgrade("/").field("Origin", "https://evil.test");
    stage.ask(&request).await.expect_answer(status).await;
}

async fn origins(place: Place) {
    let mut stage = place.stage(&[]).await;
    let mut early = stage.pair().await;
    stage.set(place, "[\"https://example.com\"]").await;
    of_page(&stage, 403).await;
    expect_alive(&mut early).await;
}

async fn origin_missing(place: Place) {
    let origins = ("route.main.origins", "[\"https://example.com\"]");
    let mut stage = place.stage_at("allow", &[origins]).await;
    let mut early = stage.pair().await;
    stage.set(place, "deny").await;
    stage.refused(403).await;
    expect_alive(&mut early).await;
}

async fn allow(place: Place) {
    keeps_out(place, "[\"192.0.2.0/24\"]").await;
}

async fn deny(place: Place) {
    keeps_out(place, "[\"127.0.0.0/8\"]").await;
}

async fn keeps_out(place: Place, networks: &str) {
    let mut stage = place.stage(&[]).await;
    let mut early = stage.pair().await;
    stage.set(place, networks).await;
    stage.refused(403).await;
    expect_alive(&mut early).await;
}

async fn request_id(place: Place) {
    let mut stage = place.stage_at("false", &[]).await;
    assert_eq!(told(&stage).await.field("x-request-id"), None);
    stage.set(place, "true").await;
    assert!(told(&stage).await.field("x-request-id").is_some());
}
