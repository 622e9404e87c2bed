//! The commands that ask a running lubdub.

use std::fs;
use std::path::Path;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::peer::Upstream;
use serde_json::Value;

use crate::pairs;

/// A command that succeeds.
async fn said(lubdub: &Binary, args: &[&str]) -> String {
    let (code, out, err) = lubdub.command(args).await;
    assert_eq!(code, Some(0), "{args:?}: {err}");
    assert_eq!(err, "", "{args:?}");
    out
}

#[tokio::test]
async fn pairs_are_shown_chosen_and_closed() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let _pairs = pairs(&lubdub, &upstreams, 3).await;
    let out = said(&lubdub, &["pairs"]).await;
    assert!(
        out.starts_with("PAIR") && out.ends_with("\n3 pairs\n"),
        "{out}"
    );
    assert!(!out.contains('\u{1b}'), "colours are for a terminal: {out}");
    let out = said(&lubdub, &["pairs", "--sort", "newest", "--limit", "1"]).await;
    assert!(
        out.contains("\n   3  ") && out.ends_with("1 of 3 pairs shown (--limit)\n"),
        "{out}"
    );
    let out = said(&lubdub, &["pairs", "--where", "client=10.0.0.0/8"]).await;
    assert!(out.ends_with("0 of 3 pairs\n"), "{out}");
    let out = said(&lubdub, &["pairs", "--json", "--limit", "0"]).await;
    let ids: Vec<_> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].clone())
        .collect();
    assert_eq!(ids, [1, 2, 3]);

    let out = said(
        &lubdub,
        &["close", "2", "--code", "4000", "--reason", "enough"],
    )
    .await;
    assert_eq!(out, "pair 2 is told to close\n");
    let (code, _, err) = lubdub.command(&["close", "9"]).await;
    assert_eq!(code, Some(1));
    assert!(
        err.contains("pair 9 is not closed") && err.contains("no live pair"),
        "{err}"
    );
}

/// It went on asking for ever.
#[tokio::test]
async fn a_watch_ends_when_nobody_reads_it_any_more() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let _pairs = pairs(&lubdub, &upstreams, 1).await;
    for args in [
        &["pairs", "--watch"][..],
        &["pairs", "1", "--watch", "--json"],
    ] {
        let (line, code) = lubdub.first_line_of(args).await;
        assert!(!line.is_empty(), "{args:?}");
        assert_eq!(code, Some(0), "{args:?}");
    }
}

#[tokio::test]
async fn one_pair_is_shown_with_its_trace() {
    let upstreams = Upstream::listen();
    let settings = [
        "keepalive.client.interval=20ms",
        "keepalive.client.timeout=10m",
        "keepalive.client.enforce=never",
        "keepalive.upstream.interval=10m",
    ];
    let lubdub = Binary::start(&upstreams, &settings).await;
    let _pairs = pairs(&lubdub, &upstreams, 2).await;
    let is_missed = |said: &Value| {
        let beats = said["trace"]["client"].as_array().expect("a list");
        beats.iter().any(|beat| beat["state"] == "missed")
    };
    lubdub.told_when("/api/v1/pairs/2", is_missed).await;
    let out = said(&lubdub, &["pairs", "2"]).await;
    for shown in [
        "pair 2: open for ",
        ", listener main, route main\n",
        "\n  request: lubdub.example/2\n",
        "\nclient    127.0.0.1:",
        "\nupstream  main 127.0.0.1:",
        "!?\n",
        " missed\n",
        "missed, waiting\n",
        "\nupstream  no pings yet\n",
    ] {
        assert!(out.contains(shown), "{shown}: {out}");
    }
    let out = said(&lubdub, &["pairs", "2", "--json"]).await;
    let pair: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((out.lines().count(), &pair["id"]), (1, &Value::from(2)));
    assert!(is_missed(&pair), "{out}");

    let (code, out, err) = lubdub.command(&["pairs", "9"]).await;
    assert_eq!((code, &*out), (Some(1), ""));
    for told in [
        "pair 9 cannot be shown",
        "no live pair \"9\"",
        "`lubdub ends`",
    ] {
        assert!(err.contains(told), "{err}");
    }
}

#[tokio::test]
async fn ends_are_told_in_words() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let mut pairs = pairs(&lubdub, &upstreams, 1).await;
    let (client, upstream) = pairs.remove(0);
    client.reset();
    drop(upstream);
    lubdub
        .told_when("/api/v1/ends", |said| said["kept"] == 1)
        .await;
    let out = said(&lubdub, &["ends", "--where", "pair=1"]).await;
    assert!(out.contains("client_reset"), "{out}");
    assert!(
        out.contains("pair 1: The client's connection was reset"),
        "{out}"
    );
    assert!(out.ends_with("1 of the last 1 end\n"), "{out}");
    let json = said(&lubdub, &["ends", "--json"]).await;
    let end: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(end["cause"], "client_reset");
}

#[tokio::test]
async fn the_status_has_the_budgets() {
    let lubdub = Binary::start(&Upstream::listen(), &["limits.pairs=10"]).await;
    let out = said(&lubdub, &["status"]).await;
    assert!(out.contains("configuration 1: ready\n"), "{out}");
    assert!(
        out.contains("\nBUDGET") && out.contains("limits.pairs"),
        "{out}"
    );
    let json: Value =
        serde_json::from_str(&said(&lubdub, &["status", "--json"]).await).expect("JSON");
    assert_eq!(json["budgets"][0]["max"], 10);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_named() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let token = directory.join("commands-token");
    fs::write(&token, "s3cret\n").expect("a new file");
    let setting = format!("admin.token_file={}", token.display());
    let lubdub = Binary::start(&Upstream::listen(), &[&setting]).await;
    for (args, exit, named) in [
        (&["pairs", "--where", "route"][..], 64, "KEY=VALUE"),
        (&["pairs", "--where", "color=red"], 64, "silent_for"),
        (&["pairs", "--where", "route=other"], 1, "there is: main"),
        (&["pairs", "--sort", "colour"], 64, "silence"),
        (&["pairs", "chat"], 64, "such as 17"),
        (&["pairs", "1", "--limit", "5"], 64, "--limit"),
        (&["ends", "--where", "cause=boredom"], 1, "internal"),
        (&["close", "one"], 64, "PAIR in `lubdub pairs`"),
        (&["close", "1", "--code", "1005"], 64, "never be sent"),
        (&["close", "1", "--code", "70000"], 64, "such as 1001"),
        (
            &["close", "1", "--reason", &"é".repeat(62)],
            64,
            "this one has 124",
        ),
        (&["top"], 1, "needs a terminal"),
        // To look loopback is enough, to change something it is not where a token is set.
        (&["close", "1"], 1, "--token-file"),
    ] {
        let (code, out, err) = lubdub.command(args).await;
        assert_eq!((code, &*out), (Some(exit), ""), "{args:?}: {err}");
        assert!(err.contains(named), "{args:?}: {err}");
    }
    let file = token.to_str().expect("text");
    let (code, _, err) = lubdub.command(&["close", "1", "--token-file", file]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("no live pair"), "{err}");
}
