//! What is said to those who ask wrongly: problem details (RFC 9457) that name the parameter and its value.

use lubdub_testkit::binary::{Binary, request};
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use serde_json::Value;

async fn problem(lubdub: &Binary, request: &Request) -> (u16, String) {
    let (head, body) = lubdub.ask_admin(request, "").await;
    let kind = head.field("content-type");
    assert_eq!(kind, Some("application/problem+json"), "{body}");
    let said: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(said["status"], head.status(), "{body}");
    assert_eq!(said["type"], "about:blank", "{body}");
    let detail = said["detail"].as_str().expect("a detail");
    (head.status(), detail.to_owned())
}

#[tokio::test]
async fn a_query_that_will_not_do_is_named() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    for (query, named) in [
        ("pairs?rout=main", "rout"),
        ("pairs?sort=age", "`age`"),
        ("pairs?limit=-1", "\"-1\""),
        ("pairs?limit=5&limit=6", "limit"),
        ("pairs?route=other", "there is: main"),
        ("pairs?client=localhost", "\"localhost\""),
        ("pairs?silent=both", "`both`"),
        ("pairs?silent_for=30", "silent_for"),
        ("pairs?after=yesterday", "no cursor"),
        ("pairs?after=00000000.o.1.1", "another process"),
        ("ends?cause=lapsed", "client_lapsed"),
        ("ends?pair=x", "\"x\""),
        ("ends?after=1", "after"),
        ("status?verbose=1", "`verbose`"),
        ("pairs/1?trace=1", "`trace`"),
    ] {
        let (status, detail) = problem(&lubdub, &request("GET", &format!("/api/v1/{query}"))).await;
        assert_eq!(status, 400, "{query}");
        assert!(detail.contains(named), "{query}: {detail}");
    }
}

/// What a query says would be lost, and the change one of everything.
#[tokio::test]
async fn a_change_with_a_query_changes_nothing() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let (status, said) = lubdub.change("/api/v1/drain?route=main", "{}").await;
    assert_eq!(status, 400, "{said}");
    assert!(said.contains("`route`"), "{said}");
    assert_eq!(lubdub.admin("/readyz").await.0, 200);
}

#[tokio::test]
async fn two_tokens_are_refused() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let twice = request("GET", "/api/v1/status")
        .field("Authorization", "Bearer one")
        .field("Authorization", "Bearer two");
    let (status, detail) = problem(&lubdub, &twice).await;
    assert_eq!(
        (status, &*detail),
        (400, "Authorization must be there once")
    );
}

#[tokio::test]
async fn what_there_is_not_is_told() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    for (path, named) in [
        ("/api/v1/pairs/7", "\"7\""),
        ("/api/v1/pairs/x", "\"x\""),
        ("/api/v2/pairs", "nothing"),
        ("/api/v1/pairs/", "nothing"),
    ] {
        let (status, detail) = problem(&lubdub, &request("GET", path)).await;
        assert_eq!(status, 404, "{path}");
        assert!(detail.contains(named), "{path}: {detail}");
    }
    let delete = request("DELETE", "/api/v1/pairs");
    assert_eq!(problem(&lubdub, &delete).await.0, 405);
}

/// A page of another site has its own name in `Host`, whatever the name leads to (DNS rebinding).
#[tokio::test]
async fn a_foreign_host_sees_nothing_but_what_is_open() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let foreign = |path: &str| Request::get(path).host("evil.example");
    for path in [
        "/",
        "/nothing",
        "/api/v1/openapi.json",
        "/api/v1/status",
        "/api/v1/events",
        "/api/v1/pairs",
    ] {
        let (status, _) = problem(&lubdub, &foreign(path)).await;
        assert_eq!(status, 403, "{path}");
    }
    for path in ["/metrics", "/livez", "/readyz"] {
        let (head, _) = lubdub.ask_admin(&foreign(path), "").await;
        assert_eq!(head.status(), 200, "{path}");
    }
}
