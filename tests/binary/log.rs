//! The log of the real program: who reads it keeps nobody waiting, and what is in it is what
//! `docs/reference/log.md` says.

use std::collections::BTreeMap;
use std::fs;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::{PATIENCE, ms};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Heartbeats that fill a pipe and a queue in seconds.
const TALKATIVE: [&str; 6] = [
    "log.level=debug",
    "keepalive.client.interval=1ms",
    "keepalive.client.timeout=1m",
    "keepalive.upstream.interval=1ms",
    "keepalive.upstream.timeout=1m",
    "drain.timeout=1s",
];

/// Nobody reads the log any more, until lines are dropped.
async fn until_lines_are_dropped(lubdub: &Binary, upstreams: &Upstream) {
    lubdub.stop_reading_the_log();
    let mut peers = JoinSet::new();
    for _ in 0..8 {
        let (client, upstream) = lubdub.pair(upstreams).await;
        for mut peer in [client, upstream] {
            peers.spawn(async move { peer.answer_next_pings(1_000_000).await });
        }
    }
    let dropped = async {
        loop {
            let scrape = lubdub.scrape().await;
            if scrape.sum("lubdub_log_lines_dropped_total", &[]) > 0.5 {
                return;
            }
            sleep(ms(50)).await;
        }
    };
    timeout(2 * PATIENCE, dropped)
        .await
        .expect("lines are dropped");
}

/// Standard error was a pipe that nobody read: after 160 pairs had ended no live pair was relayed,
/// nobody was accepted, and two SIGTERMs did not end it.
#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    let upstreams = Upstream::listen();
    let mut lubdub = Binary::start(&upstreams, &TALKATIVE).await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    client.answer_pings();
    upstream.answer_pings();
    until_lines_are_dropped(&lubdub, &upstreams).await;

    client.send_text("are you there?").await;
    upstream.expect_text("are you there?").await;
    upstream.send_text("yes").await;
    client.expect_text("yes").await;
    drop(lubdub.pair(&upstreams).await);
    lubdub.signal(Signal::TERM);
    assert_eq!(lubdub.expect_exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_though_nobody_reads_the_log() {
    let upstreams = Upstream::listen();
    let settings = [&TALKATIVE[..5], &["timeouts.close=1m", "drain.timeout=1m"]].concat();
    let mut lubdub = Binary::start(&upstreams, &settings).await;
    // Its ends do not answer the drain's Close.
    let _silent = lubdub.pair(&upstreams).await;
    until_lines_are_dropped(&lubdub, &upstreams).await;
    lubdub.signal(Signal::TERM);
    lubdub
        .told_when("/api/v1/status", |status| status["ready"] == false)
        .await;
    lubdub.signal(Signal::TERM);
    assert_eq!(lubdub.expect_exit().await.code(), Some(1));
}

#[tokio::test]
async fn whoever_reads_the_log_again_is_told_how_many_lines_are_missing() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &TALKATIVE).await;
    until_lines_are_dropped(&lubdub, &upstreams).await;
    lubdub.read_the_log();
    let dropped = lubdub.expect_logged("log lines were dropped").await;
    assert_eq!(dropped["level"], "warn");
    assert!(dropped["lines"].as_u64() > Some(0), "{dropped}");
}

/// What the page says of a kind of line.
#[derive(Debug, Default)]
struct Declared {
    level: String,
    fields: Vec<String>,
}

/// The page: kinds of lines, and which fields are numbers.
fn page() -> (BTreeMap<String, Declared>, BTreeMap<String, bool>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/log.md");
    let page = fs::read_to_string(path).expect("the page is committed");
    let mut kinds = BTreeMap::<_, Declared>::new();
    let mut numbers = BTreeMap::new();
    let mut message = String::new();
    let code = |text: &str| {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("### ") {
            message = title.trim_matches('`').to_owned();
        } else if let Some(level) = line.strip_prefix("- Level: ") {
            kinds.entry(message.clone()).or_default().level = level.to_owned();
        } else if let Some(fields) = line.strip_prefix("- Fields: ") {
            kinds.entry(message.clone()).or_default().fields = code(fields);
        } else if let [_, name, kind @ ("string" | "number"), ..] =
            &line.split('|').map(str::trim).collect::<Vec<_>>()[..]
        {
            numbers.insert(name.trim_matches('`').to_owned(), *kind == "number");
        }
    }
    (kinds, numbers)
}

#[tokio::test]
async fn every_line_of_a_busy_life_is_as_the_page_says() {
    let upstreams = Upstream::listen();
    let settings = [
        "log.level=trace",
        "keepalive.client.interval=20ms",
        "keepalive.client.timeout=200ms",
        "upstream.gone.url=ws://127.0.0.1:1",
        "route.all.upstream=main",
        "route.gone.upstream=gone",
        "route.gone.path_prefix=/gone",
        "limits.frame_bytes=125",
    ];
    let mut lubdub = Binary::start(&upstreams, &settings).await;

    // A client that answers pings and then stops, and one that never answered any.
    let (mut client, upstream) = lubdub.pair(&upstreams).await;
    client.answer_next_pings(2).await;
    let never = lubdub.pair(&upstreams).await;
    // Upgrades and plain requests for an upstream that is not there, and what is no HTTP.
    for request in [
        Request::upgrade("/gone/?token=hunter2").encode(),
        Request::get("/gone/?token=hunter2").encode(),
        b"\x00 hunter2\r\n\r\n".to_vec(),
    ] {
        let mut client = lubdub.dial().connect().await;
        client.send(request).await;
        client.expect_head().await;
    }
    // And what begins like TLS.
    let mut client = lubdub.dial().connect().await;
    client.send(b"\x16\x03\x01 hunter2\r\n\r\n").await;
    client.expect_eof().await;
    // Both clients lapse.
    lubdub.expect_logged_times("pair ended", 2).await;
    let mut ended = lubdub.logged();
    ended.retain(|line| line["msg"] == "pair ended");
    let hints: Vec<_> = ended
        .iter()
        .filter_map(|end| end["hint"].as_str())
        .collect();
    assert_eq!(
        hints,
        ["the client never answered a ping: if it is well, see keepalive.client.enforce = learned"]
    );
    for end in &ended {
        assert_eq!(end["cause"], "client_lapsed");
        assert!(
            end["request"]
                .as_str()
                .is_some_and(|request| request.ends_with('/')),
            "{end}"
        );
    }
    drop((client, upstream, never));
    lubdub.signal(Signal::TERM);
    assert_eq!(lubdub.expect_exit().await.code(), Some(0));
    lubdub.expect_logged("lubdub ends").await;

    let (kinds, numbers) = page();
    let lines = lubdub.logged();
    for line in &lines {
        let object = line
            .as_object()
            .unwrap_or_else(|| panic!("no object: {line}"));
        let Declared { level, fields } = (object["msg"].as_str())
            .and_then(|message| kinds.get(message))
            .unwrap_or_else(|| panic!("not on the page: {line}"));
        assert_eq!(object["level"], **level, "{line}");
        assert!(object["time"].is_string(), "{line}");
        for (name, value) in object {
            if ["time", "level", "msg"].contains(&&**name) {
                continue;
            }
            assert!(fields.contains(name), "{name} is not declared for {line}");
            assert_eq!(value.is_number(), numbers[name], "{name} in {line}");
            assert!(value.is_number() || value.is_string(), "{name} in {line}");
        }
        assert!(!line.to_string().contains("hunter2"), "{line}");
    }
    let kinds: std::collections::BTreeSet<_> =
        lines.iter().map(|line| line["msg"].as_str()).collect();
    assert!(kinds.len() >= 15, "it was to be busier: {kinds:?}");
}
