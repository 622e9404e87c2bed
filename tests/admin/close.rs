//! Ending one pair.

use lubdub_testkit::binary::Binary;
use lubdub_testkit::peer::Upstream;
use serde_json::json;

use crate::pairs;

#[tokio::test]
async fn one_pair_is_closed_and_the_other_goes_on() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let mut pairs = pairs(&lubdub, &upstreams, 2).await;
    let (status, said) = lubdub
        .change(
            "/api/v1/pairs/1/close",
            r#"{"code": 4001, "reason": "moved"}"#,
        )
        .await;
    assert_eq!(
        (status, said.trim()),
        (200, r#"{"pair":1,"outcome":"told"}"#)
    );
    let (mut client, mut upstream) = pairs.remove(0);
    client.expect_close(4001).await;
    upstream.expect_close(4001).await;
    client.close(4001, "").await;
    upstream.close(4001, "").await;
    client.expect_eof().await;
    let logged = lubdub.expect_logged("pair ended").await;
    assert_eq!(
        (&logged["cause"], &logged["close_by"]),
        (&"admin".into(), &"lubdub".into())
    );
    lubdub.expect_pairs(1).await;
    let (client, upstream) = &mut pairs[0];
    client.send_text("still here").await;
    upstream.expect_text("still here").await;
}

/// Nobody is told anything more, and that is what is said.
#[tokio::test]
async fn a_pair_that_is_closing_goes_on_with_that() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let mut pairs = pairs(&lubdub, &upstreams, 2).await;
    // Of one an end has begun, of the other an operator.
    let (client, upstream) = &mut pairs[0];
    client.close(1000, "").await;
    upstream.expect_close(1000).await;
    for (pair, outcome) in [(1, "closing"), (2, "told"), (2, "closing")] {
        let path = format!("/api/v1/pairs/{pair}/close");
        let said = lubdub.changed(&path, &json!({"code": 4001})).await;
        assert_eq!(said, json!({"pair": pair, "outcome": outcome}));
    }
    let (code, out, _) = lubdub.command(&["close", "1"]).await;
    let told = "pair 1 is coming to its end already\n";
    assert_eq!((code, &*out), (Some(0), told));
    upstream.close(1000, "").await;
    client.expect_close(1000).await;
}

#[tokio::test]
async fn what_will_not_do_closes_nothing() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let _pairs = pairs(&lubdub, &upstreams, 1).await;
    let long = format!(r#"{{"reason": "{}"}}"#, "x".repeat(124));
    for (path, body, status, named) in [
        ("/api/v1/pairs/1/close", r#"{"code": 1006}"#, 400, "code: "),
        ("/api/v1/pairs/1/close", r#"{"code": 2000}"#, 400, "2000"),
        ("/api/v1/pairs/1/close", r#"{"codes": 1001}"#, 400, "codes"),
        ("/api/v1/pairs/1/close", &long, 400, "123"),
        ("/api/v1/pairs/9/close", "{}", 404, "\\\"9\\\""),
        ("/api/v1/pairs/one/close", "{}", 404, "one"),
    ] {
        let (told, said) = lubdub.change(path, body).await;
        assert_eq!(told, status, "{body}: {said}");
        assert!(said.contains(named), "{body}: {said}");
    }
    lubdub.expect_pairs(1).await;
}
