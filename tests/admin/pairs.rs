//! The live pairs, by the page.

use lubdub_testkit::binary::Binary;
use lubdub_testkit::peer::Upstream;

use crate::{ids, pairs};

#[tokio::test]
async fn all_are_found_page_by_page_in_every_order() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let _pairs = pairs(&lubdub, &upstreams, 7).await;
    for sort in ["oldest", "newest", "silence", "rtt", "bytes"] {
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let page = lubdub
                .told(&format!("/api/v1/pairs?sort={sort}&limit=3{after}"))
                .await;
            assert_eq!((&page["total"], &page["matched"]), (&7.into(), &7.into()));
            found.extend(ids(&page));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        match sort {
            "newest" => assert_eq!(found, [7, 6, 5, 4, 3, 2, 1]),
            "oldest" => assert_eq!(found, [1, 2, 3, 4, 5, 6, 7]),
            _ => {
                found.sort_unstable();
                assert_eq!(found, [1, 2, 3, 4, 5, 6, 7], "{sort}");
            }
        }
    }
}

#[tokio::test]
async fn those_are_found_that_are_asked_for() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let mut pairs = pairs(&lubdub, &upstreams, 3).await;
    // The client of the second says something, so its upstream is the quiet one.
    pairs[1].0.send_text("hello").await;
    pairs[1].1.expect_text("hello").await;
    lubdub
        .told_when("/api/v1/pairs/2", |said| said["client"]["frames"] == 1)
        .await;
    for (query, found) in [
        ("client=127.0.0.1", &[1, 2, 3][..]),
        ("client=127.0.0.0/8&route=MAIN", &[1, 2, 3]),
        ("client=10.0.0.0/8", &[]),
        ("silent=upstream", &[2]),
        ("silent_for=1h", &[]),
        ("upstream=main&listener=main&limit=2", &[1, 2]),
        ("sort=bytes&limit=1", &[2]),
    ] {
        let page = lubdub.told(&format!("/api/v1/pairs?{query}")).await;
        assert_eq!(ids(&page), found, "{query}");
        assert_eq!(page["total"], 3, "{query}");
    }
}

#[tokio::test]
async fn a_pair_tells_how_its_pings_were_answered() {
    let upstreams = Upstream::listen();
    let settings = [
        "keepalive.client.interval=50ms",
        "keepalive.client.timeout=1h",
        "keepalive.upstream.interval=1h",
    ];
    let lubdub = Binary::start(&upstreams, &settings).await;
    let mut pairs = pairs(&lubdub, &upstreams, 1).await;
    let (client, _) = &mut pairs[0];
    let first = client.expect_ping().await;
    client.pong(first).await;
    let _unanswered = client.expect_ping().await;
    let said = lubdub
        .told_when("/api/v1/pairs/1", |said| {
            said["trace"]["client"]
                .as_array()
                .is_some_and(|beats| beats.len() >= 3)
        })
        .await;
    let beats = &said["trace"]["client"];
    assert_eq!(beats[0]["state"], "answered", "{said}");
    assert!(
        beats[0]["rtt_seconds"]
            .as_f64()
            .is_some_and(|rtt| rtt > 0.0),
        "{said}"
    );
    assert_eq!(beats[1]["state"], "missed", "{said}");
    assert_eq!(beats[1]["rtt_seconds"], serde_json::Value::Null, "{said}");
    let last = beats
        .as_array()
        .and_then(|beats| beats.last())
        .expect("beats");
    assert_eq!(last["state"], "waiting", "{said}");
    assert_eq!(said["trace"]["upstream"], serde_json::json!([]), "{said}");
    assert!(
        said["request"]
            .as_str()
            .is_some_and(|request| request.ends_with("/1")),
        "{said}"
    );
}
