//! `admin`, `log`, `handover` and `runtime`.

use lubdub_testkit::binary::change;
use lubdub_testkit::http::Request;

use super::stage::Place;
use super::{Trials, trials};

pub(super) const TRIALS: Trials = trials! {
    "admin.address" => refused,
    "admin.token_file" => token_file,
    "admin.hosts" => hosts,
    "log.format" => format,
    "log.level" => level,
    "log.request" => request,
    "log.refusals" => refusals,
    "handover.socket" => refused,
    "handover.linger" => refused,
    "runtime.workers" => refused,
    "runtime.io_uring" => refused,
};

async fn refused(place: Place) {
    let mut stage = place.stage(&[]).await;
    let value = match place.key {
        "admin.address" => "127.0.0.1:1",
        "handover.socket" => "/run/lubdub/handover.sock",
        "handover.linger" => "5m",
        "runtime.io_uring" => "false",
        _ => "7",
    };
    stage.needs_an_upgrade(place, value).await;
}

async fn token_file(place: Place) {
    let mut stage = place.stage(&[]).await;
    let token = place.file("token");
    std::fs::write(&token, "s3cret\n").expect("a file");
    stage.set(place, &token.display().to_string()).await;
    let (status, _) = stage.lubdub.change("/api/v1/reload", "{}").await;
    assert_eq!(status, 401);
    // The file holds something else, and that is told without it.
    std::fs::write(&token, "an0ther\n").expect("a file");
    let reload = |token: &str| {
        let bearer = format!("Bearer {token}");
        change("/api/v1/reload")
            .field("Authorization", &bearer)
            .field("Content-Length", "2")
    };
    let (head, said) = stage.lubdub.ask_admin(&reload("s3cret"), "{}").await;
    assert_eq!(head.status(), 200, "{said}");
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let told = &said["changes"][0];
    assert_eq!(told["key"], place.key);
    assert_eq!(told["applies"], "at once");
    assert_eq!(told["content_of"], token.display().to_string());
    assert!(!said.to_string().contains("an0ther"), "{said}");
    let (head, _) = stage.lubdub.ask_admin(&reload("s3cret"), "{}").await;
    assert_eq!(head.status(), 401, "the old one");
    let (head, _) = stage.lubdub.ask_admin(&reload("an0ther"), "{}").await;
    assert_eq!(head.status(), 200);
    let line = stage
        .lubdub
        .expect_logged("the content of a file has changed")
        .await;
    assert_eq!(line["setting"], place.key);
    assert!(!format!("{:?}", stage.lubdub.logged()).contains("an0ther"));
}

async fn hosts(place: Place) {
    let mut stage = place.stage(&[]).await;
    let request = Request::get("/api/v1/pairs").host("lubdub.internal");
    let status = async |stage: &super::stage::Stage| {
        let (head, _) = stage.lubdub.ask_admin(&request, "").await;
        head.status()
    };
    let before = status(&stage).await;
    assert!((400..500).contains(&before), "{before}");
    stage.set(place, "[\"lubdub.internal\"]").await;
    assert_eq!(status(&stage).await, 200);
}

/// Lines of text are what the reader of objects cannot read.
async fn format(place: Place) {
    let mut stage = place.stage_at("json", &[]).await;
    let logged = stage.lubdub.logged();
    assert!(
        logged.iter().all(serde_json::Value::is_object),
        "{logged:?}"
    );
    stage.set(place, "text").await;
    stage.lubdub.signal(rustix::process::Signal::HUP);
    let text = |stage: &super::stage::Stage| {
        let lines = stage.lubdub.logged();
        lines.iter().any(|line| {
            line.as_str()
                .is_some_and(|line| line.contains("msg=\"told to reload by SIGHUP\""))
        })
    };
    lubdub_testkit::eventually("a line of text", || text(&stage)).await;
}

async fn level(place: Place) {
    let mut stage = place.stage_at("info", &[]).await;
    stage.set(place, "debug").await;
    let _pair = stage.pair().await;
    stage.lubdub.expect_logged("pair opened").await;
}

/// A pair that opened before tells what it was allowed to tell then.
async fn request(place: Place) {
    let mut stage = place.stage_at("path", &[]).await;
    let early = stage.pair().await;
    stage.lubdub.expect_metric("pairs", &[], 1.0).await;
    stage.set(place, "off").await;
    let late = stage.pair().await;
    stage.lubdub.expect_metric("pairs", &[], 2.0).await;
    drop(early);
    let ended = stage.lubdub.expect_logged("pair ended").await;
    assert_eq!(ended["request"], "lubdub.example/", "{ended}");
    drop(late);
    let ended = stage.lubdub.expect_logged_times("pair ended", 2).await;
    assert!(ended["request"].is_null(), "{ended}");
}

async fn refusals(place: Place) {
    let mut stage = place
        .stage_at("10/s", &[("route.main.host", "other.example")])
        .await;
    stage.refused(404).await;
    stage.lubdub.expect_logged("not served").await;
    stage.set(place, "off").await;
    stage.refused(404).await;
    stage
        .lubdub
        .expect_metric("refusals_not_logged_total", &[], 1.0)
        .await;
}
