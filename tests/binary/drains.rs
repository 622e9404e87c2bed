//! Drains that an operator orders: of everybody or of some, paced, watched and called off.

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Heard, Peer, Upstream, expect_alive};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const DRAIN: &str = "/api/v1/drain";

/// Asks for a drain that is begun.
async fn drain(lubdub: &Binary, order: Value) -> Value {
    lubdub.changed(DRAIN, &order).await
}

/// The latest drain, once it is in this state.
async fn in_state(lubdub: &Binary, state: &str) -> Value {
    lubdub
        .told_when(DRAIN, |said| said["drain"]["state"] == state)
        .await
}

/// Both ends are told, and answer.
async fn expect_farewell((mut client, mut upstream): (Peer, Peer)) {
    client.expect_close(1012).await;
    upstream.expect_close(1001).await;
    client.close(1012, "").await;
    upstream.close(1001, "").await;
    client.expect_eof().await;
    upstream.expect_eof().await;
}

/// Two routes, which lead to two upstreams.
async fn two_routes(upstreams: &[Upstream; 2]) -> Binary {
    let [chat, feed] = upstreams.each_ref().map(Upstream::address);
    Binary::start_with(&[
        &format!("upstream.chat.url=ws://{chat}"),
        &format!("upstream.feed.url=ws://{feed}"),
        "route.chat.upstream=chat",
        "route.chat.path_prefix=/chat",
        "route.feed.upstream=feed",
        "route.feed.path_prefix=/feed",
    ])
    .await
}

#[tokio::test]
async fn one_route_is_drained_and_the_other_goes_on() {
    for choice in [json!({"route": "chat"}), json!({"upstream": "CHAT"})] {
        let upstreams = [Upstream::listen(), Upstream::listen()];
        let lubdub = two_routes(&upstreams).await;
        let chat = lubdub.pair_at("/chat", &upstreams[0]).await;
        let mut feed = lubdub.pair_at("/feed", &upstreams[1]).await;
        lubdub.expect_pairs(2).await;
        let begun = drain(&lubdub, choice).await;
        assert_eq!((&begun["id"], &begun["matched"]), (&1.into(), &1.into()));
        expect_farewell(chat).await;
        let done = in_state(&lubdub, "done").await;
        assert_eq!(
            (&done["drain"]["told"], &done["drain"]["remaining"]),
            (&1.into(), &0.into())
        );
        assert_eq!(done["draining"], false);
        lubdub.expect_logged("drain ends").await;
        assert_eq!(lubdub.admin("/readyz").await.0, 200);
        expect_alive(&mut feed).await;
        // Who comes now is not among those that were there.
        let mut new = lubdub.pair_at("/chat", &upstreams[0]).await;
        expect_alive(&mut new).await;
    }
}

#[tokio::test]
async fn the_old_ones_are_drained_and_the_young_ones_go_on() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let old = lubdub.pair(&upstreams).await;
    sleep(ms(1100)).await;
    let mut young = lubdub.pair(&upstreams).await;
    lubdub.expect_pairs(2).await;
    let begun = drain(&lubdub, json!({"older_than": "1s", "listener": "main"})).await;
    assert_eq!(begun["matched"], 1);
    expect_farewell(old).await;
    expect_alive(&mut young).await;
}

#[tokio::test]
async fn a_whole_drain_stands_until_it_is_called_off() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let there = lubdub.pair(&upstreams).await;
    lubdub.expect_pairs(1).await;
    drain(&lubdub, json!({})).await;
    assert_eq!(lubdub.admin("/readyz").await.0, 503);
    expect_farewell(there).await;
    let done = in_state(&lubdub, "done").await;
    assert_eq!(done["draining"], true);
    assert_eq!(lubdub.admin("/readyz").await.0, 503);

    let mut late = lubdub.dial().connect().await;
    late.ask(&Request::upgrade("/")).await;
    late.expect_answer(503).await;
    let scrape = lubdub.scrape().await;
    assert!(scrape.sum("lubdub_draining", &[]) > 0.5);
    assert!(scrape.sum("lubdub_handshakes_total", &[("outcome", "draining")]) > 0.5);
    for order in ["{}", r#"{"route": "main"}"#] {
        let (status, said) = lubdub.change(DRAIN, order).await;
        assert_eq!(status, 409, "{order}: {said}");
        assert!(said.contains("drain 1"), "{said}");
    }

    drain(&lubdub, json!({"cancel": true})).await;
    assert_eq!(lubdub.admin("/readyz").await.0, 200);
    let mut back = lubdub.pair(&upstreams).await;
    expect_alive(&mut back).await;
    assert!(lubdub.scrape().await.sum("lubdub_draining", &[]) < 0.5);
    assert_eq!(lubdub.change(DRAIN, r#"{"cancel": true}"#).await.0, 409);
}

#[tokio::test]
async fn a_drain_that_is_called_off_leaves_those_it_has_not_told() {
    const PAIRS: usize = 10;
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let mut pairs = JoinSet::new();
    for _ in 0..PAIRS {
        let (mut client, upstream) = lubdub.pair(&upstreams).await;
        pairs.spawn(async move {
            client.expect_close(1012).await;
            drop(upstream);
        });
    }
    lubdub.expect_pairs(PAIRS).await;
    let begun = drain(&lubdub, json!({"route": "main", "spread": "2s"})).await;
    assert_eq!(begun["matched"], PAIRS);
    pairs.join_next().await.expect("pairs").expect("a Close");
    let (status, said) = lubdub.change(DRAIN, "{}").await;
    assert_eq!(status, 409, "one at a time: {said}");
    let called_off = drain(&lubdub, json!({"cancel": true})).await;
    assert_eq!(called_off["state"], "cancelled");
    let told = usize::try_from(called_off["told"].as_u64().expect("a number")).expect("few");
    assert!((1..PAIRS).contains(&told), "{called_off}");
    lubdub.expect_logged("drain called off").await;
    for _ in 1..told {
        pairs.join_next().await.expect("pairs").expect("a Close");
    }
    // The others would be told within this time.
    sleep(ms(500)).await;
    assert!(pairs.try_join_next().is_none(), "nobody else is told");
    assert!(
        (lubdub
            .scrape()
            .await
            .sum("lubdub_drain_remaining_pairs", &[]))
        .abs()
            < 0.5
    );
    // The next one is another one.
    assert_eq!(drain(&lubdub, json!({"spread": "0s"})).await["id"], 2);
    while let Some(ended) = pairs.join_next().await {
        ended.expect("a Close");
    }
}

#[tokio::test]
async fn a_signal_takes_the_place_of_a_drain_and_cannot_be_called_off() {
    let upstreams = Upstream::listen();
    let mut lubdub = Binary::start(&upstreams, &["drain.delay=1s", "drain.spread=0s"]).await;
    let there = lubdub.pair(&upstreams).await;
    lubdub.expect_pairs(1).await;
    drain(&lubdub, json!({"route": "main", "spread": "1h"})).await;
    lubdub.signal(Signal::TERM);
    lubdub.expect_logged("draining").await;
    for order in ["{}", r#"{"cancel": true}"#] {
        let (status, said) = lubdub.change(DRAIN, order).await;
        assert_eq!((status, said.contains("ending")), (409, true), "{said}");
    }
    expect_farewell(there).await;
    assert_eq!(lubdub.expect_exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_whole_drain_waits_for_drain_delay_as_a_signal_does() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &["drain.delay=500ms"]).await;
    let began = Instant::now();
    let begun = drain(&lubdub, json!({})).await;
    assert_eq!(begun["state"], "waiting");
    assert_eq!(lubdub.admin("/readyz").await.0, 503);
    // Whoever has not heard of it yet is let in.
    let (mut client, _upstream) = lubdub.pair(&upstreams).await;
    client.expect_close(1012).await;
    assert!(began.elapsed() >= ms(500), "after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_drain_that_is_called_off_in_its_delay_was_about_those_that_were_there() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &["drain.delay=1h"]).await;
    let mut pair = lubdub.pair(&upstreams).await;
    lubdub.expect_pairs(1).await;
    assert_eq!(drain(&lubdub, json!({})).await["matched"], 1);
    let called_off = drain(&lubdub, json!({"cancel": true})).await;
    let counted = ["matched", "told", "remaining"].map(|key| called_off[key].clone());
    assert_eq!(counted, [1, 0, 1]);
    assert_eq!(lubdub.expect_logged("drain called off").await["pairs"], 1);
    expect_alive(&mut pair).await;
}

/// With LUBDUB_DRAIN_PAIRS=5000 and LUBDUB_DRAIN_SPREAD=20 it is what the documentation promises.
#[tokio::test]
async fn farewells_are_as_many_in_every_second() {
    let number = |name, default| {
        let set = std::env::var(name).ok();
        set.map_or(default, |set| set.parse().expect("a number"))
    };
    let pairs = number("LUBDUB_DRAIN_PAIRS", 300);
    let spread = number("LUBDUB_DRAIN_SPREAD", 3);
    for is_signal in [false, true] {
        let upstreams = Upstream::listen();
        let settings = [
            format!("drain.spread={spread}s"),
            format!("drain.timeout={}s", spread + 10),
            "keepalive.client.interval=off".to_owned(),
            "keepalive.upstream.interval=off".to_owned(),
        ];
        let lubdub = Binary::start(&upstreams, &settings.each_ref().map(String::as_str)).await;
        let mut ends = JoinSet::new();
        for _ in 0..pairs {
            let (client, upstream) = lubdub.pair(&upstreams).await;
            ends.spawn(async move {
                let (mut client, _mouth) = client.split();
                // There are no pings: the first that comes is the Close.
                let heard = client.next().await;
                assert!(matches!(heard, Heard::Frame(_)), "{heard:?}");
                drop(upstream);
                Instant::now()
            });
        }
        lubdub.expect_pairs(pairs).await;
        let began = Instant::now();
        if is_signal {
            lubdub.signal(Signal::TERM);
        } else {
            drain(&lubdub, json!({})).await;
        }
        let mut seconds = vec![0; spread];
        let last = seconds.len() - 1;
        while let Some(told) = ends.join_next().await {
            let at = (told.expect("everybody is told") - began).as_secs();
            seconds[usize::try_from(at).expect("few").min(last)] += 1;
        }
        let (least, most) = (seconds.iter().min(), seconds.iter().max());
        let (Some(least), Some(most)) = (least, most) else {
            unreachable!("there is a second");
        };
        assert!(most * 2 <= least * 3, "{seconds:?}");
    }
}

#[tokio::test]
async fn the_command_drains_watches_and_calls_off() {
    let upstreams = [Upstream::listen(), Upstream::listen()];
    let lubdub = two_routes(&upstreams).await;
    let (code, said, _) = lubdub.command(&["drain", "--show"]).await;
    assert_eq!((code, said.as_str()), (Some(0), "there was no drain yet\n"));
    let chat = lubdub.pair_at("/chat", &upstreams[0]).await;
    let mut feed = lubdub.pair_at("/feed", &upstreams[1]).await;
    lubdub.expect_pairs(2).await;
    let args = [
        "drain",
        "--upstream",
        "chat",
        "--spread",
        "100ms",
        "--watch",
    ];
    let (watched, ()) = tokio::join!(lubdub.command(&args), expect_farewell(chat));
    let (code, said, complaint) = watched;
    assert_eq!(code, Some(0), "{complaint}");
    let last = "drain 1 done: 1 pair, 1 told, 0 still open; upstream chat; over 100ms\n";
    assert!(said.ends_with(last), "{said}");
    expect_alive(&mut feed).await;

    let (code, _, complaint) = lubdub.command(&["drain", "--route", "caht"]).await;
    assert_eq!(code, Some(1));
    assert!(complaint.contains("there is: chat, feed"), "{complaint}");
    let (code, _, complaint) = lubdub.command(&["drain", "--cancel"]).await;
    assert_eq!(code, Some(1));
    assert!(complaint.contains("no drain is under way"), "{complaint}");
}
