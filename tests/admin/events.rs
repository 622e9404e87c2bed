//! What happens, as it happens.

use lubdub_testkit::binary::{Binary, request};
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Dial, Peer, Upstream};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{budget, pairs};

/// The most who may watch at a time.
const PLACES: usize = 64;

/// A watcher, and the head of its answer.
async fn watch(lubdub: &Binary) -> (Peer, u16) {
    let mut watcher = Dial::to(lubdub.admin_address()).connect().await;
    watcher.ask(&asked()).await;
    let head = watcher.expect_head().await;
    (watcher, head.status())
}

fn asked() -> Request {
    request("GET", "/api/v1/events")
}

/// The next event of this name.
async fn event(watcher: &mut Peer, name: &str) -> Value {
    loop {
        let said = watcher.expect_chunk().await;
        let (event, data) = said.split_once('\n').expect("two lines");
        if event != format!("event: {name}") {
            continue;
        }
        let data = data.strip_prefix("data: ").expect("data").trim_end();
        return serde_json::from_str(data).expect("JSON");
    }
}

async fn expect_watchers(lubdub: &Binary, count: usize) {
    lubdub
        .told_when("/api/v1/status", |status| {
            budget(status, "watchers")["used"] == count
        })
        .await;
}

#[tokio::test]
async fn a_watcher_hears_how_it_is_and_what_ends() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let mut pairs = pairs(&lubdub, &upstreams, 2).await;
    let (mut watcher, status) = watch(&lubdub).await;
    assert_eq!(status, 200);
    assert_eq!(event(&mut watcher, "status").await["totals"]["pairs"], 2);
    pairs.remove(0).0.reset();
    let end = event(&mut watcher, "end").await;
    assert_eq!(
        (&end["pair"], &end["cause"]),
        (&1.into(), &"client_reset".into())
    );
    let ends = lubdub.told("/api/v1/ends").await;
    assert_eq!(end, ends["ends"][0], "the same as who asks is told");
    assert_eq!(event(&mut watcher, "status").await["totals"]["pairs"], 1);
}

/// Who watches takes no place from who asks, and who goes gives its place back.
#[tokio::test]
async fn watchers_have_places_of_their_own() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let mut all = Vec::new();
    for _ in 0..PLACES {
        let (mut watcher, status) = watch(&lubdub).await;
        assert_eq!(status, 200);
        event(&mut watcher, "status").await;
        all.push(watcher);
    }
    let (head, body) = lubdub.ask_admin(&asked(), "").await;
    assert_eq!(head.status(), 503);
    assert_eq!(head.field("retry-after"), Some("10"));
    assert!(body.contains("64 watchers"), "{body}");
    expect_watchers(&lubdub, PLACES).await;
    let told = lubdub.expect_logged("budget used up").await;
    assert_eq!(told["budget"], "watchers");
    let scrape = lubdub.scrape().await;
    for metric in ["lubdub_admin_watchers", "lubdub_admin_watchers_max"] {
        assert_eq!(scrape.sum(metric, &[]), PLACES as f64, "{metric}");
    }
    assert_eq!(lubdub.admin("/livez").await.0, 200);
    all.truncate(PLACES - 1);
    expect_watchers(&lubdub, PLACES - 1).await;
    let (mut watcher, status) = watch(&lubdub).await;
    assert_eq!(status, 200);
    event(&mut watcher, "status").await;
    // All of them were kept.
    event(&mut all[0], "status").await;
}

/// It takes nothing of what it is told: its connection is given up, and its place is free.
#[tokio::test]
async fn a_watcher_that_does_not_read_is_let_go() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let mut watcher = Dial::to(lubdub.admin_address()).tiny().connect().await;
    watcher.ask(&asked()).await;
    expect_watchers(&lubdub, 1).await;
    let wait = async {
        while budget(&lubdub.told("/api/v1/status").await, "watchers")["used"] != 0 {
            sleep(ms(200)).await;
        }
    };
    // The kernel takes some before nothing goes any more, and then it has ten seconds.
    assert!(
        timeout(ms(90_000), wait).await.is_ok(),
        "it is a watcher still"
    );
}

#[tokio::test]
async fn the_end_of_the_process_ends_the_watching() {
    let mut lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let (mut watcher, _) = watch(&lubdub).await;
    event(&mut watcher, "status").await;
    lubdub.signal(rustix::process::Signal::TERM);
    lubdub.expect_exit().await;
    watcher.expect_all().await;
}

#[tokio::test]
async fn the_history_grows() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let _pairs = pairs(&lubdub, &upstreams, 1).await;
    let wait = lubdub.told_when("/api/v1/status", |status| {
        status["uptime_seconds"].as_f64().is_some_and(|up| up > 0.0)
    });
    wait.await;
    let (mut watcher, _) = watch(&lubdub).await;
    let sample = timeout(ms(20_000), event(&mut watcher, "sample"))
        .await
        .expect("a sample in time");
    assert_eq!(
        (&sample["pairs"], &sample["opened"]),
        (&1.into(), &1.into())
    );
    let history = lubdub.told("/api/v1/history").await;
    assert_eq!(history["samples"][0], sample);
    let bounds = history["bounds_seconds"].as_array().expect("bounds").len();
    assert_eq!(
        sample["rtt"]["client"].as_array().map(Vec::len),
        Some(bounds + 1)
    );
}
