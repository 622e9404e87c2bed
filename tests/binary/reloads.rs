//! Reloads of the real program: by signal, by command and by POST.

use std::fs;
use std::path::{Path, PathBuf};

use lubdub_testkit::binary::{Binary, change};
use lubdub_testkit::peer::Upstream;
use rustix::process::Signal;
use serde_json::{Value, json};

const RELOAD: &str = "/api/v1/reload";

/// A configuration file of a test, for whoever is at `upstream`.
struct File {
    path: PathBuf,
    upstream: String,
}

impl File {
    fn new(test: &str, upstream: &Upstream) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let file = Self {
            path: directory.join(format!("{test}.toml")),
            upstream: upstream.address().to_string(),
        };
        file.say("");
        file
    }

    /// Says what a configuration has to say, and `more`.
    fn say(&self, more: &str) {
        let Self { path, upstream } = self;
        let text = format!(
            "listen.public.address = \"127.0.0.1:0\"\n\
             upstream.chat.url = \"ws://{upstream}\"\n\
             admin.address = \"127.0.0.1:0\"\n{more}"
        );
        fs::write(path, text).expect("a file of the test's own");
    }
}

/// What a reload answers that is asked for by POST.
async fn reload(lubdub: &Binary, body: &Value) -> (u16, Value) {
    let (status, said) = lubdub.change(RELOAD, &body.to_string()).await;
    (status, serde_json::from_str(&said).unwrap_or(Value::Null))
}

#[tokio::test]
async fn sighup_reads_the_file_again_and_live_pairs_go_on() {
    let upstreams = Upstream::listen();
    let file = File::new("sighup", &upstreams);
    let lubdub = Binary::start_from(&file.path).await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    file.say("keepalive.client = { interval = \"20ms\", timeout = \"5m\" }\n");
    lubdub.signal(Signal::HUP);
    let changed = lubdub.expect_logged_times("a setting has changed", 2).await;
    assert_eq!(changed["setting"], "keepalive.client.timeout");
    let reloaded = lubdub.expect_logged("configuration reloaded").await;
    assert_eq!(
        (&reloaded["generation"], &reloaded["changes"]),
        (&2.into(), &2.into())
    );
    client.answer_next_pings(2).await;
    // Something is wrong with it now, and all is as it was.
    file.say("keepalive.client.interval = \"soon\"\nlimits.pairs = 0\n");
    lubdub.signal(Signal::HUP);
    let refused = "the reload is refused: all is as it was";
    lubdub.expect_logged_times(refused, 2).await;
    client.answer_next_pings(1).await;
    client.send_text("still here").await;
    upstream.expect_text("still here").await;
    let scrape = lubdub.scrape().await;
    for (outcome, count) in [("applied", 1.0), ("refused", 1.0)] {
        let labels = [("outcome", outcome)];
        assert_eq!(scrape.sum("lubdub_config_reloads_total", &labels), count);
    }
    assert_eq!(scrape.sum("lubdub_config_last_reload_successful", &[]), 0.0);
}

#[tokio::test]
async fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let upstreams = Upstream::listen();
    let file = File::new("dry-run", &upstreams);
    let lubdub = Binary::start_from(&file.path).await;
    file.say("timeouts.answer = \"7s\"\n");
    let change = json!({
        "key": "timeouts.answer", "before": "\"30s\"", "after": "\"7s\"",
        "origin": file.path.display().to_string(), "applies": "for new pairs", "content_of": null,
    });
    for (body, outcome, generation) in [
        (json!({"dry_run": true}), "possible", 1),
        (json!({}), "applied", 2),
    ] {
        let (status, said) = reload(&lubdub, &body).await;
        assert_eq!((status, &said["outcome"]), (200, &outcome.into()));
        assert_eq!(
            (&said["generation"], &said["changes"]),
            (&generation.into(), &json!([change]))
        );
    }
    let (_, said) = reload(&lubdub, &json!({})).await;
    assert_eq!(said["changes"], json!([]), "it is in effect");
}

#[tokio::test]
async fn what_needs_a_new_process_is_refused_by_its_name() {
    let upstreams = Upstream::listen();
    let file = File::new("refused", &upstreams);
    let lubdub = Binary::start_from(&file.path).await;
    file.say("runtime.workers = 7\n");
    let (code, said, _) = lubdub.command(&["reload", "--dry-run"]).await;
    assert_eq!(code, Some(1));
    assert!(said.starts_with("runtime.workers = 7 ("), "{said}");
    let (status, said) = reload(&lubdub, &json!({})).await;
    assert_eq!((status, &said["outcome"]), (422, &"refused".into()));
    file.say("");
    let (code, said, _) = lubdub.command(&["reload"]).await;
    assert_eq!(
        (code, &*said),
        (Some(0), "reloaded: 0 changes, generation 2\n")
    );
    fs::remove_file(&file.path).expect("it was there");
    let (code, said, _) = lubdub.command(&["reload"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("No such file"), "{said}");
}

#[tokio::test]
async fn a_new_token_is_asked_for_at_once() {
    let upstreams = Upstream::listen();
    let file = File::new("token", &upstreams);
    let lubdub = Binary::start_from(&file.path).await;
    let token = file.path.with_extension("secret");
    fs::write(&token, "s3cret\n").expect("a file of the test's own");
    file.say(&format!("admin.token_file = \"{}\"\n", token.display()));
    assert_eq!(reload(&lubdub, &json!({})).await.0, 200);
    assert_eq!(reload(&lubdub, &json!({})).await.0, 401);
    let request = change(RELOAD)
        .field("Authorization", "Bearer s3cret")
        .field("Content-Length", "2");
    assert_eq!(lubdub.ask_admin(&request, "{}").await.0.status(), 200);
}

#[tokio::test]
async fn only_post_reloads() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    assert_eq!(lubdub.admin(RELOAD).await.0, 405);
}
