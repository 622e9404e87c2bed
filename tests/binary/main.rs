//! The real program, as a process: signals, the admin listener, and a stall of the whole process.

mod changes;
mod drains;
mod log;
mod rates;
mod reloads;
mod service;
mod succession;

use std::fs;
use std::path::Path;
use std::time::Duration;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::{PATIENCE, ms};
use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test]
async fn a_signal_drains_and_the_program_ends_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let upstreams = Upstream::listen();
        let mut lubdub = Binary::start(&upstreams, &[]).await;
        let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
        client.send_text("hello").await;
        upstream.expect_text("hello").await;
        lubdub.signal(signal);
        client.expect_close(1012).await;
        upstream.expect_close(1001).await;
        client.close(1012, "").await;
        upstream.close(1001, "").await;
        client.expect_eof().await;
        upstream.expect_eof().await;
        drop((client, upstream));
        assert_eq!(lubdub.expect_exit().await.code(), Some(0));
        let ended = lubdub.expect_logged("pair ended").await;
        assert_eq!(ended["cause"], "drain");
        assert_eq!(
            (&ended["client_frames"], &ended["upstream_frames"]),
            (&1.into(), &0.into())
        );
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let upstreams = Upstream::listen();
    let mut lubdub = Binary::start(&upstreams, &["timeouts.close=30s"]).await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    lubdub.signal(Signal::TERM);
    // Neither end answers, so that the drain would take long.
    client.expect_close(1012).await;
    upstream.expect_close(1001).await;
    lubdub.signal(Signal::TERM);
    let began = Instant::now();
    assert_eq!(lubdub.expect_exit().await.code(), Some(1));
    assert!(began.elapsed() < ms(5000), "after {:?}", began.elapsed());
}

/// Whom the drain had not come to had ended by a fault of lubdub's.
#[tokio::test]
async fn whoever_a_second_signal_ends_was_drained() {
    let upstreams = Upstream::listen();
    for settings in [["drain.spread=1h"], ["drain.delay=1h"]] {
        let mut lubdub = Binary::start(&upstreams, &settings).await;
        let mut pairs = Vec::new();
        for _ in 0..3 {
            pairs.push(lubdub.pair(&upstreams).await);
        }
        lubdub.expect_pairs(3).await;
        lubdub.signal(Signal::TERM);
        lubdub.expect_logged("draining").await;
        lubdub.signal(Signal::TERM);
        assert_eq!(lubdub.expect_exit().await.code(), Some(1));
        lubdub.expect_logged_times("pair ended", 3).await;
        let logged = lubdub.logged();
        let ended = logged.iter().filter(|line| line["msg"] == "pair ended");
        let causes: Vec<_> = ended.map(|line| &line["cause"]).collect();
        assert_eq!(causes, ["drain"; 3], "{settings:?}");
    }
}

/// It was called the client's doing, behind the last line of the log.
#[tokio::test]
async fn what_is_cut_before_it_is_a_pair_was_drained() {
    for request in [Request::upgrade("/"), Request::get("/")] {
        let upstreams = Upstream::listen();
        let mut lubdub = Binary::start(&upstreams, &["drain.timeout=300ms"]).await;
        let (mut client, _upstream, _) = lubdub.dial().ask(&request, &upstreams).await;
        lubdub.signal(Signal::TERM);
        client.expect_eof().await;
        assert_eq!(lubdub.expect_exit().await.code(), Some(0));
        let cut = lubdub.expect_logged("not served").await;
        assert_eq!(
            (&cut["outcome"], &cut["reason"]),
            (&"draining".into(), &"lubdub ends".into())
        );
        let logged = lubdub.logged();
        assert_eq!(logged.last().expect("lines")["msg"], "lubdub ends");
    }
}

#[tokio::test]
async fn the_admin_listener_tells_what_is_going_on() {
    let upstreams = Upstream::listen();
    let settings = ["keepalive.client.interval=20ms", "drain.delay=500ms"];
    let mut lubdub = Binary::start(&upstreams, &settings).await;
    assert_eq!(lubdub.admin("/livez").await.0, 200);
    assert_eq!(lubdub.admin("/readyz").await.0, 200);
    assert_eq!(lubdub.admin("/nothing").await.0, 404);

    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    client.answer_next_pings(3).await;
    client.answer_pings();
    client.send_text("hello").await;
    upstream.expect_text("hello").await;

    let scrape = lubdub.scrape().await;
    let near = |value: f64, expected: f64| (value - expected).abs() < 0.5;
    assert!(near(scrape.sum("lubdub_pairs", &[]), 1.0));
    assert!(near(scrape.sum("lubdub_draining", &[]), 0.0));
    assert!(scrape.sum("lubdub_pongs_received_total", &[("side", "client")]) >= 3.0);
    assert!(scrape.sum("process_open_fds", &[]) > 0.0);

    let list = lubdub
        .told_when("/api/v1/pairs", |list| {
            list["pairs"][0]["client"]["frames"] == 1
        })
        .await;
    assert_eq!(list["total"], 1);
    let shown = &list["pairs"][0];
    assert_eq!(shown["client"]["address"], client.address().to_string());
    assert_eq!(
        shown["upstream"]["address"],
        upstreams.address().to_string()
    );
    assert_eq!(shown["upstream"]["frames"], 0);
    let one = lubdub.told(&format!("/api/v1/pairs/{}", shown["id"])).await;
    assert_eq!(one["id"], shown["id"]);

    lubdub.signal(Signal::TERM);
    lubdub.expect_logged("draining").await;
    assert_eq!(lubdub.admin("/readyz").await.0, 503);
    assert_eq!(lubdub.admin("/livez").await.0, 200);
    assert!(near(lubdub.scrape().await.sum("lubdub_draining", &[]), 1.0));
    client.expect_close(1012).await;
    drop((client, upstream));
    assert_eq!(lubdub.expect_exit().await.code(), Some(0));
}

/// Thirty-two silent connections took all there were, and probes waited ten seconds for one to be
/// let go of.
#[tokio::test]
async fn silent_connections_keep_no_probe_waiting() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(lubdub.admin_address()).await.unwrap());
    }
    let began = Instant::now();
    assert_eq!(lubdub.admin("/livez").await.0, 200);
    assert!(began.elapsed() < ms(5000), "after {:?}", began.elapsed());
    // The first to come were the first to go, and are not merely left alone.
    let end = timeout(PATIENCE, silent[0].read(&mut [0])).await;
    assert_eq!(end.expect("an end").unwrap_or_default(), 0);
}

#[tokio::test]
async fn a_certificate_from_files_makes_a_listener_speak_tls() {
    let certs = Certs::generate();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let [cert, key] = ["binary-cert.pem", "binary-key.pem"].map(|name| directory.join(name));
    fs::write(&cert, certs.chain_pem()).expect("a new file");
    fs::write(&key, certs.key_pem()).expect("a new file");
    let upstreams = Upstream::listen();
    let of_listener = "listen.main.tls.certificate.main";
    let settings = [
        format!("{of_listener}.cert={}", cert.display()),
        format!("{of_listener}.key={}", key.display()),
        "keepalive.client.interval=20ms".to_owned(),
    ];
    let lubdub = Binary::start(&upstreams, &settings.each_ref().map(String::as_str)).await;
    let dial = lubdub.dial().tls(certs.connecting());
    let (mut client, mut upstream) = dial.pair(&upstreams).await;
    client.answer_next_pings(3).await;
    client.send_text("over TLS").await;
    upstream.expect_text("over TLS").await;
}

/// Whatever stops the process (a debugger, a suspended machine), its pairs are not to blame.
#[tokio::test]
async fn no_pair_dies_of_a_stall_of_lubdubs() {
    const PAIRS: usize = 20;
    let upstreams = Upstream::listen();
    let settings = [
        "keepalive.client.interval=1s",
        "keepalive.client.timeout=1s",
        "keepalive.upstream.interval=1s",
        "keepalive.upstream.timeout=1s",
    ];
    let lubdub = Binary::start(&upstreams, &settings).await;
    let mut peers = JoinSet::new();
    for _ in 0..PAIRS {
        let (client, upstream) = lubdub.pair(&upstreams).await;
        for mut peer in [client, upstream] {
            peers.spawn(async move {
                peer.answer_next_pings(3).await;
                peer
            });
        }
    }
    // Some pings are under way, and some are due while nobody can send them.
    sleep(ms(900)).await;
    lubdub.signal(Signal::STOP);
    // Longer than an interval and a timeout together.
    sleep(Duration::from_secs(3)).await;
    lubdub.signal(Signal::CONT);
    let mut alive = Vec::new();
    while let Some(peer) = peers.join_next().await {
        alive.push(peer.expect("it was pinged three times"));
    }
    let scrape = lubdub.scrape().await;
    let counted = |name: &str| scrape.sum(name, &[]);
    assert!((counted("lubdub_pairs") - PAIRS as f64).abs() < 0.5);
    assert!(counted("lubdub_lapses_total") < 0.5, "nobody is given up");
    assert_eq!(alive.len(), 2 * PAIRS);
}
